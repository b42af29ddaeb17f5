//! What may not stand in files.

use std::path::Path;

use anyhow::Result;

use crate::files;

/// Lines after which a file deserves the question what the second file would be called.
const MANY_LINES: usize = 500;

/// Kinds of files that are read.
const TEXT: [&str; 14] = [
    "rs", "toml", "md", "json", "py", "js", "mjs", "ts", "sql", "yml", "yaml", "html", "txt", "sh",
];

/// What is forbidden where, and why. The texts are put together so that this file does not break its own rules.
struct Ban {
    text: &'static str,
    /// Extensions it is forbidden in; empty for all.
    only: &'static [&'static str],
    why: &'static str,
}

const BANS: [Ban; 11] = [
    Ban {
        text: concat!("todo", "!("),
        only: &["rs"],
        why: "finish it, or answer 501 and list it as not implemented",
    },
    Ban {
        text: concat!("unimplemented", "!("),
        only: &["rs"],
        why: "finish it, or answer 501 and list it as not implemented",
    },
    Ban {
        text: concat!("#[ign", "ore"),
        only: &["rs"],
        why: "assert today's behaviour, or delete the test",
    },
    Ban {
        text: concat!("FIX", "ME"),
        only: &[],
        why: "fix it, or write what is missing and when it can be removed",
    },
    Ban {
        text: concat!("XX", "X "),
        only: &[],
        why: "fix it, or write what is missing and when it can be removed",
    },
    Ban { text: concat!("/ro", "ot/"), only: &[], why: "a path of one machine" },
    Ban { text: concat!("/wo", "rk/"), only: &[], why: "a path of one machine" },
    Ban { text: concat!("/Us", "ers/"), only: &[], why: "a path of one machine" },
    Ban {
        text: concat!("\"reso", "lved\":"),
        only: &["json"],
        why: "a lock file names no registry: keep omit-lockfile-registry-resolved in .npmrc",
    },
    Ban {
        text: concat!("--index", "-url"),
        only: &["txt", "toml"],
        why: "which registry is used is the machine's business",
    },
    Ban {
        text: concat!("--extra", "-index"),
        only: &["txt", "toml"],
        why: "which registry is used is the machine's business",
    },
];

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Reads the files, given by their paths from the root.
pub(super) fn check(paths: &[&str]) -> Result<Found> {
    let mut found = Found::default();
    for path in paths.iter().filter(|path| TEXT.contains(&extension(path))) {
        check_text(path, &files::read(&files::at(path))?, &mut found);
    }
    for path in paths.iter().filter(|path| path.ends_with("Cargo.toml") && path.contains('/')) {
        let text = files::read(&files::at(path))?;
        for line in ["[lints]\nworkspace = true", "license.workspace = true"] {
            if !text.contains(line) {
                found.problems.push(format!("{path}: `{}` is missing", line.replace('\n', " ")));
            }
        }
    }
    Ok(found)
}

fn extension(path: &str) -> &str {
    Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn check_text(path: &str, text: &str, found: &mut Found) {
    let kind = extension(path);
    for (index, line) in text.lines().enumerate() {
        for ban in &BANS {
            if line.contains(ban.text) && (ban.only.is_empty() || ban.only.contains(&kind)) {
                let number = index + 1;
                found.problems.push(format!("{path}:{number}: `{}`: {}", ban.text, ban.why));
            }
        }
    }
    let makes_scopes = concat!("Scope", "::");
    if path.starts_with("crates/server/src/") && text.contains(makes_scopes) {
        found.problems.push(format!(
            "{path}: `{makes_scopes}`: what a request may touch is found out with `Access`, and not said by a handler"
        ));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.problems.push(format!("{path}: no newline at the end"));
    }
    let generated = path.contains("/generated/");
    if kind != "rs" || generated {
        return;
    }
    let in_sources = path.contains("/src/") || path == "build.rs";
    let tests = path.contains("/tests/") || path.ends_with("tests.rs");
    if in_sources && !tests && !text.starts_with("//!") {
        found.problems.push(format!(
            "{path}: a module opens with `//!`: what lives here, what may not, where to read next"
        ));
    }
    let lines = text.lines().count();
    if lines > MANY_LINES {
        found
            .warnings
            .push(format!("{path} has {lines} lines: what would the second file be called?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        let mut found = Found::default();
        check_text(path, text, &mut found);
        found.problems
    }

    #[test]
    fn broken_rules_are_told_with_their_place() {
        let unfinished = format!("//! Module.\n{}", concat!("fn f() { todo", "!() }\n"));
        assert!(problems("crates/a/src/b.rs", &unfinished)[0].starts_with("crates/a/src/b.rs:2:"));
        assert!(problems("crates/a/src/b.rs", "fn f() {}\n")[0].contains("opens with"));
        assert!(problems("README.md", "no newline")[0].contains("newline"));
        assert_eq!(problems("crates/a/tests/b.rs", "fn f() {}\n"), [""; 0]);
        let scope = format!("//! Module.\n{}", concat!("Scope", "::open()\n"));
        assert!(problems("crates/server/src/api/a.rs", &scope)[0].contains("Access"));
        assert_eq!(problems("crates/domain/src/a.rs", &scope), [""; 0]);
        assert_eq!(problems("notes.md", concat!("todo", "!() is Rust\n")), [""; 0]);
    }
}
