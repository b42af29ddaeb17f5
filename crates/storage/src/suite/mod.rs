//! The tests that every backend must pass.
//!
//! A backend calls [`storage_suite!`](crate::storage_suite) in a test target with an async function that opens an
//! empty storage; every case becomes a test of its own. A bug that is found on one backend becomes a case here.

#![allow(clippy::unwrap_used, reason = "these are tests")]

pub mod archive;
pub mod assistants;
pub mod checkpoints;
pub mod crons;
pub mod events;
pub mod expiry;
pub mod histories;
pub mod idempotency;
pub mod queue;
pub mod runs;
pub mod saved;
pub mod scopes;
pub mod store;
pub mod threads;
pub mod transactions;
pub mod webhooks;

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    AssistantId, Condition, Cost, CronId, Map, Page, RawJson, ReadTx, Result, RunId, Scope,
    Storage, ThreadId, Timestamp, WriteTx,
    runs::{MultitaskStrategy, Run, RunStatus},
    threads::{Thread, ThreadStatus},
};

/// Makes a test of every case. `$open` is an async function that returns an `Arc<dyn Storage>` of an empty storage
/// and whatever has to live as long.
#[macro_export]
macro_rules! storage_suite {
    ($open:ident) => {
        $crate::storage_suite! { $open;
            archive: everything_comes_back, what_is_there_stays, what_is_there_is_replaced,
                crons_stay_when_theirs_is_replaced, selected_threads_alone, a_refusal_leaves_nothing;
            assistants: inserted_comes_back, duplicate_is_refused, versions_are_counted, versions_come_back,
                search_filters, search_sorts, scope_hides, delete_removes_versions;
            threads: inserted_comes_back, duplicate_is_refused, update_changes_given_fields_only,
                header_leaves_large_columns_out, search_pages_in_order, search_breaks_ties_by_id, search_filters,
                scope_hides, delete_removes_everything_below, large_values_come_back;
            runs: inserted_comes_back, inflight_runs_are_counted_by_owner_and_assistant, list_is_newest_first, update_if_refuses_stale_attempts, inflight_runs_are_oldest_first,
                inflight_runs_of_all_threads, inflight_runs_of_assistant, scope_of_the_thread_decides, delete_removes;
            queue: claimable_is_one_per_thread, claimable_skips_busy_threads, claimable_waits_for_its_time,
                queue_tells_who_waits_and_who_is_blocked,
                claimable_is_oldest_first, running_runs_are_found;
            crons: inserted_comes_back, update_and_delete, search_filters, search_sorts, scope_hides, go_away_with_assistant_and_thread,
                due_ones_are_found, a_slot_is_fired_for_once, old_slots_are_forgotten;
            checkpoints: newest_is_the_head, saving_twice_is_saving_once, writes_may_come_before_their_checkpoint,
                special_writes_replace_others_stay, writes_are_in_order, records_show_rendered_parts, records_filter,
                live_state_belongs_to_the_head, deleting_a_run_keeps_shared_blobs,
                deleting_a_run_puts_back_what_it_changed_at_checkpoints_of_others, scope_hides, late_save_is_refused,
                large_blobs_come_back;
            events: come_back_in_order, pages_are_bounded, of_a_run_or_of_the_thread, old_ones_are_not_shown_and_swept,
                go_away_with_run_and_thread, scope_hides, storing_twice_is_storing_once, last_id_is_known;
            histories: every_version_comes_back, deleted_runs_do_not_touch_others, rendered_anew_does_not_touch_others,
                a_copy_outlives_its_pruned_origin;
            saved: a_copy_is_whole_and_apart, large_rows_are_copied, pruning_keeps_the_newest_of_each_namespace,
                pruning_spares_values_that_ancestors_complete, usage_counts_rows_and_bytes;
            expiry: a_lifetime_comes_back, lifetimes_end_in_order_and_are_put_off, busy_threads_do_not_expire,
                a_settled_end_comes_again_after_a_change;
            scopes: of_threads, of_assistants, of_runs;
            store: put_get_delete, search_by_prefix_and_page, search_filters, unknown_operator_is_refused,
                unreadable_values_fit_no_filter, expired_items_are_gone, lifetimes_start_again, sweeps_take_what_is_over,
                queries_rank_by_the_best_vector, namespaces_are_listed, metadata_scope_is_refused;
            webhooks: inserted_comes_back, due_are_oldest_first_without_some_hosts, settled_are_not_due_and_swept,
                listed_newest_first_by_status_and_scope, go_away_with_their_thread_and_run;
            idempotency: a_key_counts_for_one_user_and_route, expired_keys_mean_nothing_and_are_swept;
            transactions: refusal_undoes_only_itself, a_write_sees_its_own_changes, a_read_is_one_snapshot,
                a_read_sees_what_returned_before, a_panic_harms_nobody_else, closed_storage_is_unavailable;
        }
    };
    ($open:ident; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (storage, _keep) = super::$open().await;
                $crate::suite::$module::$case(&*storage).await;
                storage.close().await;
            })+
        })+
    };
}

const ALL: Page = Page { limit: 1000, offset: 0 };

/// Runs a read that has to succeed.
async fn read<T: Send + 'static>(
    storage: &dyn Storage,
    job: impl FnOnce(&dyn ReadTx) -> Result<T> + Send + 'static,
) -> T {
    storage.read(Cost::Point, job).await.unwrap()
}

/// Runs a write that has to succeed.
async fn write<T: Send + 'static>(
    storage: &dyn Storage,
    job: impl FnOnce(&dyn WriteTx) -> Result<T> + Send + 'static,
) -> T {
    storage.write(job).await.unwrap()
}

/// A time, `micros` microseconds after some beginning.
fn at(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(1_790_000_000_000_000 + micros).unwrap()
}

fn map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

fn raw(value: Value) -> RawJson {
    RawJson::of(&value)
}

fn scope(metadata: Value) -> Scope {
    let equal = map(metadata).into_iter().map(|(key, value)| Condition::Equals(key, value));
    Scope::of(Condition::All(equal.collect()))
}

const fn thread_id(n: u128) -> ThreadId {
    ThreadId(Uuid::from_u128(0x1000_0000_0000_7000_8000_0000_0000_0000 + n))
}

const fn run_id(n: u128) -> RunId {
    RunId(Uuid::from_u128(0x2000_0000_0000_7000_8000_0000_0000_0000 + n))
}

const fn assistant_id(n: u128) -> AssistantId {
    AssistantId(Uuid::from_u128(0x3000_0000_0000_4000_8000_0000_0000_0000 + n))
}

const fn cron_id(n: u128) -> CronId {
    CronId(Uuid::from_u128(0x4000_0000_0000_7000_8000_0000_0000_0000 + n))
}

/// An idle thread, made at `at(n)`.
fn thread(n: u32) -> Thread {
    let time = at(n.into());
    Thread {
        thread_id: thread_id(n.into()),
        created_at: time,
        updated_at: time,
        state_updated_at: time,
        metadata: map(json!({"n": n, "owner": if n.is_multiple_of(2) { "even" } else { "odd" }})),
        config: Map::new(),
        status: ThreadStatus::Idle,
        values: None,
        interrupts: None,
        error: None,
        ttl: None,
    }
}

/// A pending run on a thread, made at `at(n)`.
fn run(n: u32, thread: u32) -> Run {
    let time = at(n.into());
    Run {
        run_id: run_id(n.into()),
        thread_id: thread_id(thread.into()),
        assistant_id: assistant_id(1),
        graph_id: "agent".into(),
        created_at: time,
        updated_at: time,
        status: RunStatus::Pending,
        metadata: map(json!({"b": 1, "a": 2})),
        kwargs: raw(json!({"input": {"z": 1, "a": [1.50, "é"]}})),
        multitask_strategy: MultitaskStrategy::Enqueue,
        attempt: 0,
        crashes: 0,
        temporary: false,
        owner: None,
    }
}

/// Adds threads `1..=count`.
async fn add_threads(storage: &dyn Storage, count: u32) {
    write(storage, move |tx| (1..=count).try_for_each(|n| tx.insert_thread(&thread(n)))).await;
}
