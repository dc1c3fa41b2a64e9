//! `receipt`: checks a receipt of a contest: its signature, and whether the trail has the same.

mod trail;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueHint};
use rust_i18n::t;
use serde::Deserialize;

use self::trail::Found;
use super::address::url_parser;
use super::caller::CallerArgs;
use super::observing::Way;
use super::outcome::{EXIT_OUTCOME_UNKNOWN, EXIT_UNEXPECTED, Outcome};
use super::output::{print, tell};
use super::runtime::block_on;
use crate::agenda::receipt::{BYTES_MAX, Receipt};
use crate::clock::jws::{PublishedKeys, Signed};
use crate::clock::keys::may_sign;
use crate::text::escaped;
use crate::time::Timestamp;

/// The most bytes of a file with keys.
const KEYS_BYTES_MAX: u64 = 4 << 20;

/// Arguments of `receipt`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec receipt verify recibo.txt
  sctec receipt verify recibo.txt --file audit.jsonl

Exit status: 0 valid (and in the trail), 1 not valid, or the trail says otherwise, 2 could not run, 3 valid, but it is not known \
whether it was decided so: the trail has no contest with this request.")]
pub struct ReceiptArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Check who has signed a receipt, and whether the trail says the same
    Verify(VerifyArgs),
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec receipt verify recibo.txt
  sctec receipt verify recibo.txt --file audit.jsonl
  curl -s http://127.0.0.1:5000/chaves > chaves.json
  sctec receipt verify recibo.txt --key chaves.json        without the service
  jq -r .recibo resposta.json | sctec receipt verify -

A booking that was in a contest is answered with a receipt (field recibo), also if it was refused: what the scheduler received, and when. \
With --file the record of the contest must have the same.

Exit status: 0 valid (and in the trail), 1 not valid, or the trail says otherwise, 2 could not run, 3 valid, but it is not known \
whether it was decided so: the trail has no contest with this request.")]
struct VerifyArgs {
    /// The receipt, or the whole answer with the field recibo; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    receipt: PathBuf,
    /// A file of the trail, or app.log; repeat it for several
    #[arg(long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    trail: Vec<PathBuf>,
    /// Take the scheduler's keys from this file, which was saved from its link chaves
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// The scheduler's entry point; its links lead to the keys
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = url_parser())]
    url: String,
    #[command(flatten)]
    caller: CallerArgs,
}

/// Checks a receipt.
///
/// # Errors
/// When a file or the keys cannot be read.
pub fn run(args: &ReceiptArgs) -> Outcome {
    let Action::Verify(args) = &args.action;
    let text = receipt_in(&args.receipt)?;
    let Some((receipt, signed)) = Receipt::read(&text) else {
        tell(t!("%{path} has no receipt", path = args.receipt.display()));
        return Ok(ExitCode::from(EXIT_UNEXPECTED));
    };
    let keys = keys(args)?;
    let mut said = shown(&receipt);
    let status = if let Some(why) = wrong(&receipt, &signed, &keys) {
        let _ = writeln!(said, "{}", t!("not valid: %{why}", why = why));
        EXIT_UNEXPECTED
    } else {
        let _ = writeln!(said, "{}", t!("valid: signed with the key %{key}", key = signed.key()));
        if args.trail.is_empty() { 0 } else { compared(trail::find(&args.trail, &receipt)?, &mut said) }
    };
    print(&said)?;
    Ok(ExitCode::from(status))
}

/// The text of a receipt: the file's, or that of the answer in it.
fn receipt_in(path: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Answered {
        recibo: String,
    }
    let text = read(path, (BYTES_MAX * 8) as u64)?;
    Ok(serde_json::from_str::<Answered>(&text).map_or_else(|_| text.trim().to_owned(), |answered| answered.recibo))
}

fn read(path: &Path, most: u64) -> anyhow::Result<String> {
    let unreadable = || t!("cannot read %{path}", path = path.display());
    let mut text = String::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(unreadable)?)
    };
    source.take(most).read_to_string(&mut text).with_context(unreadable)?;
    Ok(text)
}

fn keys(args: &VerifyArgs) -> anyhow::Result<PublishedKeys> {
    if let Some(path) = &args.key {
        let text = read(path, KEYS_BYTES_MAX)?;
        return serde_json::from_str(&text).with_context(|| {
            t!("%{path} has no keys; save them from the scheduler's link \"chaves\"", path = path.display())
        });
    }
    let asked = async {
        let mut way = Way::enter(&args.url, &args.caller.security(std::slice::from_ref(&args.url))?).await?;
        let link = way.link("chaves").await?;
        let document = way.get(&link, &[]).await?;
        way.understood(&document)
    };
    block_on(asked)?
}

/// Why the receipt is not valid, if it is not.
fn wrong(receipt: &Receipt, signed: &Signed<'_>, keys: &PublishedKeys) -> Option<String> {
    let Some((public, made_at)) = keys.find(signed.key()) else {
        let key = escaped(signed.key());
        return Some(t!("the scheduler has no key %{key}", key = key).into_owned());
    };
    if !signed.is_by(&public) {
        return Some(t!("it was changed after it was signed, or signed by somebody else").into_owned());
    }
    // Who steals an old key cannot sign receipts of today with it.
    let issued = Timestamp::parse_rfc3339(&receipt.issued).ok();
    let in_time = issued.zip(made_at).is_some_and(|(issued, made_at)| may_sign(made_at, issued));
    (!in_time).then(|| t!("the key was not in use then").into_owned())
}

/// Compares it with the trail's entry, and tells the result. The answer is the exit status.
fn compared(found: Option<Found>, said: &mut String) -> u8 {
    let (line, status) = match found {
        None => (
            t!(
                "unknown: the trail has no contest with this request; it came after the window, or nobody got the slots then"
            ),
            EXIT_OUTCOME_UNKNOWN,
        ),
        Some(Found { booking, won, differs }) if differs.is_empty() => {
            let line = if won {
                t!("the trail has the same: it has won the contest, and has booking %{id}", id = booking)
            } else {
                t!("the trail has the same: it has lost the contest that booking %{id} has won", id = booking)
            };
            (line, 0)
        }
        Some(Found { booking, differs, .. }) => {
            let fields = differs.join(", ");
            let line = t!(
                "the trail contradicts the receipt (contest of booking %{id}): %{fields}",
                id = booking,
                fields = fields
            );
            (line, EXIT_UNEXPECTED)
        }
    };
    let _ = writeln!(said, "{line}");
    status
}

/// What the receipt says.
fn shown(receipt: &Receipt) -> String {
    let none = || "–".to_owned();
    let perhaps = |text: &Option<String>| text.as_deref().map_or_else(none, escaped);
    let round_trip = receipt.round_trip_us.map_or_else(none, |us| format!("{us} ({})", perhaps(&receipt.seen)));
    let rows = [
        (t!("request"), escaped(&receipt.req)),
        (t!("scientist"), receipt.scientist_id.to_string()),
        (
            t!("slots"),
            format!("{} {} – {}", escaped(&receipt.telescope), escaped(&receipt.start), escaped(&receipt.end)),
        ),
        (t!("policy"), format!("{}, {} ms", escaped(&receipt.policy), receipt.window_ms)),
        (t!("arrival"), escaped(&receipt.arrived)),
        (t!("click, as claimed"), perhaps(&receipt.claim)),
        (t!("time token"), format!("{} {}", perhaps(&receipt.token_at), perhaps(&receipt.token_hash))),
        (t!("round trip (µs)"), round_trip),
        (t!("stamp"), format!("{} ({})", escaped(&receipt.stamp), escaped(&receipt.reason))),
        (t!("signed at"), escaped(&receipt.issued)),
    ];
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let gap = " ".repeat(width - name.chars().count());
        let _ = writeln!(text, "{name}{gap}  {value}");
    }
    text
}
