//! Reads Rust source for texts: those of `t!`, and string literals that look as if a person read them.
//!
//! It works on tokens and not on the syntax, because most of these texts stand in calls of macros.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Calls whose texts are for people: one word is enough.
const SPEAKING: &[&str] = &[
    "anyhow",
    "bail",
    "context",
    "ensure",
    "format",
    "format_args",
    "print",
    "println",
    "tell",
    "with_context",
    "write",
    "writeln",
];
/// Calls whose texts are not for people: stated invariants, names, and texts for machines.
const SILENT: &[&str] = &["assert", "assert_eq", "concat", "debug_assert", "env", "expect", "json", "unreachable"];
/// Units, which are the same in each language.
const UNITS: &[&str] = &["ms", "us", "UTC", "MB", "GB"];

/// What a file has.
#[derive(Debug, Default)]
pub struct Found {
    /// The texts of `t!`, each with the names of its arguments.
    pub translated: Vec<(String, Vec<String>)>,
    /// Literals outside of `t!` that look as if a person read them.
    pub plain: Vec<String>,
}

/// Reads a file. What is only for tests does not count.
pub fn read(source: &str) -> Found {
    let mut found = Found::default();
    found.walk(source.parse().expect("the file is Rust"), "");
    found
}

impl Found {
    fn walk(&mut self, stream: TokenStream, call: &str) {
        let tokens: Vec<_> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at..] {
                [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] if hash.as_char() == '#' => {
                    at += 1;
                    if attribute.stream().to_string().replace(' ', "") == "cfg(test)" {
                        at += item(&tokens[at + 1..]);
                    } else if matches!(attribute.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "error")
                    {
                        // What thiserror displays.
                        self.walk(attribute.stream(), "");
                    }
                }
                [TokenTree::Punct(hash), TokenTree::Punct(not), TokenTree::Group(_), ..]
                    if hash.as_char() == '#' && not.as_char() == '!' =>
                {
                    at += 2;
                }
                [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(group), ..]
                    if mark.as_char() == '!' =>
                {
                    at += 2;
                    let name = name.to_string();
                    if name == "t" { self.translation(group.stream()) } else { self.walk(group.stream(), &name) }
                }
                [TokenTree::Ident(name), TokenTree::Group(group), ..]
                    if group.delimiter() == Delimiter::Parenthesis =>
                {
                    at += 1;
                    self.walk(group.stream(), &name.to_string());
                }
                [TokenTree::Group(group), ..] => self.walk(group.stream(), call),
                [TokenTree::Literal(literal), ..] => {
                    if let Some(text) = text(&literal.to_string()).filter(|text| is_for_people(text, call)) {
                        self.plain.push(text);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// The text of a `t!` and its arguments' names; an argument may have texts of its own.
    fn translation(&mut self, stream: TokenStream) {
        let mut tokens = stream.into_iter();
        let first = tokens.next().expect("t! has a text");
        let text = text(&first.to_string()).unwrap_or_else(|| panic!("t! takes a literal, and not {first}"));
        let rest: Vec<_> = tokens.collect();
        let is = |token: &TokenTree, c| matches!(token, TokenTree::Punct(punct) if punct.as_char() == c);
        let names = rest.windows(3).filter(|window| is(&window[0], ',') && is(&window[2], '='));
        self.translated.push((text, names.map(|window| window[1].to_string()).collect()));
        self.walk(rest.into_iter().collect(), "t");
    }
}

/// How many tokens an item has: up to its braces or its semicolon.
fn item(tokens: &[TokenTree]) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1)
}

/// The value of a string literal.
fn text(literal: &str) -> Option<String> {
    syn::parse_str::<syn::LitStr>(literal).ok().map(|literal| literal.value())
}

/// Whether a person would read it: it has two words, or one in a call that speaks.
fn is_for_people(text: &str, call: &str) -> bool {
    let words = words(text);
    !SILENT.contains(&call) && words >= if SPEAKING.contains(&call) { 1 } else { 2 }
}

/// How many words a text has outside its placeholders.
fn words(text: &str) -> usize {
    let mut plain = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let word = |part: &&str| {
        let part = part.trim_matches(['"', '\'', '(', ')', ',', '.', ':', ';', '?', '!']);
        part.len() > 1 && part.chars().all(|c| c.is_alphabetic() || c == '\'') && !UNITS.contains(&part)
    };
    plain.split_whitespace().filter(word).count()
}

#[test]
fn texts_are_found_where_they_stand() {
    let source = r#"
        //! A file.
        #[command(after_help = "in an attribute")]
        /// A comment.
        fn f() {
            tell(t!("cannot read %{path}: %{why}", path = path.display(), why = format!("for {n} reasons")));
            bail!("{}", t!("inside"));
            println!("{base}/pronto {n} ms");
            let key = "seq";
            table("Two words");
            x.expect("an invariant of ours");
        }
        #[cfg(test)]
        mod tests { const X: &str = "of a test"; }
    "#;
    let found = read(source);
    let translated: Vec<_> = found.translated.iter().map(|(text, names)| (text.as_str(), names.len())).collect();
    assert_eq!(translated, [("cannot read %{path}: %{why}", 2), ("inside", 0)]);
    assert_eq!(found.plain, ["for {n} reasons", "Two words"]);
}
