//! What a name that nobody knows was probably meant to be.

/// Characters of a name that are compared: no known one is nearly as long.
const COMPARED_CHARS: usize = 60;

/// The one of `known` that `name` is nearest to, if it is near: a slip of the pen, or the same with an ending more or less
/// (`perto_de_utc` for `perto_de`).
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(&name, known);
    let near = known.into_iter().filter(|known| {
        let longer = name.chars().count().max(known.chars().count());
        distance(known) <= longer / 3 || is_with_ending(&name, known) || is_with_ending(known, &name)
    });
    near.min_by_key(|known| distance(known))
}

/// Whether `long` is `short`, an underscore and something.
fn is_with_ending(long: &str, short: &str) -> bool {
    !short.is_empty() && long.strip_prefix(short).is_some_and(|ending| ending.starts_with('_'))
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
        assert_eq!(nearest("a", []), None);
        assert_eq!(nearest(&"cientista_id".repeat(1000), known), None);
    }
}
