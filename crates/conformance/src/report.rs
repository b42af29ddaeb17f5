//! What was found, and how it is told.

use std::{fmt::Write as _, time::Duration};

use agent_server_api::Operation;

use crate::statuses::Statuses;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the document says.
    Passed,
    /// Otherwise; how.
    Failed(String),
    /// Not tried; why.
    Skipped(String),
}

/// One case and its outcome.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Tag of the operation.
    pub tag: &'static str,
    /// Short name of the operation.
    pub operation: &'static str,
    /// What was tried.
    pub case: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// All that was tried.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which it was tried.
    pub entries: Vec<Entry>,
    /// How long it took.
    pub took: Duration,
    /// Which statuses came up.
    pub statuses: Statuses,
}

impl Report {
    /// Passed, failed, skipped.
    pub fn counts(&self) -> [usize; 3] {
        count(self.entries.iter())
    }

    /// Whether something failed, or nothing was tried.
    pub fn failed(&self) -> bool {
        let [passed, failed, _] = self.counts();
        failed > 0 || passed == 0
    }

    /// The report as text: a line for each operation with its documented statuses, then what failed and what was skipped.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for tag in in_order(self.entries.iter().map(|entry| entry.tag)) {
            let _ = writeln!(text, "{tag}");
            let of_tag = || self.entries.iter().filter(|entry| entry.tag == tag);
            for operation in in_order(of_tag().map(|entry| entry.operation)) {
                let counts = count(of_tag().filter(|entry| entry.operation == operation));
                let statuses = Operation::find(operation).map(|known| self.statuses.line(known));
                let (counts, statuses) = (words(counts), statuses.unwrap_or_default());
                let _ = writeln!(text, "  {operation:<38}{counts:<26}  {statuses}");
            }
        }
        self.list(&mut text, "skipped", |outcome| match outcome {
            Outcome::Skipped(why) => Some(why),
            _ => None,
        });
        self.list(&mut text, "failed", |outcome| match outcome {
            Outcome::Failed(how) => Some(how),
            _ => None,
        });
        let _ =
            writeln!(text, "\n{} in {:.1} s", words(self.counts()).trim(), self.took.as_secs_f64());
        text
    }

    fn list(&self, text: &mut String, title: &str, pick: impl Fn(&Outcome) -> Option<&String>) {
        let picked: Vec<_> =
            self.entries.iter().filter_map(|entry| Some((entry, pick(&entry.outcome)?))).collect();
        if picked.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{title}:");
        for (entry, why) in picked {
            let why = why.replace('\n', "\n      ");
            let _ = writeln!(text, "  {}: {}\n      {why}", entry.operation, entry.case);
        }
    }
}

fn count<'a>(entries: impl Iterator<Item = &'a Entry>) -> [usize; 3] {
    entries.fold([0; 3], |mut counts, entry| {
        counts[match entry.outcome {
            Outcome::Passed => 0,
            Outcome::Failed(_) => 1,
            Outcome::Skipped(_) => 2,
        }] += 1;
        counts
    })
}

fn words([passed, failed, skipped]: [usize; 3]) -> String {
    let mut text = format!("{passed:>5} passed");
    for (number, word) in [(failed, "failed"), (skipped, "skipped")] {
        if number > 0 {
            let _ = write!(text, ", {number} {word}");
        }
    }
    text
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_skips_are_told_with_their_reason() {
        let entry = |case: &str, outcome| Entry {
            tag: "System",
            operation: "server_info",
            case: case.into(),
            outcome,
        };
        let report = Report {
            entries: vec![
                entry("plain request", Outcome::Passed),
                entry("other", Outcome::Failed("GET /info\nexpected 200, got 500".into())),
                entry("third", Outcome::Skipped("cannot be provoked".into())),
            ],
            took: Duration::from_millis(1500),
            statuses: Statuses::default(),
        };
        let expected = "System
  server_info                               1 passed, 1 failed, 1 skipped    not seen: 200

skipped:
  server_info: third
      cannot be provoked

failed:
  server_info: other
      GET /info
      expected 200, got 500

1 passed, 1 failed, 1 skipped in 1.5 s
";
        assert_eq!(report.table(), expected);
        assert!(report.failed());
    }

    #[test]
    fn an_empty_report_is_a_failure() {
        assert!(Report::default().failed());
    }
}
