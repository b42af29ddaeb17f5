"""Cancelling several runs with one request."""

import asyncio

import pytest
from support.names import NOBODY

NOTHING = {"detail": "No runs found to cancel."}
OVER = {
    "detail": "No matching runs to cancel. Please verify the thread ID and run IDs are correct, "
    "and the runs haven't been deleted or completed."
}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_runs_of_a_thread_are_cancelled_by_their_ids(client, http, thread, gate):
    first = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    second = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    third = (await client.runs.create(thread, "simple", input={"foo": "x"}))["run_id"]
    # Those that do not exist, and those named twice, do no harm.
    body = {"thread_id": thread, "run_ids": [first, second, second, NOBODY]}
    answer = await http.post("/runs/cancel", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    await visitor.gone()
    await client.runs.join(thread, third)
    runs = {run["run_id"]: run["status"] for run in await client.runs.list(thread)}
    assert runs == {first: "interrupted", second: "interrupted", third: "success"}
    assert gate.empty
    again = await http.post("/runs/cancel", json=body)
    assert (again.status_code, again.json()) == (404, OVER)


async def test_the_thread_tells_why_its_runs_ended(client, thread, gate):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    await gate.visitor()
    await client.runs.cancel_many(thread_id=thread, run_ids=[run])
    after = await client.threads.get(thread)
    assert after["status"] == "interrupted"
    assert after["error"] == {"error": "UserInterrupt", "message": "interrupt requested via POST /runs/cancel"}
    assert after["values"]["log"] == ["run arrives"]


async def test_rollback_removes_all_of_them(client, thread, gate):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    history = await client.threads.get_history(thread)
    runs = [(await client.runs.create(thread, "waiting", input=gate.input()))["run_id"] for _ in range(2)]
    visitor = await gate.visitor()
    await client.runs.cancel_many(thread_id=thread, run_ids=runs, action="rollback")
    await visitor.gone()
    assert [run["status"] for run in await client.runs.list(thread)] == ["success"]
    assert await client.threads.get_history(thread) == history
    after = await client.threads.get(thread)
    assert (after["status"], after["values"]) == ("idle", {"foo": "A", "log": ["a", "b"]})
    assert after["error"] == {"error": "UserRollback", "message": "rollback requested via POST /runs/cancel"}


@pytest.mark.parametrize(("status", "ended"), [("pending", {"b", "c"}), ("running", {"a"}), ("all", {"a", "b", "c"})])
async def test_runs_of_all_threads_are_cancelled_by_their_status(start_server, gate, status, ended):
    from langgraph_sdk import get_client

    # On a server of its own: it stops everybody's runs.
    async with get_client(url=start_server().url, api_key=None) as client:
        one, two = [(await client.threads.create())["thread_id"] for _ in range(2)]
        runs = {"a": (one, await client.runs.create(one, "waiting", input=gate.input()))}
        visitor = await gate.visitor()
        for name, thread in (("b", one), ("c", two)):
            runs[name] = (thread, await client.runs.create(thread, "simple", input={"foo": "x"}, after_seconds=0.5))
        await client.runs.cancel_many(status=status)
        if "a" in ended:
            await visitor.gone()
        else:
            visitor.let_in()
        for name, (thread, run) in runs.items():
            await client.runs.join(thread, run["run_id"])
            expected = "interrupted" if name in ended else "success"
            assert (await client.runs.get(thread, run["run_id"]))["status"] == expected, name
        assert [(await client.threads.get(thread))["status"] for thread in (one, two)].count("busy") == 0


async def test_a_stateless_run_takes_its_thread_along(client, http, gate):
    waiting = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input()))
    run = (await gate.visitor()).run_id
    thread = (await http.get(f"/runs/{run}")).json()["thread_id"]
    await client.runs.cancel_many(thread_id=thread, run_ids=[run])
    await waiting
    assert (await http.get(f"/threads/{thread}")).status_code == 404


async def test_nothing_to_cancel_is_not_found(http, thread):
    for body in ({"thread_id": thread, "run_ids": [NOBODY]}, {"thread_id": NOBODY, "run_ids": []}):
        answer = await http.post("/runs/cancel", json=body)
        assert (answer.status_code, answer.json()) == (404, NOTHING)


async def test_ids_have_to_be_ids(http, thread):
    for body, detail in [
        ({"thread_id": thread, "run_ids": ["x"]}, "Invalid run ID: must be a UUID"),
        ({"thread_id": "x", "run_ids": []}, "Invalid thread ID: must be a UUID"),
    ]:
        answer = await http.post("/runs/cancel", json=body)
        assert (answer.status_code, answer.json()) == (422, {"detail": detail})


@pytest.mark.parametrize("body", [{}, {"status": "all", "thread_id": NOBODY, "run_ids": []}, {"status": "done"}])
async def test_runs_are_chosen_in_one_way(http, body):
    assert (await http.post("/runs/cancel", json=body)).status_code == 422
