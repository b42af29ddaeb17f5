use super::{THREAD, check, send, send_to};
use crate::generated::echo::Echo;
use crate::{OPERATIONS, Operation, Options, router};

#[tokio::test]
async fn every_operation_is_reached_by_its_method_and_path() {
    for operation in OPERATIONS {
        let path = operation.path.replace("{namespace}", "ns").replace("{checkpoint_id}", "c");
        let path =
            path.split('/').map(|segment| if segment.starts_with('{') { THREAD } else { segment });
        let request = format!("{} {}", operation.method, path.collect::<Vec<_>>().join("/"));
        let answer = send(&request, sample(operation)).await;
        assert_eq!(answer.status, 501, "{request}: {}", answer.text);
        let name = answer.detail().split(' ').next().map(str::to_owned);
        assert_eq!(name.as_deref(), Some(operation.name), "{request}");
    }
}

/// A body that every schema of a request accepts, or comes close enough to.
fn sample(operation: &Operation) -> String {
    let element = r#"{"assistant_id":"g","graph_id":"g","schedule":"* * * * *","namespace":["a"],"key":"k",
        "value":{},"status":"all","version":1,"thread_ids":[],
        "checkpoint":{"thread_id":"t","checkpoint_id":"c","checkpoint_ns":""}}"#;
    match operation.body.map(|body| body.component) {
        Some("RunBatchCreate") => format!("[{element}]"),
        Some("AssistantCreate") => r#"{"graph_id":"g"}"#.to_owned(),
        Some("CronSearch" | "CronCountRequest" | "ThreadSearchRequest" | "ThreadCountRequest") => {
            "{}".to_owned()
        }
        Some(_) => element.to_owned(),
        None => String::new(),
    }
}

#[tokio::test]
async fn routes_inherit_the_methods_of_parameter_routes_that_they_shadow() {
    let refused = |noun| format!("Invalid {noun} ID: must be a UUID");
    for path in ["/assistants/search", "/assistants/count"] {
        check(&format!("GET {path}"), "", 422, &refused("assistant")).await;
        check(&format!("PATCH {path}"), "{}", 422, &refused("assistant")).await;
    }
    for path in ["/threads/search", "/threads/count", "/threads/prune"] {
        check(&format!("GET {path}"), "", 422, &refused("thread")).await;
        check(&format!("DELETE {path}"), "", 422, &refused("thread")).await;
    }
    for path in ["crons", "stream", "wait"] {
        check(&format!("GET /threads/{{t}}/runs/{path}"), "", 422, &refused("run")).await;
        check(&format!("DELETE /threads/{{t}}/runs/{path}"), "", 422, &refused("run")).await;
    }
    for path in ["/runs/crons/search", "/runs/crons/count"] {
        check(&format!("GET {path}"), "", 422, &refused("cron")).await;
    }
    check(
        "GET /threads/{t}/state/checkpoint",
        "",
        501,
        "get_thread_state_at_checkpoint GetThreadStateAtCheckpointPath { thread_id: {t}, checkpoint_id: \"checkpoint\" }",
    )
    .await;
    check("POST /threads/search", "{}", 501, "search_threads {}").await;
}

#[tokio::test]
async fn published_paths_do_not_inherit_from_routes_of_our_own() {
    check("GET /runs/{t}", "", 501, "get_stateless_run").await;
    check("GET /runs/wait", "", 405, "Method Not Allowed").await;
}

#[tokio::test]
async fn unknown_paths_answer_json() {
    for path in ["/nope", "/threads/", "/ok/", "/threads/x/y/z"] {
        check(&format!("GET {path}"), "", 404, "Not Found").await;
    }
}

#[tokio::test]
async fn wrong_methods_answer_json_and_name_the_right_ones() {
    let answer = send("DELETE /store/namespaces", "").await;
    assert_eq!((answer.status, answer.detail().as_str()), (405, "Method Not Allowed"));
    assert_eq!(answer.headers["allow"], "POST");
    let answer = send(&format!("PUT /threads/{THREAD}"), "").await;
    assert_eq!((answer.status, answer.detail().as_str()), (405, "Method Not Allowed"));
    let mut allowed: Vec<_> = answer.headers["allow"].to_str().unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PATCH"]);
}

#[tokio::test]
async fn wrong_methods_of_meta_routes_are_not_found() {
    for path in ["/", "/ok", "/info", "/metrics", "/docs", "/openapi.json"] {
        let answer = send(&format!("POST {path}"), "").await;
        assert_eq!((answer.status, answer.detail().as_str()), (404, "Not Found"), "{path}");
        assert!(!answer.headers.contains_key("allow"), "{path}");
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_body() {
    let answer = send("HEAD /ok", "").await;
    assert_eq!((answer.status, answer.text.as_str()), (501, ""));
}

#[tokio::test]
async fn mcp_is_served_with_and_without_trailing_slash() {
    check("POST /mcp", "{}", 501, "post_mcp").await;
    check("POST /mcp/", "not json", 501, "post_mcp").await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let limited = || router(Echo, Options { body_limit: 10, ..Options::default() });
    let answer = send_to(limited(), "POST /threads", "{\"metadata\":{}}").await;
    assert_eq!(
        (answer.status, answer.detail().as_str()),
        (413, "Request body too large (limit: 10 bytes)")
    );
    assert_eq!(send_to(limited(), "POST /threads", "{}").await.status, 501);
}
