//! `cargo xtask spec`: looking at the API document.

mod deliberate;

use std::path::{Path, PathBuf};

use agent_server_codegen::{Document, diff::Report};
use anyhow::Result;
use clap::Subcommand;

use crate::{files, process};
use deliberate::Deliberate;

/// Name of the document, in the root of the workspace.
pub(crate) const NAME: &str = "openapi.json";

/// What to look at.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// What another document (a newer one of upstream, say) adds, changes and removes, and which of that breaks clients
    Diff {
        /// The other document
        other: PathBuf,
        /// Show deliberate differences too (those of operations that are ours alone, and of xtask/src/spec/deliberate.json)
        #[arg(long)]
        all: bool,
    },
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Diff { other, all } = command;
    let ours = ours()?;
    let report = ours.diff(&Document::load(other)?);
    if *all {
        tell(&report, &other.display().to_string(), NAME);
        return Ok(());
    }
    let deliberate = Deliberate::of(&ours)?;
    let stale: Vec<_> = deliberate.stale(&report.changes).collect();
    let known = report.changes.iter().filter(|change| deliberate.has(change)).count();
    tell(&report.without(|change| deliberate.has(change)), &other.display().to_string(), NAME);
    if known > 0 {
        println!("Left out: {known} deliberate differences; --all shows them.");
    }
    if !stale.is_empty() {
        println!("Deliberate differences that are none with this document ({}):", stale.len());
        stale.iter().for_each(|entry| println!("        {entry}"));
    }
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
