//! The project's own encryption: there before anything is read from storage.

use std::{path::Path, sync::Arc};

use agent_server_storage::{Storage, encrypted::Encrypted};
use agent_server_storage_sqlite::{Encryption, Hooks, Sqlite};
use agent_server_worker::{CustomEncryption, Options};

use crate::{
    config::{Settings, project::Project},
    data_folder,
    env::{self, Env},
    python,
    refusal::{Refusal, Result},
};

/// Starts the process of the project's encryption, if it has one.
///
/// Errors: a refusal if it cannot be loaded; a server without it could read nothing.
pub(crate) async fn start(
    project: &Project,
    settings: &Settings,
    env: &Env,
    install: bool,
) -> Result<Option<Arc<CustomEncryption>>> {
    let Some(source) = &project.encryption else { return Ok(None) };
    let wish = python::Wish {
        asked: settings.workers.python.as_deref(),
        project,
        data_dir: &settings.data_dir,
        install,
        env,
    };
    let refused = |cause| Refusal::usage(format!("nothing could be stored: {cause}"));
    let python = python::prepare(&wish).await.map_err(refused)?;
    let options = Options {
        encryption: source.python_spec(),
        import_dirs: project.import_dirs(),
        env: project.env.clone(),
        python_path: env.get(env::PYTHONPATH).map(str::to_owned),
        ..Options::new(python.path, &project.directory, vec![])
    };
    Ok(Some(CustomEncryption::start(options).await.map_err(refused)?))
}

/// Opens the data folder, behind the project's encryption if it has one.
///
/// Errors: the folder cannot be used, or is encrypted otherwise.
pub(crate) fn open_storage(
    data_dir: &Path,
    encryption: &Encryption,
    custom: Option<&Arc<CustomEncryption>>,
) -> Result<Arc<dyn Storage>> {
    data_folder::make(data_dir)?;
    let encryption = with_hooks(encryption, custom);
    let options = agent_server_storage_sqlite::Options { encryption, ..Default::default() };
    let storage = Sqlite::open(data_dir, options)?;
    Ok(match custom {
        Some(custom) => Encrypted::new(storage, Arc::clone(custom) as _),
        None => storage,
    })
}

/// The built-in encryption with that of a project.
pub(crate) fn with_hooks(
    encryption: &Encryption,
    custom: Option<&Arc<CustomEncryption>>,
) -> Encryption {
    let hooks =
        custom.map(|custom| Hooks { blobs: custom.hooks().blob.then(|| Arc::clone(custom) as _) });
    Encryption { hooks, ..encryption.clone() }
}
