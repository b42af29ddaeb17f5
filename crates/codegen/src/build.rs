//! What the root build script does for the crate that it is run for.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Error, generate_api, generate_client, read_document};

/// Finds `openapi.json`, generates the module of the package being built and writes it to `OUT_DIR`.
///
/// # Errors
/// A sentence that names what is wrong with the document, or which file could not be read or written.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is how cargo speaks to a build script"
)]
pub fn build_main() -> Result<(), Error> {
    let variable = |name: &str| {
        env::var(name).map_err(|_| Error::new(format!("{name} is not set: cargo runs this script")))
    };
    let document_path = find_document(Path::new(&variable("CARGO_MANIFEST_DIR")?))?;
    print_line(&format!("cargo::rerun-if-changed={}", document_path.display()));
    let document = read_document(&document_path)?;
    let (file, text) = match variable("CARGO_PKG_NAME")?.as_str() {
        "agent-server-client" => ("client.rs", generate_client(&document)?),
        "agent-server-api" => ("api.rs", generate_api(&document)?),
        other => return Err(Error::new(format!("nothing is generated for package {other}"))),
    };
    write_if_changed(&Path::new(&variable("OUT_DIR")?).join(file), &text)
}

fn find_document(from: &Path) -> Result<PathBuf, Error> {
    from.ancestors()
        .map(|folder| folder.join("openapi.json"))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::new(format!("no openapi.json above {}", from.display())))
}

/// An unchanged file keeps its time, so that nothing is compiled again for nothing.
fn write_if_changed(path: &Path, text: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

#[expect(clippy::print_stdout, reason = "cargo reads a build script's standard output")]
fn print_line(line: &str) {
    println!("{line}");
}
