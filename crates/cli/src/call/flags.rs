//! The flags of an operation: its parameters, and the fields of its body.

use std::collections::BTreeSet;

use agent_server_api::{Operation, Parameter, document};
use clap::{Arg, ArgAction, Command, builder::PossibleValuesParser, value_parser};
use serde_json::Value;

use super::kind::{Alone, Kind, resolved};

/// Names of the flags that every operation has; a field of the same name is called `--body-<name>`.
const TAKEN: [&str; 9] =
    ["url", "api-key", "header", "output", "body", "field", "help", "list", "version"];

/// Id of the flag that holds the whole body.
pub(super) const BODY: &str = "body";
/// Id of the flag that holds fields as `name=JSON`.
pub(super) const FIELD: &str = "field";

/// One field of a body.
pub(super) struct Field {
    /// Name on the wire.
    pub(super) name: &'static str,
    /// What may be typed for it.
    pub(super) kind: Kind,
    schema: &'static Value,
    required: bool,
}

/// The command of an operation. Its flags are made when it is the one that was typed.
pub(super) fn command(operation: &'static Operation) -> Command {
    Command::new(command_name(operation)).about(operation.summary).hide(true).defer(|command| {
        match Operation::find(&command.get_name().replace('-', "_")) {
            Some(operation) => define(command, operation),
            None => command,
        }
    })
}

/// What the command of an operation is called.
pub(super) fn command_name(operation: &Operation) -> String {
    operation.name.replace('_', "-")
}

/// Id of the flag of a parameter.
pub(super) fn parameter_id(parameter: &Parameter) -> String {
    format!("parameter {}", parameter.name)
}

/// Id of the flag of a field.
pub(super) fn field_id(name: &str) -> String {
    format!("field {name}")
}

/// The schema of a parameter.
pub(super) fn schema(parameter: &Parameter) -> Value {
    serde_json::from_str(parameter.schema).unwrap_or_default()
}

/// The fields of an operation's body, in the order of the document: those of every part that it is made of.
pub(super) fn fields(operation: &Operation) -> Vec<Field> {
    let Some(body) = operation.body else { return Vec::new() };
    let mut fields: Vec<Field> = Vec::new();
    gather(&document()["components"]["schemas"][body.component], &mut fields);
    fields
}

fn gather(schema: &'static Value, fields: &mut Vec<Field>) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(resolved(part), fields);
    }
    let required = schema["required"].as_array();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let required =
            required.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)));
        match fields.iter_mut().find(|field| field.name == name) {
            // A part that says more of a field that another one has.
            Some(field) => {
                field.required |= required;
                if schema.get("description").is_some() {
                    (field.schema, field.kind) = (schema, Kind::of(schema));
                }
            }
            None => fields.push(Field { name, kind: Kind::of(schema), schema, required }),
        }
    }
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if let Some(field) = fields.iter_mut().find(|field| field.name == name) {
            field.required = true;
        }
    }
}

fn define(command: Command, operation: &'static Operation) -> Command {
    let mut taken: BTreeSet<String> = TAKEN.iter().map(|name| (*name).to_owned()).collect();
    let mut args = Vec::new();
    for parameter in operation.parameters {
        let schema = schema(parameter);
        let flag = flag(parameter.name, "param", &mut taken);
        let arg = Arg::new(parameter_id(parameter))
            .long(flag)
            .required(parameter.required)
            .help_heading("Parameters");
        args.push(described(typed(arg, &Kind::of(&schema)), parameter.description, &schema));
    }
    for field in fields(operation) {
        let flag = flag(field.name, "body", &mut taken);
        let mut arg = Arg::new(field_id(field.name)).long(flag).help_heading("Body");
        if field.required {
            arg = arg.required_unless_present_any([BODY, FIELD]);
        }
        let text = field.schema["description"].as_str();
        let text = text.or(resolved(field.schema)["description"].as_str()).unwrap_or_default();
        args.push(described(typed(arg, &field.kind), text, field.schema));
    }
    if operation.body.is_some() {
        args.push(
            Arg::new(BODY)
                .long("body")
                .value_name("JSON|@FILE|-")
                .allow_hyphen_values(true)
                .help("The whole body: JSON, a file with @, or - for what comes in; fields that are given go on top of it")
                .help_heading("Body"),
        );
        args.push(
            Arg::new(FIELD)
                .long("field")
                .value_name("NAME=JSON")
                .action(ArgAction::Append)
                .help("A field of the body that is not listed here, or a value that its flag does not take (null)")
                .help_heading("Body"),
        );
    }
    let description = description(operation);
    command
        .long_about(format!("{}.\n\n{description}", operation.summary))
        .after_help(request_line(operation))
        .after_long_help(after(operation))
        .args(args)
}

/// A name for a flag that no other has.
fn flag(name: &str, prefix: &str, taken: &mut BTreeSet<String>) -> String {
    let words = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let words = words.trim_matches('-');
    let flag = match taken.contains(words) {
        true => format!("{prefix}-{words}"),
        false => words.to_owned(),
    };
    taken.insert(flag.clone());
    flag
}

fn typed(arg: Arg, kind: &Kind) -> Arg {
    let arg = arg.value_name(kind.value_name());
    match kind {
        Kind::Text => arg,
        Kind::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        // The text is what is sent; this only looks whether it is one.
        Kind::Integer => arg.allow_negative_numbers(true).value_parser(value_parser!(i64)),
        Kind::Number => arg.allow_negative_numbers(true).value_parser(value_parser!(f64)),
        Kind::Boolean => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(value_parser!(bool)),
        Kind::List(list) if !list.choices.is_empty() => {
            let alone = match &list.alone {
                Alone::These(words) => &words[..],
                _ => &[],
            };
            let words =
                list.choices.iter().chain(alone.iter().filter(|w| !list.choices.contains(w)));
            arg.action(ArgAction::Append).value_parser(PossibleValuesParser::new(words))
        }
        Kind::List(_) => arg.action(ArgAction::Append),
        Kind::Json(_) => arg.value_name("JSON|@FILE|-").allow_hyphen_values(true),
    }
}

/// Adds the text of the document: its first sentence to the short help, all of it to the long one.
fn described(arg: Arg, text: &str, schema: &Value) -> Arg {
    let default = match &schema["default"] {
        Value::Null => String::new(),
        Value::String(text) => format!(" [default: {text}]"),
        other => format!(" [default: {other}]"),
    };
    let repeated = match arg.get_action() {
        ArgAction::Append => " (may be repeated)",
        _ => "",
    };
    let short = text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.');
    arg.help(format!("{short}{repeated}{default}"))
        .long_help(format!("{}{repeated}{default}", text.trim_end_matches('.')))
}

/// The operation in the document.
fn in_document(operation: &Operation) -> &'static Value {
    &document()["paths"][operation.path][operation.method.to_lowercase().as_str()]
}

fn description(operation: &Operation) -> &'static str {
    in_document(operation)["description"].as_str().unwrap_or_default()
}

fn request_line(operation: &Operation) -> String {
    let own = if operation.extension { " (an addition of this server)" } else { "" };
    format!("Request: {} {}{own}", operation.method, operation.path)
}

/// Request, answers and an example.
fn after(operation: &Operation) -> String {
    let mut text = format!("{}\nAnswers:\n", request_line(operation));
    let responses = in_document(operation)["responses"].as_object().into_iter().flatten();
    for (status, response) in responses {
        // What operations share stands elsewhere.
        let shared = response["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        let response = shared.and_then(|path| document().pointer(path)).unwrap_or(response);
        let what = response["description"].as_str().unwrap_or_default();
        text += &format!("  {status}  {}\n", what.lines().next().unwrap_or_default());
    }
    if let Some(body) = example(operation) {
        let needed = operation.parameters.iter().filter(|parameter| parameter.required);
        let flags: String =
            needed.map(|parameter| format!(" --{} …", parameter.name.replace('_', "-"))).collect();
        let name = command_name(operation);
        text += &format!("Example:\n  agent-server call {name}{flags} --body '{body}'");
    }
    text.trim_end().to_owned()
}

/// The first example of the body.
fn example(operation: &Operation) -> Option<&'static Value> {
    let content = &in_document(operation)["requestBody"]["content"]["application/json"];
    let named = content["examples"].as_object().and_then(|all| all.values().next());
    named.map(|example| &example["value"]).or(content.get("example"))
}
