//! Documented answers that a single request cannot bring about, by hand: a duplicate, a busy thread, a full disk.
//!
//! [`TABLE`] has an entry for every status that the generated files leave to it, and no other; a test compares them. An
//! entry says by which [`Means`] the answer comes about. Operations that are not implemented have none yet. What refuses
//! callers ([`is_of_caller`]) is alike for all operations and has none either.

mod stories;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::{request::Request, session::Session};

/// The entry of an operation's status.
pub(crate) struct Scenario {
    /// Short names of the operations.
    pub(crate) operations: &'static [&'static str],
    /// The documented status.
    pub(crate) status: u16,
    /// How it comes about.
    pub(crate) means: Means,
}

/// How a documented answer comes about.
#[derive(Clone, Copy)]
pub(crate) enum Means {
    /// Something is done first, then a certain request is sent.
    Story(Story),
    /// The body is announced to be larger than the server takes.
    LargeBody,
    /// The plain request, while nothing can be written.
    FullDisk,
    /// The plain request, of somebody whom a server that authenticates does not know, or who may do nothing.
    Stranger,
    /// Asking too often a server that limits it.
    Limited,
    /// Naming an encryption context that is none, on a server whose project encrypts.
    WrongContext,
    /// A client cannot bring it about; why.
    Unreachable(&'static str),
}

/// Does what must be done first, and says what to send then.
pub(crate) type Story = for<'a> fn(Stage<'a>) -> BoxFuture<'a, Result<Told>>;

/// Where a story plays.
pub(crate) struct Stage<'a> {
    /// The server.
    pub(crate) session: &'a Session,
    /// The plain request of the operation, with fixtures of its own.
    pub(crate) plain: Request,
}

/// The outcome of a story.
pub(crate) enum Told {
    /// To be sent now. The answer may have any text.
    Send(Request),
    /// To be sent now. The answer must have this `detail`.
    Refused(Request, String),
    /// The server lacks what the story needs.
    Skip(String),
}

/// Gives an async function the form of a [`Story`].
macro_rules! story {
    ($name:ident) => {
        Means::Story(|stage| Box::pin(stories::$name(stage)))
    };
}

const CREATE_RUNS: &[&str] = &["create_run", "stream_run", "wait_run"];
const CREATE_STATELESS: &[&str] =
    &["create_stateless_run", "stream_stateless_run", "wait_stateless_run"];
const HEALTH: &[&str] = &["health_check", "health_check_root"];
const AGENT_CARDS: &[&str] =
    &["get_agent_card", "get_well_known_agent_card", "get_default_agent_card"];
const GRAPH_BUILDERS: &[&str] = &[
    "get_assistant_graph",
    "get_assistant_schemas",
    "get_assistant_subgraphs",
    "get_assistant_subgraphs_by_namespace",
];

/// All entries.
pub(crate) const TABLE: &[Scenario] = &[
    entry(&["create_assistant", "patch_assistant"], 400, story!(configurable_and_context)),
    entry(
        &["create_assistant", "search_assistants", "count_assistants"],
        404,
        story!(unknown_graph),
    ),
    entry(&["create_assistant"], 409, story!(assistant_exists)),
    entry(GRAPH_BUILDERS, 400, story!(graph_refuses)),
    entry(GRAPH_BUILDERS, 424, story!(not_a_graph)),
    entry(&["get_assistant_graph"], 404, story!(unknown_assistant)),
    entry(&["create_thread"], 201, story!(supersteps_without_graph)),
    entry(&["create_thread"], 400, story!(supersteps_of_unknown_node)),
    entry(&["create_thread"], 409, story!(thread_exists)),
    entry(&["search_threads"], 400, story!(ids_not_uuids)),
    entry(
        &["count_threads"],
        404,
        Means::Unreachable("nothing that the filter can name must exist"),
    ),
    entry(&["copy_thread"], 409, story!(copy_of_nothing)),
    entry(
        &["prune_threads"],
        404,
        Means::Unreachable("nobody is kept from seeing a thread without authentication"),
    ),
    entry(
        &["get_thread_storage"],
        501,
        Means::Unreachable("checkpoints are kept in the server's own storage"),
    ),
    entry(&["update_thread_state"], 400, story!(update_by_unknown_node)),
    entry(&["update_thread_state"], 409, story!(update_of_busy_thread)),
    entry(&["patch_thread"], 200, story!(plain)),
    entry(&["patch_thread"], 204, story!(minimal)),
    entry(CREATE_RUNS, 400, story!(configurable_and_context)),
    entry(CREATE_RUNS, 409, story!(busy_thread)),
    entry(&["cancel_run"], 200, story!(waiting)),
    entry(&["cancel_run"], 202, story!(plain)),
    entry(&["cancel_runs"], 404, story!(cancel_of_unknown_run)),
    entry(&["create_run_batch"], 400, story!(batch_that_resumes)),
    entry(&["create_run_batch"], 404, story!(batch_of_unknown_assistant)),
    entry(
        &["create_run_batch"],
        409,
        Means::Unreachable("as for one run without a thread, where it is told"),
    ),
    entry(CREATE_STATELESS, 400, story!(resume_without_thread)),
    entry(CREATE_STATELESS, 404, story!(run_of_unknown_assistant)),
    entry(CREATE_STATELESS, 409, story!(key_of_a_gone_run)),
    entry(&["post_mcp"], 202, story!(notification)),
    entry(&["post_mcp"], 405, Means::Unreachable("a protocol that is switched off is not found")),
    entry(&["post_a2a"], 202, story!(answer_of_a_client)),
    entry(&["delete_mcp"], 204, story!(session_of_tools)),
    entry(
        &["post_mcp", "get_mcp", "post_a2a"],
        404,
        Means::Unreachable("only the project can switch a protocol off"),
    ),
    entry(&["get_default_agent_card"], 200, story!(agent_card)),
    entry(AGENT_CARDS, 404, Means::Unreachable("only the project can switch a protocol off")),
    entry(
        &["post_mcp", "post_a2a"],
        500,
        Means::Unreachable("failures are told in the words of the protocols"),
    ),
    entry(&["post_mcp"], 200, story!(plain)),
    entry(&["post_mcp"], 400, story!(no_message)),
    entry(&["get_mcp"], 405, story!(plain)),
    entry(&["post_a2a"], 200, story!(plain)),
    entry(
        &["post_a2a"],
        400,
        Means::Unreachable("only the project can let agents name what it does not allow"),
    ),
    entry(&["get_agent_card", "get_well_known_agent_card"], 400, story!(card_of_no_id)),
    entry(&["send_thread_command", "stream_thread_events"], 400, story!(no_message)),
    entry(&["create_cron", "create_thread_cron"], 400, story!(cron_that_never_fires)),
    entry(&["create_cron"], 404, story!(cron_of_unknown_assistant)),
    entry(&["patch_cron"], 400, story!(patch_of_nothing)),
    entry(&["count_crons"], 404, Means::Unreachable("nothing that the filter can name must exist")),
    entry(&["put_item"], 400, story!(item_without_namespace)),
    entry(&["search_items"], 400, story!(search_with_unknown_operator)),
    entry(
        &["search_items"],
        503,
        Means::Unreachable("only an embedding function of the project can fail"),
    ),
    entry(
        &["delete_item"],
        503,
        Means::Unreachable("what is not there is deleted without a write"),
    ),
    entry(HEALTH, 500, Means::Unreachable("nothing that a client does breaks the server")),
    entry(
        HEALTH,
        503,
        Means::Unreachable("storage that cannot be read answers so, a full disk can be read"),
    ),
    entry(
        &[
            "create_assistant",
            "search_assistants",
            "count_assistants",
            "patch_assistant",
            "get_assistant_versions",
            "set_latest_assistant_version",
            "create_thread",
            "search_threads",
            "count_threads",
            "patch_thread",
            "prune_threads",
            "update_thread_state",
            "post_thread_state_at_checkpoint",
            "get_thread_history_post",
            "create_run",
            "stream_run",
            "wait_run",
            "create_stateless_run",
            "stream_stateless_run",
            "wait_stateless_run",
            "create_run_batch",
            "cancel_runs",
            "send_thread_command",
            "stream_thread_events",
            "post_mcp",
            "post_a2a",
            "create_cron",
            "create_thread_cron",
            "patch_cron",
            "search_crons",
            "count_crons",
            "put_item",
            "delete_item",
            "search_items",
            "list_namespaces",
        ],
        413,
        Means::LargeBody,
    ),
    entry(
        &[
            "create_assistant",
            "patch_assistant",
            "delete_assistant",
            "create_thread",
            "patch_thread",
            "copy_thread",
            "prune_threads",
            "update_thread_state",
            "delete_thread",
            "create_run",
            "stream_run",
            "wait_run",
            "delete_run",
            "cancel_run",
            "create_stateless_run",
            "stream_stateless_run",
            "wait_stateless_run",
            "create_run_batch",
            "cancel_runs",
            "set_latest_assistant_version",
            "replay_webhook_delivery",
            "create_cron",
            "create_thread_cron",
            "patch_cron",
            "delete_cron",
            "put_item",
        ],
        503,
        Means::FullDisk,
    ),
    entry(
        &[
            "stream_thread_events",
            "send_thread_command",
            "post_a2a",
            "get_agent_card",
            "get_well_known_agent_card",
            "get_default_agent_card",
            "post_mcp",
            "get_mcp",
            "delete_mcp",
        ],
        422,
        Means::WrongContext,
    ),
];

const fn entry(operations: &'static [&'static str], status: u16, means: Means) -> Scenario {
    Scenario { operations, status, means }
}

/// Statuses that refuse who asks, whatever it is.
pub(crate) const OF_CALLERS: [u16; 2] = [401, 403];
/// The status that refuses whatever is too much.
pub(crate) const OF_LIMITS: u16 = 429;

/// Whether a status says something of the caller, and nothing of the request.
pub(crate) fn is_of_caller(status: u16) -> bool {
    status == OF_LIMITS || OF_CALLERS.contains(&status)
}

/// The means of an operation's status.
pub(crate) fn find(operation: &str, status: u16) -> Option<Means> {
    if status == OF_LIMITS {
        return Some(Means::Limited);
    }
    if OF_CALLERS.contains(&status) {
        return Some(Means::Stranger);
    }
    let has = |entry: &&Scenario| entry.status == status && entry.operations.contains(&operation);
    TABLE.iter().find(has).map(|entry| entry.means)
}
