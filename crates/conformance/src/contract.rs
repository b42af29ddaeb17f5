//! An answer held against the document as it was written (the 3.1 document, not the lowered copy of the generators).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use agent_server_api::{Operation, ResponseSchema, ResponseSpec};
use anyhow::{Context, Result, bail, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{answer::Answer, events};

/// Headers that the document describes as absent in some answers.
const CONDITIONAL: [&str; 2] = ["X-Pagination-Next", "Mcp-Session-Id"];

/// The document's schemas, compiled as they are needed.
#[derive(Default)]
pub(crate) struct Contract {
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// Checks that the document describes this answer: its status, media type, body and headers.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(crate) fn check(&self, operation: &'static Operation, answer: &Answer) -> Result<()> {
        let specs: Vec<_> =
            operation.responses.iter().filter(|spec| spec.status == answer.status).collect();
        let Some(first) = specs.first() else {
            bail!("status {} is not documented", answer.status);
        };
        for header in first.headers.iter().filter(|header| !CONDITIONAL.contains(header)) {
            ensure!(answer.header(header).is_some(), "the documented header {header} is missing");
        }
        if specs.iter().all(|spec| spec.media_type.is_none()) {
            ensure!(
                answer.body.is_empty(),
                "the document knows no body of status {}",
                answer.status
            );
            return Ok(());
        }
        let media_type = answer.media_type().context("the answer has no content type")?;
        let Some(spec) = specs.iter().find(|spec| spec.media_type == Some(media_type)) else {
            let known: Vec<_> = specs.iter().filter_map(|spec| spec.media_type).collect();
            bail!("content type {media_type}, documented is {}", known.join(" or "));
        };
        self.check_body(spec, media_type, answer)
    }

    fn check_body(&self, spec: &ResponseSpec, media_type: &str, answer: &Answer) -> Result<()> {
        match media_type {
            "application/json" => {
                let Some(validator) = self.validator(&spec.schema)? else { return Ok(()) };
                let body = answer.json()?;
                match validator.iter_errors(&body).next() {
                    Some(error) => {
                        bail!("the body breaks the schema at {}: {error}", error.instance_path())
                    }
                    None => Ok(()),
                }
            }
            "text/event-stream" => events::parse(&answer.body).map(drop),
            _ => {
                ensure!(!answer.body.is_empty(), "the body is empty");
                std::str::from_utf8(&answer.body).context("the body is not UTF-8").map(drop)
            }
        }
    }

    fn validator(&self, schema: &ResponseSchema) -> Result<Option<Arc<Validator>>> {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let mut root = match schema {
            ResponseSchema::None => return Ok(None),
            ResponseSchema::Component(name) => reference(name),
            ResponseSchema::ArrayOf(name) => json!({ "type": "array", "items": reference(name) }),
            ResponseSchema::Inline(text) => serde_json::from_str(text)?,
        };
        let key = root.to_string();
        let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(&key) {
            return Ok(Some(Arc::clone(validator)));
        }
        if let Value::Object(root) = &mut root {
            root.insert("components".into(), agent_server_api::document()["components"].clone());
        }
        // The server must keep to the formats that it promises, although it does not demand them of others.
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options.build(&root).map_err(|error| anyhow::anyhow!("{key}: {error}"))?;
        let validator = Arc::new(validator);
        known.insert(key, Arc::clone(&validator));
        Ok(Some(validator))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, media_type: Option<&'static str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(media_type) = media_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        Answer { status, headers, body: body.into() }
    }

    #[track_caller]
    fn check(operation: &str, answer: &Answer, expected: Result<(), &str>) {
        let operation = Operation::find(operation).expect("an operation of the document");
        let found = Contract::default().check(operation, answer).map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn answers_are_held_against_the_document() {
        let json = Some("application/json");
        check("health_check", &answer(200, json, r#"{"ok":true}"#), Ok(()));
        check("health_check", &answer(200, json, r#"{"ok":1}"#), Err("breaks the schema at /ok"));
        check("health_check", &answer(418, json, "{}"), Err("status 418 is not documented"));
        check(
            "health_check",
            &answer(200, Some("text/plain"), "x"),
            Err("content type text/plain"),
        );
        check("health_check", &answer(200, None, ""), Err("no content type"));
        check("count_threads", &answer(200, json, "-1"), Err("breaks the schema"));
        check("delete_thread", &answer(204, None, ""), Ok(()));
        check("delete_thread", &answer(204, None, "x"), Err("knows no body"));
        check(
            "search_threads",
            &answer(200, json, "[]"),
            Err("header X-Pagination-Total is missing"),
        );
    }

    #[test]
    fn formats_are_demanded_of_answers() {
        let cron = r#"[{"cron_id":"x"}]"#;
        let mut answer = answer(200, Some("application/json"), cron);
        answer.headers.insert("x-pagination-total", HeaderValue::from_static("1"));
        check("search_crons", &answer, Err("/0/cron_id"));
    }
}
