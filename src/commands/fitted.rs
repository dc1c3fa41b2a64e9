//! Help texts at any width. clap wraps paragraphs; here, examples are laid out so that a command stays one that can be copied.

use clap::Command;

use crate::text::wrapped;

/// The indentation of an example, and of what belongs to it.
const EXAMPLE: &str = "  ";
const BELOW: &str = "      ";

/// Sets the width of the help of `program` and of its subcommands.
pub fn fitted(program: Command, width: usize) -> Command {
    let names: Vec<String> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut program = names.iter().fold(program, |program, name| program.mut_subcommand(name, |it| fitted(it, width)));
    if let Some(after) = program.get_after_help().map(ToString::to_string) {
        program = program.after_help(after_help(&after, width));
    }
    program.term_width(width)
}

/// The text after the options: paragraphs, and lists of examples, which have a heading and indented lines.
fn after_help(text: &str, width: usize) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| match paragraph.split_once('\n') {
        Some((heading, lines)) if lines.lines().all(|line| line.starts_with(EXAMPLE)) => {
            format!("{heading}\n{}", examples(lines, width))
        }
        _ => paragraph.to_owned(),
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Examples: a command and its explanation on one line each if all of them fit, else one below the other.
fn examples(lines: &str, width: usize) -> String {
    if lines.lines().all(|line| line.chars().count() <= width) {
        return lines.to_owned();
    }
    let mut fitted = Vec::new();
    for line in lines.lines() {
        let (command, explanation) = parts(line.trim_start());
        fitted.extend(command_lines(command, width));
        if !explanation.is_empty() {
            fitted.push(wrapped(explanation, width, BELOW, BELOW));
        }
    }
    fitted.join("\n")
}

/// The command of an example and its explanation, which may be empty: two spaces or more are between them.
fn parts(example: &str) -> (&str, &str) {
    let gap = spaces_outside_quotes(example).find(|at| example[*at..].starts_with("  "));
    let (command, explanation) = example.split_at(gap.unwrap_or(example.len()));
    (command, explanation.trim_start())
}

/// A command over as many lines as it needs, as a shell reads it.
fn command_lines(command: &str, width: usize) -> Vec<String> {
    const GOES_ON: &str = " \\";
    let ends = spaces_outside_quotes(command).chain([command.len()]);
    let mut lines = vec![String::from(EXAMPLE)];
    let mut begin = 0;
    for end in ends {
        let word = &command[begin..end];
        begin = end + 1;
        let line = lines.last_mut().expect("there is a first line");
        let is_begun = !line.trim().is_empty();
        // What goes on needs space for its mark, also where the next word is the last one.
        if is_begun && line.chars().count() + 1 + word.chars().count() + GOES_ON.len() > width {
            line.push_str(GOES_ON);
            lines.push(format!("{BELOW}{word}"));
        } else {
            line.push_str(if is_begun { " " } else { "" });
            line.push_str(word);
        }
    }
    lines
}

/// Where a shell would separate words.
fn spaces_outside_quotes(command: &str) -> impl Iterator<Item = usize> {
    let mut quote = None;
    command.char_indices().filter_map(move |(at, c)| {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_that_fit_are_left_as_they_are() {
        let text = "Examples:\n  sctec a      first\n  sctec bb     second\n\nExit status: 0 done, and so on for long.";
        assert_eq!(after_help(text, 24), text);
        assert_eq!(
            after_help(text, 20),
            "Examples:\n  sctec a\n      first\n  sctec bb\n      second\n\nExit status: 0 done, and so on for long."
        );
    }

    #[test]
    fn a_long_command_goes_on_where_a_shell_would_read_on() {
        let example = "  curl -d '{\"a\": \"b  c\"}' http://127.0.0.1:3000/lock || echo 'not now'      takes a lock";
        assert_eq!(
            examples(example, 40),
            "  curl -d '{\"a\": \"b  c\"}' \\\n      http://127.0.0.1:3000/lock || \\\n      echo 'not now'\n      takes a lock"
        );
        assert_eq!(parts("sctec x"), ("sctec x", ""));
        assert_eq!(parts("echo 'it  is'  says it"), ("echo 'it  is'", "says it"));
    }

    #[test]
    fn a_word_that_is_wider_than_the_terminal_stays_whole() {
        assert_eq!(
            examples("  abcdefghijkl m      nopqrstuvwxyz o", 10),
            "  abcdefghijkl \\\n      m\n      nopqrstuvwxyz\n      o"
        );
    }
}
