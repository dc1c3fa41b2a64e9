//! The grace after a restart, in which the coordinator gives no lock: how every answer says how long it still lasts.

use std::time::Duration;

use crate::time::millis;

/// The member of an answer that has the rest of the grace, in milliseconds.
pub const LEFT: &str = "carencia_resta_ms";

/// The rest in whole seconds, rounded up, as people and `Retry-After` have it.
pub fn seconds(left: Duration) -> u64 {
    millis(left).div_ceil(1000).max(1)
}

/// The rest in words that follow a colon.
pub fn words(left: Duration) -> String {
    match seconds(left) {
        1 => "falta 1 s".to_owned(),
        seconds => format!("faltam {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_never_told_shorter_than_it_is() {
        let told = |left_ms| words(Duration::from_millis(left_ms));
        assert_eq!([1, 1000, 1001, 8812].map(told), ["falta 1 s", "falta 1 s", "faltam 2 s", "faltam 9 s"]);
    }
}
