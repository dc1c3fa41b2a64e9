//! Makes the table of the page's files: every file in `assets/page` is embedded and served, and no list of them is kept by hand.
//! Names the catalogues of the command line too, which a macro reads: a change of one makes the program anew.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

const FOLDER: &str = "assets/page";
const CATALOGUES: &str = "assets/cli";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    println!("cargo::rerun-if-changed={CATALOGUES}");
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    let mut names = Vec::new();
    collect(&Path::new(&root).join(FOLDER), "", &mut names)?;
    names.sort();
    let mut table = String::from("&[\n");
    for name in &names {
        let path = format!("/{FOLDER}/{name}");
        writeln!(table, "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),")?;
    }
    table.push_str("]\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("page.rs"), table)?;
    Ok(())
}

/// Collects the files in `folder` and in its folders, with paths from the page's folder. Hidden files, which editors make, are
/// left out.
fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let own = entry.file_name().into_string().map_err(|name| format!("{} is not text", name.display()))?;
        if own.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{own}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
