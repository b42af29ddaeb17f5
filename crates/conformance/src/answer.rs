//! One answer, whole.

use anyhow::{Context, Result, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

/// Longer bodies are cut in messages; letters.
const SHOWN: usize = 600;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type without parameters.
    pub(crate) fn media_type(&self) -> Option<&str> {
        let full = self.header(CONTENT_TYPE.as_str())?;
        Some(full.split(';').next().unwrap_or(full).trim())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.describe()))
    }

    /// The `detail` of an error.
    pub(crate) fn detail(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body["detail"].as_str().map(str::to_owned)
    }

    /// The body of an answer that must be a success.
    pub(crate) fn success(&self) -> Result<Value> {
        if self.status >= 300 {
            bail!("expected a success, got {}", self.describe());
        }
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    /// The answer in one line, for people.
    pub(crate) fn describe(&self) -> String {
        let shown = shortened(&String::from_utf8_lossy(&self.body));
        if shown.is_empty() { self.status.to_string() } else { format!("{} {shown}", self.status) }
    }
}

/// A body as messages show it.
pub(crate) fn shortened(body: &str) -> String {
    let mut shown: String = body.chars().take(SHOWN).collect();
    if shown.len() < body.len() {
        shown.push('…');
    }
    shown
}
