//! Options of other tools that people try first: each is refused as before, and the refusal names what does it here.
//!
//! clap proposes what is spelt alike. These are not spelt alike.

use std::borrow::Cow;

use clap::builder::UnknownArgumentValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};
use rust_i18n::t;

/// What is proposed instead.
enum Instead {
    /// An option of the same command.
    Option(&'static str),
    /// Another way, in words.
    Way(fn() -> Cow<'static, str>),
}

/// A command, options that it does not have, and what is proposed.
type FirstTry = (&'static str, &'static [&'static str], Instead);

const SERVERS: [&str; 3] = ["serve-all", "serve-scheduler", "serve-coordinator"];

/// The first tries of one command.
const FIRST_TRIES: [FirstTry; 8] = [
    (
        "serve-all",
        &["--no-lock"],
        Instead::Way(|| t!("the race needs no coordinator: 'sctec serve-scheduler --no-lock'")),
    ),
    (
        "serve-all",
        &["--coordinator"],
        Instead::Way(|| t!("it runs its own coordinator; for another one: 'sctec serve-scheduler --coordinator URL'")),
    ),
    ("stress", &["--threads", "-t", "--workers", "--users"], Instead::Option("--concurrency")),
    (
        "stress",
        &["--duration", "-z", "-d"],
        Instead::Way(|| t!("a run ends with its requests: give their number with '-n'")),
    ),
    ("locks", &["--force", "--unlock"], Instead::Option("--release")),
    ("status", &["--scheduler", "--schedulers"], Instead::Option("--url")),
    ("clock-sync", &["--count", "-n"], Instead::Option("--samples")),
    (
        "health",
        &["--url", "--scheduler", "--coordinator"],
        Instead::Way(|| t!("the URL stands alone: 'sctec health http://127.0.0.1:3000'")),
    ),
];

/// The first tries of every server.
const OF_SERVERS: [(&[&str], Instead); 2] = [
    (&["--host", "--bind", "--address"], Instead::Option("--listen")),
    (&["--verbose", "-v"], Instead::Option("--log-level debug")),
];

/// Adds the first tries to `program`, hidden. Its completions and manual pages are made without them.
pub fn with_first_tries(mut program: Command) -> Command {
    for (command, names, instead) in &FIRST_TRIES {
        program = program.mut_subcommand(command, |command| command.args(names.iter().map(|name| arg(name, instead))));
    }
    for server in SERVERS {
        for (names, instead) in &OF_SERVERS {
            program =
                program.mut_subcommand(server, |command| command.args(names.iter().map(|name| arg(name, instead))));
        }
    }
    program
}

fn arg(name: &'static str, instead: &Instead) -> Arg {
    let parser = match instead {
        Instead::Option(option) => UnknownArgumentValueParser::suggest_arg(*option),
        Instead::Way(way) => UnknownArgumentValueParser::suggest(way().into_owned()),
    };
    // A value may follow or not. Without one, clap would have nothing to refuse, so there is a default one.
    let arg = Arg::new(name).hide(true).num_args(0..=1).default_missing_value("-").value_parser(parser);
    match (name.strip_prefix("--"), name.chars().last()) {
        (Some(long), _) => arg.long(long),
        (None, Some(letter)) => arg.short(letter),
        (None, None) => arg,
    }
}

/// Proposes the right place of what stands in a wrong one: the command of `lock` without its `--`, a URL without its option.
pub fn with_tip_of_place(error: &mut Error, subcommand: &str) {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.clone(),
        Some(ContextValue::Strings(arguments)) => arguments.join(" "),
        _ => return,
    };
    let tip = match (subcommand, error.kind()) {
        ("lock", ErrorKind::MissingRequiredArgument)
            if argument.contains("COMMAND") || argument.contains("COMANDO") =>
        {
            t!("write -- before the command: 'sctec lock NAME -- COMMAND'")
        }
        ("lock", ErrorKind::UnknownArgument) if !std::env::args_os().any(|argument| argument == "--") => {
            t!("write -- before the command: 'sctec lock NAME -- COMMAND'")
        }
        ("stress" | "clock-sync" | "locks", ErrorKind::UnknownArgument) if argument.contains("://") => {
            t!("the URL stands after --url: 'sctec %{command} --url %{url}'", command = subcommand, url = argument)
        }
        _ => return,
    };
    let tips = ContextValue::StyledStrs(vec![tip.into_owned().into()]);
    error.insert(ContextKind::Suggested, tips);
}

/// Names an argument that was refused alone: clap adds the form of its value.
pub fn with_bare_name(error: &mut Error) {
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some((name, _)) = argument.split_once(" [<-").filter(|_| error.kind() == ErrorKind::UnknownArgument)
    {
        let name = ContextValue::String(name.to_owned());
        error.insert(ContextKind::InvalidArg, name);
    }
}

/// Proposes the servers that have an option which this server has not. Otherwise proposes no option that is hidden, but the one that
/// does the same.
pub fn with_tip_of_server(error: &mut Error, program: &Command, subcommand: &str) {
    let is_told = error.get(ContextKind::Suggested).is_some();
    if is_told || error.kind() != ErrorKind::UnknownArgument || !SERVERS.contains(&subcommand) {
        return;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    let unknown = unknown.clone();
    let others: Vec<&str> =
        SERVERS.into_iter().filter(|server| shown_option(program, server, &unknown).is_some()).collect();
    let of_others = match others[..] {
        [] => None,
        [other] => Some(t!("%{option} is an option of %{command}", option = unknown, command = other)),
        [other, another, ..] => {
            Some(t!("%{option} is an option of %{one} and %{other}", option = unknown, one = other, other = another))
        }
    };
    if let Some(tip) = of_others {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into_owned().into()]));
        return;
    }
    // A proposal of ours may have a value: it is one that is shown.
    if let Some(ContextValue::String(near)) = error.get(ContextKind::SuggestedArg)
        && !near.contains(' ')
    {
        let of_server = || OF_SERVERS.iter().find(|(names, _)| names.contains(&&**near)).map(|(_, instead)| instead);
        let instead = match shown_option(program, subcommand, near) {
            Some(option) => Some(option),
            None => of_server().and_then(|instead| match instead {
                Instead::Option(option) => Some((*option).to_owned()),
                Instead::Way(_) => None,
            }),
        };
        match instead {
            Some(option) => error.insert(ContextKind::SuggestedArg, ContextValue::String(option)),
            None => error.remove(ContextKind::SuggestedArg),
        };
    }
}

/// The option of a command that has this long name or alias, as its help shows it.
fn shown_option(program: &Command, command: &str, name: &str) -> Option<String> {
    let name = name.strip_prefix("--")?;
    let mut arguments = program.find_subcommand(command)?.get_arguments();
    let is_it = |arg: &&Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    };
    arguments.find(is_it)?.get_long().map(|long| format!("--{long}"))
}

/// Takes back the proposal of clap to pass an unknown option as the name of a file: a mistyped option is far more likely.
pub fn without_file_tip(error: &mut Error) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    let tip = format!("'-- {unknown}'");
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|said| !said.to_string().contains(&tip));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
}
