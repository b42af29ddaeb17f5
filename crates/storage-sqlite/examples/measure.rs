//! Measures the storage on this machine: `cargo run --release --example measure -p agent-server-storage-sqlite`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to be run by hand")]

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use agent_server_storage::{
    AssistantId, Cost, Map, Page, RawJson, ReadTx, Result, RunId, Scope, SortOrder, Storage,
    ThreadId, Timestamp, WriteTx,
    checkpoints::{self, Base, Blob, NewCheckpoint, SaverOp},
    runs::{MultitaskStrategy, Run, RunStatus},
    threads::{Changes, Columns, Filter, SortBy, Thread, ThreadStatus},
};
use agent_server_storage_sqlite::{Options, Sqlite};
use serde_json::json;
use uuid::Uuid;

const ALL: &Scope = &Scope::server();
const THREADS: u128 = 10_000;
const TIME: Duration = Duration::from_secs(2);

fn time(micros: u128) -> Timestamp {
    Timestamp::from_timestamp_micros(1_790_000_000_000_000 + micros as i64).unwrap()
}

fn object(value: serde_json::Value) -> Map {
    value.as_object().cloned().unwrap_or_default()
}

fn thread(n: u128) -> Thread {
    Thread {
        thread_id: ThreadId(Uuid::from_u128(n)),
        created_at: time(n),
        updated_at: time(n),
        state_updated_at: time(n),
        metadata: object(
            json!({"graph_id": "agent", "assistant_id": Uuid::nil(), "owner": "somebody"}),
        ),
        config: object(json!({"configurable": {"user_id": "somebody"}})),
        status: ThreadStatus::Idle,
        values: Some(RawJson::of(&json!({"messages": [{"type": "human", "content": "hello"}]}))),
        interrupts: Some(RawJson::trusted("{}")),
        error: Some(RawJson::null()),
        ttl: None,
    }
}

fn run(n: u128, thread: u128) -> Run {
    let kwargs = json!({"input": {"messages": [{"role": "user", "content": "hello"}]}, "config": {"tags": [], "configurable":
        {"thread_id": Uuid::nil(), "run_id": Uuid::nil(), "graph_id": "agent", "assistant_id": Uuid::nil()}},
        "stream_mode": ["values"], "interrupt_before": null, "interrupt_after": null, "webhook": null,
        "feedback_keys": null, "temporary": false, "subgraphs": false, "resumable": false, "command": null});
    Run {
        run_id: RunId(Uuid::from_u128(n)),
        thread_id: ThreadId(Uuid::from_u128(thread)),
        assistant_id: AssistantId(Uuid::nil()),
        graph_id: "agent".into(),
        created_at: time(n),
        updated_at: time(n),
        status: RunStatus::Success,
        metadata: object(
            json!({"created_by": "system", "assistant_id": Uuid::nil(), "graph_id": "agent"}),
        ),
        kwargs: RawJson::of(&kwargs),
        multitask_strategy: MultitaskStrategy::Enqueue,
        attempt: 1,
        crashes: 0,
        temporary: false,
        owner: None,
    }
}

fn superstep(step: i64) -> Vec<SaverOp> {
    let id = format!("1f0b6e3a-0000-6000-8000-{step:012}");
    let version = format!("{step:032}.0.4451890123456789");
    vec![
        SaverOp::Put(NewCheckpoint {
            ns: String::new(),
            id: id.clone(),
            parent_id: None,
            created_at: time(0),
            step,
            source: "loop".into(),
            run_id: Some(RunId(Uuid::nil())),
            metadata: RawJson::of(
                &json!({"step": step, "source": "loop", "graph_id": "agent", "assistant_id": Uuid::nil()}),
            ),
            small: vec![b's'; 400].into(),
            refs: vec![("messages".into(), version.clone())],
            blobs: vec![Blob {
                channel: "messages".into(),
                version,
                type_tag: "msgpack".into(),
                bytes: vec![b'm'; 600].into(),
            }],
        }),
        SaverOp::Base(Base {
            ns: String::new(),
            checkpoint_id: id,
            values: RawJson::of(&json!({"messages": ["m".repeat(600)]})),
            next: RawJson::trusted("[]"),
            tasks: RawJson::trusted("[]"),
        }),
    ]
}

/// Repeats a read on one task and prints its rate.
async fn reads<T: Send + 'static>(
    name: &str,
    storage: &dyn Storage,
    read: impl Fn(&dyn ReadTx, u128) -> Result<T> + Copy + Send + 'static,
) {
    let begin = Instant::now();
    let cpu = cpu_time();
    let mut count = 0_u128;
    while begin.elapsed() < TIME {
        for _ in 0..100 {
            count += 1;
            let n = count * 7919 % THREADS + 1;
            storage.read(Cost::Point, move |tx| read(tx, n)).await.unwrap();
        }
    }
    // Other programs on the machine make the first number smaller, not the second larger.
    let each = (cpu_time() - cpu).as_secs_f64() * 1e6 / count as f64;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("{name:40} {rate:>10.0} /s {each:>8.2} µs of CPU each");
}

/// Time that this thread has worked so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Repeats a write on `tasks` tasks and prints the rate of all together. Numbers grow from 1, as ids and times do.
async fn writes<F, T>(name: &str, storage: &Arc<dyn Storage>, tasks: u32, write: F)
where
    F: Fn(&dyn WriteTx, u128) -> Result<T> + Copy + Send + 'static,
    T: Send + 'static,
{
    let begin = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (storage, count) = (Arc::clone(storage), Arc::clone(&count));
            tokio::spawn(async move {
                while begin.elapsed() < TIME {
                    let n = u128::from(count.fetch_add(1, Relaxed) + 1);
                    storage.write(move |tx| write(tx, n)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rate = count.load(Relaxed) as f64 / begin.elapsed().as_secs_f64();
    println!("{name:40} {rate:>10.0} /s");
}

/// What a durable write costs at least: the median time of a flush of one page.
fn flush_time(folder: &Path) -> Duration {
    let mut file = File::create(folder.join("flush")).unwrap();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            file.write_all(&[1; 4096]).unwrap();
            let begin = Instant::now();
            file.sync_data().unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let folder =
        tempfile::tempdir_in(std::env::args().nth(1).unwrap_or_else(|| ".".into())).unwrap();
    let storage: Arc<dyn Storage> = Sqlite::open(folder.path(), Options::default()).unwrap();
    let begin = Instant::now();
    for chunk in 0..10 {
        storage
            .write(move |tx| {
                (1..=THREADS / 10).map(|n| chunk * THREADS / 10 + n).try_for_each(|n| {
                    tx.insert_thread(&thread(n))?;
                    tx.insert_run(&run(n, n))
                })
            })
            .await
            .unwrap();
    }
    println!("one flush takes {:?}", flush_time(folder.path()));
    println!("filled with {THREADS} threads and runs in {:?}", begin.elapsed());
    storage
        .write(|tx| {
            (0..100).try_for_each(|step| tx.save(ThreadId(Uuid::from_u128(1)), &superstep(step)))
        })
        .await
        .unwrap();

    reads("empty read", &*storage, |_, _| Ok(())).await;
    reads("get run", &*storage, |tx, n| {
        tx.get_run(ALL, ThreadId(Uuid::from_u128(n)), RunId(Uuid::from_u128(n)))
    })
    .await;
    reads("get thread, header", &*storage, |tx, n| {
        tx.get_thread(ALL, ThreadId(Uuid::from_u128(n)), Columns::Header)
    })
    .await;
    reads("get thread, full", &*storage, |tx, n| {
        tx.get_thread(ALL, ThreadId(Uuid::from_u128(n)), Columns::Full)
    })
    .await;
    let sort = (SortBy::UpdatedAt, SortOrder::Desc);
    reads("search threads, 10, full", &*storage, move |tx, _| {
        let page = Page { limit: 10, offset: 0 };
        tx.search_threads(ALL, &Filter::default(), sort, page, Columns::Full)
    })
    .await;
    reads("list records, 10", &*storage, |tx, _| {
        let id = ThreadId(Uuid::from_u128(1));
        tx.list_records(ALL, id, &checkpoints::Filter::default(), 10)
    })
    .await;
    reads("get head checkpoint", &*storage, |tx, _| {
        tx.get_checkpoint(ALL, ThreadId(Uuid::from_u128(1)), "", None)
    })
    .await;
    reads("claimable runs, none", &*storage, |tx, _| tx.claimable_runs(time(0), 10)).await;

    for tasks in [1, 16, 64] {
        writes(&format!("update thread, {tasks} writers"), &storage, tasks, |tx, n| {
            let changes = Changes { updated_at: Some(time(n)), ..Changes::default() };
            tx.update_thread(ALL, ThreadId(Uuid::from_u128(n % THREADS + 1)), &changes)
        })
        .await;
    }
    for (tasks, shift) in [(1, 90), (16, 91)] {
        writes(&format!("insert thread, {tasks} writers"), &storage, tasks, move |tx, n| {
            tx.insert_thread(&thread(n | 1 << shift))
        })
        .await;
    }
    for (tasks, shift) in [(1, 92), (16, 93)] {
        writes(&format!("thread + run + end, {tasks} writers"), &storage, tasks, move |tx, n| {
            let n = n | 1 << shift;
            tx.insert_thread(&thread(n))?;
            tx.insert_run(&Run { status: RunStatus::Running, ..run(n, n) })?;
            tx.save(ThreadId(Uuid::from_u128(n)), &superstep(1))?;
            tx.update_run_if(
                RunId(Uuid::from_u128(n)),
                (RunStatus::Running, 1),
                RunStatus::Success,
                1,
                time(1),
            )
        })
        .await;
    }
    storage.close().await;
}
