//! The application of the section `http`.

use serde_json::Value;

use super::Reader;
use crate::{
    config::project::{App, Source},
    refusal::Result,
};

impl Reader {
    pub(super) fn app(&mut self) -> Result<()> {
        let Some(Value::Object(section)) = self.root.get("http") else { return Ok(()) };
        let path = match section.get("app") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(path)) => path,
            Some(_) => return self.refuse("http.app", "not a string"),
        };
        let authenticates = match section.get("enable_custom_route_auth") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(authenticates)) => *authenticates,
            Some(_) => {
                return self.refuse("http.enable_custom_route_auth", "neither true nor false");
            }
        };
        let auth_first = match section.get("middleware_order") {
            None | Some(Value::Null) => false,
            Some(Value::String(order)) if order == "middleware_first" => false,
            Some(Value::String(order)) if order == "auth_first" => true,
            Some(_) => {
                let cause = "neither \"middleware_first\" nor \"auth_first\"";
                return self.refuse("http.middleware_order", cause);
            }
        };
        let source = self.source("http.app", path)?;
        let object = match &source {
            Source::File { variable, .. } | Source::Module { variable, .. } => variable,
            Source::JavaScript { path } => {
                let path = path.display();
                let cause = format!("{path}: applications in JavaScript are not supported yet");
                return self.refuse("http.app", cause);
            }
            Source::Rust { .. } => return self.refuse("http.app", "applications are in Python"),
        };
        if object.is_empty() {
            return self.refuse("http.app", format!("'{path}' names no variable"));
        }
        self.project.app = Some(App { source, authenticates, auth_first });
        Ok(())
    }
}
