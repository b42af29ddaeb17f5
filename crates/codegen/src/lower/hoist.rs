//! Inline schemas with an `x-name` move to the components, so that equal ones are one Rust type with a good name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Object;
use crate::Error;

/// The schemas that have moved.
#[derive(Default)]
pub(super) struct Hoisted(BTreeMap<String, Value>);

impl Hoisted {
    /// Puts a reference in place of a schema that has an `x-name`. A schema that needs a name and has none is an error,
    /// since the generator would name it after its position and make a type for each.
    pub(super) fn take(
        &mut self,
        schema: &mut Value,
        place: &str,
        named: bool,
    ) -> Result<(), Error> {
        let Some(object) = schema.as_object_mut() else { return Ok(()) };
        let name = match object.remove("x-name") {
            Some(Value::String(name)) if !named => name,
            Some(_) => {
                return Err(Error::new(format!(
                    "{place}: x-name must be text and is for inline schemas"
                )));
            }
            None if !named && needs_name(object) => {
                return Err(Error::new(format!(
                    "{place}: an inline type needs an x-name, or becomes a component"
                )));
            }
            None => return Ok(()),
        };
        let nullable = object.remove("nullable").is_some();
        let component = schema.take();
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        *schema =
            if nullable { json!({"nullable": true, "allOf": [reference]}) } else { reference };
        let known = self.0.entry(name).or_insert_with_key(|_| component.clone());
        match content(known) == content(&component) {
            true => Ok(()),
            false => {
                Err(Error::new(format!("{place}: this x-name means something else elsewhere")))
            }
        }
    }

    /// Adds them to the components.
    pub(super) fn add_to(self, components: &mut Object) -> Result<(), Error> {
        for (name, schema) in self.0 {
            if components.insert(name.clone(), schema).is_some() {
                return Err(Error::new(format!("x-name {name} is also the name of a component")));
            }
        }
        Ok(())
    }
}

/// Enums, unions and objects with properties become types. A constant does too, but nobody has to write its name.
fn needs_name(object: &Object) -> bool {
    let values = object.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
    values > 1 || object.contains_key("oneOf") || object.contains_key("properties")
}

/// The description depends on the place and does not count.
fn content(schema: &Value) -> Map<String, Value> {
    let mut object = schema.as_object().cloned().unwrap_or_default();
    object.remove("description");
    object
}
