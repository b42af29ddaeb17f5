"""The stream of a thread: the events of all its runs."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.names import NOBODY

DONE = "run_done"


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@asynccontextmanager
async def following(client, thread, **options):
    """Follows the thread: yields a function that returns the next `count` events. Begins when the server listens."""
    opened = asyncio.Event()
    path, params = f"/threads/{thread}/stream", {"stream_mode": options.pop("stream_mode", "run_modes")}
    headers = {"Last-Event-ID": options["last_event_id"]} if "last_event_id" in options else None
    stream = client.http.stream(path, "GET", params=params, headers=headers, on_response=lambda _: opened.set())
    queue: asyncio.Queue = asyncio.Queue()

    async def read() -> None:
        async for part in stream:
            queue.put_nowait(part)

    reading = asyncio.create_task(read())
    await opened.wait()

    async def take(count: int) -> list:
        async with asyncio.timeout(10):
            return [await queue.get() for _ in range(count)]

    try:
        yield take
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert queue.empty(), queue.get_nowait()


async def run(client, thread, graph="simple", input=None, **options) -> None:
    """Runs a graph to its end."""
    async for _ in client.runs.stream(thread, graph, input=input or {"foo": "x"}, **options):
        pass


def run_events(names, parts) -> list:
    return [(part.event, names(part.data)) for part in parts]


def a_run(number: int, *between) -> list:
    name = f"<run {number}>"
    return [
        ("metadata", {"run_id": name, "attempt": 1}),
        *between,
        ("metadata", {"status": DONE, "run_id": name}),
    ]


UPDATES = [("updates", {"a": {"foo": "A", "log": ["a"]}}), ("updates", {"b": {"log": ["b"]}})]


async def test_a_follower_sees_every_run_to_come_between_its_start_and_its_end(client, names, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    async with following(client, thread) as take:
        for _ in range(2):
            await run(client, thread, stream_mode="updates")
        parts = await take(8)
    assert run_events(names, parts) == a_run(1, *UPDATES) + a_run(2, *UPDATES)
    ids = [tuple(map(int, part.id.split("-"))) for part in parts]
    assert len(set(ids)) == 8


@pytest.mark.deviates("two events of one millisecond share an id at the reference server")
async def test_ids_of_a_thread_increase(client, thread):
    async with following(client, thread) as take:
        for _ in range(2):
            await run(client, thread, stream_mode="updates")
        ids = [tuple(map(int, part.id.split("-"))) for part in await take(8)]
    assert ids == sorted(set(ids))


async def test_a_run_that_fails_or_is_cancelled_ends_for_its_followers_too(client, names, thread, gate):
    async with following(client, thread) as take:
        await run(client, thread, "errors", {"kind": "value"}, stream_mode="updates")
        failed = await take(4)
        made = await client.runs.create(thread, "holding", input=gate.input(), stream_mode="custom")
        await gate.visitor()
        await client.runs.cancel(thread, made["run_id"])
        cancelled = await take(2)
    assert failed[-2].event == "error" and failed[-2].data == {"error": "ValueError", "message": "bad value"}
    assert failed[-1].data["status"] == DONE
    assert run_events(names, cancelled) == a_run(1)


@pytest.mark.deviates("the reference server does not know the name under which clients send the modes")
async def test_lifecycle_shows_starts_and_ends_only(client, names, thread):
    async with following(client, thread, stream_mode="lifecycle") as take:
        await client.runs.wait(thread, "simple", input={"foo": "x"})
        assert run_events(names, await take(2)) == a_run(1)


@pytest.mark.deviates("the reference server does not know the name under which clients send the modes")
async def test_state_update_shows_the_state_after_a_change_by_request(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    async with following(client, thread, stream_mode=["state_update", "lifecycle"]) as take:
        await client.threads.update_state(thread, {"log": ["by hand"]}, as_node="b")
        await run(client, thread, stream_mode="custom")
        update, *others = await take(3)
    assert update.event == "state_update" and update.id
    assert (update.data["thread_id"], update.data["state"]["values"]["log"]) == (thread, ["a", "b", "by hand"])
    assert [part.event for part in others] == ["metadata", "metadata"]


async def test_a_follower_that_comes_back_gets_what_resumable_runs_sent(client, thread):
    async with following(client, thread) as take:
        for word in ("x", "y"):
            await run(client, thread, input={"foo": word}, stream_mode="updates", stream_resumable=True)
        parts = await take(8)
    async with following(client, thread, last_event_id=parts[3].id) as take:
        assert await take(4) == parts[4:]
    for everything in ("-", "0"):
        async with following(client, thread, last_event_id=everything) as take:
            assert await take(8) == parts


async def test_a_replay_of_a_thread_goes_over_into_the_live_stream(client, names, thread, gate):
    input = gate.input("r")
    made = await client.runs.create(thread, "waiting", input=input, stream_mode="updates", stream_resumable=True)
    visitor = await gate.visitor()
    async with following(client, thread, last_event_id="-") as take:
        parts = await take(2)
        visitor.let_in()
        parts += await take(2)
    assert run_events(names, parts) == a_run(
        1, ("updates", {"before": {"log": ["r arrives"]}}), ("updates", {"gate": {"log": ["r passed"]}})
    )
    assert parts[0].data["run_id"] == made["run_id"]


async def test_headers_and_beats(http, thread):
    async with http.stream("GET", f"/threads/{thread}/stream", timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert not {"location", "content-location"} & set(answer.headers)
        assert await anext(answer.aiter_lines()) == ": heartbeat"


async def test_what_is_refused(http, thread):
    path = f"/threads/{thread}/stream"
    for parameter in ("bogus", "lifecycle,bogus"):
        answer = await http.get(path, params={"stream_modes": parameter})
        assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid stream mode: bogus"})
    for id in ("zzz", "1-", "-5"):
        answer = await http.get(path, headers={"Last-Event-ID": id})
        expected = {"detail": "Invalid last-event-id: must be a valid Redis stream ID"}
        assert (answer.status_code, answer.json()) == (422, expected)


@pytest.mark.deviates("the reference server answers 200 and is silent")
async def test_an_unknown_thread_cannot_be_followed(http):
    answer = await http.get(f"/threads/{NOBODY}/stream")
    assert (answer.status_code, answer.json()) == (404, {"detail": f"Thread with ID {NOBODY} not found"})


@pytest.mark.deviates("the reference server goes on for ever")
async def test_a_deleted_thread_ends_its_stream(client, http, thread):
    async with http.stream("GET", f"/threads/{thread}/stream", timeout=20) as answer:
        await client.threads.delete(thread)
        assert [line async for line in answer.aiter_lines()] == []
