//! What may be typed for a value, by its schema.

use agent_server_api::document;
use serde_json::Value;

/// How the text of a flag becomes a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// The text itself.
    Text,
    /// One of these texts.
    Choice(Vec<String>),
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`; the flag alone means `true`.
    Boolean,
    /// Several texts, one each time that the flag is given.
    List(List),
    /// JSON. With `true`, what is not an object or list is taken as text.
    Json(bool),
}

/// A list of texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    /// The texts that may stand in it; empty for any.
    pub(super) choices: Vec<String>,
    /// Texts that stand alone, not in a list: those listed, or all.
    pub(super) alone: Alone,
}

/// Which texts may be sent without a list around them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Alone {
    /// None: one text is a list of one.
    No,
    /// These.
    These(Vec<String>),
    /// All.
    All,
}

impl Kind {
    /// The kind of a schema of the document.
    pub(super) fn of(schema: &Value) -> Self {
        let branches = branches(schema);
        if let [only] = &branches[..] {
            return Self::of_one(only);
        }
        let is_text = |branch: &&Value| branch["type"] == "string";
        let texts: Vec<_> = branches.iter().filter(is_text).collect();
        let lists: Vec<_> = branches.iter().filter_map(texts_of).collect();
        if texts.len() == branches.len() {
            return match texts.iter().all(|text| text["enum"].is_array()) {
                true => Self::Choice(texts.iter().flat_map(|text| choices(text)).collect()),
                false => Self::Text,
            };
        }
        if let [items] = &lists[..]
            && !texts.is_empty()
            && texts.len() + 1 == branches.len()
        {
            let alone = match texts.iter().all(|text| text["enum"].is_array()) {
                true => Alone::These(texts.iter().flat_map(|text| choices(text)).collect()),
                false => Alone::All,
            };
            return Self::List(List { choices: items.clone(), alone });
        }
        Self::Json(!texts.is_empty())
    }

    fn of_one(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("string") if schema["enum"].is_array() => Self::Choice(choices(schema)),
            Some("string") => Self::Text,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            _ => match texts_of(schema) {
                Some(choices) => Self::List(List { choices, alone: Alone::No }),
                None => Self::Json(false),
            },
        }
    }

    /// Word that stands for the value in the help.
    pub(super) fn value_name(&self) -> &'static str {
        match self {
            Self::Text | Self::List(_) => "TEXT",
            Self::Choice(_) => "WORD",
            Self::Integer | Self::Number => "N",
            Self::Boolean => "BOOL",
            Self::Json(_) => "JSON",
        }
    }
}

/// The schema that a schema refers to, if it does.
pub(super) fn resolved(schema: &Value) -> &Value {
    let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
    name.map_or(schema, |name| &document()["components"]["schemas"][name])
}

/// What a value may be, null left out. A list of types is a union of them.
fn branches(schema: &Value) -> Vec<Value> {
    let schema = resolved(schema);
    if let Some(union) = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array()) {
        return union.iter().flat_map(branches).collect();
    }
    let names = match &schema["type"] {
        Value::Array(names) => names.clone(),
        name => vec![name.clone()],
    };
    let of_type = |name: Value| {
        let mut branch = schema.clone();
        branch["type"] = name;
        branch
    };
    names.into_iter().filter(|name| name != "null").map(of_type).collect()
}

/// The texts that a list may hold, if it is a list of texts; empty for any.
fn texts_of(schema: &Value) -> Option<Vec<String>> {
    if schema["type"] != "array" {
        return None;
    }
    let items = branches(&schema["items"]);
    if items.is_empty() || !items.iter().all(|item| item["type"] == "string") {
        return None;
    }
    let closed = items.iter().all(|item| item["enum"].is_array());
    Some(if closed { items.iter().flat_map(choices).collect() } else { vec![] })
}

fn choices(schema: &Value) -> Vec<String> {
    let values = schema["enum"].as_array().into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, expected: Kind) {
        assert_eq!(Kind::of(&schema), expected, "{schema}");
    }

    #[test]
    fn scalars_are_typed_as_they_are_and_the_rest_as_json() {
        check(json!({"type": "string", "format": "uuid"}), Kind::Text);
        check(json!({"type": ["string", "null"]}), Kind::Text);
        check(
            json!({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string"}]}),
            Kind::Text,
        );
        check(
            json!({"type": "string", "enum": ["a", "b"]}),
            Kind::Choice(vec!["a".into(), "b".into()]),
        );
        check(json!({"type": "integer"}), Kind::Integer);
        check(json!({"type": ["number", "null"]}), Kind::Number);
        check(json!({"type": "boolean"}), Kind::Boolean);
        check(json!({"type": "object"}), Kind::Json(false));
        check(json!({"type": ["object", "string"]}), Kind::Json(true));
        check(json!({"type": "array", "items": {"type": "object"}}), Kind::Json(false));
        check(json!({}), Kind::Json(false));
    }

    #[test]
    fn lists_of_texts_are_repeated_flags() {
        let texts = json!({"type": "array", "items": {"type": "string"}});
        let list = |alone| Kind::List(List { choices: vec![], alone });
        check(texts.clone(), list(Alone::No));
        let star = json!({"type": "string", "enum": ["*"]});
        check(
            json!({"anyOf": [star, texts, {"type": "null"}]}),
            list(Alone::These(vec!["*".into()])),
        );
        check(json!({"anyOf": [{"type": "string"}, texts]}), list(Alone::All));
    }
}
