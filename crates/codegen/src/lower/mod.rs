//! From OpenAPI 3.1 to the 3.0 subset that progenitor accepts, and to types that reproduce the wire.
//!
//! Each step is a function with the reason why it is there: `schema` for schemas, `hoist` for those that get a name,
//! `operation` for parameters, bodies and answers. A schema keyword without a rule is an error, because the generator
//! behind would drop it without a word and the code would be wrong. Validation never sees the lowered document.

mod hoist;
mod operation;
mod schema;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    Error,
    document::{entries, operations, ref_name, with_responses},
    names,
};

pub(crate) use schema::check_keywords;

type Object = Map<String, Value>;

/// Component that stands for JSON that belongs to the user.
pub const RAW_JSON: &str = "RawJson";

/// The lowered document and what the passes over the generated code need to know.
#[derive(Debug)]
pub struct Lowered {
    /// OpenAPI 3.0.3.
    pub document: Value,
    /// Fields with three states on the wire: absent, null, value.
    pub three_state: BTreeSet<Field>,
}

/// A field of a generated struct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The struct.
    pub component: String,
    /// The property as the wire calls it.
    pub property: String,
    /// Whether it holds JSON that belongs to the user.
    pub payload: bool,
}

/// Lowers a document.
///
/// # Errors
/// Names the place that no rule covers.
pub fn lower(document: &Value) -> Result<Lowered, Error> {
    let document = &with_responses(document);
    let components = document["components"]["schemas"]
        .as_object()
        .ok_or_else(|| Error::new("the document has no components.schemas"))?;
    let roles = Roles::of(document);
    let mut hoisted = hoist::Hoisted::default();
    let mut schemas = Map::new();
    for (name, component) in components {
        let scope = schema::Scope { components, is_request: roles.requests.contains(name) };
        let mut schema = component.clone();
        scope.component(&mut schema, name, &mut hoisted)?;
        schemas.insert(name.clone(), schema);
    }
    hoisted.add_to(&mut schemas)?;
    schemas.insert(RAW_JSON.into(), json!({"description": "One JSON value, as it came."}));
    // The order of the generated types, which must not depend on where something was hoisted from.
    schemas.sort_keys();

    let mut lowered = document.clone();
    names::shorten(&mut lowered)?;
    lowered["openapi"] = json!("3.0.3");
    for (path, item) in lowered["paths"].as_object_mut().into_iter().flatten() {
        let Some(item) = item.as_object_mut() else { continue };
        // What all operations of a path take is read in front of them; callers send it with whatever they ask.
        item.remove("parameters");
        for (method, value) in item {
            operation::lower(value, &format!("{} {path}", method.to_uppercase()))?;
        }
    }
    lowered["components"] = json!({"schemas": schemas});
    Ok(Lowered { document: lowered, three_state: three_state(components, &roles) })
}

/// Which components are used where.
struct Roles {
    /// Reached from the body of a request.
    requests: BTreeSet<String>,
    /// The body of a PATCH.
    patches: BTreeSet<String>,
}

impl Roles {
    fn of(document: &Value) -> Self {
        let (mut todo, mut patches) = (vec![], BTreeSet::new());
        for operation in operations(document) {
            let mut found = vec![];
            collect_refs(&operation.value["requestBody"], &mut found);
            if operation.method == "patch" {
                patches.extend(found.iter().cloned());
            }
            todo.extend(found);
        }
        let mut requests = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if requests.insert(name.clone()) {
                collect_refs(&document["components"]["schemas"][&name], &mut todo);
            }
        }
        Self { requests, patches }
    }
}

fn collect_refs(value: &Value, into: &mut Vec<String>) {
    into.extend(ref_name(value).map(str::to_owned));
    match value {
        Value::Object(map) => map.values().for_each(|value| collect_refs(value, into)),
        Value::Array(list) => list.iter().for_each(|value| collect_refs(value, into)),
        _ => {}
    }
}

/// Optional *and* nullable properties of answers and of changes: absent and null differ there. In other requests both ask
/// for the same, and a second `Option` would only be in the way of whoever fills it in; the document marks what is an exception
/// with `x-null-differs`. A payload in a request needs none either, since it holds its own null.
fn three_state(components: &Object, roles: &Roles) -> BTreeSet<Field> {
    let mut found = BTreeSet::new();
    for (component, schema) in components {
        let is_patch = roles.patches.contains(component);
        let is_plain_request = roles.requests.contains(component) && !is_patch;
        let required = schema::required(schema);
        for (property, schema) in entries(&schema["properties"]) {
            let payload = schema["x-payload"] == true;
            if is_plain_request && schema["x-null-differs"] != true {
                continue;
            }
            if !required.contains(&property.as_str())
                && schema::is_nullable(schema)
                && !(payload && is_patch)
            {
                let (component, property) = (component.clone(), property.clone());
                found.insert(Field { component, property, payload });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
