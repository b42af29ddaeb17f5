//! Tag Assistants.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    behaviours,
    helpers::{column, done, only, refused, same, same_named},
};
use crate::{
    answer::Answer,
    fixtures::{new_id, text},
    names::Names,
    request::Request,
    session::Session,
};

behaviours! {
    create_assistant: fresh_assistant_has_defaults;
    create_assistant: configurable_and_context_mirror_each_other;
    create_assistant: existing_assistant_is_returned_unchanged_on_request;
    create_assistant: unknown_graph_is_refused_with_a_list;
    create_assistant: reserved_metadata_is_left_out;
    get_assistant: stored_assistant_is_returned_whole;
    patch_assistant: every_patch_makes_a_version;
    patch_assistant: metadata_is_merged_and_context_replaced;
    delete_assistant: deleted_assistant_is_gone;
    delete_assistant: threads_go_with_it_on_request;
    search_assistants: filters_are_combined;
    search_assistants: pages_follow_each_other;
    search_assistants: selection_leaves_out_the_rest;
    count_assistants: count_is_what_a_search_finds;
    get_assistant_graph: drawing_is_found_by_graph_and_by_assistant;
    get_assistant_schemas: schemas_describe_the_messages;
    get_assistant_subgraphs: a_graph_without_subgraphs_has_none;
    get_assistant_subgraphs_by_namespace: an_unknown_namespace_is_empty;
    get_assistant_versions: versions_are_listed_newest_first;
    get_assistant_versions: nothing_left_is_nothing_found;
    set_latest_assistant_version: everything_of_a_version_is_restored;
    set_latest_assistant_version: unknown_versions_are_refused;
}

async fn fresh_assistant_has_defaults(session: &Session) -> Result<()> {
    let made = session.post("create_assistant", json!({ "graph_id": session.graph_id })).await?;
    let expected = json!({
        "assistant_id": "<assistant 1>",
        "graph_id": session.graph_id,
        "config": {},
        "context": {},
        "metadata": {},
        "name": "Untitled",
        "created_at": "<time 1>",
        "updated_at": "<time 1>",
        "version": 1,
        "description": null,
    });
    same(&made, &expected)
}

async fn configurable_and_context_mirror_each_other(session: &Session) -> Result<()> {
    let graph_id = &session.graph_id;
    let config = json!({ "tags": ["t"], "recursion_limit": 7, "configurable": { "model": "a" } });
    let made =
        session.post("create_assistant", json!({ "graph_id": graph_id, "config": config })).await?;
    same(&json!([made["config"], made["context"]]), &json!([config, { "model": "a" }]))?;
    let context = json!({ "model": "b" });
    let made = session
        .post("create_assistant", json!({ "graph_id": graph_id, "context": context }))
        .await?;
    same(&json!([made["config"], made["context"]]), &json!([{ "configurable": context }, context]))
}

async fn existing_assistant_is_returned_unchanged_on_request(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({ "name": "First", "metadata": { "k": 1 } })).await?;
    let first = get(session, &id).await?.success()?;
    let again = json!({
        "graph_id": session.graph_id,
        "assistant_id": id,
        "name": "Second",
        "if_exists": "do_nothing",
    });
    same_named(
        &mut Names::default(),
        &session.post("create_assistant", again).await?,
        &Names::default().of(&first),
    )
}

async fn unknown_graph_is_refused_with_a_list(session: &Session) -> Result<()> {
    let system = json!({ "metadata": { "created_by": "system" }, "limit": 1000 });
    let system = session.post("search_assistants", system).await?;
    let mut graphs: Vec<_> = column(&system, "graph_id")
        .iter()
        .filter_map(Value::as_str)
        .map(|id| format!("'{id}'"))
        .collect();
    graphs.sort();
    let request = Request::to("create_assistant")?.body(json!({ "graph_id": "nope" }));
    let detail = format!("Graph 'nope' not found. Expected one of: [{}]", graphs.join(", "));
    refused(&session.send(&request).await?, 404, &detail)
}

async fn reserved_metadata_is_left_out(session: &Session) -> Result<()> {
    let metadata =
        json!({ "thread_id": "a", "run_id": "b", "cron_id": "c", "assistant_id": "d", "k": 1 });
    let body = json!({ "graph_id": session.graph_id, "metadata": metadata });
    let made = session.post("create_assistant", body).await?;
    same(&made["metadata"], &json!({ "k": 1 }))
}

async fn stored_assistant_is_returned_whole(session: &Session) -> Result<()> {
    let body = json!({
        "graph_id": session.graph_id,
        "assistant_id": new_id(),
        "name": "Support",
        "description": "Answers",
        "metadata": { "team": "support", "nested": { "a": [1, 2.5, null] } },
        "config": { "tags": ["t"], "other": 1 },
    });
    let made = session.post("create_assistant", body.clone()).await?;
    let found = get(session, &text(&body, "assistant_id")?).await?.success()?;
    ensure!(made == found, "created {made}\nfound   {found}");
    let expected = json!({
        "assistant_id": "<assistant 1>",
        "graph_id": session.graph_id,
        "config": { "tags": ["t"], "other": 1 },
        "context": {},
        "metadata": { "team": "support", "nested": { "a": [1, 2.5, null] } },
        "name": "Support",
        "created_at": "<time 1>",
        "updated_at": "<time 1>",
        "version": 1,
        "description": "Answers",
    });
    same(&found, &expected)?;
    refused(&get(session, &new_id()).await?, 404, "Not Found")
}

async fn every_patch_makes_a_version(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({ "name": "First" })).await?;
    patch(session, &id, json!({})).await?.success()?;
    let patched =
        patch(session, &id, json!({ "name": "", "description": "D" })).await?.success()?;
    let expected = json!({
        "assistant_id": "<assistant 1>",
        "graph_id": session.graph_id,
        "config": {},
        "context": {},
        "metadata": {},
        "name": "",
        "created_at": "<time 1>",
        "updated_at": "<time 2>",
        "version": 3,
        "description": "D",
    });
    same(&patched, &expected)?;
    same_named(&mut Names::default(), &get(session, &id).await?.success()?, &expected)?;
    let unknown = new_id();
    let answer = patch(session, &unknown, json!({})).await?;
    ensure!(answer.status == 404, "{}", answer.describe());
    ensure!(
        answer.detail() == Some(format!("Assistant {unknown} not found")),
        "{}",
        answer.describe()
    );
    Ok(())
}

async fn metadata_is_merged_and_context_replaced(session: &Session) -> Result<()> {
    let first = json!({
        "metadata": { "kept": 1, "nested": { "a": 1 } },
        "config": { "tags": ["t"], "configurable": { "model": "a", "more": 1 } },
    });
    let id = session.new_assistant(first).await?;
    let change =
        json!({ "metadata": { "nested": { "b": 2 }, "new": null }, "context": { "model": "b" } });
    let patched = patch(session, &id, change).await?.success()?;
    let halves = json!([patched["metadata"], patched["config"], patched["context"]]);
    let expected = json!([
        { "kept": 1, "nested": { "b": 2 }, "new": null },
        { "tags": ["t"], "configurable": { "model": "b" } },
        { "model": "b" },
    ]);
    same(&halves, &expected)
}

async fn deleted_assistant_is_gone(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    let delete = Request::to("delete_assistant")?.path("assistant_id", &id);
    done(&session.send(&delete).await?)?;
    refused(&get(session, &id).await?, 404, "Not Found")?;
    let answer = session.send(&delete).await?;
    ensure!(answer.status == 404, "{}", answer.describe());
    ensure!(
        answer.detail() == Some(format!("Assistant with ID {id} not found")),
        "{}",
        answer.describe()
    );
    Ok(())
}

async fn threads_go_with_it_on_request(session: &Session) -> Result<()> {
    for (delete_threads, status) in [("false", 200), ("true", 404)] {
        let id = session.new_assistant(json!({})).await?;
        let thread = session.thread(json!({})).await?;
        let run = Request::to("wait_run")?.path("thread_id", &thread).body(session.says("hello"));
        session.call(run.with(json!({ "assistant_id": id }))).await?;
        let delete = Request::to("delete_assistant")?.path("assistant_id", &id);
        done(&session.send(&delete.query("delete_threads", delete_threads)).await?)?;
        let answer = session.send(&Request::to("get_thread")?.path("thread_id", &thread)).await?;
        ensure!(answer.status == status, "delete_threads={delete_threads}: {}", answer.describe());
    }
    Ok(())
}

async fn filters_are_combined(session: &Session) -> Result<()> {
    let group = new_id();
    for (name, team) in [("Support One", "a"), ("support two", "b"), ("Sales", "a")] {
        let metadata = json!({ "group": group, "nested": { "team": team, "more": 1 } });
        session.new_assistant(json!({ "name": name, "metadata": metadata })).await?;
    }
    for (filter, expected) in [
        (json!({ "name": "SUPPORT" }), vec!["Support One", "support two"]),
        (
            json!({ "metadata": { "group": group, "nested": { "team": "a" } } }),
            vec!["Sales", "Support One"],
        ),
        (json!({ "metadata": { "group": group, "nested": { "team": "c" } } }), vec![]),
        (
            json!({ "name": "support", "graph_id": session.graph_id }),
            vec!["Support One", "support two"],
        ),
    ] {
        let body =
            json!({ "metadata": { "group": group }, "sort_by": "name", "sort_order": "asc" });
        let request = Request::to("search_assistants")?.body(body).with(filter.clone());
        let found = session.call(request).await?;
        ensure!(column(&found, "name") == expected, "{filter} finds {found}");
    }
    Ok(())
}

async fn pages_follow_each_other(session: &Session) -> Result<()> {
    let group = new_id();
    for name in ["a", "b", "c"] {
        session.new_assistant(json!({ "name": name, "metadata": { "group": group } })).await?;
    }
    // Newest first unless told otherwise.
    for (limit, offset, names, next, total) in [
        (2, 0, vec!["c", "b"], Some("2"), "3"),
        (2, 2, vec!["a"], None, "3"),
        (3, 0, vec!["c", "b", "a"], None, "3"),
        (2, 5, vec![], None, "5"),
    ] {
        let body = json!({ "metadata": { "group": group }, "limit": limit, "offset": offset });
        let answer = session.send(&Request::to("search_assistants")?.body(body)).await?;
        let found = answer.success()?;
        ensure!(column(&found, "name") == names, "offset {offset} finds {found}");
        ensure!(
            answer.header("x-pagination-next") == next,
            "offset {offset}: {:?}",
            answer.headers
        );
        ensure!(
            answer.header("x-pagination-total") == Some(total),
            "offset {offset}: {:?}",
            answer.headers
        );
    }
    Ok(())
}

async fn selection_leaves_out_the_rest(session: &Session) -> Result<()> {
    let group = new_id();
    session.new_assistant(json!({ "name": "a", "metadata": { "group": group } })).await?;
    let body = json!({ "metadata": { "group": group }, "select": ["name", "description"] });
    let found = session.post("search_assistants", body).await?;
    same(&found, &json!([{ "name": "a", "description": null }]))
}

async fn count_is_what_a_search_finds(session: &Session) -> Result<()> {
    let group = new_id();
    for name in ["Alpha", "beta"] {
        session.new_assistant(json!({ "name": name, "metadata": { "group": group } })).await?;
    }
    for (filter, expected) in
        [(json!({}), 2), (json!({ "name": "ALPHA" }), 1), (json!({ "name": "gamma" }), 0)]
    {
        let request =
            Request::to("count_assistants")?.body(json!({ "metadata": { "group": group } }));
        let count = session.call(request.with(filter)).await?;
        ensure!(count == expected, "{count} instead of {expected}");
    }
    Ok(())
}

async fn drawing_is_found_by_graph_and_by_assistant(session: &Session) -> Result<()> {
    let named = |name: &str| json!({ "id": name, "type": "runnable", "data": { "name": name } });
    let expected = json!({
        "nodes": [named("__start__"), named("reply"), { "id": "__end__" }],
        "edges": [
            { "source": "__start__", "target": "reply" },
            { "source": "reply", "target": "__end__" },
        ],
    });
    let assistant = session.new_assistant(json!({})).await?;
    for id in [&session.graph_id, &assistant] {
        let request = Request::to("get_assistant_graph")?.path("assistant_id", id);
        same(&session.call(request).await?, &expected)?;
    }
    let request = Request::to("get_assistant_graph")?.path("assistant_id", "nope");
    refused(&session.send(&request).await?, 422, "Invalid assistant ID: must be a UUID")
}

async fn schemas_describe_the_messages(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    let schemas =
        session.call(Request::to("get_assistant_schemas")?.path("assistant_id", &id)).await?;
    ensure!(schemas["graph_id"] == session.graph_id, "{schemas}");
    for name in ["input_schema", "output_schema", "state_schema"] {
        ensure!(schemas[name]["properties"]["messages"].is_object(), "{name}: {}", schemas[name]);
    }
    Ok(())
}

async fn a_graph_without_subgraphs_has_none(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    for recurse in ["false", "true"] {
        let request = Request::to("get_assistant_subgraphs")?.path("assistant_id", &id);
        same(&session.call(request.query("recurse", recurse)).await?, &json!({}))?;
    }
    Ok(())
}

async fn an_unknown_namespace_is_empty(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    let request = Request::to("get_assistant_subgraphs_by_namespace")?
        .path("assistant_id", &id)
        .path("namespace", "nope|deep");
    same(&session.call(request).await?, &json!({}))
}

async fn versions_are_listed_newest_first(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({ "name": "One", "metadata": { "a": 1 } })).await?;
    patch(session, &id, json!({ "name": "Two", "metadata": { "b": 2 } })).await?.success()?;
    let version = |number: u32, name: &str, metadata: Value, time: &str| {
        json!({
            "assistant_id": "<assistant 1>",
            "graph_id": session.graph_id,
            "config": {},
            "context": {},
            "metadata": metadata,
            "name": name,
            "created_at": time,
            "version": number,
            "description": null,
        })
    };
    let list = Request::to("get_assistant_versions")?.path("assistant_id", &id);
    let one = |time| version(1, "One", json!({ "a": 1 }), time);
    let two = version(2, "Two", json!({ "a": 1, "b": 2 }), "<time 1>");
    same(&session.call(list.clone().body(json!({}))).await?, &json!([two, one("<time 2>")]))?;
    same(&session.call(list.clone().body(json!({ "limit": 1 }))).await?, &json!([two]))?;
    let second = json!({ "limit": 1, "offset": 1 });
    same(&session.call(list.clone().body(second)).await?, &json!([one("<time 1>")]))?;
    let filter = json!({ "metadata": { "b": 2 } });
    same(&session.call(list.body(filter)).await?, &json!([two]))
}

async fn nothing_left_is_nothing_found(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    let list = Request::to("get_assistant_versions")?.path("assistant_id", &id);
    for body in [json!({ "offset": 1 }), json!({ "metadata": { "nope": 1 } })] {
        let answer = session.send(&list.clone().body(body)).await?;
        ensure!(answer.status == 404, "{}", answer.describe());
        let detail = Some(format!("Assistant {id} not found"));
        ensure!(answer.detail() == detail, "{}", answer.describe());
    }
    Ok(())
}

async fn everything_of_a_version_is_restored(session: &Session) -> Result<()> {
    let first = json!({
        "name": "One",
        "description": "First",
        "metadata": { "a": 1 },
        "config": { "tags": ["t"], "configurable": { "model": "a" } },
    });
    let id = session.new_assistant(first).await?;
    let before = get(session, &id).await?.success()?;
    let change = json!({
        "name": "Two",
        "description": "Second",
        "metadata": { "b": 2 },
        "context": { "model": "b" },
    });
    patch(session, &id, change).await?.success()?;
    let restored = latest(session, &id, 1).await?.success()?;
    let all = ["graph_id", "config", "context", "metadata", "name", "description", "version"];
    ensure!(only(&restored, &all) == only(&before, &all), "{restored}");
    ensure!(restored["created_at"] == before["created_at"], "{restored}");
    ensure!(restored["updated_at"] != before["updated_at"], "{restored}");
    ensure!(get(session, &id).await?.success()? == restored, "{restored}");
    // The next change starts there, and counts on from the newest version.
    let next = patch(session, &id, json!({ "metadata": { "c": 3 } })).await?.success()?;
    let expected = json!({ "version": 3, "name": "One", "metadata": { "a": 1, "c": 3 } });
    ensure!(only(&next, &["version", "name", "metadata"]) == expected, "{next}");
    Ok(())
}

async fn unknown_versions_are_refused(session: &Session) -> Result<()> {
    let id = session.new_assistant(json!({})).await?;
    let answer = latest(session, &id, 99).await?;
    ensure!(answer.status == 404, "{}", answer.describe());
    let detail = Some(format!("Version 99 not found for assistant {id}"));
    ensure!(answer.detail() == detail, "{}", answer.describe());
    Ok(())
}

async fn latest(session: &Session, id: &str, version: u32) -> Result<Answer> {
    let request = Request::to("set_latest_assistant_version")?.path("assistant_id", id);
    session.send(&request.body(json!({ "version": version }))).await
}

async fn get(session: &Session, id: &str) -> Result<Answer> {
    session.send(&Request::to("get_assistant")?.path("assistant_id", id)).await
}

async fn patch(session: &Session, id: &str, body: Value) -> Result<Answer> {
    session.send(&Request::to("patch_assistant")?.path("assistant_id", id).body(body)).await
}
