//! One case: how a request differs from the operation's plain one, and what must come back.

use serde_json::{Map, Value, json};

/// What is sent as body.
#[derive(Clone)]
pub(super) enum Sent {
    Json(Value),
    /// Text that is not JSON.
    Text(&'static str),
    /// Bytes that are not text, in hexadecimal.
    Bytes(&'static str),
}

/// Which answers pass.
#[derive(Clone)]
pub(super) enum Expect {
    /// One of these statuses.
    Statuses(Vec<u16>),
    /// This status, and this `detail`.
    Refused(u16, String),
    /// Whatever the document lists, as long as it is no server error. For values that the document leaves to the server.
    Documented,
}

/// One case. Parts that are not given are those of the operation's plain request.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) path: Option<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    /// A required query parameter that is left out.
    pub(super) without: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Sent>,
    pub(super) expect: Expect,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, expect: Expect) -> Self {
        Self {
            name: name.into(),
            path: None,
            query: Vec::new(),
            without: None,
            headers: Vec::new(),
            body: None,
            expect,
        }
    }

    pub(super) fn path(mut self, name: &str, value: &str) -> Self {
        self.path = Some((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: Sent) -> Self {
        self.body = Some(body);
        self
    }

    /// The case as it is printed.
    pub(super) fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("case".into(), json!(self.name));
        if let Some((name, value)) = &self.path {
            json.insert("path".into(), json!({ name: value }));
        }
        if !self.query.is_empty() {
            json.insert("query".into(), json!(self.query));
        }
        if let Some(name) = &self.without {
            json.insert("without".into(), json!(name));
        }
        if !self.headers.is_empty() {
            json.insert("headers".into(), json!(self.headers));
        }
        match &self.body {
            Some(Sent::Json(value)) => json.insert("body".into(), value.clone()),
            Some(Sent::Text(text)) => json.insert("text".into(), json!(text)),
            Some(Sent::Bytes(hex)) => json.insert("bytes".into(), json!(hex)),
            None => None,
        };
        match &self.expect {
            Expect::Statuses(statuses) => match statuses.as_slice() {
                [status] => json.insert("expect".into(), json!(status)),
                statuses => json.insert("expect".into(), json!(statuses)),
            },
            Expect::Refused(status, detail) => {
                json.insert("expect".into(), json!(status));
                json.insert("detail".into(), json!(detail))
            }
            Expect::Documented => json.insert("expect".into(), json!("documented")),
        };
        Value::Object(json)
    }
}
