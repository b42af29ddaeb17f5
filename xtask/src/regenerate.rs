//! `cargo xtask regenerate`: what follows from openapi.json is made to follow from it.
//!
//! Rust that is compiled goes to `OUT_DIR` through the root build script and cannot be stale; this command writes what
//! is read by people and committed. A generator is one line of [`GENERATORS`].

mod reference;

use std::{fs, path::PathBuf};

use agent_server_codegen::Document;
use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{files, spec};

/// The command that repairs whatever this one finds stale.
const REPAIR: &str = "cargo xtask regenerate";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail if something would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Also write the Rust text that the compiler sees to target/generated/
    #[arg(long, value_name = "CRATE")]
    pub(crate) print: Option<Print>,
}

/// Crates whose text is generated when they are built.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Print {
    Client,
    Api,
}

/// Path (from the generator's folder, or the root) and text.
type File = (String, String);

/// Makes committed files from the document.
struct Generator {
    name: &'static str,
    /// Folder that holds nothing but its files; leftovers in it are removed. `None` for single files elsewhere.
    folder: Option<&'static str>,
    files: fn(&Document) -> Result<Vec<File>>,
}

const GENERATORS: &[Generator] = &[
    Generator {
        name: "conformance cases",
        folder: Some("crates/conformance/tests/generated"),
        files: |document| Ok(agent_server_codegen::conformance(document.value())?),
    },
    Generator { name: "reference page of operations", folder: None, files: reference::operations },
    Generator {
        name: "reference page of configuration",
        folder: None,
        files: |_| reference::configuration(),
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let document = spec::ours()?;
    let problems: Vec<_> =
        document.validate().into_iter().map(|problem| format!("\n  {problem}")).collect();
    if !problems.is_empty() {
        bail!("{} is not usable:{}", spec::NAME, problems.concat());
    }
    let mut stale = vec![];
    let path = files::at(spec::NAME);
    let text = files::read(&path)?;
    settle(arguments.check, path, &text, &document.format(), &mut stale)?;
    if let Some(print) = arguments.print {
        let (name, text) = match print {
            Print::Client => {
                ("client.rs", agent_server_codegen::generate_client(document.value())?)
            }
            Print::Api => ("api.rs", agent_server_codegen::generate_api(document.value())?),
        };
        let path = files::at("target/generated").join(name);
        files::write(&path, &text)?;
        println!("Wrote {}.", files::shown(&path));
    }
    for generator in GENERATORS {
        let made = (generator.files)(&document)?;
        let folder = files::at(generator.folder.unwrap_or_default());
        for (name, text) in &made {
            let path = folder.join(name);
            let old = if path.exists() { files::read(&path)? } else { String::new() };
            settle(arguments.check, path, &old, text, &mut stale)?;
        }
        if generator.folder.is_some() {
            remove_leftovers(arguments.check, &folder, &made, &mut stale)?;
        }
        println!("{}: {} files", generator.name, made.len());
    }
    if let Some(committed) = spec::committed() {
        spec::tell(&committed.diff(&document), spec::NAME, "the last commit");
    }
    match stale.is_empty() {
        true => Ok(()),
        false => bail!("not up to date:\n{}\nrun `{REPAIR}`", stale.join("\n")),
    }
}

/// Writes the text, or notes that it would change.
fn settle(check: bool, path: PathBuf, old: &str, new: &str, stale: &mut Vec<String>) -> Result<()> {
    if old == new {
        return Ok(());
    }
    if check {
        stale.push(format!("{}\n{}", files::shown(&path), first_difference(old, new)));
        return Ok(());
    }
    files::write(&path, new)?;
    println!("Wrote {}.", files::shown(&path));
    Ok(())
}

/// Files of tags that are gone.
fn remove_leftovers(
    check: bool,
    folder: &std::path::Path,
    made: &[File],
    stale: &mut Vec<String>,
) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if made.iter().any(|(made, _)| *made == name) {
            continue;
        }
        if check {
            stale.push(format!("{}\n  nothing makes it any more", files::shown(&entry.path())));
        } else {
            fs::remove_file(entry.path())?;
            println!("Removed {}.", files::shown(&entry.path()));
        }
    }
    Ok(())
}

/// The first lines that differ.
fn first_difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let hunk = |sign: char, lines: &[&str]| -> String {
        let shown = lines.iter().skip(same).take(3);
        // Lines of generated data can be very long.
        shown.map(|line| format!("  {sign} {:.160}\n", line)).collect()
    };
    format!("  line {}:\n{}{}", same + 1, hunk('-', &old), hunk('+', &new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), "  line 2:\n  - b\n  + c\n");
        assert_eq!(first_difference("a\n", "a\nb\n"), "  line 2:\n  + b\n");
    }
}
