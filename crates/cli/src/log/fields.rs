//! The fields of events and spans as values.

use std::fmt::Debug;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Name of the field that `tracing`'s macros put the text into.
const MESSAGE: &str = "message";
/// Name of the field that says which logger of a graph has spoken.
const LOGGER: &str = "logger";

/// What was recorded.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) list: Vec<(&'static str, Value)>,
    pub(super) message: String,
    pub(super) logger: Option<String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE, Value::String(text)) => self.message = text,
            (LOGGER, Value::String(text)) => self.logger = Some(text),
            (name, value) => match self.list.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.list.push((name, value)),
            },
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
