//! A token in a file: how a service or a tool is given one, so that it stands in no argument list.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rust_i18n::t;

use super::token::{Token, WrongToken};
use crate::files;

/// The most bytes of a file. A token has some fifty; a few lines around it are a mistake that deserves its own words.
const FILE_MAX: u64 = 4096;
/// The permission to write, of everyone but the owner.
const OTHERS_WRITE: u32 = 0o022;
/// The permission to read, of everyone but the owner.
const OTHERS_READ: u32 = 0o044;

/// What is in such a file.
#[derive(Clone, Debug)]
pub struct TokenInFile {
    /// The token.
    pub token: Token,
    /// The permissions of the file, if others may read it.
    pub readable_as: Option<u32>,
}

/// Why there is no token. Shown by the command line. No message shows what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The system cannot read it.
    #[error("{}", t!("cannot read the token in %{path}: %{reason}", path = path.display(), reason = reason))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("{}", t!("%{path} is not a file; give the file that has the token", path = path.display()))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others could put another token there.
    #[error("{}", t!("others may write to %{path} (mode %{mode}), and could put a token of theirs there; chmod 600 %{path}", path = path.display(), mode = format_args!("{mode:04o}")))]
    OthersWrite {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{}", t!("%{path} is empty; it should have one token, as 'sctec token secret' makes it", path = path.display()))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is something else in it.
    #[error("{}", t!("%{path} should have one token and nothing else: sctec_ and 49 letters and digits, as 'sctec token secret' makes it", path = path.display()))]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// A digit of the token is missing or wrong.
    #[error("{}", t!("the token in %{path} was copied with an error: its checksum, the last six digits, is that of another token; copy it again, as a whole", path = path.display()))]
    Miscopied {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the token in a file. White space around it does not count.
///
/// # Errors
/// [`TokenFileError`].
pub fn read(path: &Path) -> Result<TokenInFile, TokenFileError> {
    let named = || path.to_owned();
    let unreadable = |reason: io::Error| TokenFileError::Unreadable { path: named(), reason };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(TokenFileError::NotAFile { path: named() });
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & OTHERS_WRITE != 0 {
        return Err(TokenFileError::OthersWrite { path: named(), mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(bytes.trim_ascii()).unwrap_or("?");
    let token = match Token::parse(text) {
        Ok(token) => token,
        Err(_) if text.is_empty() => return Err(TokenFileError::Empty { path: named() }),
        Err(WrongToken::Form) => return Err(TokenFileError::NoToken { path: named() }),
        Err(WrongToken::Checksum) => return Err(TokenFileError::Miscopied { path: named() }),
    };
    Ok(TokenInFile { token, readable_as: (mode & OTHERS_READ != 0).then_some(mode) })
}

/// Puts a new token into a new file, which only its owner can read. The file has its name when the whole token is on disk: a second
/// process that makes the same file, or a crash, leaves no half of a token.
///
/// # Errors
/// The system's; [`io::ErrorKind::AlreadyExists`] when something has that name. That is not touched.
pub fn create(path: &Path) -> io::Result<()> {
    // A full disk, or one that cannot be written, is no reason against a file that is there.
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let token = Token::random().map_err(io::Error::other)?;
    // Others cannot open it: its mode is 0600.
    let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(folder)?;
    writeln!(file, "{}", token.expose())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|failed| failed.error)?;
    files::sync_parent(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_read_and_what_is_none_is_told_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let token = Token::random().unwrap();
        let set = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (text, mode, readable_as) in [
            (token.expose().to_owned(), 0o600, None),
            (format!("{}\n", token.expose()), 0o400, None),
            (format!(" {}\r\n\n", token.expose()), 0o644, Some(0o644)),
        ] {
            let _ = std::fs::remove_file(&path);
            set(&text, mode);
            let found = read(&path).unwrap();
            assert_eq!((found.token, found.readable_as), (token.clone(), readable_as));
        }
        std::fs::remove_file(&path).unwrap();
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot read the token in"), "{missing}");
        let wrong = token.expose().replace(&token.expose()[20..24], "0000");
        for (text, mode, says) in [
            ("", 0o600, "is empty"),
            (" \n", 0o600, "is empty"),
            ("hunter2", 0o600, "should have one token and nothing else"),
            (&format!("{0}\n{0}\n", token.expose()), 0o600, "should have one token and nothing else"),
            (&"x".repeat(10_000), 0o600, "should have one token and nothing else"),
            (wrong.as_str(), 0o600, "copied with an error"),
            (token.expose(), 0o660, "(mode 0660)"),
        ] {
            set(text, mode);
            let told = read(&path).unwrap_err();
            assert!(told.to_string().contains(says), "{told}");
            assert!(text.trim().is_empty() || !format!("{told} {told:?}").contains(text.trim()), "{told}");
        }
        assert!(matches!(read(folder.path()), Err(TokenFileError::NotAFile { .. })));
    }

    #[test]
    fn a_new_token_is_its_owners_and_of_many_that_make_one_file_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16).map(|_| scope.spawn(|| (create(&path), read(&path).unwrap().token))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(made.iter().filter(|(made, _)| made.is_ok()).count(), 1);
        let others = made.iter().filter_map(|(made, _)| made.as_ref().err());
        assert!(
            others.clone().all(|error| error.kind() == io::ErrorKind::AlreadyExists),
            "{:?}",
            others.collect::<Vec<_>>()
        );
        assert!(made.iter().all(|(_, token)| *token == made[0].1));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        // A link that leads nowhere is a name too.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert_eq!(create(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!folder.path().join("elsewhere").exists());
    }
}
