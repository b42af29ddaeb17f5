//! The text with which a body is refused: the validator's own message, then where in the schema and where in the body.
//!
//! The server words its refusals by the same rule, independently (`crates/api/src/validate.rs`). That both know the rule is
//! the point: what is committed here was seen by whoever changed it.

use jsonschema::{ValidationError, Validator, paths::LocationSegment};
use serde_json::{Value, json};

use super::schema;
use crate::Error;

/// The validator of one component.
pub(super) struct Rules(Validator);

impl Rules {
    pub(super) fn of(document: &Value, component: &str) -> Result<Self, Error> {
        let mut root = schema::component(document, component).clone();
        if let Some(root) = root.as_object_mut() {
            root.insert(
                "components".to_owned(),
                json!({ "schemas": document["components"]["schemas"] }),
            );
        }
        // The order of keywords decides which violation is the first; the wire sorts them.
        root.sort_all_objects();
        let validator = jsonschema::draft202012::options()
            .build(&root)
            .map_err(|error| Error::new(format!("component {component}: {error}")))?;
        Ok(Self(validator))
    }

    /// The detail of the refusal; `None` if the body follows the schema.
    pub(super) fn refusal(&self, body: &Value) -> Option<String> {
        let mut body = body.clone();
        body.sort_all_objects();
        self.0.validate(&body).err().map(|error| describe(&error))
    }
}

fn describe(error: &ValidationError<'_>) -> String {
    let mut schema: Vec<String> = error.schema_path().iter().map(|part| quoted(&part)).collect();
    let keyword = schema.pop().unwrap_or_default();
    let keyword =
        keyword.trim_start_matches('[').trim_end_matches(']').trim_matches('"').to_owned();
    let instance: String = error.instance_path().iter().map(|part| quoted(&part)).collect();
    format!(
        "{error}\n\nFailed validating \"{keyword}\" in schema{}\n\nOn instance{instance}:\n    {}",
        schema.concat(),
        error.instance()
    )
}

fn quoted(part: &LocationSegment<'_>) -> String {
    match part {
        LocationSegment::Property(name) => format!("[\"{name}\"]"),
        LocationSegment::Index(index) => format!("[{index}]"),
    }
}
