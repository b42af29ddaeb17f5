"""Replays of resumable runs: where they begin, what they hold, who may have them."""

import asyncio
import json

import pytest

MODES = ["values", "updates", "tasks"]


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def parts(client, thread) -> list:
    """Events of a resumable run that has ended."""
    stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=MODES, stream_resumable=True)
    return [part async for part in stream]


@pytest.fixture
def replay(client, thread, parts):
    async def replay(after: str | None = "-1", **options) -> list:
        stream = client.runs.join_stream(thread, parts[0].data["run_id"], last_event_id=after, **options)
        return [part async for part in stream]

    return replay


@pytest.mark.parametrize("begin", ["-1", "0", "-", "0-0", "1", "1-5"])
async def test_a_replay_of_everything_begins_at_any_earlier_id(parts, replay, begin):
    assert await replay(begin) == parts


@pytest.mark.parametrize("end", ["zzz", "9999999999999-0", "9999999999999"])
async def test_a_replay_after_the_end_is_empty(replay, end):
    assert await replay(end) == []


async def test_a_replay_begins_after_a_time_too(parts, replay):
    """An id without a number is that of the first event of its millisecond."""

    def place(id: str) -> tuple[int, ...]:
        return tuple(map(int, id.split("-")))

    # The millisecond before may have events of its own, behind its first.
    time = place(parts[3].id)[0] - 1
    assert await replay(f"{time}-0") == [part for part in parts if place(part.id) > (time, 0)]


async def test_many_listeners_have_the_same_replay(parts, replay):
    assert await asyncio.gather(*(replay() for _ in range(10))) == [parts] * 10
    assert await replay() == parts


@pytest.mark.parametrize("mode", [*MODES, "metadata"])
async def test_a_filter_lets_pass_what_it_names_alone(parts, replay, mode):
    assert await replay(stream_mode=mode) == [part for part in parts if part.event == mode]


@pytest.mark.deviates("of several modes the reference server sees only the last")
async def test_a_filter_may_be_written_in_several_ways(http, thread, parts, replay):
    expected = [part for part in parts if part.event in ("values", "metadata")]
    assert await replay(stream_mode=["values", "metadata"]) == expected
    assert await replay(stream_mode=json.dumps(["values", "metadata"])) == expected


async def test_an_error_has_to_be_named_in_a_filter(client, thread):
    stream = client.runs.stream(thread, "errors", input={"kind": "value"}, stream_mode="updates", stream_resumable=True)
    run = [part async for part in stream][0].data["run_id"]

    async def events(**options) -> list[str]:
        return [part.event async for part in client.runs.join_stream(thread, run, last_event_id="-1", **options)]

    assert await events() == ["metadata", "updates", "error"]
    assert await events(stream_mode="updates") == ["updates"]
    assert await events(stream_mode=["updates", "error"]) == ["updates", "error"]


@pytest.mark.parametrize("mode", ["messages", "messages-tuple"])
async def test_either_name_of_messages_selects_them(client, thread, mode):
    hi = {"messages": [{"role": "user", "content": "hi", "id": "hi"}]}
    stream = client.runs.stream(thread, "chat", input=hi, stream_mode=[mode, "values"], stream_resumable=True)
    parts = [part async for part in stream]
    for name in ("messages", "messages-tuple"):
        replay = client.runs.join_stream(thread, parts[0].data["run_id"], stream_mode=name, last_event_id="-1")
        assert [part async for part in replay] == [part for part in parts if part.event.startswith("messages")]


async def test_a_run_that_was_cancelled_is_replayed_up_to_there(client, record, thread, gate):
    stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates", stream_resumable=True)
    run = (await anext(stream)).data["run_id"]
    await gate.visitor()
    await client.runs.cancel(thread, run, wait=True)
    rest = [part async for part in stream]
    assert [part.event for part in rest] == ["updates"]
    replay = [part async for part in client.runs.join_stream(thread, run, last_event_id="-1")]
    assert [part.event for part in replay] == ["metadata", "updates"] and replay[1:] == rest


@pytest.mark.deviates("the reference server answers 200 and an error event")
@pytest.mark.parametrize("how", ["rollback", "delete"])
async def test_a_run_that_is_undone_has_no_replay(client, http, thread, gate, how):
    run = (await client.runs.create(thread, "waiting", input=gate.input(), stream_resumable=True))["run_id"]
    await gate.visitor()
    if how == "rollback":
        await client.runs.cancel(thread, run, wait=True, action="rollback")
    else:
        await client.runs.delete(thread, run)
    answer = await http.get(f"/threads/{thread}/runs/{run}/stream", headers={"Last-Event-ID": "-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


async def test_a_run_in_the_queue_is_joined_before_it_begins(client, thread, gate):
    await client.runs.create(thread, "waiting", input=gate.input("first"))
    visitor = await gate.visitor()
    second = await client.runs.create(
        thread, "simple", input={"foo": "x"}, stream_mode="updates", stream_resumable=True
    )
    opened = asyncio.Event()
    path = f"/threads/{thread}/runs/{second['run_id']}/stream"
    stream = client.http.stream(path, "GET", on_response=lambda _: opened.set())
    reading = asyncio.create_task(anext(stream))
    await opened.wait()
    assert not reading.done()
    visitor.let_in()
    assert (await reading).data == {"run_id": second["run_id"], "attempt": 1}
    assert [part.event async for part in stream] == ["updates", "updates"]


async def test_the_addresses_of_a_joined_stream_are_those_of_the_first(http, thread, parts):
    run = f"/threads/{thread}/runs/{parts[0].data['run_id']}"
    answer = await http.get(f"{run}/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["location"], answer.headers["content-location"]) == (f"{run}/stream", run)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    again = await http.get(answer.headers["location"], headers={"Last-Event-ID": "-1"})
    assert again.text.count("\r\nid: ") == len(parts)


async def test_a_run_that_was_started_in_the_background_publishes_its_modes(client, thread):
    run = await client.runs.create(
        thread, "simple", input={"foo": "x"}, stream_mode=["updates", "custom"], stream_resumable=True
    )
    await client.runs.join(thread, run["run_id"])
    replay = client.runs.join_stream(thread, run["run_id"], last_event_id="-1")
    assert [part.event async for part in replay] == ["metadata", "updates", "updates"]
