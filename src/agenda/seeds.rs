//! The seeds with which ties of contests are drawn: a chain of hashes whose end is known before the first of them is used. Pure, but for randomness.
//!
//! Each link is the SHA-256 of the one before it. The end of the chain is recorded, and then the links are used from the end to the beginning.
//! So who sees a link finds by hashing that it belongs to the recorded end; and nobody can find the next link from it, or choose another one.

use sha2::{Digest as _, Sha256};

/// The links of a chain. Then another one is made.
const LINKS: usize = 1024;

/// A chain of seeds.
pub struct Chain {
    name: String,
    /// The first is random, each other the hash of the one before it, as hexadecimal digits.
    links: Vec<String>,
    /// How many were used.
    used: usize,
}

/// What is recorded of a chain before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// The chain's name.
    pub name: String,
    /// How many seeds it has.
    pub links: usize,
    /// The link after the last one, which comes first.
    pub end: String,
}

/// The link after this one.
pub fn next(link: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(link))
}

impl Chain {
    /// A new chain.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let (mut name, mut first) = ([0; 8], [0; 32]);
        getrandom::fill(&mut name)?;
        getrandom::fill(&mut first)?;
        let first = base16ct::lower::encode_string(&first);
        let links = std::iter::successors(Some(first), |link| Some(next(link))).take(LINKS + 1).collect();
        Ok(Self { name: base16ct::lower::encode_string(&name), links, used: 0 })
    }

    /// What is to be recorded before its first seed is used.
    pub fn commitment(&self) -> Commitment {
        Commitment { name: self.name.clone(), links: LINKS, end: self.links[LINKS].clone() }
    }

    /// The seed that is used now: the chain's name, how many links it is before the end, and the link. `None` when all were used.
    pub fn seed(&self) -> Option<String> {
        let before = self.used + 1;
        let link = self.links.get(LINKS.checked_sub(before)?)?;
        Some(format!("{}.{before}.{link}", self.name))
    }

    /// A seed was shown: if it is the one that is used now, the next one is used from here on.
    pub fn shown(&mut self, seed: &str) {
        if self.seed().as_deref() == Some(seed) {
            self.used += 1;
        }
    }
}

impl Commitment {
    /// Whether a seed is one of this chain; `None` if it has another name.
    pub fn holds(&self, seed: &str) -> Option<bool> {
        let rest = seed.strip_prefix(&*self.name)?.strip_prefix('.')?;
        let Some((before, link)) = rest.split_once('.') else { return Some(false) };
        let before: usize = before.parse().ok().filter(|before| (1..=self.links).contains(before)).unwrap_or(0);
        let mut links = std::iter::successors(Some(link.to_owned()), |link| Some(next(link)));
        Some(before > 0 && links.nth(before).as_deref() == Some(&self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_belongs_to_the_end_and_is_used_until_it_was_shown() {
        let mut chain = Chain::random().unwrap();
        let commitment = chain.commitment();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(seed) = chain.seed() {
            assert_eq!(commitment.holds(&seed), Some(true), "{seed}");
            chain.shown("another");
            assert_eq!(chain.seed().as_ref(), Some(&seed));
            chain.shown(&seed);
            assert!(seen.insert(seed));
        }
        assert_eq!(seen.len(), LINKS);
    }

    #[test]
    fn a_seed_that_is_not_of_the_chain_is_found() {
        let (chain, other) = (Chain::random().unwrap(), Chain::random().unwrap());
        let (commitment, seed) = (chain.commitment(), chain.seed().unwrap());
        assert_eq!(commitment.holds(&other.seed().unwrap()), None);
        let (name, link) = (&chain.name, seed.rsplit('.').next().unwrap());
        for wrong in
            ["", ".1", &format!(".2.{link}"), &format!(".0.{}", commitment.end), &format!(".1.{}", next(link)), ".x.y"]
        {
            let holds = commitment.holds(&format!("{name}{wrong}"));
            assert!(matches!(holds, None | Some(false)), "{wrong} {holds:?}");
        }
    }
}
