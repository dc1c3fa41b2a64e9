//! `token tie`: says who a person of an identity provider is here.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, ValueHint};
use rust_i18n::t;

use super::given::{FolderArgs, in_words};
use crate::access::Author;
use crate::access::grant::{DAYS_MAX, Grant};
use crate::access::role::Role;
use crate::access::subject::{Subject, email_of, is_subject};
use crate::commands::outcome::Outcome;
use crate::commands::output::tell;
use crate::commands::values::whole_number;
use crate::scheduler::Issuer;
use crate::time::Clock;

#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("person").required(true))]
pub(super) struct TieArgs {
    /// The name of the person here: it stands in the audit trail
    #[arg(value_name = "NAME")]
    name: String,
    /// The identity provider, as the service has it
    #[arg(long, env = "SCTEC_OIDC_ISSUER", value_name = "URL", value_hint = ValueHint::Url)]
    issuer: String,
    /// The provider's name for the person (sub), which the person is shown when a sign-in is refused
    #[arg(long, group = "person", value_name = "SUBJECT")]
    subject: Option<String>,
    /// The e-mail that the provider must have verified. It belongs to the first person who signs in with it
    #[arg(long, group = "person", value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    email: Option<String>,
    /// What the person may do. Repeat it for several roles
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = PossibleValuesParser::new(personal()))]
    roles: Vec<String>,
    /// The number of the scientist that the person is, with the role cientista
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    scientist: Option<u32>,
    /// How many days it is valid; 0 is without end
    #[arg(long, default_value_t = 0, value_name = "DAYS", value_parser = whole_number::<u32>(0..=DAYS_MAX as u64))]
    valid_days: u32,
    #[command(flatten)]
    folder: FolderArgs,
}

/// The roles of people: a service has a token.
fn personal() -> impl Iterator<Item = &'static str> {
    Role::ALL.into_iter().filter(|role| *role != Role::Service).map(Role::name)
}

/// Ties the person.
///
/// # Errors
/// When the folder cannot be used, or the person may not be tied so.
pub fn run(args: &TieArgs) -> Outcome {
    let now = Clock::system().now();
    let issuer = Issuer::parse(args.issuer.trim()).map_err(|wrong| anyhow!("--issuer {:?} {wrong}", args.issuer))?;
    if let Some(subject) = args.subject.as_ref().filter(|subject| !is_subject(subject)) {
        bail!(
            "{}",
            t!("%{subject} is not a subject: it has 1 to 255 characters", subject = format_args!("{subject:?}"))
        );
    }
    let email = args.email.as_ref().map(|text| {
        email_of(text)
            .ok_or_else(|| anyhow!("{}", t!("%{email} is not an e-mail address", email = format_args!("{text:?}"))))
    });
    let subject =
        Subject { issuer: issuer.as_str().to_owned(), subject: args.subject.clone(), email: email.transpose()? };
    let grant = Grant {
        name: args.name.clone(),
        roles: args.roles.iter().filter_map(|name| Role::from_name(name)).collect(),
        scientist: args.scientist.map(i64::from),
        prefixes: Vec::new(),
        days: args.valid_days,
    };
    let new = grant.check(now).map_err(|wrong| anyhow!("{}", in_words(wrong)))?;
    let mut register = args.folder.open()?;
    register.check_scientist(new.principal.scientist)?;
    let id = register.records.tie(&subject, &new, &Author::COMMAND_LINE, now)?;
    let (who, name) = (subject.subject.or(subject.email).unwrap_or_default(), &new.principal.name);
    tell(t!(
        "%{who} of %{issuer} is %{name} (%{id}); what this person had before is revoked",
        who = who.escape_debug(),
        issuer = issuer,
        name = name,
        id = id
    ));
    Ok(ExitCode::SUCCESS)
}
