//! Which interpreter a project means.

use std::path::{Path, PathBuf};

use crate::env::{self, Env};

/// An interpreter, not yet known to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Path of the program.
    pub(crate) path: PathBuf,
    /// The virtual environment it belongs to, if it is known to be one.
    pub(crate) environment: Option<PathBuf>,
}

/// Finds the interpreter: the one asked for and no other, else the first that is there of the active virtual environment,
/// the project's `.venv` and `python3` on the search path.
///
/// Errors: text that names everything tried.
pub(crate) fn find(asked: Option<&Path>, project: &Path, env: &Env) -> Result<Candidate, String> {
    let search = env.get(env::PATH).unwrap_or_default();
    if let Some(asked) = asked {
        return if asked.components().count() == 1 && !asked.exists() {
            on_path(search, asked).ok_or_else(|| {
                format!("no Python interpreter: there is no '{}' on PATH", asked.display())
            })
        } else {
            // Workers are started in the project's folder: a relative path means the caller's.
            let absolute = std::path::absolute(asked).unwrap_or_else(|_| asked.to_owned());
            in_place(&absolute).ok_or_else(|| {
                format!("no Python interpreter: there is none at {}", asked.display())
            })
        };
    }
    let mut tried = Vec::new();
    if let Some(active) = env.get(env::VIRTUAL_ENV) {
        if let Some(found) = in_place(Path::new(active)) {
            return Ok(found);
        }
        tried.push(format!("{active} (active environment)"));
    }
    let venv = project.join(".venv");
    if let Some(found) = in_place(&venv) {
        return Ok(found);
    }
    tried.push(venv.display().to_string());
    if let Some(found) = on_path(search, Path::new("python3")) {
        return Ok(found);
    }
    tried.push("python3 on PATH".into());
    Err(format!("no Python interpreter found; tried {}; name one with --python", tried.join(", ")))
}

/// The interpreter at a path, which may be its own or its environment's.
fn in_place(path: &Path) -> Option<Candidate> {
    if path.is_dir() {
        let program = ["bin/python3", "bin/python"].map(|name| path.join(name));
        let program = program.into_iter().find(|program| program.is_file())?;
        let environment = path.join("pyvenv.cfg").is_file().then(|| path.to_owned());
        return Some(Candidate { path: program, environment });
    }
    if !path.is_file() {
        return None;
    }
    let environment = path.parent().and_then(Path::parent);
    let environment =
        environment.filter(|dir| dir.join("pyvenv.cfg").is_file()).map(Path::to_owned);
    Some(Candidate { path: path.to_owned(), environment })
}

fn on_path(search: &str, name: &Path) -> Option<Candidate> {
    std::env::split_paths(search).map(|dir| dir.join(name)).find_map(|path| in_place(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with the named environments and a `bin` that holds a python3.
    fn folder(environments: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let touch = |path: PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for name in environments {
            touch(folder.path().join(name).join("pyvenv.cfg"));
            touch(folder.path().join(name).join("bin/python"));
        }
        touch(folder.path().join("bin/python3"));
        folder
    }

    #[test]
    fn active_environment_comes_before_the_projects_before_the_path() {
        let folder = folder(&["active", ".venv"]);
        let at = |path: &str| folder.path().join(path);
        let env = |active: &str| {
            Env::from_pairs([
                ("VIRTUAL_ENV".into(), active.to_owned()),
                ("PATH".into(), at("bin").display().to_string()),
            ])
        };
        let active = env(&at("active").display().to_string());
        let found = find(None, folder.path(), &active).unwrap();
        assert_eq!(found.path, at("active/bin/python"));
        assert_eq!(found.environment, Some(at("active")));
        assert_eq!(find(None, folder.path(), &env("")).unwrap().path, at(".venv/bin/python"));
        let found = find(None, Path::new("/nowhere"), &env("/gone")).unwrap();
        assert_eq!(found, Candidate { path: at("bin/python3"), environment: None });
    }

    #[test]
    fn what_was_asked_for_may_be_a_program_an_environment_or_a_name() {
        let folder = folder(&["venv"]);
        let env =
            Env::from_pairs([("PATH".into(), folder.path().join("bin").display().to_string())]);
        let check = |asked: &Path| find(Some(asked), folder.path(), &env);
        let program = folder.path().join("venv/bin/python");
        assert_eq!(check(&folder.path().join("venv")).unwrap().path, program);
        assert_eq!(check(&program).unwrap().environment, Some(folder.path().join("venv")));
        assert_eq!(check(Path::new("python3")).unwrap().path, folder.path().join("bin/python3"));
        let error = check(Path::new("python4")).unwrap_err();
        assert_eq!(error, "no Python interpreter: there is no 'python4' on PATH");
        assert!(check(Path::new("/gone/python")).is_err());
    }

    #[test]
    fn everything_tried_is_named() {
        let env = Env::from_pairs([("VIRTUAL_ENV".into(), "/gone".into())]);
        let error = find(None, Path::new("/p"), &env).unwrap_err();
        assert_eq!(
            error,
            "no Python interpreter found; tried /gone (active environment), /p/.venv, python3 on PATH; \
             name one with --python"
        );
    }
}
