//! What the actions have in common: where the tokens are, the scientist, and what is wrong with a grant.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use rust_i18n::t;
use tokio::runtime::Runtime;

use crate::access::grant::{DAYS_MAX, PREFIX_BYTES_MAX, PREFIXES_MAX, WrongGrant};
use crate::access::register::records::{Folder, Place, Records};
use crate::access::{AUTHOR_MAX, WrongName};
use crate::commands::store::StoreArgs;
use crate::data_dir;
use crate::store::postgres::SharedRegister;
use crate::store::sqlite::has_scientist;

/// The folder whose tokens they are, or the database.
#[derive(Clone, Debug, Args)]
pub struct FolderArgs {
    /// The service's data folder; it must be yours
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

/// A register that is open.
pub struct Opened {
    /// What it has.
    pub records: Box<dyn Records>,
    place: Kept,
}

/// Where it is kept.
enum Kept {
    /// In this data folder.
    Folder(PathBuf),
    /// In a database, with which this runtime speaks.
    Shared(SharedRegister, #[expect(dead_code, reason = "its threads run as long as it is there")] Runtime),
}

impl FolderArgs {
    /// Opens the register, and makes it if there is none.
    ///
    /// # Errors
    /// When the folder or the database cannot be used.
    pub fn open(&self) -> anyhow::Result<Opened> {
        let Some(location) = self.store.location()? else {
            data_dir::prepare(&self.data_dir)?;
            let records = Folder::new(&self.data_dir).open()?;
            return Ok(Opened { records, place: Kept::Folder(self.data_dir.clone()) });
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.with_context(|| t!("cannot start the runtime"))?;
        let shared = SharedRegister::new(&location, runtime.handle().clone())?;
        Ok(Opened { records: shared.open()?, place: Kept::Shared(shared, runtime) })
    }

    /// Opens the register, if there is one.
    ///
    /// # Errors
    /// As [`FolderArgs::open`], and when the folder has none.
    pub fn open_again(&self) -> anyhow::Result<Opened> {
        if !self.store.is_given() && !is_there(&self.data_dir.join(data_dir::REGISTER_FILE))? {
            bail!(
                "{}",
                t!(
                    "%{path} has no tokens; 'sctec token create' makes the first, and --data-dir chooses another folder",
                    path = self.data_dir.display()
                )
            );
        }
        self.open()
    }
}

impl Opened {
    /// Refuses a scientist whom the agenda does not have. A folder without an agenda (a coordinator's) is not asked.
    ///
    /// # Errors
    /// When there is no such scientist, or the agenda cannot be read.
    pub fn check_scientist(&self, scientist: Option<i64>) -> anyhow::Result<()> {
        let Some(scientist) = scientist else { return Ok(()) };
        let (is_there, path) = match &self.place {
            Kept::Folder(folder) => {
                let path = folder.join(data_dir::DATABASE_FILE);
                (!is_there(&path)? || has_scientist(&path, scientist)?, path.display().to_string())
            }
            Kept::Shared(shared, _) => (shared.has_scientist(scientist)?, shared.name().to_owned()),
        };
        if !is_there {
            bail!("{}", t!("there is no scientist %{n} in %{path}", n = scientist, path = path));
        }
        Ok(())
    }
}

/// Whether there is such a file. A folder that may not be read does not say so.
fn is_there(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| t!("cannot read %{path}", path = path.display()))
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
