//! The register against its file, as several services and the command line use it at once.

use std::time::Instant;

use super::*;
use crate::access::grant::{DAYS_DEFAULT, Grant};
use crate::access::register::credential::Usage;
use crate::access::register::file::RegisterFile;
use crate::access::role::{Role, Roles};
use crate::data_dir::REGISTER_FILE;

const LATER: Duration = Duration::from_secs(24 * 60 * 60);

fn reader(name: &str, days: u32) -> NewCredential {
    let roles: Roles = [Role::Reader].into_iter().collect();
    let grant = Grant { name: name.to_owned(), roles, days, ..Grant::default() };
    grant.check(noon()).unwrap()
}

fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-26T12:00:00Z").unwrap()
}

fn by() -> Author {
    Author::COMMAND_LINE
}

fn quiet() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

fn start(folder: &Path, clock: &Clock) -> Register {
    Register::start(folder, clock.clone(), &quiet()).unwrap()
}

/// Waits until `holds`. No machine is so slow that it needs a minute.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a token is, once the register has looked at its file.
fn found(register: &Register, token: &Token) -> Result<String, Unidentified> {
    let mut found = Err(Unidentified::Unavailable);
    wait("the register can be read", || {
        found = register.identify(token.expose(), None);
        found != Err(Unidentified::Unavailable)
    });
    found.map(|principal| principal.name.to_string())
}

#[test]
fn a_token_lives_until_its_end_or_its_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(noon());
    let register = start(folder.path(), &clock);
    let (short, _) = register.create(&reader("ana", 1), &by()).unwrap();
    let (long, credential) = register.create(&reader("bia", DAYS_DEFAULT), &by()).unwrap();
    assert_eq!(found(&register, &short), Ok("ana".to_owned()));
    clock.set(noon().saturating_add(LATER));
    assert_eq!(found(&register, &short), Err(Unidentified::Expired));
    assert_eq!(found(&register, &long), Ok("bia".to_owned()));
    let revoked = register.revoke(credential.id).unwrap().unwrap();
    assert_eq!(revoked.revoked, Some(clock.now()));
    assert_eq!(found(&register, &long), Err(Unidentified::Revoked));
    assert_eq!(found(&register, &Token::random().unwrap()), Err(Unidentified::Unknown));
    assert_eq!(register.revoke(99).unwrap(), None);
    // A second revocation changes nothing.
    clock.set(noon().saturating_add(LATER * 2));
    assert_eq!(register.revoke(credential.id).unwrap().unwrap().revoked, revoked.revoked);
}

#[test]
fn what_one_process_changes_every_other_one_knows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(noon());
    let (one, other) = (start(folder.path(), &clock), start(folder.path(), &clock));
    let (token, credential) = one.create(&reader("ana", 1), &by()).unwrap();
    assert_eq!(found(&one, &token), Ok("ana".to_owned()));
    wait("the other one knows the token", || found(&other, &token).is_ok());
    RegisterFile::open(folder.path()).unwrap().revoke(credential.id, noon()).unwrap();
    for register in [&one, &other] {
        wait("the revocation is known", || found(register, &token) == Err(Unidentified::Revoked));
    }
}

#[test]
fn where_the_file_is_gone_nobody_is_identified_and_its_return_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(noon());
    let register = start(folder.path(), &clock);
    let (token, _) = register.create(&reader("ana", 1), &by()).unwrap();
    let away = tempfile::tempdir().unwrap();
    let names = ["acesso.db", "acesso.db-wal", "acesso.db-shm"];
    for name in names {
        let _ = std::fs::rename(folder.path().join(name), away.path().join(name));
    }
    wait("nobody is identified", || register.identify(token.expose(), None) == Err(Unidentified::Unavailable));
    assert!(!folder.path().join("acesso.db").exists());
    for name in names {
        let _ = std::fs::rename(away.path().join(name), folder.path().join(name));
    }
    assert_eq!(found(&register, &token), Ok("ana".to_owned()));
}

#[test]
fn a_write_that_takes_long_keeps_nobody_from_being_identified() {
    let folder = tempfile::tempdir().unwrap();
    let register = start(folder.path(), &Clock::held_at(noon()));
    let (token, _) = register.create(&reader("ana", 1), &by()).unwrap();
    wait("it is identified", || found(&register, &token).is_ok());
    // Another process is writing, and takes its time.
    let other = rusqlite::Connection::open(folder.path().join("acesso.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut noter = Noter::new(&register.shared, &register.place, &quiet());
    let storing = std::thread::spawn(move || noter.note());
    let looked = *register.shared.ended.borrow();
    wait("the file is looked at", || *register.shared.ended.borrow() >= looked + 3);
    assert!(!storing.is_finished());
    assert_eq!(found(&register, &token), Ok("ana".to_owned()));
    other.execute_batch("COMMIT").unwrap();
    storing.join().unwrap();
}

/// Waits until the register does not look at its file any more, because nobody is asked for.
fn wait_for_rest(register: &Register) {
    wait("it rests", || {
        let begun = register.shared.begun.load(Ordering::SeqCst);
        std::thread::sleep(LOOK_EVERY * 3);
        register.shared.rests() && register.shared.begun.load(Ordering::SeqCst) == begun
    });
}

#[test]
fn who_comes_while_the_register_rests_hears_of_a_revocation_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let register = start(folder.path(), &Clock::held_at(noon()));
    let (token, credential) = register.create(&reader("ana", 1), &by()).unwrap();
    wait_for_rest(&register);
    // As a stream of events that was let in because the last look was a moment ago: it only waits from now on.
    let changes = register.changes();
    RegisterFile::open(folder.path()).unwrap().revoke(credential.id, noon()).unwrap();
    wait("the revocation is told", || changes.has_changed().unwrap());
    assert_eq!(found(&register, &token), Err(Unidentified::Revoked));

    drop(changes);
    wait_for_rest(&register);
    let looked = *register.shared.ended.borrow();
    // The answer depends on how long ago the last look was.
    let _ = register.identify(token.expose(), None);
    wait("one request ends the rest", || *register.shared.ended.borrow() > looked);
}

#[test]
fn the_last_use_is_stored_with_its_day_and_address() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(noon());
    let register = start(folder.path(), &clock);
    let (token, credential) = register.create(&reader("ana", 1), &by()).unwrap();
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    wait("it is identified", || register.identify(token.expose(), Some(ip)).is_ok());
    drop(register);
    let stored = RegisterFile::open(folder.path()).unwrap().one(credential.id).unwrap().unwrap();
    assert_eq!(stored.last, Some(Usage { day: "2026-11-26".to_owned(), ip: Some(ip) }));
}

#[test]
fn one_name_is_one_principal_while_a_token_of_it_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = RegisterFile::open(folder.path()).unwrap();
    let (_, first) = file.create(&reader("ana", 1), &by(), noon()).unwrap();
    file.create(&reader("ana", 2), &by(), noon()).unwrap();
    let operator = Grant { name: "ana".to_owned(), roles: [Role::Operator].into_iter().collect(), ..Grant::default() };
    let operator = operator.check(noon()).unwrap();
    let refused = file.create(&operator, &by(), noon());
    assert!(matches!(refused, Err(RegisterError::OtherPrincipal { .. })), "{refused:?}");
    file.revoke(first, noon()).unwrap();
    assert!(file.create(&operator, &by(), noon()).is_err());
    assert!(file.create(&operator, &by(), noon().saturating_add(LATER * 2)).is_ok());
    assert_eq!(file.all().unwrap().len(), 3);
}

#[test]
fn another_database_a_newer_one_and_a_damaged_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(REGISTER_FILE);
    let refused = || RegisterFile::open(folder.path()).err();
    for sql in ["CREATE TABLE x (y)", "PRAGMA application_id = 7"] {
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        assert!(matches!(refused(), Some(RegisterError::OtherFile { .. })), "{sql}: {:?}", refused());
        std::fs::remove_file(&path).unwrap();
    }
    drop(RegisterFile::open(folder.path()).unwrap());
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(refused(), Some(RegisterError::Newer { .. })), "{:?}", refused());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "no database at all, and long enough to be read as one".repeat(20)).unwrap();
    assert!(matches!(refused(), Some(RegisterError::OtherFile { .. })), "{:?}", refused());
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere.db"), &path).unwrap();
    assert!(matches!(refused(), Some(RegisterError::Access { .. })), "{:?}", refused());
}

/// What `acesso-0001.sql` was at first.
const FIRST_FORM: &str = "CREATE TABLE credencial (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    resumo BLOB UNIQUE CHECK (resumo IS NULL OR length(resumo) = 32),
    emissor TEXT, sujeito TEXT, nome TEXT NOT NULL, papeis TEXT NOT NULL, cientista_id INTEGER, prefixos TEXT NOT NULL,
    criada_por TEXT NOT NULL, criada_em INTEGER NOT NULL, expira_em INTEGER, revogada_em INTEGER, usada_em TEXT, usada_de TEXT,
    CHECK ((resumo IS NULL) = (sujeito IS NOT NULL)),
    CHECK ((emissor IS NULL) = (sujeito IS NULL)),
    UNIQUE (emissor, sujeito)
) STRICT;
PRAGMA application_id = 1396921417;
PRAGMA user_version = 1;";
/// What came next.
const FIRST_SESSIONS: &str = "CREATE TABLE sessao (
    resumo BLOB PRIMARY KEY CHECK (length(resumo) = 32),
    credencial_id INTEGER NOT NULL REFERENCES credencial (id),
    criada_em INTEGER NOT NULL, vista_em INTEGER NOT NULL
) STRICT;
CREATE INDEX sessao_da_credencial ON sessao (credencial_id, vista_em);";

/// Every column of every table, and every index, in words.
fn form(path: &Path) -> Vec<String> {
    let sql = "SELECT 'column ' || m.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk FROM sqlite_schema m, \
               pragma_table_info(m.name) c WHERE m.type = 'table' \
               UNION ALL SELECT 'index ' || name || ' ' || tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY 1";
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut found = connection.prepare(sql).unwrap();
    found.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_register_of_before_there_were_providers_becomes_one_of_today() {
    let new = tempfile::tempdir().unwrap();
    drop(RegisterFile::open(new.path()).unwrap());
    let today = form(&new.path().join(REGISTER_FILE));
    for sessions in [None, Some(FIRST_SESSIONS)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(REGISTER_FILE);
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(&format!("{FIRST_FORM}{}", sessions.unwrap_or_default())).unwrap();
        let (token, revoked, session) = (Token::random().unwrap(), Token::random().unwrap(), Secret::random().unwrap());
        for (token, name, end) in [(&token, "ana", None), (&revoked, "bia", Some(noon().as_micros()))] {
            old.execute(
                "INSERT INTO credencial (resumo, nome, papeis, prefixos, criada_por, criada_em, revogada_em, usada_em, usada_de) \
                 VALUES (?1, ?2, 'leitor', '[]', 'linha-de-comando', ?3, ?4, '2026-11-25', '10.0.0.7')",
                rusqlite::params![token.digest().as_bytes(), name, noon().as_micros(), end],
            )
            .unwrap();
        }
        if sessions.is_some() {
            let (digest, now) = (*session.digest().as_bytes(), noon().as_micros());
            old.execute("INSERT INTO sessao VALUES (?1, 1, ?2, ?2)", rusqlite::params![digest, now]).unwrap();
        }
        drop(old);

        let register = start(folder.path(), &Clock::held_at(noon()));
        assert_eq!(form(&path), today);
        assert_eq!(found(&register, &token), Ok("ana".to_owned()));
        assert_eq!(found(&register, &revoked), Err(Unidentified::Revoked));
        let by_session = register.find(Key::Session(session.digest()), None).map(|found| found.credential).ok();
        assert_eq!(by_session, sessions.map(|_| 1));
        let last = Usage { day: "2026-11-25".to_owned(), ip: "10.0.0.7".parse().ok() };
        assert_eq!(register.all().unwrap().into_iter().find(|one| one.id == 2).unwrap().last, Some(last));
        let (_, credential) = register.create(&reader("caio", 1), &by()).unwrap();
        assert_eq!(credential.id, 3);
        register.begin_session(credential.id).unwrap();
    }
}
