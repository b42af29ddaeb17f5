//! What a project needs to be installed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    config::project::Project,
    refusal::{Refusal, Result},
};

/// What a project needs to be installed. Its own code is not installed where that can be helped: its directories are put
/// on the import path, as the upstream tools do in development, which no build can break.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Needs {
    /// Requirements as pip understands them.
    pub(crate) requirements: Vec<String>,
    /// Requirement files.
    pub(crate) files: Vec<PathBuf>,
    /// Packages whose requirements only their own build knows; they are installed in place.
    pub(crate) packages: Vec<PathBuf>,
}

impl Needs {
    /// Collects what the project's dependencies ask for, and the graph library.
    ///
    /// Errors: a refusal if a pyproject.toml cannot be read.
    pub(crate) fn of(project: &Project) -> Result<Self> {
        let mut needs = Self { requirements: vec!["langgraph".into()], ..Self::default() };
        for package in &project.packages {
            needs.add_package(package)?;
        }
        needs.requirements.extend(project.requirements.iter().cloned());
        Ok(needs)
    }

    fn add_package(&mut self, package: &Path) -> Result<()> {
        let pyproject = package.join("pyproject.toml");
        if pyproject.is_file() {
            let table = read_toml(&pyproject)?;
            match declared(&table) {
                Declared::Requirements(requirements) => self.requirements.extend(requirements),
                Declared::ByBuild => self.packages.push(package.into()),
                Declared::Nothing => {}
            }
        } else if package.join("setup.py").is_file() {
            self.packages.push(package.into());
        } else if package.join("requirements.txt").is_file() {
            self.files.push(package.join("requirements.txt"));
        }
        Ok(())
    }

    /// Files that these needs were or will be read from: when one changes, so may the needs.
    pub(crate) fn sources(project: &Project) -> Vec<PathBuf> {
        let names = ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"];
        let packages = project.packages.iter();
        packages.flat_map(|package| names.map(|name| package.join(name))).collect()
    }
}

enum Declared {
    Requirements(Vec<String>),
    /// Another tool's table, or computed while building.
    ByBuild,
    Nothing,
}

fn declared(pyproject: &toml::Table) -> Declared {
    let Some(project) = pyproject.get("project").and_then(toml::Value::as_table) else {
        let builds = pyproject.contains_key("build-system");
        return if builds { Declared::ByBuild } else { Declared::Nothing };
    };
    let strings = |key: &str| {
        let array = project.get(key).and_then(toml::Value::as_array);
        array.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect()
    };
    let dynamic: Vec<String> = strings("dynamic");
    if dynamic.iter().any(|key| key == "dependencies") {
        return Declared::ByBuild;
    }
    Declared::Requirements(strings("dependencies"))
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Refusal::usage(format!("{place}: {error}")))?;
    text.parse().map_err(|error: toml::de::Error| {
        Refusal::usage(format!("{place}: {}", error.to_string().trim_end())).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs of a project with one package that holds these files.
    fn check(files: &[(&str, &str)], expect: impl Fn(&Path, &mut Needs)) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let project = Project {
            packages: vec![folder.path().into()],
            requirements: vec!["httpx".into()],
            ..Project::default()
        };
        let mut expected = Needs::default();
        expected.requirements.push("langgraph".into());
        expect(folder.path(), &mut expected);
        expected.requirements.push("httpx".into());
        assert_eq!(Needs::of(&project).unwrap(), expected, "{files:?}");
    }

    #[test]
    fn requirements_come_from_the_first_file_that_declares_them() {
        check(&[], |_, _| {});
        let pyproject = "[project]\nname = 'x'\ndependencies = ['orjson>=3']\n";
        check(&[("pyproject.toml", pyproject), ("requirements.txt", "nope")], |_, needs| {
            needs.requirements.push("orjson>=3".into());
        });
        check(&[("requirements.txt", "orjson")], |folder, needs| {
            needs.files.push(folder.join("requirements.txt"));
        });
    }

    #[test]
    fn packages_that_only_a_build_understands_are_installed_in_place() {
        for (name, text) in [
            ("setup.py", ""),
            ("pyproject.toml", "[tool.poetry]\n[build-system]\n"),
            ("pyproject.toml", "[project]\ndynamic = ['dependencies']\n"),
        ] {
            check(&[(name, text)], |folder, needs| needs.packages.push(folder.into()));
        }
        check(&[("pyproject.toml", "[tool.ruff]\n")], |_, _| {});
    }
}
