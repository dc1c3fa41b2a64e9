//! The sites of a run, as a file tells of them: how far away each one is, and whether its client is honest.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::{Context, bail};
use rust_i18n::t;
use serde::Deserialize;

use crate::text::is_unsafe;

/// How many sites there may be: each is a thread, and has an address of its own.
const COUNT: std::ops::RangeInclusive<usize> = 2..=100;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 40;
/// The longest time in a file, in milliseconds.
const MS_MAX: f64 = 10_000.0;

/// The sites, and when they click.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// In each contest every site clicks once, within so many milliseconds.
    #[serde(default = "fifty")]
    pub clicks_within_ms: f64,
    /// The sites.
    pub sites: Vec<Site>,
}

/// A site, and its client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name in the report.
    pub name: String,
    /// Its distance that is emulated: the least time of both ways together.
    #[serde(default)]
    pub round_trip_ms: f64,
    /// Each way takes up to this part longer, at random.
    #[serde(default)]
    pub jitter: f64,
    /// The part of the round trip that is the way there.
    #[serde(default = "half")]
    pub there: f64,
    /// What it says of its click.
    #[serde(default)]
    pub claim: Claim,
    /// How long it waits before each question for the time, to seem farther away.
    #[serde(default)]
    pub waits_ms: f64,
    /// Whether it has not waited in its first series of questions.
    #[serde(default)]
    pub seen_without_waiting: bool,
    /// The time token that it brings.
    #[serde(default)]
    pub token: Brought,
    /// The address of this machine from which it connects, where a network makes the distance.
    #[serde(default)]
    pub from: Option<IpAddr>,
}

/// What a client says of its click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// When it was, by the official time as it knows it.
    #[default]
    Honest,
    /// An hour before.
    Early,
}

/// The time token that a client brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brought {
    /// Its newest.
    #[default]
    Own,
    /// None.
    None,
    /// The first that it got. After five minutes it is expired.
    First,
    /// Its newest, with one character changed.
    Altered,
    /// The newest of the next site.
    Foreign,
}

fn fifty() -> f64 {
    50.0
}

fn half() -> f64 {
    0.5
}

impl Sites {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let sites: Self = serde_json::from_str(text)
            .with_context(|| t!("it is not a file of sites; examples/sites.json of the sources is one"))?;
        if !COUNT.contains(&sites.sites.len()) {
            bail!("{}", t!("it should have from %{least} to %{most} sites", least = COUNT.start(), most = COUNT.end()));
        }
        let is_time = |ms: f64| (0.0..=MS_MAX).contains(&ms);
        let mut names = HashSet::new();
        for site in &sites.sites {
            let fits = (1..=NAME_CHARS_MAX).contains(&site.name.chars().count()) && !site.name.chars().any(is_unsafe);
            if !fits || !names.insert(&site.name) {
                let name = format!("{:?}", site.name);
                bail!(
                    "{}",
                    t!(
                        "each site needs a name of its own of at most %{n} characters; %{name} is none",
                        n = NAME_CHARS_MAX,
                        name = name
                    )
                );
            }
            if !is_time(site.round_trip_ms) || !is_time(site.waits_ms) {
                let said = t!("%{site}: times are from 0 to %{most} ms", site = site.name, most = MS_MAX);
                bail!("{said}");
            }
            if !(0.0..=1.0).contains(&site.jitter) || !(0.0..=1.0).contains(&site.there) {
                bail!("{}", t!("%{site}: jitter and there are parts, from 0 to 1", site = site.name));
            }
        }
        if !is_time(sites.clicks_within_ms) {
            bail!("{}", t!("clicks_within_ms is from 0 to %{most}", most = MS_MAX));
        }
        Ok(sites)
    }
}

impl Site {
    /// Whether everything that it says is true.
    pub fn is_honest(&self) -> bool {
        self.claim == Claim::Honest && self.waits_ms <= 0.0 && matches!(self.token, Brought::Own | Brought::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_ten_honest_sites() {
        let sites = Sites::parse(include_str!("../../../examples/sites.json")).unwrap();
        let far: Vec<f64> = sites.sites.iter().map(|site| site.round_trip_ms).collect();
        assert_eq!(far, [2.0, 10.0, 30.0, 60.0, 90.0, 120.0, 160.0, 200.0, 240.0, 280.0]);
        assert!(sites.sites.iter().all(Site::is_honest));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| format!("{:#}", Sites::parse(text).unwrap_err());
        let two = |site: &str| wrong(&format!(r#"{{"sites": [{{"name": "a"}}, {site}]}}"#));
        for (said, words) in [
            (wrong("{"), "examples/sites.json"),
            (wrong(r#"{"sites": []}"#), "from 2 to 100"),
            (wrong(r#"{"sites": [{"name": "a"}, {"name": "b"}], "clicks_within_ms": -1}"#), "clicks_within_ms"),
            (two(r#"{"name": "a"}"#), "a name of its own"),
            (two(r#"{"name": "\u0007"}"#), "a name of its own"),
            (two(r#"{"name": "b", "round_trip_ms": 1e9}"#), "b: times"),
            (two(r#"{"name": "b", "waits_ms": -1}"#), "b: times"),
            (two(r#"{"name": "b", "there": 2}"#), "b: jitter and there"),
            (two(r#"{"name": "b", "claim": "late"}"#), "unknown variant"),
            (two(r#"{"name": "b", "token": "stolen"}"#), "unknown variant"),
            (two(r#"{"name": "b", "distance": 2}"#), "unknown field"),
        ] {
            assert!(said.contains(words), "{said}");
        }
    }
}
