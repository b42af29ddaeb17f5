//! Answers, for people and for programs.

use std::io::{self, IsTerminal as _, Write as _};

use agent_server_client::Event;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

/// Most characters of a cell in a table of several rows; the whole is in the JSON.
const CELL: usize = 60;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// What the server sent
    Json,
    /// Rows and columns
    Table,
}

impl Format {
    /// Tables are for people.
    pub(super) fn usual() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Json }
    }
}

/// Prints answers to stdout.
pub(super) struct Printer {
    format: Format,
    /// Whether people look at it.
    terminal: bool,
}

impl Printer {
    pub(super) fn new(format: Format) -> Self {
        Self { format, terminal: io::stdout().is_terminal() }
    }

    /// Prints text that has no other form.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.trim_end_matches('\n'))?;
        out.flush()
    }

    /// Prints a JSON body; nothing for an empty one.
    pub(super) fn json(&mut self, body: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(body);
        if text.trim().is_empty() {
            return Ok(());
        }
        let parsed = serde_json::from_str::<Value>(&text).ok();
        match (self.format, parsed) {
            (Format::Table, Some(value)) => self.text(&table(&value)),
            (Format::Json, Some(value)) if self.terminal => self.text(&format!("{value:#}")),
            // Programs get the bytes that were sent.
            _ => self.text(&text),
        }
    }

    /// Prints an event as it arrives.
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        let name: Vec<_> =
            std::iter::once(&event.name).chain(&event.namespace).map(String::as_str).collect();
        let id = event.id.as_ref().map(|id| format!("id: {id}\n")).unwrap_or_default();
        // What spans lines would not be one field any more.
        let data = event.data.get().replace('\n', "\ndata: ");
        self.text(&format!("event: {}\ndata: {data}\n{id}", name.join("|")))?;
        self.text("")
    }
}

/// A value as a table: a row for each of several objects, a row for each member of one.
fn table(value: &Value) -> String {
    match value {
        Value::Array(rows) if rows.is_empty() => "Nothing.".to_owned(),
        Value::Array(rows) if rows.iter().all(Value::is_object) => {
            let rows: Vec<_> = rows.iter().filter_map(Value::as_object).collect();
            of_rows(&rows)
        }
        Value::Object(object) => of_object(object),
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    }
}

fn of_object(object: &Map<String, Value>) -> String {
    // Answers that wrap a list: the list is what was asked for.
    if let [(name, Value::Array(rows))] = &object.iter().collect::<Vec<_>>()[..]
        && !rows.is_empty()
        && rows.iter().all(Value::is_object)
    {
        return format!("{name}:\n{}", table(&Value::Array(rows.clone())));
    }
    let mut table = plain();
    for (name, value) in object {
        let shown = match value {
            Value::Object(members) if !members.is_empty() => format!("{value:#}"),
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                format!("{value:#}")
            }
            other => cell(other),
        };
        table.add_row([name.as_str(), &shown]);
    }
    table.trim_fmt()
}

fn of_rows(rows: &[&Map<String, Value>]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        // What is empty in every row says nothing.
        let says = |row: &&Map<String, Value>| row.get(name).is_some_and(|value| !is_empty(value));
        if !columns.contains(&name.as_str()) && rows.iter().any(says) {
            columns.push(name);
        }
    }
    let mut table = plain();
    table.set_header(&columns);
    for row in rows {
        table.add_row(columns.iter().map(|name| row.get(*name).map_or_else(String::new, short)));
    }
    table.trim_fmt()
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn short(value: &Value) -> String {
    let text = cell(value).replace('\n', " ");
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(value: &Value) -> Vec<String> {
        table(value).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn lists_have_a_row_for_each_and_no_empty_columns() {
        let value = json!([
            {"id": "a", "metadata": {}, "status": null, "n": 1},
            {"id": "b", "metadata": {}, "status": "idle", "more": {"x": [1]}},
        ]);
        assert_eq!(
            lines(&value),
            [" id  status  n  more", " a   -       1", " b   idle       {\"x\":[1]}"]
        );
        assert_eq!(table(&json!([])), "Nothing.");
    }

    #[test]
    fn objects_have_a_row_for_each_member() {
        let value = json!({"id": "a", "error": null, "values": {"n": [1]}});
        assert_eq!(
            lines(&value),
            [
                " id      a",
                " error   -",
                " values  {",
                "           \"n\": [",
                "             1",
                "           ]",
                "         }"
            ]
        );
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        assert_eq!(short(&json!("é".repeat(61))), format!("{}…", "é".repeat(60)));
    }
}
