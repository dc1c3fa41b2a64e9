//! Translates the help texts of a command and of its subcommands.
//!
//! clap has English words of its own. Headings are replaced by a template; what clap adds to an argument's help (its default, its
//! variable, its possible values) is hidden, and added here in the same form.

use std::borrow::Cow;

use clap::{Arg, Command};
use rust_i18n::t;

use crate::language::{is_translated, translation};

/// Finds the translation of a line.
pub type Find<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The command and its subcommands in the language of the process.
pub fn in_language(program: Command) -> Command {
    if is_translated() { translated(program, &|text| translation(text).map(Cow::into_owned)) } else { program }
}

/// The command and its subcommands in another language. Lines that `find` does not know stay as they are.
pub fn translated(mut program: Command, find: Find<'_>) -> Command {
    // Gives each command its help flag and its full name, which are part of its help.
    program.build();
    command(program, find)
}

fn command(mut command: Command, find: Find<'_>) -> Command {
    if command.has_subcommands() {
        command = command.subcommand_value_name(line("COMMAND", find));
    }
    let is_long = has_long_help(&command);
    command = command.mut_args(|arg| argument(arg, is_long, find));
    let usage = usage(&command.render_usage().ansi().to_string());
    let about = command.get_about().map(|text| lines(&text.to_string(), find));
    let long_about = command.get_long_about().map(|text| lines(&text.to_string(), find));
    let after = command.get_after_help().map(|text| lines(&text.to_string(), find));
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(long_about) = long_about {
        command = command.long_about(long_about);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    let template = template(&command, &usage);
    command.help_template(template).mut_subcommands(|subcommand| self::command(subcommand, find))
}

/// clap's template, with other headings.
fn template(command: &Command, usage: &str) -> String {
    let style = command.get_styles().get_header();
    let section = |heading: Cow<'_, str>, tag: &str, is_there: bool| {
        if is_there { format!("\n\n{style}{heading}{style:#}\n{tag}") } else { String::new() }
    };
    let has_options = command.get_arguments().any(|arg| !arg.is_positional());
    [
        format!("{{about-with-newline}}\n{usage}"),
        section(t!("Commands:"), "{subcommands}", command.has_subcommands()),
        section(t!("Arguments:"), "{positionals}", command.get_positionals().next().is_some()),
        section(t!("Options:"), "{options}", has_options),
        "{after-help}".to_owned(),
    ]
    .concat()
}

/// A usage of clap's with its two words translated.
pub fn usage(usage: &str) -> String {
    let usage = usage.replace("Usage:", &t!("Usage:")).replace("[OPTIONS]", &t!("[OPTIONS]"));
    // The usage of `lock` is written by hand.
    usage.replace("<NAME>", &format!("<{}>", t!("NAME"))).replace("<COMMAND>", &format!("<{}>", t!("COMMAND")))
}

/// Whether `--help` says more than `-h`, as clap decides it.
fn has_long_help(command: &Command) -> bool {
    command.get_long_about().is_some()
        || command.get_arguments().any(|arg| arg.get_long_help().is_some() || explains_values(arg))
}

/// Whether an argument's possible values have help texts of their own.
fn explains_values(arg: &Arg) -> bool {
    arg.get_possible_values().iter().any(|value| !value.is_hide_set() && value.get_help().is_some())
}

fn argument(mut arg: Arg, is_long: bool, find: Find<'_>) -> Arg {
    if arg.is_hide_set() {
        return arg;
    }
    if let Some(names) = arg.get_value_names().filter(|_| arg.get_action().takes_values()) {
        let names: Vec<String> = names.iter().map(|name| line(name, find)).collect();
        arg = arg.value_names(names);
    }
    let short = arg.get_help().map(|text| lines(&text.to_string(), find)).unwrap_or_default();
    let long = arg.get_long_help().map_or_else(|| short.clone(), |text| lines(&text.to_string(), find));
    let facts = facts(&arg);
    let listed = if arg.is_hide_possible_values_set() { Vec::new() } else { possible_values(&arg, find) };
    if is_long {
        let mut long = vec![long];
        if explains_values(&arg) && !listed.is_empty() {
            let longest = listed.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            let values = listed.iter().map(|(name, help)| format!("\n- {name}: {:1$}{help}", "", longest - name.len()));
            long.push(t!("Possible values:").into_owned() + &values.collect::<String>());
        }
        long.push(facts.iter().cloned().chain(inline(&listed, !explains_values(&arg))).collect::<Vec<_>>().join("\n"));
        long.retain(|paragraph| !paragraph.is_empty());
        arg = arg.long_help(long.join("\n\n"));
    }
    let mut words = vec![short];
    words.extend(facts.into_iter().chain(inline(&listed, true)));
    words.retain(|part| !part.is_empty());
    arg.help(words.join(" ")).hide_env(true).hide_default_value(true).hide_possible_values(true)
}

/// The variable and the default, as clap shows them.
fn facts(arg: &Arg) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(name) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
        let value = std::env::var_os(name).unwrap_or_default();
        facts.push(t!("[env: %{name}=%{value}]", name = name.display(), value = value.display()).into_owned());
    }
    let defaults = arg.get_default_values();
    if arg.get_action().takes_values() && !arg.is_hide_default_value_set() && !defaults.is_empty() {
        let values = defaults.iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(" ");
        facts.push(t!("[default: %{values}]", values = values).into_owned());
    }
    facts
}

/// The possible values and their translated help texts.
fn possible_values(arg: &Arg, find: Find<'_>) -> Vec<(String, String)> {
    let values = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let help = |text: &clap::builder::StyledStr| lines(&text.to_string(), find);
    values.map(|value| (value.get_name().to_owned(), value.get_help().map(help).unwrap_or_default())).collect()
}

/// The names of the possible values in one line, if they are to be shown so.
fn inline(values: &[(String, String)], is_shown: bool) -> Option<String> {
    let names = values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    (is_shown && !values.is_empty()).then(|| t!("[possible values: %{values}]", values = names).into_owned())
}

/// A text with each line translated.
fn lines(text: &str, find: Find<'_>) -> String {
    text.split('\n').map(|text| line(text, find)).collect::<Vec<_>>().join("\n")
}

/// A line, translated. An indented line is an example: what a gap divides from the command is its description. clap leaves out the
/// full stop at the end of a help text, so a sentence is known with it and without.
fn line(text: &str, find: Find<'_>) -> String {
    if text.starts_with("  ") {
        let Some((command, description)) = text.rsplit_once("  ").filter(|(command, _)| !command.trim().is_empty())
        else {
            return text.to_owned();
        };
        return format!("{command}  {}", line(description, find));
    }
    if text.is_empty() {
        return String::new();
    }
    let sentence = text.strip_suffix('.').unwrap_or(text);
    let full_stop = &text[sentence.len()..];
    find(sentence).map_or_else(|| text.to_owned(), |found| found + full_stop)
}
