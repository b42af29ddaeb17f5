//! Threads as the wire shows them.

use agent_server_api::types;
use agent_server_client::wire;
use agent_server_domain::{
    storage::{
        RawJson, ThreadId,
        checkpoints::{ThreadUsage, Usage},
        threads::{Thread, TtlStrategy},
    },
    threads::{extract::Extract, minutes},
};

use crate::convert;

/// A thread on the wire.
pub(super) fn thread_of(thread: &Thread) -> types::Thread {
    types::Thread {
        thread_id: thread.thread_id.0,
        created_at: convert::time(thread.created_at),
        updated_at: convert::time(thread.updated_at),
        state_updated_at: convert::time(thread.state_updated_at),
        metadata: thread.metadata.clone(),
        config: thread.config.clone(),
        status: convert::thread_status(thread.status),
        values: thread.values.as_ref().map_or_else(wire::RawJson::null, convert::raw),
        interrupts: thread.interrupts.as_ref().map_or_else(no_interrupts, convert::raw),
        error: thread.error.as_ref().map(convert::raw),
        ttl: None,
        extracted: None,
    }
}

fn no_interrupts() -> wire::RawJson {
    serde_json::json!({}).into()
}

/// A thread narrowed to some of its fields; all of them for an empty selection.
pub(super) fn thread_partial(
    thread: &Thread,
    select: &[types::ThreadSelect],
) -> types::ThreadPartial {
    use types::ThreadSelect as S;
    let all = thread_of(thread);
    let keep = |field: S| select.is_empty() || select.contains(&field);
    types::ThreadPartial {
        thread_id: keep(S::ThreadId).then_some(all.thread_id),
        created_at: keep(S::CreatedAt).then_some(all.created_at),
        updated_at: keep(S::UpdatedAt).then_some(all.updated_at),
        state_updated_at: keep(S::StateUpdatedAt).then_some(all.state_updated_at),
        metadata: keep(S::Metadata).then_some(all.metadata),
        config: keep(S::Config).then_some(all.config),
        status: keep(S::Status).then_some(all.status),
        values: keep(S::Values).then_some(all.values),
        interrupts: keep(S::Interrupts).then_some(all.interrupts),
        // Not selectable, though present in whole answers.
        error: if select.is_empty() { all.error } else { None },
        ttl: None,
        extracted: None,
    }
}

/// The lifetime of a thread.
pub(super) fn ttl_of(thread: &Thread) -> Option<types::ThreadTtl> {
    let ttl = thread.ttl?;
    Some(types::ThreadTtl {
        strategy: match ttl.strategy {
            TtlStrategy::Delete => types::TtlStrategy::Delete,
            TtlStrategy::KeepLatest => types::TtlStrategy::KeepLatest,
        },
        ttl_minutes: minutes(ttl),
        expires_at: convert::time(thread.expires_at()?),
    })
}

/// What was to be picked out of a thread, if something was.
pub(super) fn extracted(thread: &Thread, extract: &[Extract]) -> Option<wire::RawJson> {
    let values: std::collections::BTreeMap<_, _> =
        extract.iter().map(|extract| (&extract.alias, extract.value(thread))).collect();
    (!values.is_empty()).then(|| convert::raw(&RawJson::of(&values)))
}

/// The space that a thread's checkpoints take.
pub(super) fn storage_of(id: ThreadId, usage: &ThreadUsage) -> types::ThreadStorage {
    let of = |usage: Usage| types::StorageUsage {
        count: number(usage.count),
        bytes: number(usage.bytes),
    };
    let sum = |part: fn(&Usage) -> u64| usage.channels.iter().map(|(_, usage)| part(usage)).sum();
    let values = Usage { count: sum(|usage| usage.count), bytes: sum(|usage| usage.bytes) };
    let channel = |(name, usage): &(String, Usage)| {
        let usage =
            types::ChannelUsage { versions: number(usage.count), bytes: number(usage.bytes) };
        (name.clone(), usage)
    };
    types::ThreadStorage {
        thread_id: id.0,
        total_bytes: number(usage.checkpoints.bytes + values.bytes + usage.writes.bytes),
        checkpoints: of(usage.checkpoints),
        channel_values: types::ChannelStorage {
            count: number(values.count),
            bytes: number(values.bytes),
            by_channel: usage.channels.iter().map(channel).collect(),
        },
        pending_writes: of(usage.writes),
    }
}

/// A number of the wire.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
