//! Reads the files below `src/` and finds which file imports from which.
//!
//! An import is a path to another file of this crate: in a `use`, in code, or among the arguments of a macro. A name that a
//! file only passes on (`pub use part::Name`) is followed to the file that defines it: passing on is no import, but an import
//! of the name depends on the defining file. The `use` of a module counts where something of the module is named. Items under
//! `#[cfg(test)]` do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::common::sources;

/// The place of a module in the crate: `http::server` is `["http", "server"]`, the root is empty.
type Module = Vec<String>;

/// A file with its text, read by syn.
struct File {
    /// Its path below `src/`, with `/`.
    name: String,
    lines: usize,
    syntax: syn::File,
}

/// The files of production code: those that are compiled without `cfg(test)`.
pub struct Sources {
    files: BTreeMap<Module, File>,
}

/// The imports of one file: which other file, and the paths by which it is reached.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Which file imports from which, by names such as `http/body.rs`.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub imports: BTreeMap<String, Imports>,
    /// Names that a file imports through an ancestor which passes them on from below: file, ancestor, name.
    pub roundabouts: BTreeSet<(String, String, String)>,
}

/// A name that a file brings into scope by `use`.
struct Used {
    /// The module that the `use` stands in: not the file's own inside `mod name { … }`.
    module: Module,
    path: Vec<String>,
    /// The name it has here; `*` for all of them.
    alias: String,
    is_passed_on: bool,
}

impl Sources {
    /// Reads files: each path below `src/`, and its text.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut files = BTreeMap::new();
        for (name, text) in texts {
            let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let file = File { name: name.to_owned(), lines: text.lines().count(), syntax };
            files.insert(module_of(name), file);
        }
        let mut tests = BTreeSet::new();
        for (module, file) in &files {
            for item in &file.syntax.items {
                if let Item::Mod(ItemMod { attrs, ident, content: None, .. }) = item
                    && is_for_tests(attrs)
                {
                    tests.insert([&module[..], &[ident.to_string()]].concat());
                }
            }
        }
        files.retain(|module, _| !(1..=module.len()).any(|length| tests.contains(&module[..length])));
        Self { files }
    }

    /// Each file's name and how many lines it has.
    pub fn lengths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.values().map(|file| (file.name.as_str(), file.lines))
    }

    /// Which file imports from which.
    pub fn graph(&self) -> Graph {
        let uses: BTreeMap<_, _> = self.files.iter().map(|(module, file)| (module, Reader::of(module, file))).collect();
        let scope: BTreeMap<&Module, &[Used]> =
            uses.iter().map(|(module, reader)| (*module, reader.uses.as_slice())).collect();
        let mut graph = Graph::default();
        for (module, reader) in &uses {
            let from = &self.files[*module].name;
            let imports = graph.imports.entry(from.clone()).or_default();
            for (at, path, is_glob) in reader.imported(|used| self.is_from_below(module, used)) {
                let Some((target, rest)) = self.locate(at, &path) else { continue };
                if rest.is_empty() && !is_glob {
                    continue;
                }
                let defining = self.follow(&target, rest, &scope);
                let is_passed_up = defining != target && defining.starts_with(&target);
                if is_passed_up && module.starts_with(&target) && **module != target {
                    let ancestor = self.files[&target].name.clone();
                    graph.roundabouts.insert((from.clone(), ancestor, path.join("::")));
                }
                if defining != **module {
                    imports.entry(self.files[&defining].name.clone()).or_default().insert(path.join("::"));
                }
            }
        }
        graph
    }

    /// Whether a `use` passes on a name from a part of the module.
    fn is_from_below(&self, module: &Module, used: &Used) -> bool {
        used.is_passed_on && self.locate(&used.module, &used.path).is_some_and(|(target, _)| target.starts_with(module))
    }

    /// The file that a path leads into, and what remains of the path there.
    fn locate<'a>(&self, at: &Module, path: &'a [String]) -> Option<(Module, &'a [String])> {
        let (mut module, mut rest) = match path.first()?.as_str() {
            // The executable calls the library by its name.
            "crate" | "sctec" => (Module::new(), &path[1..]),
            "self" => (at.clone(), &path[1..]),
            "super" => (at[..at.len().checked_sub(1)?].to_vec(), &path[1..]),
            first if self.files.contains_key(&[&at[..], &[first.to_owned()]].concat()) => (at.clone(), path),
            _ => return None,
        };
        while let Some((first, others)) = rest.split_first() {
            if first == "super" {
                module.pop()?;
            } else if self.files.contains_key(&[&module[..], std::slice::from_ref(first)].concat()) {
                module.push(first.clone());
            } else {
                break;
            }
            rest = others;
        }
        // Inside `mod name { … }` of a file, the file is the nearest module above.
        while !self.files.contains_key(&module) {
            module.pop()?;
        }
        Some((module, rest))
    }

    /// The file that defines what is called `rest` in `module`: another one if `module` has it by a `use`.
    fn follow(&self, module: &Module, rest: &[String], scope: &BTreeMap<&Module, &[Used]>) -> Module {
        let found = rest.first().and_then(|name| {
            let used = scope[module].iter().find(|used| used.module == *module && used.alias == *name)?;
            self.locate(module, &used.path).filter(|(target, _)| target != module)
        });
        found.map_or_else(|| module.clone(), |(target, rest)| self.follow(&target, rest, scope))
    }
}

/// The module that a file is.
fn module_of(name: &str) -> Module {
    let mut parts: Module = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    match parts.last().map(String::as_str) {
        Some("mod") => drop(parts.pop()),
        Some("lib") if parts.len() == 1 => parts.clear(),
        _ => {}
    }
    parts
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Collects a file's paths.
struct Reader {
    module: Module,
    uses: Vec<Used>,
    paths: Vec<(Module, Vec<String>)>,
}

impl Reader {
    fn of(module: &Module, file: &File) -> Self {
        let mut reader = Self { module: module.clone(), uses: Vec::new(), paths: Vec::new() };
        reader.visit_file(&file.syntax);
        reader
    }

    /// The paths by which the file imports, each with the module it stands in. A path that begins with a name which a `use`
    /// brought is written out. A `use` that is passed on counts where the file uses the name itself. The last value says whether
    /// the path is that of a `use` of all names.
    fn imported(&self, is_passed_on: impl Fn(&Used) -> bool) -> impl Iterator<Item = (&Module, Vec<String>, bool)> {
        let used = self
            .uses
            .iter()
            .filter(move |used| !is_passed_on(used))
            .map(|used| (&used.module, used.path.clone(), used.alias == "*"));
        let named = self.paths.iter().filter_map(|(at, path)| {
            let used = self.uses.iter().find(|used| used.module == *at && used.alias == path[0]);
            let whole = used.map(|used| [&used.path[..], &path[1..]].concat());
            whole.or_else(|| (path.len() > 1).then(|| path.clone())).map(|path| (at, path, false))
        });
        used.chain(named)
    }

    /// Finds the paths in the text of tokens whose form is known only to a macro.
    fn scan(&mut self, text: &str) {
        let text = text.replace("::", " :: ");
        let tokens =
            text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':'))).filter(|token| !token.is_empty());
        let tokens: Vec<_> = tokens.collect();
        for (index, first) in tokens.iter().enumerate() {
            let is_first = index == 0 || tokens[index - 1] != "::";
            let places = std::iter::successors(Some(index), |at| (tokens.get(at + 1) == Some(&"::")).then_some(at + 2));
            let names: Vec<_> = places.map_while(|at| tokens.get(at)).map(|name| (*name).to_owned()).collect();
            if is_first && first.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                self.paths.push((self.module.clone(), names));
            }
        }
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String], is_passed_on: bool) {
        let mut add = |name: Option<String>, alias: String| {
            let path = before.iter().cloned().chain(name).collect();
            self.uses.push(Used { module: self.module.clone(), path, alias, is_passed_on });
        };
        match tree {
            UseTree::Path(path) => {
                self.add_tree(&path.tree, &[before, &[path.ident.to_string()]].concat(), is_passed_on);
            }
            UseTree::Name(name) if name.ident == "self" => {
                add(None, before.last().cloned().unwrap_or_default());
            }
            UseTree::Name(name) => add(Some(name.ident.to_string()), name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => add(None, rename.rename.to_string()),
            UseTree::Rename(rename) => add(Some(rename.ident.to_string()), rename.rename.to_string()),
            UseTree::Glob(_) => add(None, "*".to_owned()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before, is_passed_on);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.paths.push((self.module.clone(), names));
        syn::visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in path)` imports nothing.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(&call.tokens.to_string());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.scan(&list.tokens.to_string());
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Every Rust file below a folder: its path from there, with `/`, and its text.
pub fn texts(folder: &Path) -> Vec<(String, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(folder.join(&path)).unwrap();
        (path.to_str().unwrap().to_owned(), text)
    };
    sources(folder).into_iter().map(read).collect()
}
