//! Looking files over before anything is loaded from them.

use std::{
    collections::BTreeSet,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::run;

/// Program that prints the first error of files that stdin names.
const PROGRAM: &str = include_str!("syntax.py");

/// The first error of syntax in files, with its place. What is no file, or is gone, has none.
pub(crate) async fn syntax_error(python: &Path, files: &BTreeSet<PathBuf>) -> Option<String> {
    let names: Vec<_> = files.iter().map(|file| file.as_os_str().as_bytes()).collect();
    // Isolated and without packages: the standard library is all it takes.
    let output = run(python, &["-I", "-S", "-c", PROGRAM], None, &names.join(&0)).await;
    // An interpreter that does not work says so when graphs are loaded.
    let text = String::from_utf8_lossy(&output.ok()?.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
