//! Request bodies: what every schema allows, and bodies that break one rule each.

use serde_json::{Map, Value, json};

use super::{
    case::{Case, Expect, Sent},
    sample, schema,
    wording::Rules,
};
use crate::Error;

const NOT_JSON: &str = "Invalid JSON in request body";

/// Levels below a property down to which rules are broken one by one.
const DEPTH: usize = 3;

/// Longer texts are written as a placeholder, such as `<65537 x>`.
const LONG: u64 = 100;

/// Cases for a body that the operation reads itself: whatever it says, it must not break.
pub(super) fn unread() -> Vec<Case> {
    [("body empty", ""), ("body cut off", "{"), ("body null", "null"), ("body array", "[]")]
        .map(|(label, text)| Case::new(label, Expect::Documented).body(Sent::Text(text)))
        .into()
}

/// Cases for a body that follows a component. With `all` every property is broken, else only what is required.
pub(super) fn cases(
    document: &Value,
    component: &str,
    example: &Value,
    success: &[u16],
    all: bool,
) -> Result<Vec<Case>, Error> {
    let rules = Rules::of(document, component)?;
    if let Some(refusal) = rules.refusal(example) {
        return Err(Error::new(format!(
            "the example of {component} does not follow it: {refusal}"
        )));
    }
    let mut walk = Walk { document, component, rules, inside: "", example, cases: Vec::new() };
    walk.outermost();
    let accepted = walk.accepted(success);
    walk.cases.extend(accepted);
    if all {
        walk.properties();
        if ["AssistantCreate", "AssistantPatch"].contains(&component) {
            // Their `config` is any object in the schema; what is in it is checked as a document of its own.
            walk.rules = Rules::of(document, "Config")?;
            walk.inside = "/config";
            let config = schema::component(document, "Config");
            walk.breaks("config", config, &|value| with(example, "config", value), DEPTH);
        }
    }
    Ok(walk.cases)
}

/// The object with one member set.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut members = object.as_object().cloned().unwrap_or_default();
    members.insert(name.to_owned(), value);
    Value::Object(members)
}

struct Walk<'a> {
    document: &'a Value,
    component: &'a str,
    rules: Rules,
    /// Part of the body that `rules` are about, as a JSON pointer.
    inside: &'static str,
    example: &'a Value,
    cases: Vec<Case>,
}

impl Walk<'_> {
    /// The body as a whole.
    fn outermost(&mut self) {
        for (label, body) in [
            ("body empty", Sent::Text("")),
            ("body cut off", Sent::Text("{")),
            ("body with something behind it", Sent::Text("{} {}")),
            ("body not UTF-8", Sent::Bytes("7bff7d")),
        ] {
            let refused = Expect::Refused(422, NOT_JSON.to_owned());
            self.cases.push(Case::new(label, refused).body(body));
        }
        let schema = schema::component(self.document, self.component);
        self.missing("body", schema, self.example, &|body| body);
        for (label, body) in [
            ("body null", json!(null)),
            ("body number", json!(5)),
            ("body text", json!("text")),
            ("body array", json!([])),
            ("body object", json!({})),
        ] {
            self.refused(label, body);
        }
    }

    /// Every property, wrongly.
    fn properties(&mut self) {
        let (document, example) = (self.document, self.example);
        let root = schema::component(document, self.component);
        for (name, property) in schema::properties(document, root) {
            self.breaks(name, property, &|value| with(example, name, value), DEPTH);
            self.not_a_uuid(name, property);
        }
        // A batch: the same of an element.
        if root["items"].is_object() {
            self.breaks("body[0]", &root["items"], &|value| json!([value]), DEPTH);
        }
    }

    /// Breaks the rules of a schema whose value `place` puts into a body.
    fn breaks(
        &mut self,
        label: &str,
        schema: &Value,
        place: &dyn Fn(Value) -> Value,
        depth: usize,
    ) {
        self.refused(&format!("{label} null"), place(Value::Null));
        let wrong = [
            ("number", json!(5)),
            ("text", json!("text")),
            ("object", json!({})),
            ("array", json!([])),
        ];
        for (kind, value) in wrong {
            if self.refused(&format!("{label} {kind}"), place(value)) {
                break;
            }
        }
        for schema in schema::alternatives(self.document, schema) {
            self.breaks_limits(label, schema, place);
            if depth > 0 {
                self.breaks_inside(label, schema, place, depth - 1);
            }
        }
    }

    fn breaks_limits(&mut self, label: &str, schema: &Value, place: &dyn Fn(Value) -> Value) {
        if schema["enum"].is_array() {
            self.refused(&format!("{label} bogus"), place(json!("bogus")));
        }
        let limit = |keyword: &str| schema[keyword].as_i64();
        if let Some(minimum) = limit("minimum") {
            self.refused(&format!("{label} too small"), place(json!(minimum - 1)));
        }
        if let Some(maximum) = limit("maximum") {
            self.refused(&format!("{label} too large"), place(json!(maximum + 1)));
        }
        if limit("minLength").is_some_and(|least| least > 0) {
            self.refused(&format!("{label} empty"), place(json!("")));
        }
        if let Some(most) = schema["maxLength"].as_u64() {
            let text = "x".repeat(usize::try_from(most).unwrap_or(0) + 1);
            self.refused(&format!("{label} too long"), place(json!(text)));
        }
        if limit("minItems").is_some_and(|least| least > 0) {
            self.refused(&format!("{label} without items"), place(json!([])));
        }
        if let Some(most) = limit("maxProperties") {
            let members: Map<_, _> =
                (0..=most).map(|n| (format!("k{n}"), json!("metadata.k"))).collect();
            self.refused(&format!("{label} too many"), place(Value::Object(members)));
        }
    }

    fn breaks_inside(
        &mut self,
        label: &str,
        schema: &Value,
        place: &dyn Fn(Value) -> Value,
        depth: usize,
    ) {
        let document = self.document;
        if schema["items"].as_object().is_some_and(|items| !items.is_empty()) {
            self.breaks(
                &format!("{label}[0]"),
                &schema["items"],
                &|value| place(json!([value])),
                depth,
            );
        }
        if schema["additionalProperties"].is_object() {
            let inner = &schema["additionalProperties"];
            self.breaks(&format!("{label}.k"), inner, &|value| place(json!({ "k": value })), depth);
        }
        let smallest = sample::object_with_required(document, schema);
        for (name, property) in schema::properties(document, schema) {
            let place = |value| place(with(&smallest, name, value));
            self.breaks(&format!("{label}.{name}"), property, &place, depth);
        }
        self.missing(label, schema, &smallest, place);
    }

    /// Leaves out what is required, one member at a time.
    fn missing(
        &mut self,
        label: &str,
        schema: &Value,
        full: &Value,
        place: &dyn Fn(Value) -> Value,
    ) {
        for name in schema::required(self.document, schema) {
            let mut members = full.as_object().cloned().unwrap_or_default();
            members.shift_remove(name);
            self.refused(&format!("{label} without {name}"), place(Value::Object(members)));
        }
    }

    /// The schema does not assert formats, the server does.
    fn not_a_uuid(&mut self, name: &str, property: &Value) {
        let value = match (&property["format"], &property["items"]["format"]) {
            (format, _) if format == "uuid" => json!("not-a-uuid"),
            // The members of a filter by id are refused in another way, for which there is a scenario.
            (_, format) if format == "uuid" && name != "ids" => json!(["not-a-uuid"]),
            _ => return,
        };
        let noun = name.trim_end_matches('s').trim_end_matches("_id");
        let refused = Expect::Refused(422, format!("Invalid {noun} ID: must be a UUID"));
        let body = with(self.example, name, value);
        if self.rules.refusal(&body).is_none() {
            let label = format!("{name} not a UUID");
            self.cases.push(Case::new(label, refused).body(Sent::Json(body)));
        }
    }

    /// Adds a case if the body breaks a rule; says whether it does.
    fn refused(&mut self, label: &str, body: Value) -> bool {
        let Some(judged) = body.pointer(self.inside) else { return false };
        let Some(detail) = self.rules.refusal(judged) else { return false };
        let (body, detail) = shortened(body, detail);
        let known = self.cases.iter().any(|case| {
            case.name == label
                || matches!(&case.expect, Expect::Refused(_, known) if *known == detail)
        });
        if !known {
            self.cases.push(Case::new(label, Expect::Refused(422, detail)).body(Sent::Json(body)));
        }
        true
    }

    /// Every property with a value that it may have, every value of an enumeration, both ends of a range.
    fn accepted(&self, success: &[u16]) -> Vec<Case> {
        let root = schema::component(self.document, self.component);
        let mut cases = Vec::new();
        for (name, property) in schema::properties(self.document, root) {
            for (label, value) in self.good_values(name, property) {
                let body = with(self.example, name, value);
                if self.rules.refusal(&body).is_none() {
                    let case = Case::new(label, Expect::Statuses(success.to_vec()));
                    cases.push(case.body(Sent::Json(body)));
                }
            }
        }
        cases
    }

    fn good_values(&self, name: &str, property: &Value) -> Vec<(String, Value)> {
        let mut values = Vec::new();
        for schema in schema::alternatives(self.document, property) {
            for choice in schema::list(&schema["enum"]) {
                let text = choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
                values.push((format!("accepts {name} {text}"), choice.clone()));
            }
            let choices = &schema::resolve(self.document, &schema["items"])["enum"];
            if choices.is_array() {
                values.push((format!("accepts {name} with all"), choices.clone()));
            }
            for limit in ["minimum", "maximum"] {
                if schema[limit].is_i64() {
                    values
                        .push((format!("accepts {name} {}", schema[limit]), schema[limit].clone()));
                }
            }
        }
        if values.is_empty() && self.example.get(name).is_none() {
            let mut value = sample::property(self.document, self.component, name, property);
            sample::with_fixtures(&mut value);
            values.push((format!("accepts {name}"), value));
        }
        values
    }
}

/// Writes a long run of one letter as its length, in the body and in the text that quotes it.
fn shortened(body: Value, detail: String) -> (Value, String) {
    let text = body.to_string();
    let longest = text.split(|letter| letter != 'x').map(str::len).max().unwrap_or(0);
    if (longest as u64) < LONG {
        return (body, detail);
    }
    let (run, short) = ("x".repeat(longest), format!("<{longest} x>"));
    (
        serde_json::from_str(&text.replace(&run, &short)).unwrap_or(body),
        detail.replace(&run, &short),
    )
}
