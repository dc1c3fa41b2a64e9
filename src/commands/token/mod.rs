//! `token`: makes, lists and revokes the tokens of a data folder. The owner of the folder is the first operator.

mod given;
mod table;
mod tie;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use rust_i18n::t;

use self::given::{FolderArgs, in_words};
use self::tie::TieArgs;
use super::outcome::{EXIT_UNEXPECTED, Outcome};
use super::output::{print, table_width, tell};
use super::values::whole_number;
use crate::access::Author;
use crate::access::grant::{DAYS_DEFAULT, DAYS_MAX, Grant};
use crate::access::register::credential::Credential;
use crate::access::role::{Role, Roles};
use crate::access::token_file;
use crate::files;
use crate::time::Clock;

/// Arguments of `token`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec token create ana --role cientista --scientist 7 --out ana.token
  sctec token create chefe --role operador --role auditor > chefe.token
  sctec token create backup --role servico --prefix backup- --valid-days 30
  sctec token tie ana --issuer https://id.obs.example --email ana@obs.example --role cientista --scientist 7
  sctec token list
  sctec token revoke 3
  sctec token secret coordenador.segredo

A service asks for tokens when it is started with --access token. It notices a new or a revoked token within a second. A token is \
shown once: only its SHA-256 is stored.

Exit status: 0 done, 1 there is no such token, 2 could not run.")]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Make a token and print it, once
    Create(CreateArgs),
    /// Tie a person at an identity provider to a principal, who then signs in there and needs no token
    Tie(TieArgs),
    /// List the tokens, without their secrets
    List(ListArgs),
    /// Revoke tokens by their numbers
    Revoke(RevokeArgs),
    /// Make the secret that a coordinator and its schedulers share (--coordinator-token-file). It is no token of anybody
    Secret(SecretArgs),
}

#[derive(Clone, Debug, Args)]
struct CreateArgs {
    /// The name of the person or program that gets it: it stands in the audit trail
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may do. Repeat it for several roles
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)))]
    roles: Vec<String>,
    /// The number of the scientist that it is, with the role cientista
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    scientist: Option<u32>,
    /// The beginning of the names that it may lock, with the role servico; '*' is every name. Repeat it for several
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// How many days it is valid; 0 is without end
    #[arg(long, default_value_t = DAYS_DEFAULT, value_name = "DAYS", value_parser = whole_number::<u32>(0..=DAYS_MAX as u64))]
    valid_days: u32,
    /// Write the token to this new file, for you alone, and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Clone, Debug, Args)]
struct ListArgs {
    /// Print one JSON object per token
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Clone, Debug, Args)]
struct RevokeArgs {
    /// The numbers of the tokens, as 'sctec token list' shows them
    #[arg(value_name = "ID", required = true, value_parser = whole_number::<u32>(1..=u32::MAX.into()))]
    ids: Vec<u32>,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Clone, Debug, Args)]
struct SecretArgs {
    /// The new file, for you alone
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Does what is asked for.
///
/// # Errors
/// When the folder cannot be used, or the token may not be made.
pub fn run(args: &TokenArgs) -> Outcome {
    match &args.action {
        Action::Create(args) => create(args),
        Action::Tie(args) => tie::run(args),
        Action::List(args) => list(args),
        Action::Revoke(args) => revoke(args),
        Action::Secret(args) => secret(args),
    }
}

fn create(args: &CreateArgs) -> Outcome {
    let clock = Clock::system();
    let roles: Roles = args.roles.iter().filter_map(|name| Role::from_name(name)).collect();
    let grant = Grant {
        name: args.name.clone(),
        roles,
        scientist: args.scientist.map(i64::from),
        prefixes: args.prefixes.clone(),
        days: args.valid_days,
    };
    let new = grant.check(clock.now()).map_err(|wrong| anyhow!("{}", in_words(wrong)))?;
    let mut register = args.folder.open()?;
    register.check_scientist(new.principal.scientist)?;
    // The file comes first: a token that nobody has been shown would stay valid.
    let out = args.out.as_deref().map(|path| Ok::<_, anyhow::Error>((path, new_file(path)?))).transpose()?;
    let created = register.records.create(&new, &Author::COMMAND_LINE, clock.now());
    let (token, id) = match created {
        Ok(created) => created,
        Err(failed) => {
            if let Some((path, _)) = out {
                // It is empty, and was made just now.
                let _ = std::fs::remove_file(path);
            }
            return Err(failed.into());
        }
    };
    match out {
        Some((path, mut file)) => {
            let written = writeln!(file, "{}", token.expose()).and_then(|()| file.sync_all());
            written.with_context(|| {
                t!("cannot write %{path}; revoke token %{id} and make another", path = path.display(), id = id)
            })?;
        }
        None => {
            print(&format!("{}\n", token.expose()))?;
        }
    }
    let name = &new.principal.name;
    tell(if let Some(end) = new.expires {
        let end = end.seconds();
        t!("token %{id} of %{name}, valid until %{end}; it is not shown again", id = id, name = name, end = end)
    } else {
        t!("token %{id} of %{name}, valid without end; it is not shown again", id = id, name = name)
    });
    if args.out.is_none() && std::io::stdout().is_terminal() {
        tell(t!("keep it in a file that only its user can read, and give the file to the tools: --token-file FILE"));
    }
    Ok(ExitCode::SUCCESS)
}

fn secret(args: &SecretArgs) -> Outcome {
    let path = &args.file;
    token_file::create(path).map_err(|error| not_made(path, error))?;
    tell(t!(
        "%{path} has a secret; give it to the coordinator and to each of its schedulers: --coordinator-token-file",
        path = path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn new_file(path: &Path) -> anyhow::Result<std::fs::File> {
    let made = files::private_no_link().write(true).create_new(true).open(path);
    made.map_err(|error| not_made(path, error))
}

/// Why the file of a token cannot be made.
fn not_made(path: &Path, error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return anyhow!("{}", t!("%{path} exists; choose another file for the token", path = path.display()));
    }
    anyhow::Error::new(error).context(t!("cannot write %{path}", path = path.display()))
}

fn list(args: &ListArgs) -> Outcome {
    let register = args.folder.open_again()?;
    let (all, now) = (register.records.all()?, Clock::system().now());
    let shown = if args.json { table::lines(&all, now) } else { table::table(&all, now, table_width()) };
    print(&shown)?;
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &RevokeArgs) -> Outcome {
    let mut register = args.folder.open_again()?;
    let file = &mut register.records;
    let mut status = ExitCode::SUCCESS;
    for id in &args.ids {
        let before: Option<Credential> = file.one(i64::from(*id))?;
        let revoked = file.revoke(i64::from(*id), Clock::system().now())?;
        match (before, revoked) {
            (Some(before), Some(after)) if before.revoked.is_none() => {
                tell(t!("token %{id} of %{name} is revoked", id = id, name = after.principal.name));
            }
            (_, Some(after)) => {
                tell(t!("token %{id} of %{name} was revoked before", id = id, name = after.principal.name));
            }
            (_, None) => {
                tell(t!("there is no token %{id}; 'sctec token list' shows all", id = id));
                status = ExitCode::from(EXIT_UNEXPECTED);
            }
        }
    }
    Ok(status)
}
