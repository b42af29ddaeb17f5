"""Assistants: the ones made from the configuration, and those that clients make."""

import json
import os
import signal

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError
from support.names import NOBODY
from support.server import PROJECT, assistant, descendants

GRAPHS = json.loads((PROJECT / "langgraph.json").read_text())["graphs"]


def workers_of(server) -> set[int]:
    return descendants(server.process.pid)


@pytest.fixture
async def mine(client):
    """Creates assistants with a mark that no other test uses, and deletes them again."""
    made = []

    async def create(graph_id: str = "context", **fields) -> dict:
        made.append(await client.assistants.create(graph_id, **fields))
        return made[-1]

    yield create
    for each in made:
        try:
            await client.assistants.delete(each["assistant_id"])
        except NotFoundError:
            pass


async def test_each_graph_has_an_assistant_with_an_id_made_from_its_name(client, names):
    assert names(await client.assistants.get(assistant("simple"))) == {
        "assistant_id": "<assistant simple>",
        "graph_id": "simple",
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "name": "simple",
        "created_at": "<time>",
        "updated_at": "<time>",
        "version": 1,
        "description": "Two nodes in a row",
    }
    assert assistant("simple") == "5e0f6b46-d00f-5af4-87dc-ea2105ff526d"


async def test_the_assistants_of_the_configuration_can_be_searched(client):
    found = await client.assistants.search(metadata={"created_by": "system"}, limit=100)
    graphs = {graph_id: graph_id for graph_id in GRAPHS if graph_id != "broken"} | {"named": "A Name Of Its Own"}
    assert {each["graph_id"]: each["name"] for each in found if each["graph_id"] != "broken"} == graphs


async def test_a_created_assistant_has_every_field(client, names, mine):
    created = await mine(
        config={"configurable": {"model": "m1"}, "tags": ["t"], "recursion_limit": 7},
        metadata={"team": "a", "assistant_id": "reserved, and so dropped"},
        name="Mine",
        description="For tests",
    )
    assert names(created) == {
        "assistant_id": "<assistant 1>",
        "graph_id": "context",
        "config": {"configurable": {"model": "m1"}, "tags": ["t"], "recursion_limit": 7},
        "context": {"model": "m1"},
        "metadata": {"team": "a"},
        "name": "Mine",
        "created_at": "<time>",
        "updated_at": "<time>",
        "version": 1,
        "description": "For tests",
    }
    assert await client.assistants.get(created["assistant_id"]) == created


async def test_an_assistant_without_a_name_is_untitled(client, mine):
    created = await mine()
    assert (created["name"], created["config"], created["context"], created["metadata"], created["description"]) == (
        "Untitled",
        {},
        {},
        {},
        None,
    )


async def test_context_and_configurable_mirror_each_other(client, mine):
    created = await mine(context={"model": "m2"})
    assert created["config"] == {"configurable": {"model": "m2"}}
    assert created["context"] == {"model": "m2"}


async def test_configurable_and_context_together_are_refused(http):
    body = {"graph_id": "context", "config": {"configurable": {"model": "a"}}, "context": {"model": "b"}}
    answer = await http.post("/assistants", json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Cannot specify both configurable and context.")


async def test_an_id_can_be_taken_only_once(client, mine):
    created = await mine(assistant_id="11111111-1111-4111-8111-111111111111", name="First")
    with pytest.raises(ConflictError) as refusal:
        await client.assistants.create("simple", assistant_id=created["assistant_id"])
    assert refusal.value.body == {"detail": "Assistant 11111111-1111-4111-8111-111111111111 already exists"}
    assert await mine("simple", assistant_id=created["assistant_id"], if_exists="do_nothing", name="Second") == created


async def test_an_unknown_graph_is_named_together_with_the_known_ones(http):
    answer = await http.post("/assistants", json={"graph_id": "nope"})
    assert answer.status_code == 404
    detail = answer.json()["detail"]
    assert detail.startswith("Graph 'nope' not found. Expected one of: ['agent', 'approval', 'asks', 'async_factory', ")


async def test_update_merges_metadata_and_replaces_config(client, mine, names):
    created = await mine(config={"tags": ["t"]}, metadata={"a": 1, "deep": {"x": 1}}, name="Before")
    updated = await client.assistants.update(
        created["assistant_id"],
        metadata={"b": 2, "deep": {"y": 2}},
        config={"configurable": {"model": "m3"}},
        name="After",
        description="Changed",
    )
    assert names(updated) == {
        "assistant_id": "<assistant 1>",
        "graph_id": "context",
        "config": {"configurable": {"model": "m3"}},
        "context": {"model": "m3"},
        "metadata": {"a": 1, "b": 2, "deep": {"y": 2}},
        "name": "After",
        "created_at": "<time>",
        "updated_at": "<time>",
        "version": 2,
        "description": "Changed",
    }
    assert updated["created_at"] == created["created_at"] and updated["updated_at"] > created["updated_at"]
    assert await client.assistants.get(created["assistant_id"]) == updated


async def test_a_deleted_assistant_is_gone(client, http, mine):
    id = (await mine())["assistant_id"]
    assert (await http.delete(f"/assistants/{id}")).status_code == 204
    gone = await http.get(f"/assistants/{id}")
    assert (gone.status_code, gone.json()) == (404, {"detail": "Not Found"})
    again = await http.delete(f"/assistants/{id}")
    assert (again.status_code, again.json()) == (404, {"detail": f"Assistant with ID {id} not found"})


async def test_unknown_and_malformed_ids_are_told_apart(http):
    unknown = await http.get(f"/assistants/{NOBODY}")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    malformed = await http.get("/assistants/simple")
    assert (malformed.status_code, malformed.json()) == (422, {"detail": "Invalid assistant ID: must be a UUID"})
    patched = await http.patch(f"/assistants/{NOBODY}", json={"name": "x"})
    assert (patched.status_code, patched.json()) == (404, {"detail": f"Assistant {NOBODY} not found"})


async def test_search_filters_by_graph_name_and_metadata(client, mine):
    one = await mine("simple", name="Search One", metadata={"search": {"a": 1, "b": 2}})
    two = await mine("counter", name="search two", metadata={"search": {"a": 1}})
    await mine("counter", name="unrelated", metadata={})

    async def found(**filter) -> list[str]:
        return [
            each["assistant_id"] for each in await client.assistants.search(**filter, sort_by="name", sort_order="asc")
        ]

    assert await found(metadata={"search": {"a": 1}}) == [one["assistant_id"], two["assistant_id"]]
    assert await found(metadata={"search": {"b": 2}}) == [one["assistant_id"]]
    assert await found(name="SEARCH t") == [two["assistant_id"]]
    assert await found(graph_id="counter", metadata={"search": {"a": 1}}) == [two["assistant_id"]]
    assert await client.assistants.count(metadata={"search": {"a": 1}}) == 2
    assert await client.assistants.count(name="search", graph_id="simple") == 1


async def test_search_sorts_selects_and_pages(http, client, mine):
    for name in ("b", "C", "a"):
        await mine("simple", name=name, metadata={"mark": "paging"})
    body = {"metadata": {"mark": "paging"}, "sort_by": "name", "sort_order": "asc", "select": ["name"]}
    whole = await http.post("/assistants/search", json=body)
    assert whole.json() == [{"name": "a"}, {"name": "b"}, {"name": "C"}]
    assert whole.headers["x-pagination-total"] == "3" and "x-pagination-next" not in whole.headers

    first = await http.post("/assistants/search", json=body | {"limit": 2})
    assert first.json() == [{"name": "a"}, {"name": "b"}]
    assert (first.headers["x-pagination-next"], first.headers["x-pagination-total"]) == ("2", "3")

    last = await http.post("/assistants/search", json=body | {"limit": 2, "offset": 2})
    assert last.json() == [{"name": "C"}]
    assert last.headers["x-pagination-total"] == "3" and "x-pagination-next" not in last.headers

    page = await client.assistants.search(
        metadata={"mark": "paging"}, sort_by="created_at", limit=1, response_format="object"
    )
    assert ([each["name"] for each in page["assistants"]], page["next"]) == (["a"], "1")


async def test_the_graph_can_be_drawn(client):
    drawing = await client.assistants.get_graph(assistant("simple"))
    assert drawing == {
        "nodes": [
            {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
            {"id": "a", "type": "runnable", "data": {"name": "a"}},
            {"id": "b", "type": "runnable", "data": {"name": "b"}},
            {"id": "__end__"},
        ],
        "edges": [
            {"source": "__start__", "target": "a"},
            {"source": "a", "target": "b"},
            {"source": "b", "target": "__end__"},
        ],
    }


async def test_a_drawing_shows_the_inside_of_subgraphs_on_demand(client):
    def ids(drawing: dict) -> list[str]:
        return sorted(node["id"] for node in drawing["nodes"])

    plain = await client.assistants.get_graph("nested")
    assert ids(plain) == ["__end__", "__start__", "child", "post", "pre"]
    deep = await client.assistants.get_graph("nested", xray=True)
    assert ids(deep) == ["__end__", "__start__", "child:inner", "post", "pre"]
    assert await client.assistants.get_graph("nested", xray=1) == deep


async def test_the_schemas_describe_input_output_state_and_context(client):
    schemas = await client.assistants.get_schemas(assistant("context"))
    state = {
        "properties": {"seen": {"additionalProperties": True, "title": "Seen", "type": "object"}},
        "title": "State",
        "type": "object",
    }
    context = {
        "properties": {
            "model": {"default": "none", "title": "Model", "type": "string"},
            "style": {"default": "plain", "title": "Style", "type": "string"},
        },
        "title": "Context",
        "type": "object",
    }
    assert schemas == {
        "graph_id": "context",
        "input_schema": state,
        "output_schema": state,
        "state_schema": {
            "properties": {
                "seen": {"additionalProperties": True, "default": None, "title": "Seen", "type": "object"},
            },
            "title": "context_state",
            "type": "object",
        },
        "config_schema": context,
        "context_schema": context,
    }


def fields(title: str) -> dict:
    """The schema of the states of nested.py and questions.py, as input."""
    return {
        "properties": {
            "foo": {"title": "Foo", "type": "string"},
            "log": {"items": {"type": "string"}, "title": "Log", "type": "array"},
        },
        "required": ["foo", "log"],
        "title": title,
        "type": "object",
    }


async def test_the_schemas_of_subgraphs_are_found_by_namespace(client, http):
    id = assistant("nested")
    state = {
        "properties": {
            "foo": {"default": None, "title": "Foo", "type": "string"},
            "log": {"default": None, "items": {"type": "string"}, "title": "Log", "type": "array"},
        },
        "title": "LangGraphState",
        "type": "object",
    }
    child = {
        "input_schema": fields("State"),
        "output_schema": fields("State"),
        "state_schema": state,
        "config_schema": {},
        "context_schema": None,
    }
    assert await client.assistants.get_subgraphs(id) == {"child": child}
    assert await client.assistants.get_subgraphs(id, recurse=True) == {"child": child}
    assert await client.assistants.get_subgraphs(id, namespace="child") == {"child": child}
    assert await client.assistants.get_subgraphs(id, namespace="nope", recurse=True) == {}
    assert await client.assistants.get_subgraphs(assistant("simple"), recurse=True) == {}
    unknown = await http.get(f"/assistants/{NOBODY}/subgraphs")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    malformed = await http.get("/assistants/nested/subgraphs/child")
    assert (malformed.status_code, malformed.json()) == (422, {"detail": "Invalid assistant ID: must be a UUID"})


async def test_deeper_subgraphs_are_reached_with_recurse(client, http):
    id = assistant("deep")

    async def names(path: str) -> list[str]:
        return list((await http.get(f"/assistants/{id}/subgraphs{path}")).json())

    (outer,) = await names("")
    everything = await names("?recurse=true")
    (inner,) = [name for name in everything if name != outer]
    assert inner.startswith(f"{outer}|")
    assert await names("?recurse=1") == [outer]
    assert await names(f"/{outer}?recurse=true") == [outer]
    quoted = inner.replace("|", "%7C")
    assert await names(f"/{quoted}") == []
    assert await names(f"/{quoted}?recurse=true") == [inner]


async def test_versions_are_kept_and_can_be_gone_back_to(client, mine, names):
    created = await mine("simple", name="One", metadata={"a": 1}, config={"configurable": {"model": "m1"}})
    id = created["assistant_id"]
    await client.assistants.update(id, graph_id="counter", name="Two", metadata={"b": 2}, context={"model": "m2"})
    version = {
        "assistant_id": id,
        "graph_id": "counter",
        "config": {"configurable": {"model": "m2"}},
        "context": {"model": "m2"},
        "metadata": {"a": 1, "b": 2},
        "name": "Two",
        "version": 2,
        "description": None,
    }
    first = {key: value for key, value in created.items() if key != "updated_at"}
    listed = await client.assistants.get_versions(id)
    assert [{key: each[key] for key in version} for each in listed[:1]] == [version] and listed[1:] == [first]
    assert await client.assistants.get_versions(id, metadata={"b": 2}) == listed[:1]
    assert await client.assistants.get_versions(id, limit=1, offset=1) == [first]
    with pytest.raises(NotFoundError) as refusal:
        await client.assistants.get_versions(id, offset=2)
    assert refusal.value.body == {"detail": f"Assistant {id} not found"}

    restored = await client.assistants.set_latest(id, 1)
    assert restored == created | {"updated_at": restored["updated_at"]}
    assert restored["updated_at"] > created["updated_at"]
    assert await client.assistants.get(id) == restored
    # Going back makes no version; the next change counts on, and starts from what is active.
    assert await client.assistants.get_versions(id) == listed
    third = await client.assistants.update(id, metadata={"c": 3})
    assert (third["version"], third["graph_id"], third["metadata"]) == (3, "simple", {"a": 1, "c": 3})
    with pytest.raises(NotFoundError) as refusal:
        await client.assistants.set_latest(id, 99)
    assert refusal.value.body == {"detail": f"Version 99 not found for assistant {id}"}


async def test_a_restored_version_is_what_runs_use(client, mine):
    id = (await mine(context={"model": "old"}))["assistant_id"]
    await client.assistants.update(id, context={"model": "new"})
    assert (await client.runs.wait(None, id, input={}))["seen"]["context"]["model"] == "new"
    await client.assistants.set_latest(id, 1)
    assert (await client.runs.wait(None, id, input={}))["seen"]["context"]["model"] == "old"


@pytest.mark.parametrize("field", ["graph_id", "config", "context", "metadata", "name", "description"])
async def test_nothing_is_patched_to_null(http, mine, field):
    id = (await mine())["assistant_id"]
    answer = await http.patch(f"/assistants/{id}", json={field: None})
    assert answer.status_code == 422 and "null is not of type" in answer.json()["detail"]
    assert (await http.get(f"/assistants/{id}")).json()["version"] == 1


async def test_an_empty_config_is_left_alone_and_an_empty_context_is_not(client, mine):
    id = (await mine(config={"tags": ["t"]}))["assistant_id"]
    await client.assistants.update(id, context={"model": "m"})
    patched = await client.assistants.update(id, config={}, context={})
    assert (patched["config"]["tags"], patched["context"], patched["version"]) == (["t"], {}, 3)


async def test_threads_are_deleted_with_their_assistant_on_request(client, http, mine):
    async def used(id: str) -> str:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, id, input={})
        return thread

    kept, gone = await mine(), await mine()
    threads = [await used(kept["assistant_id"]), await used(gone["assistant_id"])]
    assert (await http.delete(f"/assistants/{kept['assistant_id']}?delete_threads=no")).status_code == 204
    assert (await http.delete(f"/assistants/{gone['assistant_id']}?delete_threads=True")).status_code == 204
    assert [(await http.get(f"/threads/{thread}")).status_code for thread in threads] == [200, 404]


async def test_default_assistants_follow_the_configuration_over_a_restart(start_server, client_of):
    server = start_server()
    client, http = client_of(server)
    id = assistant("simple")
    await client.assistants.update(id, name="Renamed", description="Other", metadata={"mine": True})
    server.stop()
    server.start()
    client, http = client_of(server)
    found = await client.assistants.get(id)
    assert (found["name"], found["description"], found["version"]) == ("simple", "Two nodes in a row", 3)
    assert found["metadata"] == {"created_by": "system", "mine": True}
    # A further restart changes nothing, so it makes no version.
    server.stop()
    server.start()
    client, http = client_of(server)
    assert await client.assistants.get(id) == found


async def test_a_graph_that_does_not_change_is_asked_once(start_server, client_of):
    server = start_server({"AGENT_SERVER_WORKERS": "1"})
    client, http = client_of(server)
    id = assistant("nested")

    async def all() -> list:
        return [
            await client.assistants.get_schemas(id),
            await client.assistants.get_graph(id, xray=True),
            await client.assistants.get_subgraphs(id, recurse=True),
        ]

    first = await all()
    for pid in workers_of(server):
        os.kill(pid, signal.SIGSTOP)
    try:
        # No worker could answer now.
        assert await all() == first
    finally:
        for pid in workers_of(server):
            os.kill(pid, signal.SIGCONT)


async def test_a_run_uses_the_config_of_its_assistant(client, mine):
    created = await mine(
        config={"configurable": {"model": "assistant's"}, "tags": ["assistant"], "recursion_limit": 9},
        metadata={"from_assistant": True},
    )
    state = await client.runs.wait(None, created["assistant_id"], input={})
    seen = state["seen"]
    assert (seen["context"], seen["tags"], seen["recursion_limit"]) == (
        {"model": "assistant's", "style": "plain"},
        ["assistant"],
        9,
    )
    assert seen["metadata"] == {"created_by": None, "from_assistant": True, "from_run": None, "run_attempt": 1}
