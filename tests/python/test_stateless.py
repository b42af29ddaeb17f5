"""Runs without a thread of the client's."""

import asyncio

import pytest

DONE = {"foo": "A", "log": ["a", "b"]}


async def test_waiting_without_a_thread_returns_the_state(client):
    assert await client.runs.wait(None, "simple", input={"foo": "x"}) == DONE


async def test_streaming_without_a_thread(client, record):
    stream = client.runs.stream(None, "simple", input={"foo": "x"}, stream_mode=["values", "updates"])
    assert await record(stream) == [
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("values", {"foo": "x", "log": []}),
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("values", {"foo": "A", "log": ["a"]}),
        ("updates", {"b": {"log": ["b"]}}),
        ("values", DONE),
    ]


async def test_the_headers_name_the_run(http):
    body = {"assistant_id": "simple", "input": {"foo": "x"}}
    created = await http.post("/runs", json=body)
    assert created.headers["content-location"] == f"/runs/{created.json()['run_id']}"
    streamed = await http.post("/runs/stream", json=body)
    run = streamed.headers["content-location"]
    assert run.startswith("/runs/") and streamed.headers["location"] == f"{run}/stream"
    waited = await http.post("/runs/wait", json=body)
    run = waited.headers["content-location"]
    assert run.startswith("/threads/") and waited.headers["location"] == f"{run}/join"


async def test_the_temporary_thread_lives_as_long_as_the_run(client, http, gate):
    run = await client.runs.create(None, "waiting", input=gate.input())
    assert run["kwargs"]["temporary"] is True
    visitor = await gate.visitor()
    thread = await client.threads.get(run["thread_id"])
    assert (thread["status"], thread["metadata"]["graph_id"]) == ("busy", "waiting")
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/join"
    # The headers come at once, so the run is joined before it is let go.
    async with http.stream("GET", path) as joined:
        visitor.let_in()
        await joined.aread()
    assert (await http.get(f"/threads/{run['thread_id']}")).status_code == 404


async def test_the_thread_stays_if_asked(client):
    run = await client.runs.create(None, "simple", input={"foo": "x"}, on_completion="keep", metadata={"m": 1})
    assert run["kwargs"]["temporary"] is False
    assert await client.runs.join(run["thread_id"], run["run_id"]) == DONE
    thread = await client.threads.get(run["thread_id"])
    assert (thread["status"], thread["values"], thread["metadata"]["m"]) == ("idle", DONE, 1)
    assert len(await client.threads.get_history(run["thread_id"])) == 4
    await client.threads.delete(run["thread_id"])


async def test_a_stateless_run_ends_at_an_interrupt(client, names):
    answer = names(await client.runs.wait(None, "approval", input={"foo": "x"}))
    asked = [{"value": {"question": "ok?"}, "id": "<interrupt 1>", "response_schema": None}]
    assert answer == {"foo": "x", "log": ["before"], "__interrupt__": asked}


async def test_a_stateless_run_may_stop_before_a_node(client):
    state = await client.runs.wait(None, "simple", input={"foo": "x"}, interrupt_before=["b"])
    assert state == {"foo": "A", "log": ["a"]}


async def test_a_stateless_run_may_stop_after_a_node(client, record):
    stream = client.runs.stream(None, "simple", input={"foo": "x"}, stream_mode="updates", interrupt_after=["a"])
    assert (await record(stream))[1:] == [
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("updates", {"__interrupt__": []}),
    ]


async def test_null_is_no_selection_of_nodes(http):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "interrupt_before": None, "interrupt_after": None}
    answer = await http.post("/runs/wait", json=body)
    assert (answer.status_code, answer.json()) == (200, DONE)


async def test_a_stateless_run_can_be_cancelled(client, gate):
    run = await client.runs.create(None, "waiting", input=gate.input())
    visitor = await gate.visitor()
    await client.runs.cancel(run["thread_id"], run["run_id"])
    await visitor.gone(seconds=2)


@pytest.mark.deviates("the reference server names these paths but does not serve them")
async def test_a_stateless_run_can_be_read_and_joined_without_its_thread(client, http, gate):
    run = await client.runs.create(None, "waiting", input=gate.input(), stream_mode="updates", stream_resumable=True)
    visitor = await gate.visitor()
    read = await http.get(f"/runs/{run['run_id']}")
    assert read.json() == run | {"status": "running", "updated_at": read.json()["updated_at"]}
    async with http.stream("GET", f"/runs/{run['run_id']}/stream", headers={"Last-Event-ID": "-1"}) as stream:
        visitor.let_in()
        events = [line async for line in stream.aiter_lines() if line.startswith("event: ")]
    assert events == ["event: metadata", "event: updates", "event: updates"]


async def test_many_stateless_runs_at_once(client):
    states = await asyncio.gather(
        *(client.runs.wait(None, "counter", input={"count": 0, "limit": n}) for n in range(1, 21))
    )
    assert states == [{"count": n, "limit": n} for n in range(1, 21)]


async def test_many_runs_of_an_assistant_of_ones_own_all_end(client):
    """No slot is kept for them: the queue gives each to a worker, as soon as it is committed."""
    own = (await client.assistants.create("simple"))["assistant_id"]
    for _ in range(5):
        states = await asyncio.gather(*(client.runs.wait(None, own, input={"foo": "x"}) for _ in range(16)))
        assert states == [DONE] * 16
