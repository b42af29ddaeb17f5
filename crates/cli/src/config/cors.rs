//! Which pages of other origins may call: `CORS_CONFIG`, else `http.cors` of langgraph.json, else `CORS_ALLOW_ORIGINS`.
//!
//! An object replaces everything: what it leaves out is strict, not usual. Two things are stricter than upstream: a pattern
//! alone does not let every origin in beside it, and credentials need origins that are listed.
//! Source: reference/configuration.md, section 2.7.

use agent_server_server::{Cors, Origins};
use http::{HeaderName, Method};
use regex::Regex;
use serde_json::{Map, Value};

use super::{project::Project, suggest::nearest};
use crate::{
    env::{Env, upstream},
    refusal::{Refusal, Result},
};

/// The keys of the object.
const KEYS: [&str; 7] = [
    "allow_origins",
    "allow_methods",
    "allow_headers",
    "allow_credentials",
    "allow_origin_regex",
    "expose_headers",
    "max_age",
];
/// Origins that nobody means: a pattern that lets one of them in lets almost everybody in.
const STRANGERS: [&str; 2] = ["https://x0q7.invalid", "http://j2v9.invalid:4711"];

/// The settings.
///
/// Errors: a refusal that names variable or entry.
pub(crate) fn resolve(env: &Env, project: &Project) -> Result<Cors> {
    let usual = env.get(upstream::CORS_ALLOW_ORIGINS);
    let usual = usual.map(|text| {
        let origins = text.split(',').map(|origin| origin.trim().to_owned());
        origins.filter(|origin| !origin.is_empty()).collect::<Vec<_>>()
    });
    if let Some(text) = env.get(upstream::CORS_CONFIG) {
        let place = Place(format!("variable {}", upstream::CORS_CONFIG));
        let value = serde_json::from_str(text)
            .or_else(|error| place.refuse(format!("not valid JSON: {error}")))?;
        if let Some(section) = place.object(&value)? {
            return place.cors(section, usual);
        }
    }
    let section = project.sections.get("http").and_then(|http| http.get("cors"));
    let place = Place("http.cors of langgraph.json".into());
    if let Some(section) = section.map(|value| place.object(value)).transpose()?.flatten() {
        return place.cors(section, usual);
    }
    let place = Place(format!("variable {}", upstream::CORS_ALLOW_ORIGINS));
    match usual {
        None => Ok(Cors::default()),
        // Origins that are listed are trusted ones, so that cookies may come along.
        Some(origins) if !origins.iter().any(|origin| origin == "*") => {
            let origins = place.origins(Some(origins), None, true)?;
            Ok(Cors { origins, ..Cors::default() })
        }
        Some(_) => Ok(Cors::default()),
    }
}

/// Where an object stands, for messages.
struct Place(String);

impl Place {
    fn refuse<T>(&self, cause: impl std::fmt::Display) -> Result<T> {
        Err(Refusal::usage(format!("{}: {cause}", self.0)).into())
    }

    /// The object, unless it is empty: that counts as not set.
    fn object<'a>(&self, value: &'a Value) -> Result<Option<&'a Map<String, Value>>> {
        match value {
            Value::Null => Ok(None),
            Value::Object(section) => Ok(Some(section).filter(|section| !section.is_empty())),
            other => self.refuse(format!("{other} is no object")),
        }
    }

    fn cors(&self, section: &Map<String, Value>, usual: Option<Vec<String>>) -> Result<Cors> {
        if let Some(key) = section.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return match nearest(key, &KEYS) {
                Some(word) => self.refuse(format!("unknown key '{key}', did you mean '{word}'?")),
                None => self.refuse(format!("unknown key '{key}'; there are {}", KEYS.join(", "))),
            };
        }
        let pattern = self.pattern(section)?;
        let credentials = match section.get("allow_credentials") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(allowed)) => *allowed,
            Some(other) => return self.refuse(format!("allow_credentials: {other} is no boolean")),
        };
        let max_age_seconds = match section.get("max_age") {
            None | Some(Value::Null) => 600,
            Some(value) => match value.as_u64() {
                Some(seconds) => seconds,
                None => return self.refuse(format!("max_age: {value} is no number of seconds")),
            },
        };
        let origins = self.strings(section, "allow_origins")?;
        let origins = origins.or(usual.filter(|_| pattern.is_none()));
        let methods = self.strings(section, "allow_methods")?;
        let headers = self.strings(section, "allow_headers")?.unwrap_or_default();
        let exposed = self.strings(section, "expose_headers")?.unwrap_or_default();
        Ok(Cors {
            origins: self.origins(origins, pattern, credentials)?,
            methods: match methods {
                None => vec![Method::GET],
                Some(methods) if any(&methods) => Cors::METHODS.into(),
                Some(methods) => self.parsed("allow_methods", &methods)?,
            },
            headers: match any(&headers) {
                true => None,
                false => Some(self.parsed::<HeaderName>("allow_headers", &headers)?),
            },
            exposed: self.parsed("expose_headers", &exposed)?,
            max_age_seconds,
        })
    }

    fn origins(
        &self,
        listed: Option<Vec<String>>,
        pattern: Option<Regex>,
        credentials: bool,
    ) -> Result<Origins> {
        let everybody = match (&listed, &pattern) {
            (None, None) => true,
            (Some(listed), _) if any(listed) => true,
            (_, Some(pattern)) => STRANGERS.iter().any(|stranger| pattern.is_match(stranger)),
            _ => false,
        };
        if everybody && credentials {
            return self.refuse(
                "allow_credentials needs origins that are listed in allow_origins: otherwise any page could call in \
                 the name of whoever looks at it",
            );
        }
        let listed = listed.unwrap_or_default();
        if any(&listed) || (listed.is_empty() && pattern.is_none() && everybody) {
            return Ok(Origins::Any);
        }
        for origin in &listed {
            let host = origin.split_once("://").map(|(_, host)| host);
            if origin != "null" && !host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
            {
                return self.refuse(format!(
                    "allow_origins: '{origin}' is no origin such as https://app.example.com, without a path"
                ));
            }
        }
        Ok(Origins::Some { listed, pattern, credentials })
    }

    fn pattern(&self, section: &Map<String, Value>) -> Result<Option<Regex>> {
        match section.get("allow_origin_regex") {
            None | Some(Value::Null) => Ok(None),
            // All of an origin has to fit: a part would let in https://app.example.com.attacker.net.
            Some(Value::String(text)) => match Regex::new(&format!("^(?:{text})$")) {
                Ok(pattern) => Ok(Some(pattern)),
                Err(error) => self.refuse(format!("allow_origin_regex: {error}")),
            },
            Some(other) => self.refuse(format!("allow_origin_regex: {other} is no string")),
        }
    }

    fn strings(&self, section: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>> {
        let Some(value) = section.get(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let text = |text: &Value| text.as_str().map(str::to_owned);
        match value.as_array().map(|list| list.iter().map(text).collect()) {
            Some(Some(texts)) => Ok(Some(texts)),
            _ => self.refuse(format!("{key}: {value} is no list of strings")),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str, texts: &[String]) -> Result<Vec<T>> {
        let parse = |text: &String| {
            text.parse().or_else(|_| self.refuse(format!("{key}: '{text}' cannot be one")))
        };
        texts.iter().map(parse).collect()
    }
}

fn any(words: &[String]) -> bool {
    words.iter().any(|word| word == "*")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(cors: Value, vars: &[(&str, &str)]) -> Result<Cors> {
        let sections = json!({"http": {"cors": cors}}).as_object().unwrap().clone();
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        resolve(&Env::from_pairs(vars), &Project { sections, ..Project::default() })
    }

    /// Listed origins, pattern, whether with credentials; `None` for everybody.
    fn origins(cors: Value, vars: &[(&str, &str)]) -> Option<(Vec<String>, Option<String>, bool)> {
        match check(cors, vars).unwrap().origins {
            Origins::Any => None,
            Origins::Some { listed, pattern, credentials } => {
                Some((listed, pattern.map(|pattern| pattern.to_string()), credentials))
            }
        }
    }

    #[test]
    fn nothing_set_lets_everybody_in_without_credentials() {
        for nothing in [json!(null), json!({})] {
            let cors = check(nothing, &[("CORS_CONFIG", "{}")]).unwrap();
            assert!(matches!(cors.origins, Origins::Any));
            assert_eq!((cors.methods.len(), cors.headers, cors.exposed.len()), (7, None, 5));
        }
    }

    #[test]
    fn an_object_is_strict_where_it_says_nothing() {
        let cors = check(json!({"max_age": 5}), &[]).unwrap();
        assert!(matches!(cors.origins, Origins::Any));
        assert_eq!((cors.methods, cors.headers), (vec![Method::GET], Some(vec![])));
        assert_eq!((cors.exposed, cors.max_age_seconds), (vec![], 5));
    }

    #[test]
    fn the_variable_wins_and_origins_have_one_of_their_own() {
        let (a, b) =
            (json!({"allow_origins": ["https://a"]}), r#"{"allow_origins": ["https://b"]}"#);
        let one = |origin: &str, credentials| Some((vec![origin.to_owned()], None, credentials));
        assert_eq!(origins(a.clone(), &[]), one("https://a", false));
        assert_eq!(origins(a.clone(), &[("CORS_CONFIG", b)]), one("https://b", false));
        let variable = [("CORS_ALLOW_ORIGINS", "https://c, ")];
        assert_eq!(origins(a, &variable), one("https://a", false));
        assert_eq!(origins(json!({"max_age": 5}), &variable), one("https://c", false));
        assert_eq!(origins(json!(null), &variable), one("https://c", true));
        assert_eq!(origins(json!(null), &[("CORS_ALLOW_ORIGINS", "*")]), None);
    }

    #[test]
    fn a_pattern_counts_alone_and_as_a_whole() {
        let pattern = json!({"allow_origin_regex": "https://[a-z]+\\.example\\.com"});
        let whole = Some("^(?:https://[a-z]+\\.example\\.com)$".to_owned());
        assert_eq!(origins(pattern.clone(), &[]), Some((vec![], whole.clone(), false)));
        let variable = [("CORS_ALLOW_ORIGINS", "*")];
        assert_eq!(origins(pattern, &variable), Some((vec![], whole, false)));
    }

    #[test]
    fn credentials_need_origins_that_are_listed() {
        for (refused, vars) in [
            (json!({"allow_credentials": true}), &[][..]),
            (json!({"allow_credentials": true}), &[("CORS_ALLOW_ORIGINS", "*")]),
            (json!({"allow_credentials": true, "allow_origins": ["https://a", "*"]}), &[]),
            (json!({"allow_credentials": true, "allow_origin_regex": ".*"}), &[]),
            (json!({"allow_credentials": true, "allow_origin_regex": "https://.+"}), &[]),
        ] {
            let error = check(refused.clone(), vars).unwrap_err().to_string();
            assert!(error.contains("allow_credentials needs origins"), "{refused}: {error}");
        }
        let listed = json!({"allow_credentials": true, "allow_origins": ["https://a"]});
        assert_eq!(origins(listed, &[]), Some((vec!["https://a".into()], None, true)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let cause = |cors: Value| check(cors, &[]).unwrap_err().to_string();
        assert_eq!(
            cause(json!({"allow_origin": ["*"]})),
            "http.cors of langgraph.json: unknown key 'allow_origin', did you mean 'allow_origins'?"
        );
        assert!(cause(json!([])).contains("[] is no object"));
        assert!(cause(json!({"allow_origins": "*"})).contains("no list of strings"));
        assert!(cause(json!({"allow_origins": ["https://a/"]})).contains("without a path"));
        assert!(cause(json!({"allow_origins": ["a.example"]})).contains("is no origin"));
        assert!(cause(json!({"allow_origin_regex": "("})).contains("allow_origin_regex"));
        assert!(cause(json!({"allow_methods": ["GE T"]})).contains("'GE T'"));
        assert!(cause(json!({"allow_headers": ["x y"]})).contains("'x y'"));
        assert!(cause(json!({"max_age": -1})).contains("max_age"));
        assert!(cause(json!({"allow_credentials": "yes"})).contains("no boolean"));
        let error = check(json!(null), &[("CORS_CONFIG", "{")]).unwrap_err().to_string();
        assert!(error.starts_with("variable CORS_CONFIG: not valid JSON"), "{error}");
    }
}
