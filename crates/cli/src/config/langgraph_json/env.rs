//! The section `env`.

use serde_json::Value;

use super::Reader;
use crate::{config::dotenv, env::Env, refusal::Result};

impl Reader {
    pub(super) fn env(&mut self, env: &Env) -> Result<()> {
        match self.root.get("env") {
            // A list of names, which the JavaScript tools write, asks for nothing: graphs see the whole environment.
            None | Some(Value::Null | Value::Array(_)) => {}
            Some(Value::String(path)) => {
                let path = self.absolute(path);
                self.project.env_file = Some(path.clone());
                let place = path.display();
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let read = dotenv::parse(&text, env);
                        self.project.env = read.values;
                        self.project.warnings.extend(read.bad_lines.iter().map(|line| {
                            format!("{place}: line {line} is not like NAME=value and is skipped")
                        }));
                    }
                    // Upstream goes on without it: files with secrets are often not there on purpose.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        let place = self.place("env");
                        let warning = format!("{place}: there is no file '{}'", path.display());
                        self.project.warnings.push(warning);
                    }
                    Err(error) => return self.refuse("env", format!("{place}: {error}")),
                }
            }
            Some(Value::Object(values)) => {
                let mut read = Vec::with_capacity(values.len());
                for (name, value) in values {
                    let text = match value {
                        Value::String(text) => text.clone(),
                        Value::Bool(_) | Value::Number(_) => value.to_string(),
                        _ => return self.refuse(&format!("env.{name}"), "not a string"),
                    };
                    read.push((name.clone(), text));
                }
                self.project.env = read;
            }
            Some(_) => return self.refuse("env", "neither a file's path nor an object"),
        }
        Ok(())
    }
}
