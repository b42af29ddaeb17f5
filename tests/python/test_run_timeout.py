"""Runs that take longer than they may."""

import asyncio

import pytest
from langgraph_sdk import get_client

ERROR = {"error": "TimeoutError", "message": ""}


@pytest.fixture
async def client(start_server):
    server = start_server({"BG_JOB_TIMEOUT_SECS": "1.5"})
    async with get_client(url=server.url, api_key=None) as client:
        yield client


async def test_a_run_that_takes_too_long_is_ended(client, gate):
    thread = (await client.threads.create())["thread_id"]
    stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
    # The stream ends without an error.
    assert [part.event async for part in stream] == ["metadata", "updates"]
    visitor = await gate.visitor()
    await visitor.gone()
    (run,) = await client.runs.list(thread)
    assert run["status"] == "timeout"
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("error", ERROR)
    assert after["values"]["log"] == ["run arrives"]
    assert await client.runs.join(thread, run["run_id"]) == {"__error__": ERROR}
    # It can go on where it was.
    going_on = asyncio.create_task(client.runs.wait(thread, "waiting", input=None))
    (await gate.visitor()).let_in()
    assert (await going_on)["log"] == ["run arrives", "run passed"]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_run_without_a_thread_ends_with_nothing(client, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "stream_mode": "updates"}
    waiting = asyncio.create_task(client.http.post("/runs/wait", json=body))
    await gate.visitor()
    assert await waiting == {}


async def test_the_next_run_of_the_thread_begins(client, gate):
    thread = (await client.threads.create())["thread_id"]
    await client.runs.create(thread, "waiting", input=gate.input())
    await gate.visitor()
    state = await client.runs.wait(thread, "simple", input={"foo": "x"})
    assert state["log"][-2:] == ["a", "b"]
    assert [run["status"] for run in await client.runs.list(thread)] == ["success", "timeout"]
