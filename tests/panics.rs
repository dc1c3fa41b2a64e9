//! A panic outside a request stops the service.
//!
//! This test is a crate of its own: it installs the process's panic hook, which would stop the services that other tests
//! run in their process, and which the panic of a failing test would set off.

use sctec::http::server::bind;
use sctec::{coordinator, logging, panics};

#[tokio::test]
async fn a_service_does_not_go_on_silently_without_a_part_of_it() {
    panics::install_hook();
    let folder = tempfile::tempdir().unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = coordinator::Config { logging: logging::Config::quiet(), ..coordinator::Config::new(folder.path()) };
    let served = tokio::spawn(coordinator::serve(listener, config, std::future::pending()));
    // What is guarded is its caller's, and no reason to stop.
    let guarded: Result<(), _> = panics::guarded(async { panic!("de uma requisição") }).await;
    assert!(guarded.is_err());
    tokio::task::yield_now().await;
    assert_eq!((served.is_finished(), panics::why_fallen()), (false, None));
    // As its sweeper would, or the thread that writes a database.
    let died: Result<(), _> = tokio::spawn(async { panic!("uma parte") }).await;
    assert!(died.is_err());
    served.await.unwrap().unwrap();
    let why = panics::why_fallen().unwrap();
    assert!(why.contains("uma parte") && why.contains("tests/panics.rs:"), "{why}");
    let log = std::fs::read_to_string(folder.path().join("coordenador.log")).unwrap();
    let errors: Vec<_> = log.lines().filter(|line| line.starts_with("ERROR:")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].contains("Uma parte do serviço falhou, e por isso o serviço para: panic: uma parte"), "{log}");
    assert!(log.lines().last().unwrap().contains(":servico-coordenador:encerrado us="), "{log}");
}
