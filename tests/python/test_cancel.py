"""Cancelling runs: the node stops at once, what was produced stays, streams end."""

import asyncio

import pytest
from support.names import NOBODY

REQUESTED = {
    "error": "UserInterrupt",
    "message": "interrupt requested via POST /threads/{thread_id}/runs/{run_id}/cancel",
}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_cancelling_stops_an_async_node_at_once(client, http, thread, gate, durability):
    run = (await client.runs.create(thread, "waiting", input=gate.input(), durability=durability))["run_id"]
    visitor = await gate.visitor()
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel")
    assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (202, b"", None)
    await visitor.gone(seconds=2)
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("interrupted", REQUESTED)
    # What was produced is kept.
    assert after["values"]["log"] == ["run arrives"]
    assert (await client.threads.get_state(thread))["next"] == ["gate"]


async def test_a_cancelled_run_can_be_continued(client, thread, gate):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    await gate.visitor()
    await client.runs.cancel(thread, run, wait=True)
    again = asyncio.create_task(client.runs.wait(thread, "waiting", input=None))
    (await gate.visitor()).let_in()
    assert (await again)["log"] == ["run arrives", "run passed"]
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("idle", None)


async def test_cancelling_may_wait_for_the_end(client, http, thread, gate):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    await gate.visitor()
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel", params={"wait": "true"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run}"
    assert answer.headers["location"] == f"/threads/{thread}/runs/{run}/join"
    answer.json()
    assert (await client.runs.get(thread, run))["status"] == "interrupted"


async def test_the_stream_of_a_cancelled_run_ends_without_an_error(client, thread, gate):
    stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
    run = (await anext(stream)).data["run_id"]
    await gate.visitor()
    assert (await anext(stream)).data == {"before": {"log": ["run arrives"]}}
    await client.runs.cancel(thread, run)
    assert [part async for part in stream] == []


async def test_waiting_for_a_cancelled_run_returns_the_last_values(client, thread, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "stream_resumable": True}
    waiting = asyncio.create_task(client.http.post(f"/threads/{thread}/runs/wait", json=body))
    run = (await gate.visitor()).run_id
    last = gate.input() | {"log": ["run arrives"]}
    async for part in client.runs.join_stream(thread, run, last_event_id="-1"):
        if part.data == last:
            break
    await client.runs.cancel(thread, run)
    assert await waiting == last


async def test_a_pending_run_never_starts(client, thread, gate):
    first = (await client.runs.create(thread, "waiting", input=gate.input("first")))["run_id"]
    visitor = await gate.visitor()
    second = (await client.runs.create(thread, "waiting", input=gate.input("second")))["run_id"]
    await client.runs.cancel(thread, second)
    assert (await client.runs.get(thread, second))["status"] == "interrupted"
    visitor.let_in()
    await client.runs.join(thread, first)
    assert (await client.runs.get(thread, first))["status"] == "success"
    assert gate.empty
    after = await client.threads.get(thread)
    assert (after["status"], after["values"]["log"]) == ("idle", ["first arrives", "first passed"])


@pytest.mark.deviates("the reference server's thread may stay busy for ever")
async def test_rollback_removes_the_run_and_what_it_did(client, http, thread, gate):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    before = await client.threads.get(thread)
    history = await client.threads.get_history(thread)
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    await client.runs.cancel(thread, run, action="rollback", wait=True)
    await visitor.gone()
    gone = await http.get(f"/threads/{thread}/runs/{run}")
    assert (gone.status_code, gone.json()) == (404, {"detail": "Not Found"})
    assert await client.threads.get_history(thread) == history
    after = await client.threads.get(thread)
    assert (after["status"], after["values"]) == ("idle", before["values"])
    assert after["error"] == {
        "error": "UserRollback",
        "message": "rollback requested via POST /threads/{thread_id}/runs/{run_id}/cancel",
    }


async def test_a_finished_run_cannot_be_cancelled(client, http, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    run = (await client.runs.list(thread))[0]["run_id"]
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "detail": "No matching runs to cancel. Please verify the thread ID and run IDs are correct, "
            "and the runs haven't been deleted or completed."
        },
    )


async def test_an_unknown_run_cannot_be_cancelled(http, thread):
    answer = await http.post(f"/threads/{thread}/runs/{NOBODY}/cancel")
    assert (answer.status_code, answer.json()) == (404, {"detail": "No runs found to cancel."})


async def test_cancelling_one_run_leaves_others_alone(client, thread, gate):
    other = (await client.threads.create())["thread_id"]
    one = (await client.runs.create(thread, "waiting", input=gate.input("one")))["run_id"]
    two = (await client.runs.create(other, "waiting", input=gate.input("two")))["run_id"]
    visitors = {visitor.name: visitor for visitor in [await gate.visitor(), await gate.visitor()]}
    await client.runs.cancel(thread, one)
    await visitors["one"].gone()
    visitors["two"].let_in()
    assert (await client.runs.join(other, two))["log"] == ["two arrives", "two passed"]


@pytest.mark.deviates("the reference server cannot stop a thread of Python")
async def test_a_sync_node_is_stopped_too(client, thread, gate):
    run = (await client.runs.create(thread, "holding", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    await client.runs.cancel(thread, run)
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    assert (await client.threads.get(thread))["values"]["log"] == ["run arrives"]
    await visitor.gone(seconds=30)
