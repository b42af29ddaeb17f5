//! `cargo xtask env`: the interpreters' environments that tests need, pinned and built under `target/`.
//!
//! * `target/python/venv`: a virtual environment with `tests/python/requirements.txt`, compiled to byte code, because
//!   importing the graph library takes half a minute otherwise;
//! * `target/python/a2a-v1/venv`: likewise with `tests/python/a2a-v1.txt`, for the client of the newer A2A dialect, whose
//!   package has the name of the older one;
//! * `target/js`: a copy of `tests/js/package.json` and its lock file with their `node_modules`. `target/js/tests` is a
//!   link to `tests/js`: run tests through it with `NODE_OPTIONS="--preserve-symlinks --preserve-symlinks-main"`, and they
//!   find the packages.
//!
//! `target/python/fuzz/venv`, with Schemathesis, is made by `cargo xtask conformance --fuzz` alone.
//!
//! A stamp beside each says what it was made from, so that the second call does nothing.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{files, process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Interpreter that the Python environment is made with
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: String,
    /// Only the environment of this language
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) only: Option<Language>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    Python,
    Js,
}

/// Interpreter of the Python environment.
pub(crate) fn python() -> PathBuf {
    files::at("target/python/venv/bin/python")
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.only != Some(Language::Js) {
        fill_python(&arguments.python).context("the Python environment could not be made")?;
    }
    if arguments.only != Some(Language::Python) {
        fill_js().context("the JavaScript environment could not be made")?;
    }
    Ok(())
}

/// The program `schemathesis`, in an environment that is made when it is asked for.
pub(crate) fn schemathesis(interpreter: &str) -> Result<PathBuf> {
    fill_venv(interpreter, "tests/fuzz/requirements.txt", "target/python/fuzz", "venv")?;
    Ok(files::at("target/python/fuzz/venv/bin/schemathesis"))
}

fn fill_python(interpreter: &str) -> Result<()> {
    fill_venv(interpreter, "tests/python/requirements.txt", "target/python", "venv")?;
    fill_venv(interpreter, "tests/python/a2a-v1.txt", "target/python/a2a-v1", "venv")
}

/// Makes the environment `folder/name` with what a list names.
fn fill_venv(interpreter: &str, list: &str, folder: &str, name: &str) -> Result<()> {
    let requirements = files::at(list);
    let version = process::output(process::command(interpreter, ["--version"])).context(
        "Python 3.11 or newer is needed; name it with `cargo xtask env --python PROGRAM`",
    )?;
    let (stamp, shown) = (format!("{folder}/stamp"), format!("{folder}/{name}"));
    let stamp = Stamp::new(&stamp, &[&files::read(&requirements)?, &version]);
    let venv = files::at(&shown);
    let python = venv.join("bin/python");
    if stamp.is_current() && python.exists() {
        println!("{shown} is up to date.");
        return Ok(());
    }
    println!("{shown}: {} with {} …", version.trim(), files::shown(&requirements));
    // Made anew: what an older list brought must not stay.
    process::run(process::command(interpreter, ["-m", "venv", "--clear"]).with(&venv))
        .context("on Debian and its relatives `python3 -m venv` needs the package python3-venv")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    process::run(process::command(&python, quiet).with(&requirements))
        .context("pip could not install what the tests need; is a package index reachable?")?;
    println!("{shown}: compiling to byte code …");
    let compile = ["-m", "compileall", "-q", "-j", "0"];
    let mut command = process::command(&python, compile).with(&venv.join("lib"));
    command.env_remove("PYTHONDONTWRITEBYTECODE");
    // Some packages ship templates that are no valid Python; they are never imported.
    let _ = command.output().context("compileall")?;
    stamp.write()
}

fn fill_js() -> Result<()> {
    let source = files::at("tests/js");
    let target = files::at("target/js");
    let copied = ["package.json", "package-lock.json", ".npmrc"];
    let version = process::output(process::command("node", ["--version"]))
        .context("Node.js 20 or newer with npm is needed")?;
    let lock = files::read(&source.join("package-lock.json"))?;
    let package = files::read(&source.join("package.json"))?;
    let stamp = Stamp::new("target/js/stamp", &[&package, &lock, &version]);
    if stamp.is_current() && target.join("node_modules").exists() {
        println!("target/js is up to date.");
        return Ok(());
    }
    println!("target/js: node {} with tests/js/package-lock.json …", version.trim());
    for name in copied {
        let text = files::read(&source.join(name))?;
        files::write(&target.join(name), &text)?;
    }
    let mut install =
        process::command("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    install.current_dir(&target);
    process::run(install)
        .context("npm could not install what the tests need; is a package registry reachable?")?;
    link(&source, &target.join("tests"))?;
    stamp.write()
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if at.exists() {
        return Ok(());
    }
    std::os::unix::fs::symlink(to, at).with_context(|| files::shown(at))
}

/// Says what an environment was made from.
struct Stamp {
    path: PathBuf,
    text: String,
}

impl Stamp {
    fn new(path: &str, made_from: &[&str]) -> Self {
        let mut hasher = DefaultHasher::new();
        made_from.hash(&mut hasher);
        Self { path: files::at(path), text: format!("{:016x}\n", hasher.finish()) }
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }

    fn write(&self) -> Result<()> {
        files::write(&self.path, &self.text)
    }
}

/// A command with one more argument, a path.
trait With {
    fn with(self, path: &Path) -> Self;
}

impl With for Command {
    fn with(mut self, path: &Path) -> Self {
        self.arg(path);
        self
    }
}
