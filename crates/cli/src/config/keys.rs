//! The keys of langgraph.json, and what this version makes of them.
//!
//! Source: reference/configuration.md, section 2.

/// Top-level keys that a running server reads.
pub(crate) const SERVER: [&str; 15] = [
    "$schema",
    "dependencies",
    "source",
    "graphs",
    "env",
    "python_version",
    "store",
    "checkpointer",
    "auth",
    "http",
    "webhooks",
    "encryption",
    "priority",
    "ui",
    "ui_config",
];

/// Top-level keys that matter only where an image is built; a running server has no use for them.
pub(crate) const BUILD: [&str; 12] = [
    "node_version",
    "image_distro",
    "base_image",
    "api_version",
    "_INTERNAL_docker_tag",
    "pip_config_file",
    "pip_installer",
    "keep_pkg_tools",
    "dockerfile_lines",
    "node_loader",
    "docker_compose_file",
    "disable_persistence",
];

/// Sections that must be objects, with the keys that may stand in them. An empty list accepts every key.
pub(crate) const SECTIONS: [(&str, &[&str]); 9] = [
    ("store", &["index", "ttl", "path"]),
    ("checkpointer", &["ttl", "serde", "backend", "path", "uri"]),
    ("auth", &["path", "disable_studio_auth", "allow_langsmith_api_keys", "openapi", "cache"]),
    (
        "http",
        &[
            "app",
            "disable_assistants",
            "disable_threads",
            "disable_runs",
            "disable_store",
            "disable_mcp",
            "disable_a2a",
            "disable_ui",
            "disable_event_streaming",
            "disable_meta",
            "disable_webhooks",
            "mount_prefix",
            "cors",
            "configurable_headers",
            "logging_headers",
            "middleware_order",
            "enable_custom_route_auth",
        ],
    ),
    ("webhooks", &["env_prefix", "headers", "url", "allowed_fields"]),
    ("encryption", &["path"]),
    ("priority", &["path"]),
    ("ui", &[]),
    ("ui_config", &["shared"]),
];

/// Keys of sections that name an object of the project's code, as `./file.py:name` or `module:name`, which is not loaded.
pub(crate) const OBJECTS: [(&str, &str); 4] =
    [("http", "app"), ("store", "path"), ("checkpointer", "path"), ("priority", "path")];

/// Keys that may stand in the object form of a graph.
pub(crate) const GRAPH: [&str; 2] = ["path", "description"];

/// Extensions that mark a graph written in JavaScript or TypeScript.
pub(crate) const JAVASCRIPT: [&str; 6] = ["ts", "mts", "cts", "js", "mjs", "cjs"];
