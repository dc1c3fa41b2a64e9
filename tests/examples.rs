//! The examples do what they say, as a person would run them.

mod common;

use std::path::Path;
use std::process::Command;

use common::Services;

#[test]
#[ignore = "needs curl and jq"]
fn the_api_from_a_shell() {
    let services = Services::start(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agendar.sh");
    let output = Command::new("bash").arg(script).arg(services.scheduler.url()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    for expected in
        ["booked:", "number 1, Hubble-Acad", "a rival is told:              409", "CANCELADO at ", "no link, so no"]
    {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
}
