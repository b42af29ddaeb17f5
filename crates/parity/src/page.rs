//! `docs/differences.md`, the list of deliberate differences for people, written from `differences.json`.

use std::fmt::Write as _;

use crate::deliberate::Entry;

/// The page.
pub(crate) fn render(entries: &[Entry]) -> String {
    let mut page = String::from(
        "<!-- Written from crates/parity/differences.json by `cargo xtask parity --page`; do not edit. -->\n\n\
         # Deliberate differences\n\n\
         `cargo xtask parity` plays the same scenarios on this server and on `langgraph dev` and compares whole answers. \
         What differs is either a defect or stands here. An entry that no longer occurs is reported too.\n",
    );
    for (number, entry) in entries.iter().enumerate() {
        let _ = write!(page, "\n## {}. {}\n\n{}\n\n", number + 1, entry.what, entry.why);
        page.push_str("| scenarios | call | place |\n|---|---|---|\n");
        for place in &entry.seen {
            let list = |names: &[String]| {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            };
            let call =
                if place.call == "*" { "any".to_owned() } else { format!("`{}`", place.call) };
            let (scenarios, at) = (list(&place.scenarios), list(&place.at));
            let _ = writeln!(page, "| {scenarios} | {call} | {at} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::deliberate::List;

    #[test]
    fn the_page_is_what_the_list_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let list = List::read(&root.join("differences.json")).expect("well-formed");
        let page = std::fs::read_to_string(root.join("../../docs/differences.md")).expect("there");
        let same = page == super::render(list.entries());
        assert!(same, "docs/differences.md is stale: run `cargo xtask parity --page`");
    }
}
