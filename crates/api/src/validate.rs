//! Checks request bodies against the schemas of the document and words the refusals.
//!
//! The engine is the one that upstream uses and the schemas are those of the document, so the texts come out equal. A
//! body usually passes; it is then only looked at as far as its schema looks, which leaves large fields unparsed. Only a
//! body that fails is parsed whole, because the refusal may print all of it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::rejection::Rejection;
use crate::reserved;
use crate::schema::{self, UuidField};
use crate::split::{self, Members};

/// A body that passed, and where its fields are.
pub(crate) struct Checked {
    pub(crate) raw: Bytes,
    pub(crate) members: Vec<(String, Range<usize>)>,
}

/// Everything that is prepared once per component.
struct Plan {
    validator: Validator,
    /// Fields whose schema only looks at their type; of array components, fields of the elements.
    payload: HashSet<String>,
    uuids: Vec<UuidField>,
    strips: bool,
    /// Assistants declare their `config` as any object and have it checked afterwards as a document of its own.
    checks_config: bool,
}

/// Removes reserved keys from a body and validates it against `component`.
pub(crate) fn check(component: &str, raw: Bytes) -> Result<Checked, Rejection> {
    let plan = plan(component);
    let text = std::str::from_utf8(&raw).map_err(|_| Rejection::invalid_json())?;
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => {
            let members = Members::of(text).ok_or_else(Rejection::invalid_json)?;
            if let Some(rewritten) = plan.rewrite(&members)? {
                return check_object(plan, rewritten.into());
            }
            let ranges = plan.check_members(text, &members)?;
            Ok(Checked { members: ranges, raw })
        }
        Some(b'[') => check_array(plan, raw),
        _ => {
            plan.check_whole(text)?;
            Ok(Checked { raw, members: Vec::new() })
        }
    }
}

/// Validates an object that had to be written anew.
fn check_object(plan: &Plan, raw: Bytes) -> Result<Checked, Rejection> {
    let text = std::str::from_utf8(&raw).map_err(|_| Rejection::invalid_json())?;
    let members = Members::of(text).ok_or_else(Rejection::invalid_json)?;
    let members = plan.check_members(text, &members)?;
    Ok(Checked { raw, members })
}

/// Validates a batch: an array whose elements are treated like the bodies of single requests.
fn check_array(plan: &Plan, raw: Bytes) -> Result<Checked, Rejection> {
    let text = std::str::from_utf8(&raw).map_err(|_| Rejection::invalid_json())?;
    let elements = split::elements(text).ok_or_else(Rejection::invalid_json)?;
    let mut outlines = Vec::with_capacity(elements.len());
    let mut texts = Vec::with_capacity(elements.len());
    let mut changed = false;
    for element in elements {
        let rewritten = match Members::of_raw(element) {
            Some(members) => plan.rewrite(&members)?,
            None => None,
        };
        changed |= rewritten.is_some();
        let text = rewritten.unwrap_or_else(|| element.get().to_owned());
        outlines.push(match Members::of(&text) {
            Some(members) => plan.outline(&members)?,
            None => serde_json::from_str(&text).map_err(|_| Rejection::invalid_json())?,
        });
        texts.push(text);
    }
    let raw = if changed { Bytes::from(format!("[{}]", texts.join(","))) } else { raw };
    if !plan.validator.is_valid(&Value::Array(outlines)) {
        plan.check_whole(std::str::from_utf8(&raw).map_err(|_| Rejection::invalid_json())?)?;
    }
    Ok(Checked { raw, members: Vec::new() })
}

impl Plan {
    fn new(component: &str) -> Self {
        let family = schema::family(component);
        let root = schema::standalone(&family, component);
        let element = schema::element(&family, component);
        let described = element.as_deref().unwrap_or(component);
        Self {
            validator: jsonschema::draft202012::options().build(&root).expect(
                "every component of the document is a valid schema, a test compiles them all",
            ),
            payload: schema::payload_fields(&family, described),
            uuids: schema::uuid_fields(&family, described),
            strips: reserved::applies_to(component),
            checks_config: matches!(component, "AssistantCreate" | "AssistantPatch"),
        }
    }

    /// The text of an object without reserved keys and repeated names, which typed bodies refuse; `None` if it has
    /// neither.
    fn rewrite(&self, members: &Members<'_>) -> Result<Option<String>, Rejection> {
        let stripped = if self.strips { reserved::strip(members)? } else { None };
        Ok(stripped.or_else(|| members.repeated.then(|| members.to_text())))
    }

    /// Validates an object and says where in `text` its members are.
    fn check_members(
        &self,
        text: &str,
        members: &Members<'_>,
    ) -> Result<Vec<(String, Range<usize>)>, Rejection> {
        if !self.validator.is_valid(&self.outline(members)?) {
            self.check_whole(text)?;
        }
        for field in &self.uuids {
            if let Some(raw) = members.get(&field.name) {
                field.check(raw)?;
            }
        }
        if let Some(config) = members.get("config").filter(|_| self.checks_config) {
            not_deeper("config", config, split::PARSED_DEPTH)?;
            plan("Config").check_whole(config.get())?;
        }
        let start = text.as_ptr().addr();
        let range = |raw: &RawValue| {
            let from = raw.get().as_ptr().addr() - start;
            from..from + raw.get().len()
        };
        Ok(members.list.iter().map(|(key, raw)| (key.clone().into_owned(), range(raw))).collect())
    }

    /// The object as far as the schema looks into it.
    fn outline(&self, members: &Members<'_>) -> Result<Value, Rejection> {
        let mut outline = Map::with_capacity(members.list.len());
        for (key, raw) in &members.list {
            let value = if self.payload.contains(key.as_ref()) {
                not_deeper(key, raw, split::PAYLOAD_DEPTH)?;
                split::outline(raw)
            } else {
                not_deeper(key, raw, split::PARSED_DEPTH)?;
                serde_json::from_str(raw.get()).map_err(|_| Rejection::invalid_json())?
            };
            outline.insert(key.clone().into_owned(), value);
        }
        Ok(Value::Object(outline))
    }

    /// Parses everything and words the first violation.
    fn check_whole(&self, text: &str) -> Result<(), Rejection> {
        let mut value: Value = serde_json::from_str(text).map_err(|_| unreadable(text))?;
        // Upstream prints instances with sorted keys; our maps keep the order in which keys were sent.
        value.sort_all_objects();
        self.validator.validate(&value).map_err(|error| Rejection::unprocessable(describe(&error)))
    }
}

/// Refuses a field that is nested more deeply than anybody reads it.
fn not_deeper(field: &str, raw: &RawValue, limit: usize) -> Result<(), Rejection> {
    match split::is_deeper(raw, limit) {
        true => Err(Rejection::too_deep(field, limit)),
        false => Ok(()),
    }
}

/// Why a body cannot be parsed whole: it may well be JSON, and deeper than that takes.
fn unreadable(text: &str) -> Rejection {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if split::is_deeper(raw, split::PARSED_DEPTH) => Rejection::unprocessable(
            "The request body does not fit its schema, and is nested too deeply to say where",
        ),
        _ => Rejection::invalid_json(),
    }
}

/// Words a violation in upstream's three paragraphs: what is wrong, where in the schema, where in the body.
fn describe(error: &ValidationError<'_>) -> String {
    let mut schema_path: Vec<_> = error.schema_path().iter().collect();
    let keyword = match schema_path.pop() {
        Some(LocationSegment::Property(keyword)) => keyword.into_owned(),
        Some(LocationSegment::Index(index)) => index.to_string(),
        None => String::new(),
    };
    format!(
        "{error}\n\nFailed validating \"{keyword}\" in schema{}\n\nOn instance{}:\n    {}",
        brackets(schema_path.into_iter()),
        brackets(segments(error.instance_path()).into_iter()),
        error.instance(),
    )
}

fn segments(location: &Location) -> Vec<LocationSegment<'_>> {
    location.iter().collect()
}

fn brackets<'a>(segments: impl Iterator<Item = LocationSegment<'a>>) -> String {
    segments
        .map(|segment| match segment {
            LocationSegment::Property(name) => format!("[\"{name}\"]"),
            LocationSegment::Index(index) => format!("[{index}]"),
        })
        .collect()
}

fn plan(component: &str) -> &'static Plan {
    static PLANS: LazyLock<HashMap<&'static str, OnceLock<Plan>>> =
        LazyLock::new(|| schema::TEXTS.keys().map(|name| (*name, OnceLock::new())).collect());
    PLANS
        .get(component)
        .expect("the generator only names components that the document has")
        .get_or_init(|| Plan::new(component))
}
