//! Runs to their end: events, saved state, live state.

use serde_json::json;

use crate::fixture::{Run, shared};

#[test]
fn a_simple_run_streams_values_and_leaves_its_state() {
    shared(|fixture| async {
        let ended = fixture.run(&Run::new("simple", json!({"foo": "x"}))).await;
        println!(
            "{}\n{:?}\n{:#?}\n{:#?}",
            ended.transcript(),
            ended.order,
            ended.outcome,
            ended.ops
        );
        ended.succeeded();
    });
}
