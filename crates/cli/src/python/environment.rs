//! An environment of our own for a project whose needs are not met elsewhere.
//!
//! It lives in the data folder, so that the project's and the system's environments stay as their owners left them. A
//! stamp, written last, says what it was made for: while that stays the same, nothing is checked and nothing is run.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use uuid::Uuid;

use super::{Interpreter, find::Candidate, needs::Needs};

/// What an environment was made for.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Stamp {
    /// Interpreter it is based on.
    base: PathBuf,
    /// Of the needs it meets; `None` while they are being installed.
    fingerprint: Option<Uuid>,
}

/// An environment of our own, made or not.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Where it is or will be.
    pub(crate) directory: PathBuf,
    wanted: Stamp,
}

impl Environment {
    /// The environment in a data folder, as it should be for the given interpreter and needs.
    pub(crate) fn new(
        data_dir: &Path,
        base: &Candidate,
        needs: &Needs,
        sources: &[PathBuf],
    ) -> Self {
        let fingerprint = Some(fingerprint(base, needs, sources));
        Self {
            directory: data_dir.join("python"),
            wanted: Stamp { base: base.path.clone(), fingerprint },
        }
    }

    /// The interpreter inside.
    pub(crate) fn interpreter(&self) -> Interpreter {
        Interpreter { path: self.python(), langgraph: self.version_of("langgraph") }
    }

    fn python(&self) -> PathBuf {
        self.directory.join("bin/python")
    }

    /// Version of an installed package, by the name of its folder, so that no interpreter has to be started for it.
    fn version_of(&self, package: &str) -> Option<String> {
        let list =
            |directory: PathBuf| std::fs::read_dir(directory).into_iter().flatten().flatten();
        list(self.directory.join("lib"))
            .flat_map(|library| list(library.path().join("site-packages")))
            .find_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let version = name.strip_prefix(package)?.strip_prefix('-')?;
                version.strip_suffix(".dist-info").map(str::to_owned)
            })
    }

    /// Whether it is there and meets the needs.
    pub(crate) fn is_current(&self) -> bool {
        self.stamp().as_ref() == Some(&self.wanted) && self.python().is_file()
    }

    /// Makes it or brings it up to date. Progress goes to stderr.
    ///
    /// Errors: text that says which step failed.
    pub(crate) async fn install(&self, needs: &Needs, project: &Path) -> Result<(), String> {
        let based_here = self.stamp().is_some_and(|stamp| stamp.base == self.wanted.base);
        if !(based_here && self.python().is_file()) {
            let venv = ["-m", "venv", "--clear"].map(OsStr::new);
            let program = &self.wanted.base;
            run(program, venv.into_iter().chain([self.directory.as_os_str()]), project)
                .await
                .map_err(|error| format!("'{} -m venv' {error}", program.display()))?;
        }
        self.write_stamp(None)?;
        let pip =
            ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"].map(OsStr::new);
        let mut arguments: Vec<&OsStr> = pip.to_vec();
        arguments.extend(needs.requirements.iter().map(OsStr::new));
        arguments.extend(needs.files.iter().flat_map(|file| [OsStr::new("-r"), file.as_os_str()]));
        arguments.extend(needs.packages.iter().flat_map(|dir| [OsStr::new("-e"), dir.as_os_str()]));
        run(&self.python(), arguments, project).await.map_err(|error| format!("pip {error}"))?;
        // Workers then start from compiled files, whatever the environment says about writing them. Files that do not
        // compile (templates, tests of syntax errors) are the packages' own business.
        let compile = ["-m", "compileall", "-q", "-j", "0"].map(OsStr::new);
        let library = self.directory.join("lib");
        if let Err(error) =
            run(&self.python(), compile.into_iter().chain([library.as_os_str()]), project).await
        {
            tracing::debug!("compiling the installed packages: compileall {error}");
        }
        self.write_stamp(self.wanted.fingerprint)
    }

    fn stamp_file(&self) -> PathBuf {
        self.directory.join("agent-server.json")
    }

    fn stamp(&self) -> Option<Stamp> {
        serde_json::from_slice(&std::fs::read(self.stamp_file()).ok()?).ok()
    }

    fn write_stamp(&self, fingerprint: Option<Uuid>) -> Result<(), String> {
        let stamp = Stamp { base: self.wanted.base.clone(), fingerprint };
        let text = serde_json::to_vec(&stamp).map_err(|error| error.to_string())?;
        let path = self.stamp_file();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Names everything that the contents of an environment follow from.
fn fingerprint(base: &Candidate, needs: &Needs, sources: &[PathBuf]) -> Uuid {
    let mut text = format!("{}\n{needs:?}\n", base.path.display());
    // Somebody may have installed into the base what was missing; then it is to be checked again.
    if let Some(environment) = &base.environment {
        let libraries = std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
        for library in libraries {
            let changed = std::fs::metadata(library.path().join("site-packages"))
                .and_then(|metadata| metadata.modified());
            text += &format!("{:?} {changed:?}\n", library.file_name());
        }
    }
    for source in needs.files.iter().chain(sources) {
        let content = std::fs::read_to_string(source).ok();
        text += &format!("{} {content:?}\n", source.display());
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

/// Runs a step of an installation, visibly.
async fn run<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    directory: &Path,
) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .env_remove("PYTHONHOME")
        .stdin(Stdio::null())
        // stdout is for the banner.
        .stdout(Stdio::from(std::io::stderr()))
        .kill_on_drop(true)
        .status()
        .await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status}")),
        Err(error) => Err(format!("could not be started: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_current_until_something_it_follows_from_changes() {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("requirements.txt");
        std::fs::write(&requirements, "orjson\n").unwrap();
        let base = Candidate { path: "/usr/bin/python3".into(), environment: None };
        let needs = Needs { files: vec![requirements.clone()], ..Needs::default() };
        let environment = || Environment::new(folder.path(), &base, &needs, &[]);

        assert!(!environment().is_current());
        std::fs::create_dir_all(folder.path().join("python/bin")).unwrap();
        std::fs::write(environment().python(), "").unwrap();
        let now = environment();
        now.write_stamp(None).unwrap();
        assert!(!environment().is_current(), "half made");
        now.write_stamp(now.wanted.fingerprint).unwrap();
        assert!(environment().is_current());
        std::fs::write(&requirements, "orjson\nhttpx\n").unwrap();
        assert!(!environment().is_current());
    }
}
