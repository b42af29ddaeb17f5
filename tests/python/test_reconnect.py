"""Connections that break: the official clients come back by themselves and miss nothing."""

import asyncio

import pytest
from langgraph_sdk import get_client, get_sync_client
from support.proxy import Proxy


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def far(url):
    """A client behind a proxy, and the proxy."""
    async with Proxy(url) as proxy, get_client(url=proxy.url, api_key=None) as client:
        yield client, proxy


STEPS = [("updates", {"one_step": {"step": n + 1, "log": [f"step {n}: {n}"]}}) for n in range(3)]


@pytest.mark.parametrize("stateless", [False, True])
async def test_a_resumable_stream_goes_on_where_it_broke(record, thread, gate, far, stateless):
    client, proxy = far
    stream = client.runs.stream(
        None if stateless else thread,
        "steps",
        input=gate.input(steps=3),
        stream_mode="updates",
        stream_resumable=True,
    )
    assert (await anext(stream)).event == "metadata"
    (await gate.visitor()).let_in("0")
    assert (await anext(stream))[:2] == STEPS[0]
    visitor = await gate.visitor()
    proxy.cut()
    # This happens while nobody listens.
    visitor.let_in("1")
    visitor = await gate.visitor()
    assert (await anext(stream))[:2] == STEPS[1]
    visitor.let_in("2")
    assert await record(stream) == STEPS[2:]


async def test_a_stream_that_breaks_after_the_end_of_the_run_is_read_to_its_end(client, record, thread, gate, far):
    behind, proxy = far
    stream = behind.runs.stream(
        thread, "steps", input=gate.input(steps=3), stream_mode="updates", stream_resumable=True
    )
    run = (await anext(stream)).data["run_id"]
    visitor = await gate.visitor()
    proxy.cut()
    for word in ("0", "1"):
        visitor.let_in(word)
        visitor = await gate.visitor()
    visitor.let_in("2")
    await client.runs.join(thread, run)
    assert await record(stream) == STEPS


async def test_a_stream_without_a_thread_is_read_to_its_end_as_well(http, record, gate, far):
    behind, proxy = far
    stream = behind.runs.stream(None, "steps", input=gate.input(steps=3), stream_mode="updates", stream_resumable=True)
    run = (await anext(stream)).data["run_id"]
    visitor = await gate.visitor()
    thread = (await http.get(f"/runs/{run}")).json()["thread_id"]
    proxy.cut()
    async with http.stream("GET", f"/threads/{thread}/runs/{run}/join") as end:
        for word in ("0", "1"):
            visitor.let_in(word)
            visitor = await gate.visitor()
        visitor.let_in("2")
        await end.aread()
    assert await record(stream) == STEPS


async def test_a_stream_that_cannot_be_resumed_goes_on_with_what_comes(record, thread, gate, far):
    client, proxy = far
    stream = client.runs.stream(thread, "steps", input=gate.input(steps=3), stream_mode="updates")
    assert (await anext(stream)).event == "metadata"
    (await gate.visitor()).let_in("0")
    assert (await anext(stream))[:2] == STEPS[0]
    visitor = await gate.visitor()
    proxy.cut()
    visitor.let_in("1")
    visitor = await gate.visitor()
    with pytest.warns(UserWarning, match="Reconnecting without a Last-Event-ID"):
        reading = asyncio.create_task(record(stream))
        await proxy.answered.wait()
        visitor.let_in("2")
        assert await reading == STEPS[2:]


@pytest.mark.parametrize("how", ["wait", "join", "stateless"])
async def test_who_waits_gets_the_result_all_the_same(client, thread, gate, far, how):
    behind, proxy = far
    if how == "join":
        run = await behind.runs.create(thread, "waiting", input=gate.input())
        proxy.answered.clear()
        waiting = asyncio.create_task(behind.runs.join(thread, run["run_id"]))
    else:
        waiting = asyncio.create_task(
            behind.runs.wait(thread if how == "wait" else None, "waiting", input=gate.input())
        )
    visitor = await gate.visitor()
    await proxy.answered.wait()
    with pytest.warns(UserWarning, match="attempting reconnect"):
        proxy.cut()
        await proxy.answered.wait()
        visitor.let_in()
        assert (await waiting)["log"] == ["run arrives", "run passed"]


async def test_a_run_that_is_to_end_with_its_listener_ends_when_the_connection_breaks(client, thread, gate, far):
    behind, proxy = far
    waiting = asyncio.create_task(
        behind.runs.wait(thread, "waiting", input=gate.input(), on_disconnect="cancel", durability="sync")
    )
    visitor = await gate.visitor()
    with pytest.warns(UserWarning, match="attempting reconnect"):
        proxy.cut()
        await visitor.gone()
        # The client comes back and finds what the run left.
        state = await waiting
    assert (await client.runs.get(thread, visitor.run_id))["status"] == "interrupted"
    assert state["log"] == ["run arrives"]


async def test_a_joined_stream_goes_on_where_it_broke(client, record, thread, gate, far):
    behind, proxy = far
    run = await client.runs.create(
        thread, "steps", input=gate.input(steps=2), stream_mode="updates", stream_resumable=True
    )
    (await gate.visitor()).let_in("0")
    visitor = await gate.visitor()
    stream = behind.runs.join_stream(thread, run["run_id"], last_event_id="-1")
    assert (await anext(stream)).event == "metadata"
    assert (await anext(stream))[:2] == STEPS[0]
    proxy.cut()
    visitor.let_in("1")
    assert await record(stream) == [STEPS[1]]


async def test_the_synchronous_client_comes_back_too(client, thread, gate, far):
    _, proxy = far
    loop, parts, first = asyncio.get_running_loop(), [], asyncio.Event()

    def read() -> None:
        with get_sync_client(url=proxy.url, api_key=None) as sync:
            for part in sync.runs.stream(
                thread, "steps", input=gate.input(steps=2), stream_mode="updates", stream_resumable=True
            ):
                parts.append(part)
                if len(parts) == 2:
                    loop.call_soon_threadsafe(first.set)

    reading = asyncio.create_task(asyncio.to_thread(read))
    (await gate.visitor()).let_in("0")
    await first.wait()
    visitor = await gate.visitor()
    proxy.cut()
    visitor.let_in("1")
    await reading
    assert [(part.event, part.data) for part in parts[1:]] == STEPS[:2]
