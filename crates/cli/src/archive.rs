//! `agent-server export` and `agent-server import`: everything that is in a data folder, out of it and into one.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IsTerminal as _, Read, Write},
    path::Path,
};

use agent_server_archive::{Counts, Error, Imported, Kind, Selection, Wanted, export, import};
use agent_server_domain::{ports::Clock as _, storage::Storage};
use agent_server_storage_sqlite::{Options, Sqlite, snapshot};
use anyhow::Context as _;

use crate::{
    args::{ExportArgs, ImportArgs, PartArgs},
    config::encryption,
    data_folder,
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
    let folder = keys::folder(&args.folder)?;
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

fn write<W: Write>(folder: &Path, selection: &Selection, out: W) -> Result<(W, Counts)> {
    let (program, now) = (env!("CARGO_PKG_VERSION"), SystemClock.now());
    let encryption = encryption::resolve(&Env::of_process())?;
    let written = snapshot(folder, &encryption, |tx| export(tx, selection, program, now, out));
    let shown = folder.display();
    Ok(written.with_context(|| format!("{shown} cannot be exported"))??)
}

/// Takes an archive over, whole or not at all.
///
/// Errors: the archive or the folder cannot be read, or something is there already.
pub(crate) fn run_import(args: &ImportArgs) -> Result<()> {
    let folder = keys::folder(&args.folder)?;
    let input: Box<dyn Read + Send> = if args.file == Path::new(STREAM) {
        Box::new(io::stdin())
    } else {
        let shown = args.file.display();
        let file = File::open(&args.file).with_context(|| format!("{shown} cannot be read"))?;
        Box::new(BufReader::new(file))
    };
    let wanted = Wanted { kinds: kinds(&args.parts), threads: threads(&args.parts) };
    let if_exists = args.if_exists.into();
    data_folder::make(&folder)?;
    let encryption = encryption::resolve(&Env::of_process())?;
    let options = Options { encryption, ..Options::default() };
    let shown = folder.display();
    let storage = Sqlite::open(&folder, options).with_context(|| {
        format!("nothing can be imported into {shown} now; stop the server that uses it")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let imported = runtime.block_on(async {
        let storage: &dyn Storage = &*storage;
        let imported = storage.write(move |tx| import(tx, input, &wanted, if_exists)).await;
        storage.close().await;
        imported
    });
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
