//! What `create` and `tie` have in common: the folder, the scientist, and what is wrong with a grant.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use rust_i18n::t;

use crate::access::grant::{DAYS_MAX, PREFIX_BYTES_MAX, PREFIXES_MAX, WrongGrant};
use crate::access::{AUTHOR_MAX, WrongName};
use crate::data_dir;
use crate::store::sqlite::has_scientist;

/// The folder whose tokens they are.
#[derive(Clone, Debug, Args)]
pub struct FolderArgs {
    /// The service's data folder; it must be yours
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// Refuses a scientist whom the folder's agenda does not have. A folder without an agenda (a coordinator's) is not asked.
pub fn check_scientist(folder: &Path, scientist: Option<i64>) -> anyhow::Result<()> {
    let (Some(scientist), path) = (scientist, folder.join(data_dir::DATABASE_FILE)) else { return Ok(()) };
    if path.exists() && !has_scientist(&path, scientist)? {
        bail!("{}", t!("there is no scientist %{n} in %{path}", n = scientist, path = path.display()));
    }
    Ok(())
}

/// What is wrong with a grant, for the person at the command line.
pub fn in_words(wrong: WrongGrant) -> String {
    let text = match wrong {
        WrongGrant::Name(WrongName::Form) => {
            t!("a name has 1 to %{most} letters without accents, digits and . _ - + @", most = AUTHOR_MAX)
        }
        WrongGrant::Name(WrongName::Reserved) => t!("this name has another meaning in the records; choose another"),
        WrongGrant::NoRole => t!("a token needs a role: --role"),
        WrongGrant::NoScientist => t!("the role cientista needs the number of the scientist: --scientist"),
        WrongGrant::ScientistWithoutRole => t!("--scientist goes with --role cientista"),
        WrongGrant::NoPrefix => {
            t!(
                "the role servico needs the beginnings of the names that it may lock: --prefix, or --prefix '*' for every name"
            )
        }
        WrongGrant::PrefixWithoutRole => t!("--prefix goes with --role servico"),
        WrongGrant::Prefix => {
            t!("at most %{most} prefixes, each of 1 to %{bytes} bytes", most = PREFIXES_MAX, bytes = PREFIX_BYTES_MAX)
        }
        WrongGrant::Days => t!("--valid-days is at most %{most}", most = DAYS_MAX),
    };
    text.into_owned()
}
