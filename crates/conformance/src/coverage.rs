//! Whether everything in the document is covered, without a server.

use std::collections::BTreeSet;

use agent_server_api::OPERATIONS;

use crate::{
    behaviour, cases,
    not_implemented::{self, List},
    scenarios::{OF_CALLERS, OF_LIMITS, TABLE, is_of_caller},
};

fn list() -> &'static List {
    not_implemented::list()
}

#[test]
fn every_operation_of_the_document_has_cases_and_no_other_has() {
    let document: BTreeSet<_> =
        OPERATIONS.iter().map(|operation| operation.name.to_owned()).collect();
    let cases: BTreeSet<_> =
        cases::all().expect("readable").into_iter().map(|cases| cases.operation).collect();
    assert_eq!(cases, document, "run `cargo xtask regenerate`");
}

#[test]
fn every_documented_status_has_a_case_or_a_scenario() {
    let statuses = |entry: &'static crate::scenarios::Scenario| {
        entry.operations.iter().map(|operation| ((*operation).to_owned(), entry.status))
    };
    let told: BTreeSet<_> = TABLE.iter().flat_map(statuses).collect();
    let entries: usize = TABLE.iter().map(|entry| entry.operations.len()).sum();
    assert_eq!(told.len(), entries, "two entries of scenarios::TABLE are about the same");
    let wanted: BTreeSet<_> = cases::all()
        .expect("readable")
        .into_iter()
        .filter(|cases| !list().operations.contains(&cases.operation))
        .flat_map(|cases| {
            let name = cases.operation;
            cases.scenarios.into_iter().map(move |status| (name.clone(), status))
        })
        .filter(|(_, status)| !is_of_caller(*status))
        .collect();
    let missing: Vec<_> = wanted.difference(&told).collect();
    let left_over: Vec<_> = told.difference(&wanted).collect();
    assert!(missing.is_empty(), "scenarios::TABLE lacks {missing:?}");
    assert!(left_over.is_empty(), "scenarios::TABLE has {left_over:?}, which no document asks for");
}

/// Either nobody has to be known for an operation, or it says what strangers, those who may do nothing and those who ask too
/// often are answered.
#[test]
fn refusals_of_callers_are_documented_together() {
    let mut open = Vec::new();
    for operation in OPERATIONS {
        let documented = |status: &&u16| operation.error_statuses().any(|known| known == **status);
        match OF_CALLERS.iter().filter(documented).count() {
            0 => open.push(operation.path),
            2 => {}
            _ => panic!("{} has only one of {OF_CALLERS:?}", operation.name),
        }
        let is_limited = documented(&&OF_LIMITS);
        assert_eq!(is_limited, documented(&&OF_CALLERS[0]), "{}", operation.name);
    }
    open.sort_unstable();
    assert_eq!(open, ["/", "/docs", "/info", "/metrics", "/ok", "/openapi.json"]);
}

#[test]
fn the_list_of_what_is_not_implemented_names_what_there_is() {
    let all = cases::all().expect("readable");
    for name in &list().operations {
        assert!(all.iter().any(|cases| cases.operation == *name), "there is no operation {name}");
    }
    for (operation, field) in &list().fields {
        let cases = all.iter().find(|cases| cases.operation == *operation);
        let cases = cases.unwrap_or_else(|| panic!("there is no operation {operation}"));
        assert!(!list().operations.contains(operation), "{operation} is in the list as a whole");
        let tried = cases.cases.iter().any(|case| {
            case.expect.may_succeed()
                && case
                    .body
                    .as_ref()
                    .and_then(|body| body.get(field))
                    .is_some_and(|value| !value.is_null())
        });
        assert!(tried, "no case of {operation} has the field {field}");
    }
}

/// The list may only shrink: whoever adds an operation adds a case to `tests/behaviour/`.
#[test]
fn operations_without_a_behaviour_case_are_those_of_the_list() {
    let text = include_str!("../without_behaviour.json");
    let listed: BTreeSet<String> = serde_json::from_str(text).expect("an array of names");
    let covered: BTreeSet<_> = behaviour::cases().map(|case| case.operation).collect();
    for name in &covered {
        assert!(
            OPERATIONS.iter().any(|operation| operation.name == *name),
            "there is no operation {name}"
        );
    }
    let without: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|operation| operation.name)
        .filter(|name| !covered.contains(name))
        .map(str::to_owned)
        .collect();
    let new: Vec<_> = without.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&without).collect();
    assert!(new.is_empty(), "write a case in tests/behaviour/ for {new:?}");
    assert!(gone.is_empty(), "take {gone:?} out of without_behaviour.json");
}
