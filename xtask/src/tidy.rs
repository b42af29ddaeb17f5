//! `cargo xtask tidy`: the rules of the house that neither compiler nor clippy checks. Each failure explains itself.

mod dependencies;
mod sources;

use anyhow::{Result, bail};

use crate::process;

pub(crate) fn run() -> Result<()> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = process::output(process::command("git", listed))?;
    // A file that was deleted but not yet committed is still listed.
    let files: Vec<&str> = listed.lines().filter(|path| crate::files::at(path).is_file()).collect();
    let found = sources::check(&files)?;
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    let mut problems = found.problems;
    problems.extend(dependencies::check()?);
    match problems.is_empty() {
        true => {
            println!("{} files are tidy.", files.len());
            Ok(())
        }
        false => bail!("{} rules are broken:\n  {}", problems.len(), problems.join("\n  ")),
    }
}
