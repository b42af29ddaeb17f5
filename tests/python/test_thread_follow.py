"""Following a thread with the official client's own method."""

import asyncio

import pytest
from langgraph_sdk import get_client, get_sync_client
from support.proxy import Proxy


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def history(client, thread) -> list[str]:
    """Two resumable runs that ended: their ids."""
    runs = []
    for mode in ("updates", "values"):
        stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=mode, stream_resumable=True)
        runs.append([part async for part in stream][0].data["run_id"])
    return runs


async def take(stream, count: int) -> list:
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


def begin(run: str) -> tuple[str, dict]:
    return "metadata", {"run_id": run, "attempt": 1}


def end(run: str) -> tuple[str, dict]:
    return "metadata", {"status": "run_done", "run_id": run}


async def test_everything_is_replayed_and_then_followed(client, thread, history):
    stream = await client.threads.join_stream(thread, last_event_id="-")
    parts = await take(stream, 9)
    values = [{"foo": "A", "log": log} for log in (["a", "b"], ["a", "b", "a"], ["a", "b", "a", "b"])]
    assert [(part.event, part.data) for part in parts] == [
        begin(history[0]),
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("updates", {"b": {"log": ["b"]}}),
        end(history[0]),
        begin(history[1]),
        ("values", values[0] | {"foo": "x"}),
        ("values", values[1]),
        ("values", values[2]),
        end(history[1]),
    ]
    await client.runs.wait(thread, "counter", input={"count": 0, "limit": 1})
    more = await take(stream, 4)
    assert [part.event for part in more] == ["metadata", "values", "values", "metadata"]
    ids = [tuple(map(int, part.id.split("-"))) for part in parts + more]
    assert ids == sorted(set(ids))
    await stream.aclose()


@pytest.mark.deviates("the reference server does not know the name under which clients send the modes")
@pytest.mark.parametrize("mode", ["lifecycle", ["lifecycle"], ["state_update", "lifecycle"]])
async def test_starts_and_ends_alone(client, thread, history, mode):
    stream = await client.threads.join_stream(thread, last_event_id="-", stream_mode=mode)
    assert [(part.event, part.data) for part in await take(stream, 4)] == [
        begin(history[0]),
        end(history[0]),
        begin(history[1]),
        end(history[1]),
    ]
    await stream.aclose()


async def test_a_follower_goes_on_after_any_event(client, thread, history):
    stream = await client.threads.join_stream(thread, last_event_id="-")
    parts = await take(stream, 9)
    await stream.aclose()
    for number in (0, 3, 4, 7):
        stream = await client.threads.join_stream(thread, last_event_id=parts[number].id)
        assert await take(stream, 8 - number) == parts[number + 1 :]
        await stream.aclose()


async def test_the_synchronous_client_follows_too(client, url, thread, history):
    def follow() -> list:
        with get_sync_client(url=url, api_key=None) as sync:
            stream = sync.threads.join_stream(thread_id=thread, last_event_id="-", stream_mode="run_modes")
            return [next(stream) for _ in range(9)]

    stream = await client.threads.join_stream(thread, last_event_id="-")
    assert await asyncio.to_thread(follow) == await take(stream, 9)
    await stream.aclose()


async def test_followers_of_different_threads_do_not_hear_each_other(client, thread, history):
    other = (await client.threads.create())["thread_id"]
    stream = await client.threads.join_stream(other, last_event_id="-")
    first = asyncio.create_task(anext(stream))
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    run = await client.runs.create(other, "simple", input={"foo": "x"}, stream_resumable=True)
    assert (await first).data["run_id"] == run["run_id"]
    await stream.aclose()


async def test_a_broken_connection_is_an_error_to_the_follower(thread, history, url):
    """No address to come back to is given with this stream, so the client cannot."""
    async with Proxy(url) as proxy, get_client(url=proxy.url, api_key=None) as behind:
        stream = await behind.threads.join_stream(thread, last_event_id="-")
        await take(stream, 9)
        proxy.cut()
        with pytest.raises(Exception, match=r"(?i)peer|reset|closed|incomplete|read"):
            await anext(stream)
