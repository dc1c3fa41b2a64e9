//! Where the coordinators of a test run have their limits: in a file of the data folder, or with `SCTEC_TEST_ELECTION=etcd` in etcd, which
//! then also elects them. All tests of a binary share one etcd. Each data folder has a prefix of its own in it, so each coordinator is the
//! only one of its election, and goes on with its limits when it is started again. etcd ends with the binary, also when that is killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::requests::try_http_elsewhere;
use super::wait::wait_until;

/// The variable that names etcd to a coordinator.
const ELECTION: &str = "SCTEC_ELECTION";

/// The file that a coordinator without an election has.
const FILE: &str = "coordenador.json";

/// What a coordinator's log says when it gives locks.
pub const BEGUN: &str = "Mandato iniciado";

/// What etcd's process does: it serves until its input ends, which happens when the tests' process ends, and removes the folder.
const LIFE: &str = r#"
folder=$1 client=$2 peer=$3
trap '' INT
etcd --name m0 --data-dir "$folder/data" --listen-client-urls "$client" --advertise-client-urls "$client" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "m0=$peer" >"$folder/log" 2>&1 &
echo begun
cat >/dev/null
kill -KILL $!
wait $! 2>/dev/null
rm -r "$folder"
"#;

/// Whether the coordinators are elected.
pub fn is_elective() -> bool {
    static CHOSEN: LazyLock<bool> = LazyLock::new(|| match std::env::var("SCTEC_TEST_ELECTION").as_deref() {
        Err(_) | Ok("" | "file") => false,
        Ok("etcd") => true,
        Ok(other) => panic!("SCTEC_TEST_ELECTION is {other}: give file or etcd"),
    });
    *CHOSEN
}

/// Ends a test that is about a coordinator without an election where the coordinators have one. The reason stands in the list of these
/// tests, which `git grep -A1 without_election!` makes.
#[allow(unused_macros, reason = "a bench has this file too, and is about any coordinator")]
macro_rules! without_election {
    ($reason:literal) => {
        if crate::common::election::is_elective() {
            eprintln!("skipped: {}", $reason);
            return;
        }
    };
}
#[allow(unused_imports, reason = "a bench has this file too, and is about any coordinator")]
pub(crate) use without_election;

/// The limits that a coordinator has written down.
pub fn limits(data_dir: &Path) -> Value {
    if !is_elective() {
        return serde_json::from_slice(&std::fs::read(data_dir.join(FILE)).unwrap()).unwrap();
    }
    let found = ETCD.ask("range", data_dir);
    let text = found["kvs"][0]["value"].as_str().unwrap_or_else(|| panic!("no limits: {found}"));
    serde_json::from_slice(&BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

/// Takes away what a coordinator has written down.
pub fn lose_limits(data_dir: &Path) {
    if is_elective() {
        let answer = ETCD.ask("deleterange", data_dir);
        assert_eq!(answer["deleted"], "1", "{answer}");
    } else {
        std::fs::remove_file(data_dir.join(FILE)).unwrap();
    }
}

/// Has a command that serves a coordinator take part in an election, if this run has elections.
pub fn choose(command: &mut Command, data_dir: &Path) {
    if is_elective() {
        command.env(ELECTION, format!("{}{}", ETCD.url.replacen("http", "etcd", 1), prefix(data_dir)));
        // By the address of all interfaces nobody can reach it. Nobody has to: there is no other coordinator to say so.
        if command.get_args().any(|arg| arg.to_string_lossy().starts_with("0.0.0.0:") || arg == "[::]:0") {
            command.env("SCTEC_ADVERTISE", "http://127.0.0.1:1");
        }
    }
}

/// The prefix of a data folder's keys.
fn prefix(data_dir: &Path) -> String {
    // A prefix has these characters only.
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let path = data_dir.to_str().expect("the path of a test's folder is text").trim_matches('/');
    format!("/{}", path.chars().map(|c| if fine(c) { c } else { '_' }).collect::<String>())
}

/// The same for a command that runs in `folder`, unless it was told already.
pub fn choose_in(command: &mut Command, folder: &Path) {
    let args: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
    let serves = args.iter().any(|arg| arg == "serve-coordinator");
    if serves && !is_told(command) && command.get_envs().all(|(name, _)| name != ELECTION) {
        let given = args.iter().position(|arg| arg == "--data-dir").and_then(|nth| args.get(nth + 1));
        let data_dir = given.map_or_else(|| Path::new("sctec-data"), Path::new);
        choose(command, &folder.join(data_dir));
    }
}

/// Whether a command serves a coordinator that is alone in its election, so that it gives locks soon.
pub fn is_sure(command: &Command) -> bool {
    !is_told(command) && command.get_envs().any(|(name, value)| name == ELECTION && value.is_some())
}

/// Whether the test itself says something of an election.
fn is_told(command: &Command) -> bool {
    command.get_args().any(|arg| arg.to_string_lossy().starts_with("--election"))
}

struct Etcd {
    url: String,
    /// Its input is open as long as this process runs.
    _life: Child,
}

impl Etcd {
    /// Asks something about the limits of a data folder.
    fn ask(&self, call: &str, data_dir: &Path) -> Value {
        let key = BASE64_STANDARD.encode(format!("{}/limites", prefix(data_dir)));
        let asked = try_http_elsewhere(&format!("{}/v3/kv/{call}", self.url), &json!({ "key": key }).to_string());
        asked.unwrap().json()
    }
}

static ETCD: LazyLock<Etcd> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().prefix("sctec-etcd-").tempdir().unwrap().keep();
    // Both are bound at once, so that they are not the same.
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [client, peer] = ports.map(|port| format!("http://{}", port.local_addr().unwrap()));
    let mut command = Command::new("sh");
    command.args(["-c", LIFE, "sh"]).arg(&folder).args([&client, &peer]);
    let mut life = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh is there");
    let mut said = String::new();
    BufReader::new(life.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "begun\n");
    wait_until("etcd serves (Debian: apt install etcd-server)", || {
        let read = try_http_elsewhere(&format!("{client}/v3/kv/range"), r#"{"key": "YQ=="}"#);
        read.is_ok_and(|answer| answer.status == 200)
    });
    Etcd { url: client, _life: life }
});
