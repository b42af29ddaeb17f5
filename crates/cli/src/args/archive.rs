//! Flags of `agent-server export` and `agent-server import`.

use std::path::PathBuf;

use agent_server_archive::{IfExists, Kind};
use clap::{Args, ValueEnum, builder::PossibleValue};
use uuid::Uuid;

use super::FolderArgs;

pub(super) const EXPORT_HELP: &str = "\
Works beside a running server and without one. What is written can be read by whoever has the file: keep it like the data folder.

Examples:
  agent-server export backup.jsonl.zst --data-dir /var/lib/agent-server
  agent-server export --only assistants,store - | ssh elsewhere agent-server import -";

pub(super) const IMPORT_HELP: &str = "\
All of it is imported, or nothing. No server may run on the data folder meanwhile.

Examples:
  agent-server import backup.jsonl.zst --data-dir /var/lib/agent-server
  agent-server import backup.jsonl.zst --thread 0198a3e5-7a0c-7bb4-93a5-0a4c6f9be0c1 --if-exists replace";

/// What `export` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArgs {
    /// File to write, which must not be there yet; - for stdout
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What is exported.
    #[command(flatten)]
    pub(crate) parts: PartArgs,
    /// Where the data are.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Who runs the encryption of a project.
    #[command(flatten)]
    pub(crate) python: PythonArgs,
}

/// What `import` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImportArgs {
    /// File that export has written; - for stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What is imported.
    #[command(flatten)]
    pub(crate) parts: PartArgs,
    /// What to do with something that is in the data folder already
    #[arg(long, value_name = "WHAT", value_enum, default_value = "fail")]
    pub(crate) if_exists: Existing,
    /// Where the data go.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// Who runs the encryption of a project.
    #[command(flatten)]
    pub(crate) python: PythonArgs,
}

/// What runs a project's own encryption.
#[derive(Args, Clone, Debug)]
pub(crate) struct PythonArgs {
    /// Python interpreter or environment for the project's encryption, if it has one [default: as agent-server serve finds it]
    #[arg(long, value_name = "PATH", env = "AGENT_SERVER_PYTHON")]
    pub(crate) python: Option<PathBuf>,
}

/// Which parts are meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct PartArgs {
    /// Only these kinds, with commas between them [default: everything]
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
    /// Only this thread, and no other kinds unless --only names them. Can be given several times
    #[arg(long = "thread", value_name = "ID")]
    pub(crate) threads: Vec<Uuid>,
}

/// A kind of what is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part(pub(crate) Kind);

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Part; Kind::ALL.len()] = {
            let mut all = [Part(Kind::Assistants); Kind::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = Part(Kind::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

/// See [`IfExists`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Existing {
    /// Import nothing at all
    Fail,
    /// Leave it as it is
    Skip,
    /// Put what is in the file in its place
    Replace,
}

impl From<Existing> for IfExists {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Fail => Self::Fail,
            Existing::Skip => Self::Skip,
            Existing::Replace => Self::Replace,
        }
    }
}
