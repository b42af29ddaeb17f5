//! States put together from rendered parts must equal what the library says about the stored checkpoint.

use std::collections::HashMap;

use agent_server_domain::ports::{GraphHost, Question};
use agent_server_storage::{
    RawJson, ThreadId,
    checkpoints::{Base, SaverOp},
};
use serde_json::{Value, json};

use crate::fixture::{Ended, Fixture, Run};

/// Every record that the operations of several runs of a thread make, newest operation wins.
#[derive(Default)]
pub(crate) struct Records {
    bases: HashMap<(String, String), Base>,
    statuses: HashMap<(String, String, String), Value>,
    /// Namespace and id, in the order in which they were put.
    puts: Vec<(String, String)>,
}

impl Records {
    pub(crate) fn add(&mut self, ops: &[SaverOp]) {
        for op in ops {
            match op {
                SaverOp::Put(put) => self.puts.push((put.ns.clone(), put.id.clone())),
                SaverOp::Base(base) => {
                    let key = (base.ns.clone(), base.checkpoint_id.clone());
                    assert!(self.puts.contains(&key), "a base came before its checkpoint");
                    self.bases.insert(key, base.clone());
                }
                SaverOp::Writes(writes) => {
                    let key =
                        (writes.ns.clone(), writes.checkpoint_id.clone(), writes.task_id.clone());
                    self.statuses.insert(key, writes.status.parse().unwrap());
                }
            }
        }
    }

    /// The record of a checkpoint; `None` if it was not rendered.
    fn record(&self, ns: &str, id: &str) -> Option<Value> {
        let base = self.bases.get(&(ns.to_owned(), id.to_owned()))?;
        let tasks: Vec<Value> = base.tasks.parse().unwrap();
        let unstarted = json!({"result": null, "interrupts": [], "error": null});
        let tasks: Vec<Value> = tasks
            .into_iter()
            .map(|task| {
                let task_id = task["id"].as_str().unwrap().to_owned();
                let key = (ns.to_owned(), id.to_owned(), task_id);
                let status = self.statuses.get(&key).unwrap_or(&unstarted);
                json!({
                    "id": task["id"], "name": task["name"], "path": task["path"],
                    "error": status["error"], "interrupts": status["interrupts"],
                    "checkpoint": task["checkpoint"], "state": null, "result": status["result"],
                })
            })
            .collect();
        let values: Value = base.values.parse().unwrap();
        let next: Value = base.next.parse().unwrap();
        Some(json!({"values": values, "next": next, "tasks": tasks}))
    }

    /// Compares every record with the library's. Returns how many there were.
    pub(crate) async fn check(&self, fixture: &Fixture, graph: &str, thread: ThreadId) -> usize {
        let mut count = 0;
        for (ns, id) in &self.puts {
            let Some(record) = self.record(ns, id) else { continue };
            let mut said = state(fixture, graph, thread, ns, Some(id)).await;
            let kept = ["values", "next", "tasks"];
            said.as_object_mut().unwrap().retain(|key, _| kept.contains(&key.as_str()));
            assert_eq!(record, said, "{graph}: record of {ns:?} {id}");
            count += 1;
        }
        count
    }
}

/// A state, rendered by the library.
pub(crate) async fn state(
    fixture: &Fixture,
    graph: &str,
    thread_id: ThreadId,
    ns: &str,
    id: Option<&str>,
) -> Value {
    let mut configurable = json!({"checkpoint_ns": ns});
    if let Some(id) = id {
        configurable["checkpoint_id"] = json!(id);
    }
    let config = RawJson::of(&json!({"configurable": configurable}));
    let question = Question::State { thread_id, config, subgraphs: false };
    fixture.pool.ask(graph, question).await.unwrap().json.parse().unwrap()
}

/// Executes runs one after another on one thread; all records and every live state must be the library's.
pub(crate) async fn check(fixture: &Fixture, runs: &[Run], rendered: usize) -> Vec<Ended> {
    let mut records = Records::default();
    let mut all = vec![];
    let (graph, thread) = (&runs[0].graph, runs[0].thread_id);
    for run in runs {
        let ended = fixture.run(run).await;
        records.add(&ended.ops);
        let said = state(fixture, graph, thread, "", None).await;
        assert_eq!(ended.state(), said, "{graph}: the live state");
        all.push(ended);
    }
    assert_eq!(records.check(fixture, graph, thread).await, rendered, "{graph}: records");
    all
}
