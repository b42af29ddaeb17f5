// Generated from openapi.json by `cargo xtask regenerate`; do not edit.

pub(crate) const FILES: &[&str] = &[
    include_str!("a2a.json"),
    include_str!("assistants.json"),
    include_str!("crons.json"),
    include_str!("mcp.json"),
    include_str!("stateless_runs.json"),
    include_str!("store.json"),
    include_str!("streaming.json"),
    include_str!("system.json"),
    include_str!("thread_runs.json"),
    include_str!("threads.json"),
    include_str!("webhooks.json"),
];
