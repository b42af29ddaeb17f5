//! From the domain's rows to the wire's types, where several handlers need it.

use agent_server_api::types;
use agent_server_client::wire;
use agent_server_domain::storage::{
    self, Map, RawJson,
    runs::{MultitaskStrategy, Run, RunStatus},
    threads::ThreadStatus,
};

/// User JSON, which was JSON when it came in.
pub(crate) fn raw(json: &RawJson) -> wire::RawJson {
    wire::RawJson::trusted(json.shared())
}

/// The other way, for request bodies.
pub(crate) fn stored(json: wire::RawJson) -> RawJson {
    RawJson::trusted(json.shared())
}

/// A time.
pub(crate) fn time(time: storage::Timestamp) -> wire::Timestamp {
    wire::Timestamp(time)
}

/// A typed object of the wire as the map that rules work on.
pub(crate) fn map(value: &impl serde::Serialize) -> Map {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => Map::new(),
    }
}

pub(crate) fn thread_status(status: ThreadStatus) -> types::ThreadStatus {
    match status {
        ThreadStatus::Idle => types::ThreadStatus::Idle,
        ThreadStatus::Busy => types::ThreadStatus::Busy,
        ThreadStatus::Interrupted => types::ThreadStatus::Interrupted,
        ThreadStatus::Error => types::ThreadStatus::Error,
    }
}

pub(crate) fn thread_status_filter(status: types::ThreadStatus) -> ThreadStatus {
    match status {
        types::ThreadStatus::Idle => ThreadStatus::Idle,
        types::ThreadStatus::Busy => ThreadStatus::Busy,
        types::ThreadStatus::Interrupted => ThreadStatus::Interrupted,
        types::ThreadStatus::Error => ThreadStatus::Error,
    }
}

fn run_status(status: RunStatus) -> types::RunStatus {
    match status {
        RunStatus::Pending => types::RunStatus::Pending,
        RunStatus::Running => types::RunStatus::Running,
        RunStatus::Error => types::RunStatus::Error,
        RunStatus::Success => types::RunStatus::Success,
        RunStatus::Timeout => types::RunStatus::Timeout,
        RunStatus::Interrupted => types::RunStatus::Interrupted,
    }
}

pub(crate) fn run_status_filter(status: types::RunStatus) -> RunStatus {
    match status {
        types::RunStatus::Pending => RunStatus::Pending,
        types::RunStatus::Running => RunStatus::Running,
        types::RunStatus::Error => RunStatus::Error,
        types::RunStatus::Success => RunStatus::Success,
        types::RunStatus::Timeout => RunStatus::Timeout,
        types::RunStatus::Interrupted => RunStatus::Interrupted,
    }
}

fn multitask_strategy(strategy: MultitaskStrategy) -> types::MultitaskStrategy {
    match strategy {
        MultitaskStrategy::Reject => types::MultitaskStrategy::Reject,
        MultitaskStrategy::Rollback => types::MultitaskStrategy::Rollback,
        MultitaskStrategy::Interrupt => types::MultitaskStrategy::Interrupt,
        MultitaskStrategy::Enqueue => types::MultitaskStrategy::Enqueue,
    }
}

pub(crate) fn multitask_strategy_of(strategy: types::MultitaskStrategy) -> MultitaskStrategy {
    match strategy {
        types::MultitaskStrategy::Reject => MultitaskStrategy::Reject,
        types::MultitaskStrategy::Rollback => MultitaskStrategy::Rollback,
        types::MultitaskStrategy::Interrupt => MultitaskStrategy::Interrupt,
        types::MultitaskStrategy::Enqueue => MultitaskStrategy::Enqueue,
    }
}

pub(crate) fn sort_order(order: Option<types::SortOrder>) -> storage::SortOrder {
    match order {
        Some(types::SortOrder::Asc) => storage::SortOrder::Asc,
        Some(types::SortOrder::Desc) | None => storage::SortOrder::Desc,
    }
}

/// A run.
pub(crate) fn run(run: &Run) -> types::Run {
    types::Run {
        run_id: run.run_id.0,
        thread_id: run.thread_id.0,
        assistant_id: run.assistant_id.0,
        created_at: time(run.created_at),
        updated_at: time(run.updated_at),
        status: run_status(run.status),
        metadata: run.metadata.clone(),
        kwargs: raw(&run.kwargs),
        multitask_strategy: multitask_strategy(run.multitask_strategy),
        langsmith_session_name: None,
    }
}

/// A run narrowed to some of its fields.
pub(crate) fn run_partial(run: &Run, select: &[String]) -> types::RunPartial {
    let all = self::run(run);
    let keep = |field: &str| select.is_empty() || select.iter().any(|name| name == field);
    types::RunPartial {
        run_id: keep("run_id").then_some(all.run_id),
        thread_id: keep("thread_id").then_some(all.thread_id),
        assistant_id: keep("assistant_id").then_some(all.assistant_id),
        created_at: keep("created_at").then_some(all.created_at),
        updated_at: keep("updated_at").then_some(all.updated_at),
        status: keep("status").then_some(all.status),
        metadata: keep("metadata").then_some(all.metadata),
        kwargs: keep("kwargs").then_some(all.kwargs),
        multitask_strategy: keep("multitask_strategy").then_some(all.multitask_strategy),
        langsmith_session_name: keep("langsmith_session_name")
            .then_some(all.langsmith_session_name),
    }
}
