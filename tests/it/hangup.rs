//! Closing the terminal in which a server was started.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::common::{deaf, http, signal, terminal, wait_until};

/// A server in a terminal of its own.
struct InTerminal {
    child: Child,
    folder: TempDir,
    window: Option<File>,
}

impl InTerminal {
    /// Starts `serve-all` by this line of a shell, in which `$SCTEC` is its command, as the leader of the terminal's session.
    fn start(line: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (window, programs) = terminal::open();
        // The tests may themselves run under nohup.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", "setsid", "--ctty", "sh", "-c", line]).current_dir(folder.path());
        let arguments = "serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0";
        deaf(&mut command).env("SCTEC", format!("{} {arguments}", env!("CARGO_BIN_EXE_sctec")));
        let own = || Stdio::from(programs.try_clone().unwrap());
        let child = command.stdin(own()).stdout(own()).stderr(own()).spawn().expect("setsid is part of util-linux");
        let started = Self { child, folder, window: Some(window) };
        wait_until("the services listen", || started.log().matches("escutando em").count() == 2);
        started
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("sctec-data").join(name)
    }

    /// Both services' logs.
    fn log(&self) -> String {
        ["app.log", "coordenador.log"].map(|name| std::fs::read_to_string(self.at(name)).unwrap_or_default()).concat()
    }

    fn agenda(&self) -> String {
        let log = self.log();
        let (_, url) = log.split_once("servico-agendamento:escutando em ").unwrap();
        url.split(' ').next().unwrap().to_owned()
    }

    fn close_window(&mut self) {
        drop(self.window.take().expect("the window is open"));
    }

    /// Its exit status, when it has ended.
    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_clean(folder: &Path) -> bool {
    folder.join("sctec-data/sctec.db-limpo").exists()
}

#[test]
fn closing_the_terminal_that_shows_the_log_is_a_clean_stop() {
    let mut server = InTerminal::start("exec $SCTEC");
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&shown).contains("servico-agendamento:escutando em") {
        let read = server.window.as_mut().unwrap().read(&mut buffer).unwrap();
        shown.extend_from_slice(&buffer[..read]);
    }
    server.close_window();
    assert_eq!(server.end().code(), Some(0));
    let log = server.log();
    assert_eq!((log.matches(":encerrando us=").count(), log.matches(":encerrado us=").count()), (2, 2), "{log}");
    assert!(is_clean(server.folder.path()));
}

#[test]
fn a_server_outlives_the_terminal_that_does_not_show_its_log() {
    for line in [
        "exec $SCTEC >output",
        "exec $SCTEC --log-to file",
        "exec nohup $SCTEC >output",
        // The log goes to the terminal, and SIGHUP is ignored as under nohup.
        "trap '' HUP; exec $SCTEC",
    ] {
        let mut server = InTerminal::start(line);
        server.close_window();
        // The log shows that SIGHUP came.
        wait_until("the logs are opened again", || server.log().matches("arquivo reaberto a pedido").count() == 2);
        assert_eq!(http("GET", &format!("{}/saude", server.agenda()), None).status, 200, "{line}");
        assert!(!server.log().contains(":encerrando"), "{line}");
        signal(server.child.id(), "TERM");
        assert_eq!(server.end().code(), Some(0), "{line}");
        assert!(is_clean(server.folder.path()), "{line}");
    }
}
