//! The section `encryption`.

use serde_json::Value;

use super::Reader;
use crate::refusal::Result;

impl Reader {
    pub(super) fn encryption(&mut self) -> Result<()> {
        let Some(Value::Object(section)) = self.root.get("encryption") else { return Ok(()) };
        let path = match section.get("path") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::String(path)) => path,
            Some(_) => return self.refuse("encryption.path", "not a string"),
        };
        self.project.encryption =
            Some(self.python_object("encryption.path", path, "encryption")?);
        Ok(())
    }
}
