//! A PostgreSQL server for tests: in a temporary folder, on loopback, as a user without rights. All tests of a binary share one server,
//! and each has a database of its own in it. The server ends with the binary, also when that is killed, and its folder is removed.
//!
//! The library's tests have this file too, as a module of theirs: it uses no other file of the tests.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// `nobody`, who owns no files. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// How psql prints NULL.
const NULL: &str = "(NULL)";

/// What the server's process does: it makes the database's files, serves until its input ends, which happens when the tests' process ends,
/// and removes the folder. Its databases order texts as a language does, and not by their bytes, as many servers have it.
const LIFE: &str = r#"
folder=$1 initdb=$2 postgres=$3 port=$4
trap '' INT
"$initdb" --pgdata="$folder/data" --username=sctec --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=pt-BR --no-sync >"$folder/log" 2>&1 || { echo failed; rm -r "$folder/data"; exit 1; }
"$postgres" -D "$folder/data" -c listen_addresses=127.0.0.1 -c port="$port" -c unix_socket_directories= -c max_connections=500 \
    -c shared_buffers=64MB -c max_wal_size=512MB >>"$folder/log" 2>&1 &
echo begun
cat >/dev/null
kill -QUIT $!
wait $!
rm -r "$folder"
"#;

/// A database of its own. Dropping it removes it.
pub struct Database {
    name: String,
}

impl Database {
    /// Makes an empty one.
    pub fn create() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("teste_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        SERVER.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        Self { name }
    }

    /// Where it is, as `--store` takes it.
    pub fn url(&self) -> String {
        format!("postgres://sctec@127.0.0.1:{}/{}", SERVER.port, self.name)
    }

    /// Runs statements, as somebody does with psql. The answer is their rows; NULL is `None`.
    ///
    /// # Errors
    /// What the server says.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let text = SERVER.psql(&self.name, sql)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let cell = |cell: &str| (cell != NULL).then(|| cell.to_owned());
        Ok(reader.records().map(|row| row.unwrap().iter().map(cell).collect()).collect())
    }
}

/// Has the server speak TLS with those who ask for it, with this certificate and key (PEM). Others go on without. Returns its port.
#[allow(dead_code, reason = "the library has this file for its tests too, and they use no TLS")]
pub fn speak_tls(certificate: &str, key: &str) -> u16 {
    for (name, text) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
        let path = SERVER.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let owner = std::fs::metadata(SERVER.folder.join("data")).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        SERVER.psql("postgres", &format!("ALTER SYSTEM SET {name} = '{}'", path.display())).unwrap();
    }
    SERVER.psql("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    SERVER.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    let begun = Instant::now();
    while SERVER.psql("postgres", "SHOW ssl").unwrap() != "on" {
        assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not take the certificate");
        std::thread::sleep(Duration::from_millis(20));
    }
    SERVER.port
}

/// The server's process, which starts one for each connection.
#[allow(dead_code, reason = "only benches ask for it")]
pub fn pid() -> u32 {
    let text = std::fs::read_to_string(SERVER.folder.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server's folder is removed in the end, with all databases.
        let _ = SERVER.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

struct Server {
    port: u16,
    psql: PathBuf,
    /// Where its files are.
    folder: PathBuf,
    /// Its input is open as long as this process runs.
    _life: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // Somebody else may have taken the port before the server has it.
    (0..5).find_map(|_| Server::start()).expect("PostgreSQL starts")
});

impl Server {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("sctec-postgres-").tempdir().unwrap().keep();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            command.args(ids).args(["--clear-groups", "sh", "-c", LIFE, "sh"]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", LIFE, "sh"]);
            command
        };
        command.arg(&folder).args([program("initdb"), program("postgres")]).arg(port.to_string());
        // A folder that the server's user can be in.
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut life = command.spawn().expect("sh and setpriv are there");
        let mut said = String::new();
        BufReader::new(life.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert_eq!(said, "begun\n", "PostgreSQL's files are made (Debian: apt install postgresql): {}", log());
        let server = Self { port, psql: program("psql"), folder: folder.clone(), _life: life };
        let begun = Instant::now();
        while let Err(reason) = server.psql("postgres", "SELECT 1") {
            if log().contains("could not bind") {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not answer: {reason}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let url = format!("postgres://sctec@127.0.0.1:{}/{database}", self.port);
        let mut command = Command::new(&self.psql);
        let null = format!("--pset=null={NULL}");
        command.args(["--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1", &null]);
        command.args(["--dbname", &url]);
        let ran = command.args(["--command", sql]).stdin(Stdio::null()).output().expect("psql is there");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if ran.status.success() { Ok(text(ran.stdout)) } else { Err(text(ran.stderr)) }
    }
}

/// One of PostgreSQL's programs: where Debian has them, of the newest version, or else on the path.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| version(path));
    let there = newest.map(|path| path.join("bin").join(name)).filter(|path| path.exists());
    there.unwrap_or_else(|| PathBuf::from(name))
}
