//! The names that a coordinator with a secret keeps for the schedulers. It knows no telescope: the form of the name is enough. Pure.

use crate::time::Timestamp;

/// Whether a resource has a name of the schedulers' form: it ends in `_` and an RFC 3339 instant, as
/// `Hubble-Acad_2025-12-01T03:00:00Z`. The rule is a little wider than the names that schedulers give, in zones, fractions and letters,
/// so that no second spelling of an instant is left to others.
pub fn is_reserved(resource: &str) -> bool {
    let instant = resource.rsplit_once('_').map(|(_, instant)| instant);
    instant.is_some_and(|instant| Timestamp::parse_rfc3339(instant).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::resource;

    #[test]
    fn a_slots_name_is_reserved_and_others_are_not() {
        let start = Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap();
        for telescope in ["Hubble-Acad", "a_b", "", "telescópio 1", "x_2025-12-01T03:00:00Z"] {
            assert!(is_reserved(&resource(telescope, start)), "{telescope}");
        }
        for name in ["a_2025-12-01T00:00:00-03:00", "a_2025-12-01t03:00:00.5z", "a_9998-12-31T23:59:59Z"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in [
            "X",
            "backup",
            "backup_2025-12-01",
            "Hubble-Acad",
            "2025-12-01T03:00:00Z",
            "a-2025-12-01T03:00:00Z",
            "a_2025-12-01T03:00:00Z_b",
            "a_2025-13-01T03:00:00Z",
            "a_",
            "_",
            "",
        ] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
