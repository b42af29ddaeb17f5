//! `cargo xtask spec`: looking at the API document.

use std::path::{Path, PathBuf};

use agent_server_codegen::{Document, diff::Report};
use anyhow::Result;
use clap::Subcommand;

use crate::{files, process};

/// Name of the document, in the root of the workspace.
pub(crate) const NAME: &str = "openapi.json";

/// What to look at.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// What another document (a newer one of upstream, say) adds, changes and removes, and which of that breaks clients
    Diff {
        /// The other document
        other: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Diff { other } = command;
    let report = ours()?.diff(&Document::load(other)?);
    tell(&report, &other.display().to_string(), NAME);
    Ok(())
}

/// The document of this workspace.
pub(crate) fn ours() -> Result<Document> {
    Ok(Document::load(&files::at(Path::new(NAME)))?)
}

/// The document of the last commit, if it can be had.
pub(crate) fn committed() -> Option<Document> {
    let show = process::command("git", ["show", &format!("HEAD:{NAME}")]);
    Document::parse(&process::output(show).ok()?).ok()
}

/// Prints what `newer` changes compared with `older`.
pub(crate) fn tell(report: &Report, newer: &str, older: &str) {
    if report.changes.is_empty() {
        println!("{newer} describes the same API as {older}.");
        return;
    }
    println!("What {newer} changes compared with {older}:");
    print!("{report}");
    if report.is_breaking() {
        println!("Clients of {older} can fail.");
    }
}
