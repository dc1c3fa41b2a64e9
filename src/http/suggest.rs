//! Suggests the known name that an unknown name was probably meant to be.

/// The most characters of a name that are compared. All known names are much shorter.
const COMPARED_CHARS: usize = 60;

/// The name in `known` that is most similar to `name`, if one is similar enough. A typing error counts as similar. So does an
/// extra or missing ending after an underscore (`perto_de_utc` for `perto_de`) or a hyphen. Capital letters make no difference.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let near = known.into_iter().filter(|known| {
        let longer = name.chars().count().max(known.chars().count());
        let lower = known.to_lowercase();
        distance(known) <= longer / 3 || is_with_ending(&name, &lower) || is_with_ending(&lower, &name)
    });
    near.min_by_key(|known| distance(known))
}

/// Whether `long` is `short` followed by an underscore or a hyphen, and an ending.
fn is_with_ending(long: &str, short: &str) -> bool {
    !short.is_empty() && long.strip_prefix(short).is_some_and(|ending| ending.starts_with(['_', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["telescopio", "cientista_id", "status", "de", "ate", "limite", "cursor"];
        for (name, meant) in [
            ("cientsta_id", Some("cientista_id")),
            ("cientista_idd", Some("cientista_id")),
            ("icentista_id", Some("cientista_id")),
            ("Cientista_ID", Some("cientista_id")),
            ("cientista", Some("cientista_id")),
            ("telescópio", Some("telescopio")),
            ("de_utc", Some("de")),
            ("limit", Some("limite")),
            ("d", None),
            ("", None),
            ("x", None),
            ("utm_source", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest("hubble", ["Webb-Acad", "Hubble-Acad"]), Some("Hubble-Acad"));
        assert_eq!(nearest("a", []), None);
        assert_eq!(nearest(&"cientista_id".repeat(1000), known), None);
    }
}
