//! What the command-line tools say of a coordinator that gives no lock. The tools of several modules say it in the same words.

use std::time::Duration;

use rust_i18n::t;

use super::protocol::grace::seconds;

/// Why the coordinator gives no lock, in the language of the command line.
pub fn for_people(left: Duration) -> String {
    let seconds = seconds(left);
    t!(
        "the coordinator was restarted, and waits until earlier locks have expired: %{seconds} s left",
        seconds = seconds
    )
    .into_owned()
}

/// The same in English, for reports that machines read.
pub fn in_english(left: Duration) -> String {
    format!("the coordinator was restarted, and waits until earlier locks have expired: {} s left", seconds(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_grace_is_rounded_up_for_machines_too() {
        assert!(in_english(Duration::from_millis(8812)).ends_with(": 9 s left"));
    }
}
