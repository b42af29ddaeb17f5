//! `cargo xtask assets`: the third-party files in `crates/server/assets`, fetched, checked, compressed.
//!
//! They are committed, so that nothing is downloaded when the server is built. Run it after a change of [`VERSION`].

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{files, process};

/// The package of the API reference: Swagger UI, Apache-2.0.
const PACKAGE: &str = "swagger-ui-dist";
/// Its version.
const VERSION: &str = "5.35.0";
/// Checksum of the package's archive, as the registry writes it.
const INTEGRITY: &str = "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==";

/// Where they go.
const FOLDER: &str = "crates/server/assets/swagger-ui";
/// Files that are served, and so compressed.
const SERVED: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];
/// Files that say whose work it is.
const LICENCES: [&str; 3] = ["LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"];

pub(crate) fn run() -> Result<()> {
    let scratch = files::at("target/assets");
    fs::create_dir_all(&scratch)?;
    let package = format!("{PACKAGE}@{VERSION}");
    let mut pack = process::command("npm", ["pack", "--json", &package]);
    pack.current_dir(&scratch);
    let packed: Value = serde_json::from_str(&process::output(pack)?).context("npm pack")?;
    let found = packed[0]["integrity"].as_str().unwrap_or_default();
    ensure!(found == INTEGRITY, "{package} is {found}, not {INTEGRITY}");
    let archive = packed[0]["filename"].as_str().context("npm pack names no file")?;
    let mut unpack = process::command("tar", ["xzf", archive]);
    unpack.current_dir(&scratch);
    process::run(unpack)?;

    let (from, folder) = (scratch.join("package"), files::at(FOLDER));
    fs::create_dir_all(&folder)?;
    for name in LICENCES {
        let mut text = files::read(&from.join(name))?.trim_end().to_owned();
        text.push('\n');
        files::write(&folder.join(name), &text)?;
    }
    for name in SERVED {
        compress(&from.join(name), &folder.join(format!("{name}.gz")))?;
    }
    println!("{package} is in {FOLDER}.");
    Ok(())
}

/// Without name and time of the file, so that the same version makes the same bytes.
fn compress(from: &Path, to: &Path) -> Result<()> {
    let mut gzip = process::command("gzip", ["--best", "--no-name", "--stdout"]);
    gzip.arg(from).stdout(fs::File::create(to)?);
    process::run(gzip)
}
