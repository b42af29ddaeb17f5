//! Rules that choose headers: `http.configurable_headers`.

use agent_server_server::HeaderRules;
use serde_json::Value;

use super::project::Project;
use crate::refusal::{Refusal, Result};

/// Which headers reach runs: those of `includes` (or `include`) without those of `excludes` (or `exclude`).
///
/// Errors: a refusal for what is no such object.
pub(super) fn resolve(project: &Project) -> Result<HeaderRules> {
    let section = project.sections.get("http").and_then(|http| http.get("configurable_headers"));
    let refuse = |cause: String| {
        Refusal::usage(format!("http.configurable_headers of langgraph.json: {cause}"))
    };
    let section = match section {
        None | Some(Value::Null) => return Ok(HeaderRules::default()),
        Some(Value::Object(section)) => section,
        Some(other) => return Err(refuse(format!("an object is expected, not {other}")).into()),
    };
    let (mut includes, mut excludes) = (vec![], vec![]);
    for (key, value) in section {
        let patterns = match key.as_str() {
            "includes" | "include" => &mut includes,
            "excludes" | "exclude" => &mut excludes,
            _ => {
                let cause = format!("unknown key '{key}'; known are 'includes' and 'excludes'");
                return Err(refuse(cause).into());
            }
        };
        if value.is_null() {
            continue;
        }
        let given: Vec<String> = serde_json::from_value(value.clone()).map_err(|_| {
            refuse(format!("{key}: a list of names of headers is expected, not {value}"))
        })?;
        patterns.extend(given);
    }
    Ok(HeaderRules::new(&includes, &excludes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(section: Value) -> Result<HeaderRules> {
        let sections = json!({"http": {"configurable_headers": section}});
        let sections = sections.as_object().unwrap().clone();
        resolve(&Project { sections, ..Project::default() })
    }

    #[test]
    fn both_spellings_count() {
        let owned = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<_>>();
        let expected = HeaderRules::new(&owned(&["x-a", "x-b*"]), &owned(&["x-bad"]));
        let section = json!({"includes": ["x-a", "x-b*"], "excludes": ["x-bad"]});
        assert_eq!(resolved(section).unwrap(), expected);
        let section = json!({"include": ["x-a", "x-b*"], "exclude": ["x-bad"]});
        assert_eq!(resolved(section).unwrap(), expected);
        assert_eq!(resolved(Value::Null).unwrap(), HeaderRules::default());
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let refused = |section: Value| resolved(section).unwrap_err().to_string();
        let start = "http.configurable_headers of langgraph.json: ";
        for (section, cause) in [
            (json!(["x-a"]), "an object is expected, not [\"x-a\"]"),
            (
                json!({"includes": "x-a"}),
                "includes: a list of names of headers is expected, not \"x-a\"",
            ),
            (json!({"includ": []}), "unknown key 'includ'; known are 'includes' and 'excludes'"),
        ] {
            assert_eq!(refused(section), format!("{start}{cause}"));
        }
    }
}
