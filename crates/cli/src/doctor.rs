//! `agent-server doctor`: is what lies in a data folder sound?

use std::path::Path;

use agent_server_auth::keys::KeyFile;
use agent_server_storage_sqlite::inspect;
use anyhow::{Context as _, bail};

use crate::{banner::say, config::encryption, env::Env, refusal::Result};

/// Lists inconsistencies, one a line.
///
/// Errors: there are some, or the folder cannot be read.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let shown = folder.display();
    let encryption = encryption::resolve(&Env::of_process())?;
    let found = inspect(folder, &encryption);
    let mut findings = found.with_context(|| format!("{shown} cannot be looked over"))?;
    findings.extend(KeyFile::of(folder).list().err().map(|error| error.to_string()));
    for finding in &findings {
        say(format!("{}\n", finding.trim_end()));
    }
    match findings.len() {
        0 => say(format!("{shown}: sound\n")),
        1 => bail!("{shown}: 1 inconsistency"),
        count => bail!("{shown}: {count} inconsistencies"),
    }
    Ok(())
}
