//! Puts the page's modules into one script, and its style sheets into one: a browser asks for two files and not for sixty, and
//! compressed together they are a quarter smaller.
//!
//! A module becomes a function that is called at once and gives what the module exports. This needs no parser, because the modules
//! are written so that each import and each export begins a line, and is whole in it.

use std::fmt::Write as _;

/// Why modules cannot be put together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A module is imported that is not there.
    #[error("there is no module {0}")]
    Missing(String),
    /// Modules import each other.
    #[error("{0} imports itself, through others")]
    Circle(String),
    /// An import or an export has another form.
    #[error("{module}: {line:?} is no import or export of a known form")]
    Form {
        /// The module.
        module: String,
        /// The line.
        line: String,
    },
}

/// The script of the module `entry` with all that it imports. `text_of` gives the text of a module, without comments.
///
/// # Errors
/// What stands in the way.
pub fn script(entry: &str, text_of: &impl Fn(&str) -> Option<String>) -> Result<String, BundleError> {
    let mut script = String::new();
    add(entry, text_of, &mut script, &mut Vec::new(), &mut Vec::new())?;
    Ok(script)
}

/// The style sheets, one after the other.
pub fn style(sheets: impl IntoIterator<Item = String>) -> String {
    sheets.into_iter().map(|sheet| without_space(&sheet)).collect()
}

/// Adds a module after those that it imports.
fn add(
    name: &str,
    text_of: &impl Fn(&str) -> Option<String>,
    script: &mut String,
    done: &mut Vec<String>,
    open: &mut Vec<String>,
) -> Result<(), BundleError> {
    if done.iter().any(|known| known == name) {
        return Ok(());
    }
    if open.iter().any(|known| known == name) {
        return Err(BundleError::Circle(name.to_owned()));
    }
    open.push(name.to_owned());
    let text = text_of(name).ok_or_else(|| BundleError::Missing(name.to_owned()))?;
    let (mut body, mut exports) = (String::new(), Vec::new());
    for line in without_space(&text).lines() {
        let unknown = || BundleError::Form { module: name.to_owned(), line: line.to_owned() };
        if let Some(import) = line.strip_prefix("import ") {
            let (names, from) = import_of(import).ok_or_else(unknown)?;
            add(from, text_of, script, done, open)?;
            writeln!(body, "const {names} = {};", variable(from)).expect("a text takes all");
        } else if let Some(export) = line.strip_prefix("export ") {
            let (name, code) = export_of(export).ok_or_else(unknown)?;
            exports.push(name);
            writeln!(body, "{code}").expect("a text takes all");
        } else {
            writeln!(body, "{line}").expect("a text takes all");
        }
    }
    let variable = variable(name);
    writeln!(script, "const {variable} = (() => {{\n{body}return {{ {} }};\n}})();", exports.join(", "))
        .expect("a text takes all");
    open.pop();
    done.push(name.to_owned());
    Ok(())
}

/// The variable with what a module exports.
fn variable(module: &str) -> String {
    format!("${}", module.trim_end_matches(".js"))
}

/// What an import names, as a pattern of `const`, and the module: of `{ a, b as c } from "./m.js";` this is `{ a, b: c }`.
fn import_of(import: &str) -> Option<(String, &str)> {
    let (names, from) = import.split_once(" from \"./")?;
    let from = from.strip_suffix("\";")?;
    let pattern = if let Some(all) = names.strip_prefix("* as ") {
        all.to_owned()
    } else if names.starts_with('{') {
        names.strip_suffix('}').map(|_| names.replace(" as ", ": "))?
    } else {
        format!("{{ default: {names} }}")
    };
    Some((pattern, from))
}

/// What an export adds to the object of exports, and its line without `export`.
fn export_of(export: &str) -> Option<(String, String)> {
    if let Some(value) = export.strip_prefix("default ") {
        return Some(("default: $default".to_owned(), format!("const $default = {value}")));
    }
    let kinds = ["const ", "class ", "function ", "async function "];
    let rest = kinds.iter().find_map(|kind| export.strip_prefix(kind))?;
    let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).unwrap_or(rest.len());
    (end > 0).then(|| (rest[..end].to_owned(), export.to_owned()))
}

/// The lines of a text without the space before them, and without those that are empty.
fn without_space(text: &str) -> String {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
    lines.fold(String::new(), |all, line| all + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(modules: &[(&str, &str)]) -> Result<String, BundleError> {
        let text_of = |name: &str| {
            let found = modules.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        script("app.js", &text_of)
    }

    #[test]
    fn a_module_stands_once_after_those_that_it_imports() {
        let made = bundled(&[
            (
                "app.js",
                "import { one, two as other } from \"./a.js\";\nimport * as all from \"./b.js\";\nother(all);\n",
            ),
            (
                "a.js",
                "import words from \"./b.js\";\n\nexport const one = 1;\nexport async function two() {\n  return words;\n}\n",
            ),
            ("b.js", "export default {\n  a: 1,\n};\nexport class Three {}\n"),
        ]);
        let expected = "const $b = (() => {\nconst $default = {\na: 1,\n};\nclass Three {}\nreturn { default: $default, Three };\n})();\n\
                        const $a = (() => {\nconst { default: words } = $b;\nconst one = 1;\nasync function two() {\nreturn words;\n}\nreturn { one, two };\n})();\n\
                        const $app = (() => {\nconst { one, two: other } = $a;\nconst all = $b;\nother(all);\nreturn {  };\n})();\n";
        assert_eq!(made.unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_put_together_is_named() {
        let missing = bundled(&[("app.js", "import { a } from \"./a.js\";\n")]);
        assert_eq!(missing, Err(BundleError::Missing("a.js".into())));
        let circle =
            bundled(&[("app.js", "import { a } from \"./a.js\";\n"), ("a.js", "import { b } from \"./app.js\";\n")]);
        assert_eq!(circle, Err(BundleError::Circle("app.js".into())));
        for line in ["import {", "import \"./a.js\";", "export { a };", "export let a;", "export const { a } = b;"] {
            let refused = bundled(&[("app.js", line)]);
            assert_eq!(refused, Err(BundleError::Form { module: "app.js".into(), line: line.into() }));
        }
    }

    #[test]
    fn style_sheets_follow_each_other_in_order() {
        assert_eq!(style(["a {\n  b: c;\n}\n\n".to_owned(), "d {}".to_owned()]), "a {\nb: c;\n}\nd {}\n");
    }
}
