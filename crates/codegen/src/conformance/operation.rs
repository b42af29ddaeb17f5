//! The cases of one operation: its plain requests, then its parameters one by one, then its body.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::{
    bodies,
    case::{Case, Expect, Sent},
    sample, schema,
};
use crate::{Error, names};

/// The operation's plain request, and how the cases differ from it.
pub(super) struct Cases {
    pub(super) tag: String,
    pub(super) name: String,
    /// Path parameters of the plain request.
    pub(super) path: Map<String, Value>,
    /// Required query parameters of the plain request.
    pub(super) query: Vec<(String, String)>,
    /// Required headers of the plain request.
    pub(super) headers: Vec<(String, String)>,
    /// Body of the plain request: the document's first example.
    pub(super) body: Option<Value>,
    /// Documented statuses that no case is sure to bring about.
    pub(super) scenarios: BTreeSet<u16>,
    pub(super) cases: Vec<Case>,
}

/// The cases of all operations, in the order of the document.
pub(super) fn all(document: &Value) -> Result<Vec<Cases>, Error> {
    let mut found = Vec::new();
    // A schema is broken in every way on the first operation that uses it, on the others only where it counts most.
    let mut seen = HashSet::new();
    for (path, item) in schema::entries(&document["paths"]) {
        for (_, operation) in
            schema::entries(item).filter(|(_, value)| value["operationId"].is_string())
        {
            found.push(derive(document, path, operation, &mut seen)?);
        }
    }
    Ok(found)
}

fn derive(
    document: &Value,
    path: &str,
    operation: &Value,
    seen: &mut HashSet<String>,
) -> Result<Cases, Error> {
    let name =
        names::short_name(operation["operationId"].as_str().unwrap_or_default())?.to_string();
    let statuses = documented(&name, &operation["responses"])?;
    let success = successes(&operation["responses"], &statuses);
    let examples = examples(&name, operation)?;
    // Some operations refuse a request that leaves out all that may be left out.
    let plain_status =
        operation["x-plain-status"].as_u64().and_then(|status| status.try_into().ok());
    let answered = plain_status.map_or_else(|| success.clone(), |status| vec![status]);
    let mut cases: Vec<_> = match examples.as_slice() {
        [] => vec![Case::new("plain request", Expect::Statuses(answered))],
        examples => examples
            .iter()
            .map(|(label, body)| {
                Case::new(label, Expect::Statuses(success.clone())).body(Sent::Json(body.clone()))
            })
            .collect(),
    };
    let mut plain = Cases {
        tag: operation["tags"][0].as_str().unwrap_or_default().to_owned(),
        path: Map::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: examples.first().map(|(_, body)| body.clone()),
        scenarios: BTreeSet::new(),
        cases: Vec::new(),
        name,
    };
    for parameter in schema::list(&operation["parameters"]) {
        let parameter = Parameter::read(parameter, &statuses, &success);
        parameter.require(path, &mut plain);
        cases.extend(parameter.cases());
    }
    if let Some(example) = &plain.body {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let component = schema::reference(schema).unwrap_or_default();
        if operation["x-raw-body"] == true {
            cases.extend(bodies::unread());
        } else {
            let first = seen.insert(component.to_owned());
            cases.extend(bodies::cases(document, component, example, &success, first)?);
        }
    }
    plain.scenarios = uncovered(&statuses, &cases);
    plain.cases = cases;
    Ok(plain)
}

/// The documented statuses.
fn documented(name: &str, responses: &Value) -> Result<Vec<u16>, Error> {
    schema::entries(responses)
        .map(|(status, _)| {
            status
                .parse()
                .map_err(|_| Error::new(format!("{name}: response {status} is not a status")))
        })
        .collect()
}

/// Refusals of who asks, whatever it is: no request of somebody else brings them about.
const OF_CALLERS: [u16; 3] = [401, 403, 429];

/// The statuses that mean success; for operations that only exist to refuse, all that answer the request itself.
fn successes(responses: &Value, statuses: &[u16]) -> Vec<u16> {
    let good = |status: &u16| *status < 300 && responses[status.to_string()]["x-failure"] != true;
    let good: Vec<_> = statuses.iter().copied().filter(good).collect();
    match good.is_empty() {
        true => statuses.iter().copied().filter(|status| !OF_CALLERS.contains(status)).collect(),
        false => good,
    }
}

/// The statuses for which no case stands: several in one expectation leave open which one comes.
fn uncovered(statuses: &[u16], cases: &[Case]) -> BTreeSet<u16> {
    let mut left: BTreeSet<u16> = statuses.iter().copied().collect();
    for case in cases {
        match &case.expect {
            Expect::Refused(status, _) => left.remove(status),
            Expect::Statuses(statuses) if statuses.len() == 1 => left.remove(&statuses[0]),
            _ => false,
        };
    }
    left
}

/// The request bodies that the document shows.
fn examples(name: &str, operation: &Value) -> Result<Vec<(String, Value)>, Error> {
    if operation.get("requestBody").is_none() {
        return Ok(Vec::new());
    }
    let content = &operation["requestBody"]["content"]["application/json"];
    let mut found: Vec<_> = schema::entries(&content["examples"])
        .map(|(label, example)| (format!("example {label}"), example["value"].clone()))
        .collect();
    if let Some(example) = content.get("example") {
        found.push(("example".to_owned(), example.clone()));
    }
    if found.is_empty() {
        return Err(Error::new(format!("{name} has a request body without an example")));
    }
    found.iter_mut().for_each(|(_, body)| sample::with_fixtures(body));
    Ok(found)
}

/// A parameter, as far as cases can be made of it.
struct Parameter<'a> {
    name: &'a str,
    location: &'a str,
    schema: &'a Value,
    required: bool,
    /// Status and `detail` of the answer to a value of the wrong form.
    invalid: Option<(u16, Option<&'a str>)>,
    truths: Vec<&'a str>,
    unknown_is_404: bool,
    success: &'a [u16],
}

impl<'a> Parameter<'a> {
    fn read(value: &'a Value, statuses: &[u16], success: &'a [u16]) -> Self {
        let invalid = &value["x-invalid"];
        let status = invalid["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Self {
            name: value["name"].as_str().unwrap_or_default(),
            location: value["in"].as_str().unwrap_or_default(),
            schema: &value["schema"],
            required: value["required"] == true,
            invalid: status.map(|status| (status, invalid["detail"].as_str())),
            truths: schema::list(&value["x-true"]).filter_map(Value::as_str).collect(),
            unknown_is_404: statuses.contains(&404),
            success,
        }
    }

    /// Puts a required parameter into the plain request.
    fn require(&self, path: &str, plain: &mut Cases) {
        let name = self.name.to_owned();
        match self.location {
            "path" => {
                let value = sample::path(&name, path);
                plain.path.insert(name, json!(value));
            }
            "query" if self.required => plain.query.push((name, "x".to_owned())),
            // The only required header of the document is the kind of answer that is wanted.
            "header" if self.required => plain.headers.push((name, "application/json".to_owned())),
            _ => {}
        }
    }

    fn cases(&self) -> Vec<Case> {
        match (self.location, self.schema["type"].as_str()) {
            ("path", _) if self.schema["format"] == "uuid" => self.uuid(),
            ("path", _) => ["\0", "a/b", "<300 x>"]
                .iter()
                .map(|value| {
                    Case::new(self.label(value), Expect::Documented).path(self.name, value)
                })
                .collect(),
            ("query", Some("integer")) => self.integer(),
            ("query", Some("boolean")) => {
                let truths = self.truths.iter().copied();
                truths.chain(["false", "bogus"]).map(|value| self.accepts(value)).collect()
            }
            ("query", Some("array")) => self.array(),
            ("query", _) => self.text(),
            _ => vec![Case::new(self.label("text"), Expect::Documented).header(self.name, "text")],
        }
    }

    fn uuid(&self) -> Vec<Case> {
        let fixture = format!("<{}|braced>", self.name);
        let unknown =
            if self.unknown_is_404 { Expect::Statuses(vec![404]) } else { Expect::Documented };
        let mut cases = vec![
            Case::new(format!("{} in capitals and braces", self.name), self.succeeds())
                .path(self.name, &fixture),
            Case::new(format!("{} unknown", self.name), unknown).path(self.name, "<new_id>"),
        ];
        for value in ["not-a-uuid", "\0", "<300 x>"] {
            cases.push(Case::new(self.label(value), self.refused(value)).path(self.name, value));
        }
        cases
    }

    fn integer(&self) -> Vec<Case> {
        let mut cases = vec![self.accepts("1")];
        for value in ["-1", "99999999999999999999"] {
            cases.push(self.query(value, Expect::Documented));
        }
        cases.push(self.query("abc", self.refused("abc")));
        cases
    }

    fn array(&self) -> Vec<Case> {
        let choices: Vec<_> =
            schema::list(&self.schema["items"]["enum"]).filter_map(Value::as_str).collect();
        if choices.is_empty() {
            return vec![self.query("bogus", self.refused("bogus"))];
        }
        let all = Case::new(format!("{}: all", self.name), self.succeeds());
        vec![
            choices.iter().fold(all, |case, choice| case.query(self.name, choice)),
            self.accepts(choices[0]),
            self.query("bogus", self.refused("bogus")),
        ]
    }

    fn text(&self) -> Vec<Case> {
        let mut cases = vec![self.query("\0", Expect::Documented)];
        if self.required {
            let mut missing = Case::new(format!("{} missing", self.name), self.refused(""));
            missing.without = Some(self.name.to_owned());
            cases.push(missing);
        } else {
            cases.push(self.query("bogus", self.refused("bogus")));
        }
        cases
    }

    fn accepts(&self, value: &str) -> Case {
        self.query(value, self.succeeds())
    }

    fn query(&self, value: &str, expect: Expect) -> Case {
        Case::new(self.label(value), expect).query(self.name, value)
    }

    fn succeeds(&self) -> Expect {
        Expect::Statuses(self.success.to_vec())
    }

    /// What the document says about this value, which has the wrong form. It need not say anything.
    fn refused(&self, value: &str) -> Expect {
        match self.invalid {
            Some((status, Some(detail))) => {
                Expect::Refused(status, detail.replace("{value}", value))
            }
            Some((status, None)) => Expect::Statuses(vec![status]),
            None => Expect::Documented,
        }
    }

    fn label(&self, value: &str) -> String {
        format!("{}: {}", self.name, value.replace('\0', "NUL"))
    }
}
