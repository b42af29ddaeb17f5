//! Settings that this version knows and does not carry out: silence about them would be worse than a refusal.

use serde_json::Value;

use super::project::Project;
use crate::{
    Mode,
    env::Env,
    refusal::{Refusal, Result},
};

/// Settings that replace a part of the server, which then would write elsewhere than the user believes.
const REPLACING: [(&str, &str); 2] = [("store", "path"), ("checkpointer", "path")];
/// Settings that add something which is then not there.
const ADDING: [(&str, &str); 3] =
    [("auth", "allow_langsmith_api_keys"), ("checkpointer", "backend"), ("priority", "path")];
/// Variables of the same kind.
const VARIABLES: [&str; 2] = ["DATABASE_URI", "POSTGRES_URI"];

/// Warnings about settings of the project that are not carried out.
///
/// Errors: a refusal for settings that replace something, in production and wherever other machines can reach
/// the server. At a workplace they are warnings, so that the graphs of such a project can be tried.
pub(crate) fn check(mode: Mode, local: bool, project: &Project, env: &Env) -> Result<Vec<String>> {
    let strict = mode == Mode::Serve || !local;
    let mut warnings = Vec::new();
    let mut note = |name: String, serious: bool| {
        if serious && strict {
            return Err(Refusal::usage(format!(
                "{name} is set, and this version does not carry it out; it is ignored only by \
                 agent-server dev on a local address"
            )));
        }
        warnings.push(format!("{name} is set, but has no effect in this version"));
        Ok(())
    };
    let is_set = |(section, key): (&str, &str)| {
        let value = project.sections.get(section).and_then(|section| section.get(key));
        value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    };
    let kinds = [(&REPLACING[..], true), (&ADDING, false)];
    for (keys, serious) in kinds {
        for &(section, key) in keys.iter().filter(|&&place| is_set(place)) {
            note(format!("{section}.{key} of langgraph.json"), serious)?;
        }
    }
    // Names of an in-memory database are what the upstream tools put there for development.
    let variables = VARIABLES.iter().filter(|name| env.get(name).is_some_and(|v| v != ":memory:"));
    for name in variables {
        note(format!("variable {name}"), false)?;
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project(sections: &Value) -> Project {
        Project { sections: sections.as_object().unwrap().clone(), ..Project::default() }
    }

    #[test]
    fn a_part_that_is_not_replaced_is_a_warning_only_at_a_workplace() {
        let project = project(&json!({"store": {"path": "./own.py:store"}}));
        let env = Env::default();
        let warnings = check(Mode::Dev, true, &project, &env).unwrap();
        assert_eq!(
            warnings,
            ["store.path of langgraph.json is set, but has no effect in this version"]
        );
        assert!(check(Mode::Dev, false, &project, &env).is_err());
        assert!(check(Mode::Serve, true, &project, &env).is_err());
    }

    #[test]
    fn additions_are_warnings_everywhere() {
        let project =
            project(&json!({"checkpointer": {"backend": "x"}, "http": {"disable_mcp": true}}));
        let env = Env::from_pairs([("POSTGRES_URI".into(), "postgres://x".into())]);
        assert_eq!(check(Mode::Serve, false, &project, &env).unwrap().len(), 2);
    }
}
