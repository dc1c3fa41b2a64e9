//! A database that speaks TLS: its certificate is verified, with its name, and nothing is sent to a server that has another.

use crate::common::certificates::Authority;
use crate::common::postgres::{Database, speak_tls};
use crate::common::{Asked, Server, coordinator_command, run, sctec, wait_until};

#[test]
#[ignore = "needs PostgreSQL"]
fn a_database_is_believed_with_a_certificate_of_the_authority_for_its_name_and_else_not() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    // For the name, and not for the address.
    let issued = authority.issue(&["localhost"]);
    let port = speak_tls(&issued.cert, &issued.key);
    let database = Database::create();
    let url = |host: &str| {
        let name = database.url().rsplit('/').next().unwrap().to_owned();
        format!("postgres://sctec@{host}:{port}/{name}?sslmode=require")
    };
    let write = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        std::fs::write(&path, &authority.pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, other) = (write("right.pem", &authority), write("other.pem", &Authority::new()));
    let coordinator = Server::spawn(&mut coordinator_command(&folder.path().join("locks"), "127.0.0.1:0"), 1);
    let command = |data: &str, host: &str, ca: &str| {
        let mut command = sctec();
        command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", &coordinator.url()]);
        command.args(["--store", &url(host), "--store-ca", ca, "--data-dir"]).arg(folder.path().join(data));
        command
    };
    for (data, host, ca) in [("other", "localhost", &other), ("address", "127.0.0.1", &right)] {
        let refused = command(data, host, ca).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains("certificate"), "{said}");
    }
    // Nobody who was deceived has made a table.
    let made = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'sctec'";
    assert_eq!(database.rows(made).unwrap()[0][0].as_deref(), Some("0"));

    let scheduler = Server::spawn(&mut command("right", "localhost", &right), 1);
    assert_eq!(Asked::by(7, "2031-03-01T03:00:00Z").at(&scheduler.url()).status, 201);
    let open = "SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections = database.rows(open).unwrap().remove(0);
    assert_ne!(connections[0].as_deref(), Some("0"));
    assert_eq!(connections[1].as_deref(), Some("t"), "each connection is encrypted");
    // The tools too.
    wait_until("the trail is verified", || {
        let data = folder.path().join("right");
        let (data, store) = (data.to_str().unwrap(), url("localhost"));
        let verified = run(&["audit", "--verify", "--data-dir", data, "--store", &store, "--store-ca", &right]);
        verified.status.success()
    });
}
