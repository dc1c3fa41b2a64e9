//! Tokens, as an operator gives them on the command line.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::executable::sctec;
use super::storage;

/// A token, and its number.
pub struct Given {
    pub token: String,
    pub id: i64,
}

/// Makes a token with `sctec token create`; `args` are its name and its roles.
pub fn give(data_dir: &Path, args: &[&str]) -> Given {
    let made = register(data_dir).arg("create").args(args).arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let listed = register(data_dir).args(["list", "--json", "--data-dir"]).arg(data_dir).output().unwrap();
    let last = String::from_utf8(listed.stdout).unwrap().lines().last().unwrap().to_owned();
    let id = serde_json::from_str::<Value>(&last).unwrap()["id"].as_i64().unwrap();
    Given { token, id }
}

/// Revokes a token with `sctec token revoke`.
pub fn revoke(data_dir: &Path, given: &Given) {
    let revoked =
        register(data_dir).args(["revoke", &given.id.to_string(), "--data-dir"]).arg(data_dir).output().unwrap();
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
}

/// `sctec token`, on the register of the schedulers of a data folder.
fn register(data_dir: &Path) -> Command {
    let mut command = sctec();
    command.arg("token");
    storage::choose(&mut command, data_dir);
    command
}
