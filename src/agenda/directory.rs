//! Finding scientists and telescopes by any part of their names, in the order in which people look for them, page by page.
//!
//! Names are compared without accents and case. All entries are looked at: ten thousand take less than a millisecond.

use std::borrow::Cow;
use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// A place in the order of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name, folded.
    pub name: String,
    /// What distinguishes those of the same name.
    pub id: i64,
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Each of these has to be somewhere in the name.
    words: Vec<String>,
    /// Only those that are active, or only those that are not.
    active: Option<bool>,
    /// Only those of these numbers.
    among: Option<BTreeSet<i64>>,
}

impl Search {
    /// Looks for names that have each word of `text`.
    pub fn new(text: Option<&str>, active: Option<bool>) -> Self {
        let folded = text.map(folded).unwrap_or_default();
        Self { words: folded.split_whitespace().map(str::to_owned).collect(), active, among: None }
    }

    /// Looks only among those of these numbers, if there are any; with two such sets, among those that are in both.
    #[must_use]
    pub fn among(mut self, numbers: Option<BTreeSet<i64>>) -> Self {
        if let Some(mut numbers) = numbers {
            numbers.retain(|number| self.among.as_ref().is_none_or(|before| before.contains(number)));
            self.among = Some(numbers);
        }
        self
    }
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// What a search looks at, folded.
    pub text: String,
    /// Whether it is active.
    pub active: bool,
}

/// Entries in order.
#[derive(Clone, Debug, Default)]
pub struct Directory(Vec<Entry>);

impl Directory {
    /// A directory of these.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by(|one, other| one.place.cmp(&other.place));
        Self(entries)
    }

    /// What `search` finds after a place, at most `limit` of them, by their numbers; and the last place if there are more.
    pub fn page(&self, search: &Search, after: Option<&Place>, limit: usize) -> (Vec<i64>, Option<&Place>) {
        let begin = after.map_or(0, |after| self.0.partition_point(|entry| entry.place <= *after));
        let is_wanted = |entry: &&Entry| {
            search.active.is_none_or(|active| active == entry.active)
                && search.among.as_ref().is_none_or(|numbers| numbers.contains(&entry.place.id))
                && search.words.iter().all(|word| entry.text.contains(word.as_str()))
        };
        let mut found: Vec<&Entry> = self.0[begin..].iter().filter(is_wanted).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|entry| &entry.place);
        (found.into_iter().map(|entry| entry.place.id).collect(), next)
    }
}

/// A text without accents, in lower case: `Łukasz Çelik` becomes `lukasz celik`.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let lower = text.to_lowercase();
    let letters = lower.chars().map(without_stroke).collect::<Vec<Cow<'static, str>>>().concat();
    let parts = DecomposingNormalizerBorrowed::new_nfkd().normalize(&letters).into_owned();
    parts.chars().filter(|part| categories.get(*part) != GeneralCategory::NonspacingMark).collect()
}

/// The letters that Unicode does not take apart, as people type them who do not have them on the keyboard.
fn without_stroke(letter: char) -> Cow<'static, str> {
    match letter {
        'ø' => "o".into(),
        'ł' => "l".into(),
        'đ' | 'ð' => "d".into(),
        'ħ' => "h".into(),
        'ı' => "i".into(),
        'ß' => "ss".into(),
        'æ' => "ae".into(),
        'œ' => "oe".into(),
        'þ' => "th".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> Directory {
        let entry = |(id, name): (i64, &&str)| Entry {
            place: Place { name: folded(name), id },
            text: folded(name),
            active: id % 2 == 1,
        };
        Directory::new((1..).zip(names).map(entry).collect())
    }

    #[test]
    fn names_are_compared_without_accents_and_case() {
        for (text, expected) in [
            ("César LATTES", "cesar lattes"),
            ("São João da Boa Vista", "sao joao da boa vista"),
            ("Łukasz Ørsted", "lukasz orsted"),
            ("Æther Straße", "aether strasse"),
            ("e\u{301}", "e"),
            ("ﬁm", "fim"),
            ("İstanbul ığdır", "istanbul igdir"),
            ("小惑星", "小惑星"),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    #[test]
    fn every_word_is_somewhere_in_the_name() {
        let directory = directory(&["Marie Curie", "Irène Joliot-Curie", "César Lattes", "Pierre Curie"]);
        let found = |text, active| directory.page(&Search::new(Some(text), active), None, 10).0;
        assert_eq!(found("curie", None), [2, 1, 4]);
        assert_eq!(found("CURIE mar", None), [1]);
        assert_eq!(found("irene", None), [2]);
        assert_eq!(found("lat ces", None), [3]);
        assert!(found("kepler", None).is_empty());
        assert_eq!(found("curie", Some(true)), [1]);
        assert_eq!(found("curie", Some(false)), [2, 4]);
        assert_eq!(directory.page(&Search::default(), None, 10).0, [3, 2, 1, 4]);
        let among = |numbers: &[i64]| Search::new(Some("curie"), None).among(Some(numbers.iter().copied().collect()));
        assert_eq!(directory.page(&among(&[4, 3, 1, 9]), None, 10).0, [1, 4]);
        assert_eq!(directory.page(&among(&[4, 1]).among(Some([4].into())).among(None), None, 10).0, [4]);
        assert!(directory.page(&among(&[]), None, 10).0.is_empty());
    }

    #[test]
    fn pages_follow_each_other_although_names_are_the_same_and_entries_go() {
        let names: Vec<String> = (0..100).map(|nth| format!("Ana {}", nth / 30)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let whole = directory(&names);
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let (found, next) = whole.page(&Search::new(Some("ana"), None), after.as_ref(), 7);
            ids.extend(found);
            after = next.cloned();
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, (1..=100).collect::<Vec<_>>());
        // The last one of the page before is not there any more.
        let gone = Place { name: folded("Ana 0"), id: 17 };
        let others = Directory(whole.0.iter().filter(|entry| entry.place.id != 17).cloned().collect());
        assert_eq!(others.page(&Search::default(), Some(&gone), 2).0, [18, 19]);
    }
}
