//! The values of an object by their names. There are so few that looking through them is quicker than a map.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

/// So many names are compared with each other. Where there are more, they are sorted first.
const FEW: usize = 32;

/// Values, each with its name.
#[derive(Debug, Default)]
pub struct Values<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Values<'a> {
    pub fn push(&mut self, name: Cow<'a, str>, value: &'a RawValue) {
        self.0.push((name, value));
    }

    /// Keeps only the last value of each name. Returns the names that came more than once.
    pub fn without_repeated(&mut self) -> BTreeSet<String> {
        let mut repeated = BTreeSet::new();
        let is_new =
            |(at, (name, _)): (usize, &(Cow<'_, str>, _))| !self.0[..at].iter().any(|(other, _)| other == name);
        if self.0.len() <= FEW && self.0.iter().enumerate().all(is_new) {
            return repeated;
        }
        // The same names become neighbours, in the order in which they came.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|later, kept| {
            let again = later.0 == kept.0;
            if again {
                repeated.insert(kept.0.clone().into_owned());
                kept.1 = later.1;
            }
            again
        });
        repeated
    }

    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Takes a value out. The order of the others changes.
    pub fn remove(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, sorted.
    pub fn into_names(self) -> Vec<Cow<'a, str>> {
        let mut names: Vec<Cow<'_, str>> = self.0.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(names: impl IntoIterator<Item = String>) -> Values<'static> {
        let mut values = Values::default();
        for (name, value) in names.into_iter().zip(["1", "2", "3"].into_iter().cycle()) {
            values.push(name.into(), serde_json::from_str(value).unwrap());
        }
        values
    }

    #[test]
    fn of_few_and_of_many_names_the_last_value_of_each_is_left() {
        for others in [0, 2, FEW, 1000] {
            let others = (0..others).map(|number| format!("x{number}"));
            let mut values = values(["b", "a", "b"].map(str::to_owned).into_iter().chain(others.clone()));
            assert_eq!(values.without_repeated(), BTreeSet::from(["b".to_owned()]));
            assert_eq!(values.get("b").map(RawValue::get), Some("3"));
            assert_eq!(values.remove("a").map(RawValue::get), Some("2"));
            assert!(values.get("a").is_none() && values.remove("c").is_none());
            let mut left: Vec<String> = others.chain(["b".to_owned()]).collect();
            left.sort();
            assert_eq!(values.into_names(), left);
        }
        let mut none_twice = values(["b", "a"].map(str::to_owned));
        assert!(none_twice.without_repeated().is_empty());
    }
}
