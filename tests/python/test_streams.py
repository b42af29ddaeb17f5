"""The stream itself: its bytes, joining, replay, heartbeats, disconnects."""

import asyncio
import re

import pytest
from support.names import NOBODY


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def names_of(stream) -> list[str]:
    return [part.event async for part in stream]


async def test_the_bytes_of_a_stream(http, thread):
    body = {"assistant_id": "progress", "input": {"foo": "x"}, "stream_mode": ["custom", "updates"]}
    answer = await http.post(f"/threads/{thread}/runs/stream", json=body)
    run = (await http.get(f"/threads/{thread}/runs")).json()[0]["run_id"]
    assert answer.content.decode() == (
        f'event: metadata\r\ndata: {{"run_id":"{run}","attempt":1}}\r\n\r\n'
        'event: custom\r\ndata: {"progress":1}\r\n\r\n'
        'event: custom\r\ndata: "half way, äöü €"\r\n\r\n'
        "event: custom\r\ndata: [1,2]\r\n\r\n"
        'event: updates\r\ndata: {"report":{"log":["reported"]}}\r\n\r\n'
    )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["location"] == f"/threads/{thread}/runs/{run}/stream"
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run}"


async def test_a_zero_character_is_replaced_in_events_and_results(client, record, thread):
    given, shown = {"foo": "a\0b \\u0000"}, {"foo": "a\ufffdb \\u0000", "log": ["reported"]}
    stream = client.runs.stream(thread, "progress", input=given, stream_mode="values")
    assert (await record(stream))[-1] == ("values", shown)
    assert await client.runs.wait(None, "progress", input=given) == shown
    assert (await client.threads.get(thread))["values"] == shown
    assert (await client.threads.get_state(thread))["values"] == shown
    assert (await client.threads.get_history(thread))[0]["values"] == shown


async def test_resumable_streams_number_their_events(http, thread):
    body = {"assistant_id": "progress", "input": {}, "stream_mode": "custom", "stream_resumable": True}
    answer = await http.post(f"/threads/{thread}/runs/stream", json=body)
    events = [event.split("\r\n") for event in answer.text.split("\r\n\r\n")[:-1]]
    assert [[line.split(": ")[0] for line in event] for event in events] == [["event", "data", "id"]] * 4
    assert all(re.fullmatch(r"id: \d+-\d+", event[2]) for event in events)


@pytest.mark.deviates("two events of one millisecond share an id at the reference server")
async def test_ids_of_events_increase(client, thread):
    stream = client.runs.stream(thread, "progress", input={}, stream_mode=["custom", "values"], stream_resumable=True)
    ids = [tuple(map(int, part.id.split("-"))) async for part in stream]
    assert ids == sorted(set(ids)) and len(ids) == 5


@pytest.fixture
async def at_gate(client, thread, gate):
    """A run at the gate whose events so far have all been seen: the run's id, the visitor, the rest of its stream."""
    input = gate.input("joined")
    stream = client.runs.stream(thread, "waiting", input=input, stream_mode=["updates", "values"])
    run = (await anext(stream)).data["run_id"]
    visitor = await gate.visitor()
    seen = [(await anext(stream)).event for _ in range(3)]
    assert seen == ["values", "updates", "values"]
    return run, visitor, stream


async def test_listeners_get_what_comes_after_they_joined(client, record, thread, gate, at_gate):
    run, visitor, stream = at_gate
    path = f"/threads/{thread}/runs/{run}/stream"
    opened = [asyncio.Event() for _ in range(5)]
    listening = [
        asyncio.create_task(record(client.http.stream(path, "GET", on_response=lambda _, each=each: each.set())))
        for each in opened
    ]
    for each in opened:
        await each.wait()
    visitor.let_in()
    rest = [
        ("updates", {"gate": {"log": ["joined passed"]}}),
        ("values", gate.input("joined") | {"log": ["joined arrives", "joined passed"]}),
    ]
    assert await record(stream) == rest
    assert await asyncio.gather(*listening) == [rest] * 5


async def test_joining_a_finished_run_ends_at_once(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    run = (await client.runs.list(thread))[0]["run_id"]
    assert await names_of(client.runs.join_stream(thread, run)) == []
    assert await names_of(client.runs.join_stream(thread, run, last_event_id="-1")) == []


async def test_a_finished_resumable_run_can_be_replayed(client, thread):
    stream = client.runs.stream(
        thread, "simple", input={"foo": "x"}, stream_mode=["values", "updates"], stream_resumable=True
    )
    parts = [part async for part in stream]
    run = parts[0].data["run_id"]
    assert len(parts) == 6

    async def replay(after: str) -> list:
        return [part async for part in client.runs.join_stream(thread, run, last_event_id=after)]

    for everything in ("-1", "0", "-"):
        assert await replay(everything) == parts
    assert await replay(parts[-1].id) == []
    assert await names_of(client.runs.join_stream(thread, run)) == []


@pytest.mark.deviates("two events of one millisecond share an id at the reference server")
async def test_a_replay_starts_after_any_event(client, thread):
    stream = client.runs.stream(
        thread, "simple", input={"foo": "x"}, stream_mode=["values", "updates"], stream_resumable=True
    )
    parts = [part async for part in stream]
    for number, part in enumerate(parts):
        replayed = client.runs.join_stream(thread, parts[0].data["run_id"], last_event_id=part.id)
        assert [each async for each in replayed] == parts[number + 1 :]


async def test_a_replay_goes_over_into_the_live_stream(client, record, thread, gate):
    run = await client.runs.create(
        thread, "waiting", input=gate.input("r"), stream_mode=["updates"], stream_resumable=True
    )
    visitor = await gate.visitor()
    stream = client.runs.join_stream(thread, run["run_id"], last_event_id="-1")
    assert (await anext(stream)).event == "metadata"
    assert (await anext(stream)).data == {"before": {"log": ["r arrives"]}}
    visitor.let_in()
    assert await record(stream) == [("updates", {"gate": {"log": ["r passed"]}})]


@pytest.mark.deviates("the reference server does not replay errors and accumulated messages")
async def test_a_replay_has_every_event_that_was_sent(client):
    for graph, input, mode in [
        ("errors", {"kind": "value"}, "values"),
        ("chat", {"messages": [{"role": "user", "content": "hi", "id": "1"}]}, "messages"),
    ]:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread, graph, input=input, stream_mode=mode, stream_resumable=True)
        parts = [part async for part in stream]
        replayed = client.runs.join_stream(thread, parts[0].data["run_id"], last_event_id="-1")
        assert [part async for part in replayed] == parts


async def test_a_listener_may_filter_modes(client, thread):
    modes = ["values", "updates", "tasks"]
    stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=modes, stream_resumable=True)
    run = (await anext(stream)).data["run_id"]
    assert len(await names_of(stream)) == 9

    async def filtered(mode) -> list[str]:
        return await names_of(client.runs.join_stream(thread, run, stream_mode=mode, last_event_id="-1"))

    assert await filtered("updates") == ["updates", "updates"]
    assert await filtered("custom") == []


@pytest.mark.deviates("of several modes the reference server sees only the last")
async def test_a_listener_may_filter_several_modes(client, thread):
    modes = ["values", "updates", "tasks"]
    stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=modes, stream_resumable=True)
    run = (await anext(stream)).data["run_id"]
    await names_of(stream)
    replay = client.runs.join_stream(thread, run, stream_mode=["values", "updates"], last_event_id="-1")
    assert await names_of(replay) == ["values", "updates", "values", "updates", "values"]


@pytest.mark.deviates("the reference server answers 200 and an error event")
async def test_an_unknown_run_cannot_be_joined(http, thread):
    for path in ("stream", "join"):
        answer = await http.get(f"/threads/{thread}/runs/{NOBODY}/{path}")
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/json"


async def test_a_stream_beats_while_nothing_happens(http, thread, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "stream_mode": "updates"}
    now = asyncio.get_running_loop().time
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body, timeout=20) as answer:
        opened = now()
        visitor = await gate.visitor()
        lines = answer.aiter_lines()
        while await anext(lines) != ": heartbeat":
            pass
        assert 4 < now() - opened < 6.5
        assert await anext(lines) == ""
        visitor.let_in()
        assert [line async for line in lines][0] == "event: updates"


async def test_a_run_goes_on_when_its_listener_leaves(client, http, thread, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "stream_mode": "updates"}
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
        visitor = await gate.visitor()
        run = answer.headers["content-location"].rpartition("/")[2]
    visitor.let_in()
    assert (await client.runs.join(thread, run))["log"] == ["run arrives", "run passed"]
    assert (await client.runs.get(thread, run))["status"] == "success"


@pytest.mark.parametrize("route", ["runs/stream", "runs/wait"])
async def test_a_run_ends_with_its_listener_if_asked(client, http, thread, gate, route):
    body = {"assistant_id": "waiting", "input": gate.input(), "on_disconnect": "cancel"}
    async with http.stream("POST", f"/threads/{thread}/{route}", json=body) as answer:
        visitor = await gate.visitor()
        run = answer.headers["content-location"].rpartition("/")[2]
    await visitor.gone()
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    assert (await client.threads.get(thread))["error"] == {
        "error": "UserInterrupt",
        "message": "client disconnected from the run stream (on_disconnect=cancel)",
    }


async def test_a_joined_run_ends_with_its_listener_if_asked(client, http, thread, gate):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    path = f"/threads/{thread}/runs/{run}/stream"
    async with http.stream("GET", path, params={"cancel_on_disconnect": "1"}) as answer:
        assert answer.status_code == 200
    await visitor.gone()
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"


async def test_a_client_that_saw_the_end_sees_the_final_status(client, thread):
    """Twenty times, because it would be a race."""
    for _ in range(20):
        stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode="updates")
        run = (await anext(stream)).data["run_id"]
        await names_of(stream)
        assert (await client.runs.get(thread, run))["status"] == "success"
        assert (await client.threads.get(thread))["status"] == "idle"
