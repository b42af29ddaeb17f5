"""Threads as wholes: copy, prune, measure, lifetimes, states to begin with, values picked out."""

import asyncio
from uuid import UUID, uuid4

import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError
from support.names import NOBODY

DELTA = 0.6
"""Seconds that a short lifetime has."""


@pytest.fixture
async def ran(client) -> str:
    """A thread on which simple ran."""
    thread = await client.threads.create(metadata={"mark": "original"})
    await client.runs.wait(thread["thread_id"], "simple", input={"foo": "x"})
    return thread["thread_id"]


def renamed(value, old: str, new: str):
    """The value with another thread id."""
    match value:
        case dict():
            return {key: renamed(member, old, new) for key, member in value.items()}
        case list():
            return [renamed(element, old, new) for element in value]
    return new if value == old else value


async def copy(http, id: str) -> dict:
    answer = await http.post(f"/threads/{id}/copy")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def gone(client, id: str, seconds: float = 10) -> bool:
    for _ in range(int(seconds / 0.1)):
        try:
            await client.threads.get(id)
        except NotFoundError:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_a_copy_has_state_and_history_but_no_runs(client, http, ran):
    made = await copy(http, ran)
    id = made["thread_id"]
    original = await client.threads.get(ran)
    assert UUID(id).version == 4
    assert (made["metadata"], made["values"]) == (original["metadata"], original["values"])
    assert (made["status"], made["config"], made["interrupts"]) == ("idle", {}, {})
    assert await client.threads.get(id) == made
    assert await client.threads.get_state(id) == renamed(await client.threads.get_state(ran), ran, id)
    history = await client.threads.get_history(ran)
    assert len(history) > 2
    assert await client.threads.get_history(id) == renamed(history, ran, id)
    assert await client.runs.list(id) == []


async def test_a_copy_goes_on_by_itself(client, http, ran):
    before = await client.threads.get_history(ran)
    id = (await copy(http, ran))["thread_id"]
    result = await client.runs.wait(id, "simple", input={"foo": "y"})
    assert result["log"] == ["a", "b", "a", "b"]
    assert await client.threads.get_history(ran) == before
    await client.threads.delete(ran)
    assert (await client.threads.get_state(id))["values"] == result


async def test_a_copy_of_nothing_is_a_conflict(client, http):
    answer = await http.post(f"/threads/{NOBODY}/copy")
    assert (answer.status_code, answer.json()) == (409, {"detail": "Conflict"})


async def test_pruning_deletes_what_is_there(client, ran):
    other = (await client.threads.create())["thread_id"]
    assert await client.threads.prune([ran, NOBODY, ran]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await client.threads.get(ran)
    assert (await client.threads.get(other))["thread_id"] == other
    assert await client.threads.prune([]) == {"pruned_count": 0}


async def test_pruning_to_the_latest_keeps_the_state(client, ran):
    state, thread = await client.threads.get_state(ran), await client.threads.get(ran)
    assert await client.threads.prune([ran, NOBODY], strategy="keep_latest") == {"pruned_count": 1}
    assert await client.threads.get(ran) == thread
    assert await client.threads.get_state(ran) == state
    assert len(await client.threads.get_history(ran)) == 1
    result = await client.runs.wait(ran, "simple", input={"foo": "y"})
    assert result["log"] == ["a", "b", "a", "b"]


async def test_pruning_to_the_latest_passes_over_busy_threads(client, gate):
    id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(id, "waiting", input=gate.input())
    visitor = await gate.visitor()
    assert await client.threads.prune([id], strategy="keep_latest") == {"pruned_count": 0}
    visitor.let_in()
    await client.runs.join(id, run["run_id"])
    assert await client.threads.prune([id], strategy="keep_latest") == {"pruned_count": 1}


async def test_storage_is_measured_by_kind_and_channel(client, http, ran):
    usage = (await http.get(f"/threads/{ran}/storage")).json()
    channels = usage["channel_values"]["by_channel"]
    assert usage["thread_id"] == ran
    assert usage["checkpoints"]["count"] == len(await client.threads.get_history(ran))
    # A small value such as `foo` is part of its checkpoint.
    assert channels["log"]["versions"] > 1
    assert usage["channel_values"]["count"] == sum(channel["versions"] for channel in channels.values())
    assert usage["channel_values"]["bytes"] == sum(channel["bytes"] for channel in channels.values())
    parts = ("checkpoints", "channel_values", "pending_writes")
    assert usage["total_bytes"] == sum(usage[part]["bytes"] for part in parts)
    missing = await http.get(f"/threads/{NOBODY}/storage")
    assert (missing.status_code, missing.json()) == (404, {"detail": f"Thread with ID {NOBODY} not found"})


def superstep(values, as_node: str) -> dict:
    return {"updates": [{"values": values, "as_node": as_node}]}


async def test_a_thread_may_begin_with_a_state(client):
    steps = [superstep({"foo": "in", "log": []}, "__start__"), superstep({"log": ["seeded"]}, "a")]
    thread = await client.threads.create(graph_id="simple", supersteps=steps)
    assert thread["values"] == {"foo": "in", "log": ["seeded"]}
    assert (thread["status"], thread["error"]) == ("interrupted", None)
    assert await client.threads.get(thread["thread_id"]) == thread
    history = await client.threads.get_history(thread["thread_id"])
    assert [(state["metadata"]["step"], state["next"]) for state in history] == [(1, ["b"]), (0, ["a"])]
    result = await client.runs.wait(thread["thread_id"], "simple", input=None)
    assert result["log"] == ["seeded", "b"]


async def test_a_refused_state_leaves_an_empty_thread(client):
    id = str(uuid4())
    steps = [superstep({"foo": "in"}, "__start__"), superstep({"foo": "x"}, "nonode")]
    with pytest.raises(BadRequestError) as refusal:
        await client.threads.create(thread_id=id, graph_id="simple", supersteps=steps)
    assert refusal.value.body == {"detail": "Node nonode does not exist"}
    assert (await client.threads.get(id))["values"] is None
    assert await client.threads.get_history(id) == []
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=id, graph_id="simple", supersteps=steps[:1])


async def test_a_state_needs_a_graph(client, http):
    id = str(uuid4())
    body = {"thread_id": id, "supersteps": [superstep({"foo": "in"}, "__start__")]}
    answer = await http.post("/threads", json=body)
    assert answer.status_code == 201
    start = f"Thread {id} was created, but there were problems updating the state: "
    assert answer.json()["detail"].startswith(start)
    assert (await client.threads.get(id))["values"] is None


async def lifetime(http, id: str) -> dict | None:
    return (await http.get(f"/threads/{id}", params={"include": "ttl"})).json().get("ttl")


async def test_a_lifetime_is_shown_when_asked_for(client, http):
    thread = await client.threads.create(ttl=90)
    id = thread["thread_id"]
    assert "ttl" not in thread and "ttl" not in await client.threads.get(id)
    shown = await lifetime(http, id)
    assert (shown["strategy"], shown["ttl_minutes"]) == ("delete", 90)
    assert shown["expires_at"] > thread["created_at"]
    await client.threads.update(id, metadata={}, ttl={"ttl": 30, "strategy": "keep_latest"})
    changed = await lifetime(http, id)
    assert (changed["strategy"], changed["ttl_minutes"]) == ("keep_latest", 30)
    assert changed["expires_at"] < shown["expires_at"]
    await client.threads.update(id, metadata={"activity": True})
    assert (await lifetime(http, id))["expires_at"] > changed["expires_at"]
    forever = await client.threads.create()
    assert await lifetime(http, forever["thread_id"]) is None


@pytest.mark.parametrize("ttl", [0, -1, 1e300])
async def test_a_lifetime_has_to_be_one(http, ttl):
    answer = await http.post("/threads", json={"ttl": {"ttl": ttl}})
    assert answer.status_code == 422 and "ttl" in answer.json()["detail"]


async def test_a_thread_is_deleted_at_the_end_of_its_lifetime(client):
    kept = await client.threads.create(ttl=60)
    thread = await client.threads.create(ttl=DELTA / 60)
    assert await gone(client, thread["thread_id"])
    assert await client.threads.get(kept["thread_id"]) == kept


async def test_a_thread_is_pruned_at_the_end_of_its_lifetime(client, ran):
    state = await client.threads.get_state(ran)
    await client.threads.update(ran, metadata={}, ttl={"ttl": DELTA / 60, "strategy": "keep_latest"})
    for _ in range(100):
        if len(await client.threads.get_history(ran)) == 1:
            break
        await asyncio.sleep(0.1)
    assert len(await client.threads.get_history(ran)) == 1
    assert await client.threads.get_state(ran) == state


async def test_a_busy_thread_outlives_its_lifetime(client, gate):
    id = (await client.threads.create(ttl=DELTA / 60))["thread_id"]
    run = await client.runs.create(id, "waiting", input=gate.input())
    visitor = await gate.visitor()
    await asyncio.sleep(2 * DELTA)
    assert (await client.threads.get(id))["status"] == "busy"
    visitor.let_in()
    await client.runs.join(id, run["run_id"])
    assert await gone(client, id)


async def test_the_default_lifetime_holds_for_threads_of_runs_too(start_server):
    from langgraph_sdk import get_client

    server = start_server({"LANGGRAPH_THREAD_TTL": '{"strategy": "delete", "default_ttl": 0.03}'})
    async with get_client(url=server.url, api_key=None) as client:
        plain = (await client.threads.create())["thread_id"]
        longer = (await client.threads.create(ttl=60))["thread_id"]
        by_run = str(uuid4())
        await client.runs.wait(by_run, "simple", input={"foo": "x"}, if_not_exists="create")
        assert await gone(client, plain) and await gone(client, by_run)
        assert (await client.threads.get(longer))["thread_id"] == longer


async def test_a_run_that_can_be_replayed_keeps_its_thread_for_as_long(start_server):
    from langgraph_sdk import get_client

    server = start_server({"RESUMABLE_STREAM_TTL_SECONDS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        stream = client.runs.stream(None, "simple", input={"foo": "x"}, stream_resumable=True)
        run = [part async for part in stream][0].data["run_id"]
        answer = await client.http.get(f"/runs/{run}")
        assert answer["status"] == "success"
        assert await gone(client, answer["thread_id"])


async def test_values_are_picked_out_of_what_is_found(client, ran):
    extract = {"last": "values.log[-1]", "none": "values.log[9]", "mark": "metadata.mark"}
    found = await client.threads.search(ids=[ran], select=["thread_id"], extract=extract)
    assert found == [{"thread_id": ran, "extracted": {"last": "b", "none": None, "mark": "original"}}]


@pytest.mark.parametrize(
    ("extract", "detail"),
    [
        ({"status": "values.n"}, "Extract keys cannot use reserved field names: ['status']"),
        ({"n": "foo.n"}, "Extract path 'foo.n' must start with one of: config, interrupts, metadata, values"),
    ],
)
async def test_bad_extracts_are_refused(http, extract, detail):
    answer = await http.post("/threads/search", json={"extract": extract})
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})
