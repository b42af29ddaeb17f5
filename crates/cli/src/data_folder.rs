//! The data folder, made by whoever needs it first.

use std::path::Path;

use anyhow::Context as _;

use crate::refusal::Result;

/// Makes the folder if it is not there.
///
/// Errors: it cannot be made.
pub(crate) fn make(folder: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    // Data do not belong into a repository; who wants them there removes the file.
    let ignore = folder.join(".gitignore");
    if let Err(error) = std::fs::write(&ignore, "*\n") {
        tracing::debug!("{}: {error}", ignore.display());
    }
    Ok(())
}
