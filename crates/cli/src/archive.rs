//! `agent-server export` and `agent-server import`: everything that is in a data folder, out of it and into one.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IsTerminal as _, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_server_archive::{Counts, Error, Imported, Kind, Selection, Wanted, export, import};
use agent_server_domain::{
    ports::Clock as _,
    storage::{Storage, encrypted::through},
};
use agent_server_storage_sqlite::{Encryption, snapshot};
use agent_server_worker::CustomEncryption;
use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::{
    Mode,
    args::{ExportArgs, FolderArgs, ImportArgs, PartArgs, PythonArgs, ServerArgs},
    config::{self, Settings, find_project_if_any},
    encryption,
    env::Env,
    keys,
    ports::SystemClock,
    refusal::{Refusal, Result},
};

/// Name of a file that stands for stdin or stdout.
const STREAM: &str = "-";

/// Writes an archive. A file appears when it is whole and on disk.
///
/// Errors: the folder cannot be read, the file is there already or cannot be written.
pub(crate) fn run_export(args: &ExportArgs) -> Result<()> {
    let folder = Folder::find(&args.folder, &args.python)?;
    let selection = selection(&args.parts);
    if args.file == Path::new(STREAM) {
        let out = io::stdout();
        if out.is_terminal() {
            let text = "an archive is nothing for a terminal: name a file, or send it to a program";
            return Err(Refusal::usage(text).into());
        }
        let (_, counts) = write(&folder, &selection, BufWriter::new(out.lock()))?;
        eprintln!("Exported {}.", listed(&counts));
        return Ok(());
    }
    let shown = args.file.display();
    let there_already = || Refusal::usage(format!("{shown} is there already; name another file"));
    if args.file.exists() {
        return Err(there_already().into());
    }
    let parent = args.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Readable for its owner alone, as temporary files are.
    let file = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))
        .with_context(|| format!("{shown} cannot be made"))?;
    let (out, counts) = write(&folder, &selection, BufWriter::new(file))?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(&args.file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(there_already().into());
        }
        Err(error) => {
            return Err(error.error).with_context(|| format!("{shown} cannot be made"));
        }
    }
    eprintln!("Exported {} to {shown}.", listed(&counts));
    Ok(())
}

fn write<W: Write>(folder: &Folder, selection: &Selection, out: W) -> Result<(W, Counts)> {
    let (program, now) = (env!("CARGO_PKG_VERSION"), SystemClock.now());
    let custom = folder.custom.as_ref();
    let encryption = encryption::with_hooks(&folder.encryption, custom);
    let written = snapshot(&folder.path, &encryption, |tx| match custom {
        Some(custom) => through(&**custom, tx, |tx| export(tx, selection, program, now, out)),
        None => export(tx, selection, program, now, out),
    });
    folder.close();
    let shown = folder.path.display();
    Ok(written.with_context(|| format!("{shown} cannot be exported"))??)
}

/// A data folder, and how what is in it is encrypted.
struct Folder {
    path: PathBuf,
    encryption: Encryption,
    /// The project's own, where there is a project that has one.
    custom: Option<Arc<CustomEncryption>>,
    /// Where that is listened to.
    runtime: Runtime,
}

impl Folder {
    /// Finds it as a server does, and starts the project's encryption.
    ///
    /// Errors: a refusal if the project cannot be read or its encryption cannot be loaded.
    fn find(args: &FolderArgs, python: &PythonArgs) -> Result<Self> {
        let path = keys::folder(args)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let env = Env::of_process();
        let server = ServerArgs {
            config: args.config.clone(),
            data_dir: args.data_dir.clone(),
            python: python.python.clone(),
            ..ServerArgs::default()
        };
        let Some(project) = find_project_if_any(server.config.as_deref(), &env)? else {
            let encryption = config::encryption::resolve(&env)?;
            return Ok(Self { path, encryption, custom: None, runtime });
        };
        let encryption = config::encryption::resolve(&env.with(&project.env))?;
        let custom = match &project.encryption {
            Some(_) => {
                let settings = Settings::resolve(Mode::Serve, &server, &env, &project)?;
                runtime.block_on(encryption::start(&project, &settings, &env, false))?
            }
            None => None,
        };
        Ok(Self { path, encryption, custom, runtime })
    }

    /// Ends the process of the project's encryption.
    fn close(&self) {
        if let Some(custom) = &self.custom {
            self.runtime.block_on(custom.shutdown());
        }
    }
}

/// Takes an archive over, whole or not at all.
///
/// Errors: the archive or the folder cannot be read, or something is there already.
pub(crate) fn run_import(args: &ImportArgs) -> Result<()> {
    let folder = Folder::find(&args.folder, &args.python)?;
    let input: Box<dyn Read + Send> = if args.file == Path::new(STREAM) {
        Box::new(io::stdin())
    } else {
        let shown = args.file.display();
        let file = File::open(&args.file).with_context(|| format!("{shown} cannot be read"))?;
        Box::new(BufReader::new(file))
    };
    let wanted = Wanted { kinds: kinds(&args.parts), threads: threads(&args.parts) };
    let if_exists = args.if_exists.into();
    let shown = folder.path.display();
    let custom = folder.custom.as_ref();
    let storage =
        encryption::open_storage(&folder.path, &folder.encryption, custom).with_context(|| {
            format!("nothing can be imported into {shown} now; stop the server that uses it")
        })?;
    let imported = folder.runtime.block_on(async {
        let storage: &dyn Storage = &*storage;
        let imported = storage.write(move |tx| import(tx, input, &wanted, if_exists)).await;
        storage.close().await;
        imported
    });
    folder.close();
    let Imported { taken, skipped } = imported.map_err(|error| {
        let how = match error {
            Error::Exists(_) => "; --if-exists skip leaves such things as they are, --if-exists replace replaces them",
            _ => "",
        };
        anyhow::Error::new(error).context(format!("nothing was imported into {shown}{how}"))
    })?;
    eprintln!("Imported {} into {shown}.", listed(&taken));
    if !skipped.is_empty() {
        eprintln!("Left out what was there already: {}.", listed(&skipped));
    }
    Ok(())
}

fn selection(parts: &PartArgs) -> Selection {
    let threads = threads(parts);
    let all = || match &threads {
        Some(_) => vec![Kind::Threads],
        None => Kind::ALL.to_vec(),
    };
    Selection { kinds: kinds(parts).unwrap_or_else(all), threads }
}

fn kinds(parts: &PartArgs) -> Option<Vec<Kind>> {
    let kinds: Vec<_> = parts.only.iter().map(|part| part.0).collect();
    (!kinds.is_empty()).then_some(kinds)
}

fn threads(parts: &PartArgs) -> Option<Vec<agent_server_domain::storage::ThreadId>> {
    let ids: Vec<_> = parts.threads.iter().copied().map(Into::into).collect();
    (!ids.is_empty()).then_some(ids)
}

/// Records by name, for people.
fn listed(counts: &Counts) -> String {
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if counts.is_empty() { "nothing".into() } else { counts.join(", ") }
}
