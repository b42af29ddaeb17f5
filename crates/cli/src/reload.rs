//! Watching a project's files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};
use tokio::sync::mpsc;

use crate::{
    config::{self, project::Project},
    python,
    refusal::Result,
};

/// Editors save in several steps and people save several files: changes count as one until it is quiet for so long.
const QUIET: Duration = Duration::from_millis(150);
/// Most directories that are watched; the system's watches are few and belong to every program of the user.
const MOST_DIRECTORIES: usize = 4096;

/// What changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Whether it is what the project says about itself: langgraph.json, its dotenv file, its dependencies; or
    /// what agent-server.toml says about the server.
    pub(crate) project: bool,
    /// Python code: files, and directories that are new. Some may be gone by now.
    pub(crate) code: BTreeSet<PathBuf>,
}

/// Watches the files of a project.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Event>,
    filter: Filter,
    watched: usize,
}

/// Which files count.
struct Filter {
    /// Files that describe the project.
    described_by: BTreeSet<PathBuf>,
    /// Directories that are never looked into.
    excluded: BTreeSet<PathBuf>,
}

impl Watch {
    /// Starts to watch. Changes from now on are found by [`Watch::next`].
    ///
    /// Errors: the system does not let us watch.
    pub(crate) fn start(project: &Project, data_dir: &Path) -> Result<Self> {
        let (found, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event {
                // Nobody listens only while everything ends.
                let _ = found.send(event);
            }
        })?;
        let own = project.directory.join(config::file::NAME);
        let files = project.file.iter().chain(&project.env_file).cloned().chain([own]);
        let filter = Filter {
            described_by: files.chain(python::sources(project)).collect(),
            excluded: BTreeSet::from([data_dir.to_owned()]),
        };
        let mut watch = Self { watcher, events, filter, watched: 0 };
        let mut roots = project.import_dirs();
        roots.extend(project.env_file.iter().filter_map(|file| Some(file.parent()?.to_owned())));
        roots.sort();
        // What is inside another root is found from there.
        roots.dedup_by(|inner, outer| inner.starts_with(outer));
        for root in roots {
            watch.add(&root)?;
        }
        Ok(watch)
    }

    /// Waits for changes and for the quiet after them.
    pub(crate) async fn next(&mut self) -> Changes {
        let mut changes = Changes::default();
        loop {
            let event = match changes == Changes::default() {
                true => self.events.recv().await,
                false => match tokio::time::timeout(QUIET, self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => return changes,
                },
            };
            // The watcher that sends is ours, so there is always one.
            let Some(event) = event else { std::future::pending().await };
            if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_))) {
                for path in &event.paths {
                    if !self.filter.enters(path) {
                        continue;
                    }
                    if let Err(error) = self.add(path) {
                        tracing::warn!("{} is not watched for changes: {error}", path.display());
                    }
                    // What was in it before it was watched made no event.
                    changes.code.insert(path.clone());
                }
            }
            self.filter.note(event, &mut changes);
        }
    }

    /// Watches a directory and those below it.
    fn add(&mut self, root: &Path) -> Result<()> {
        let mut border = vec![root.to_owned()];
        while let Some(directory) = border.pop() {
            if self.watched == MOST_DIRECTORIES {
                anyhow::bail!("more than {MOST_DIRECTORIES} directories");
            }
            self.watched += 1;
            self.watcher.watch(&directory, RecursiveMode::NonRecursive)?;
            let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
            border
                .extend(entries.map(|entry| entry.path()).filter(|path| self.filter.enters(path)));
        }
        Ok(())
    }
}

impl Filter {
    /// Whether a path is a directory that may hold the project's code.
    fn enters(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.')
            && !["__pycache__", "node_modules"].contains(&&*name)
            && !self.excluded.contains(path)
            && path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
            // An environment holds other people's code, and very much of it.
            && !path.join("pyvenv.cfg").is_file()
    }

    /// Takes in what an event says.
    fn note(&self, event: notify::Event, changes: &mut Changes) {
        if matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_))) {
            return;
        }
        for path in event.paths {
            if self.described_by.contains(&path) {
                changes.project = true;
            } else if is_code(&path) {
                changes.code.insert(path);
            }
        }
    }
}

fn is_code(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn code_and_project_changes_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for directory in ["pkg", ".agent-server", "__pycache__", "venv"] {
            std::fs::create_dir(at(directory)).unwrap();
        }
        std::fs::write(at("venv/pyvenv.cfg"), "").unwrap();
        let project = Project {
            directory: folder.path().into(),
            file: Some(at("langgraph.json")),
            ..Project::default()
        };
        let mut watch = Watch::start(&project, &at(".agent-server")).unwrap();
        let write = |path: &str| std::fs::write(at(path), "x").unwrap();

        for quiet in ["notes.txt", "__pycache__/a.pyc", "venv/a.py", ".agent-server/a.py", ".#a.py"]
        {
            write(quiet);
        }
        let code = |paths: &[&str]| paths.iter().map(|path| at(path)).collect::<BTreeSet<_>>();
        write("pkg/a.py");
        let expected = Changes { project: false, code: code(&["pkg/a.py"]) };
        assert_eq!(watch.next().await, expected);
        write("langgraph.json");
        write("a.py");
        assert_eq!(watch.next().await, Changes { project: true, code: code(&["a.py"]) });
        std::fs::create_dir(at("new")).unwrap();
        assert_eq!(watch.next().await, Changes { project: false, code: code(&["new"]) });
        write("new/b.py");
        assert_eq!(watch.next().await, Changes { project: false, code: code(&["new/b.py"]) });
        write("notes.txt");
        let nothing = tokio::time::timeout(QUIET * 2, watch.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
}
