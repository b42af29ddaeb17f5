//! The table behind `docs/reference/configuration.md` held against what the server does, so that the page cannot lie.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, json};

use super::{keys, langgraph_json, project::Project, unsupported};
use crate::{
    Mode,
    env::{Env, upstream},
};

#[derive(Deserialize)]
struct Table {
    keys: Vec<Entry>,
    variables: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    status: Status,
    text: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Honoured,
    Refused,
    Warned,
    #[serde(rename = "without effect")]
    WithoutEffect,
}

fn table() -> Table {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

/// The variables that are honoured: the constants of [`upstream`], read from their source so that none is forgotten.
fn honoured() -> Vec<&'static str> {
    let source = include_str!("../env.rs");
    let module = source.split_once("pub(crate) mod upstream {").unwrap().1;
    let module = module.split_once("\n}\n").unwrap().0;
    let constants = module.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) const "));
    let names: Vec<_> = constants.filter_map(|line| Some(line.split_once(": &str =")?.0)).collect();
    assert!(names.contains(&"LOG_LEVEL"), "{names:?}");
    names
}

/// What the server says about a setting: in production, and at a workplace.
fn check(entry: &Entry, what: &str, project: &Project, env: &Env) {
    let name = &entry.name;
    let warning = format!("{what} is set, but has no effect in this version");
    let serve = unsupported::check(Mode::Serve, false, project, env);
    let dev = unsupported::check(Mode::Dev, true, project, env).unwrap();
    match entry.status {
        Status::Refused => {
            let refusal = serve.unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("{what} is set")), "{name}: {refusal}");
            assert_eq!(dev, [warning], "{name}");
        }
        Status::Warned => assert_eq!((serve.unwrap(), dev), (vec![warning.clone()], vec![warning])),
        Status::Honoured | Status::WithoutEffect => {
            assert_eq!((serve.unwrap(), dev), (vec![], vec![]), "{name}");
        }
    }
}

#[test]
fn the_table_has_every_key_once() {
    let table = table();
    let names: BTreeSet<String> = table.keys.iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(names.len(), table.keys.len());
    let sections = keys::SECTIONS.iter().filter(|(_, keys)| !keys.is_empty());
    let is_section = |name: &&str| sections.clone().any(|(section, _)| section == name);
    let mut known: BTreeSet<String> = keys::SERVER
        .iter()
        .chain(&keys::BUILD)
        .filter(|name| !is_section(name))
        .map(|name| (*name).into())
        .collect();
    for (section, keys) in sections.clone() {
        known.extend(keys.iter().map(|key| format!("{section}.{key}")));
    }
    assert_eq!(names, known);
}

#[test]
fn keys_fare_as_the_table_says() {
    for entry in table().keys {
        assert!(entry.text.ends_with('.'), "{}", entry.name);
        let Some((section, key)) = entry.name.split_once('.') else {
            // The reader decides about keys outside of sections, and never refuses one for being there.
            assert!(matches!(entry.status, Status::Honoured | Status::WithoutEffect));
            continue;
        };
        let sections = Map::from_iter([(section.to_owned(), json!({key: "x"}))]);
        let project = Project { sections, ..Project::default() };
        check(&entry, &format!("{} of langgraph.json", entry.name), &project, &Env::default());
    }
}

#[test]
fn variables_fare_as_the_table_says() {
    let table = table();
    let names: BTreeSet<&str> = table.variables.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names.len(), table.variables.len());
    let sections = upstream::SECTIONS.iter().map(|(name, _)| *name);
    let read: BTreeSet<&str> = honoured().into_iter().chain(sections).collect();
    for entry in &table.variables {
        let env = Env::from_pairs([(entry.name.clone(), "x".into())]);
        check(entry, &format!("variable {}", entry.name), &Project::default(), &env);
        let honoured = entry.status == Status::Honoured;
        assert_eq!(read.contains(&*entry.name), honoured, "{}", entry.name);
    }
    assert!(read.is_subset(&names), "{:?}", read.difference(&names));
}

#[test]
fn keys_for_images_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(langgraph_json::NAME);
    let mut root = Map::from_iter([("graphs".to_owned(), json!({"a": "m:graph"}))]);
    root.extend(keys::BUILD.map(|key| (key.to_owned(), json!("x"))));
    root.insert("dependencies".into(), json!(["."]));
    std::fs::write(&file, serde_json::to_string(&root).unwrap()).unwrap();
    let project = langgraph_json::load(&file, &Env::default()).unwrap();
    assert_eq!(project.build_only, keys::BUILD);
    let table = table();
    for key in keys::BUILD {
        let entry = table.keys.iter().find(|entry| entry.name == key).unwrap();
        assert_eq!(entry.status, Status::WithoutEffect, "{key}");
    }
}
