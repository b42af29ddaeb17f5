"""Runs on a thread that already has one."""

import asyncio

import pytest
from langgraph_sdk.errors import ConflictError


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_runs_on_a_busy_thread_are_enqueued_and_run_in_order(client, thread, gate):
    runs = [
        await client.runs.create(thread, "waiting", input=gate.input(name)) for name in ("first", "second", "third")
    ]
    for number, name in enumerate(("first", "second", "third")):
        visitor = await gate.visitor()
        assert visitor.name == name and gate.empty
        statuses = [run["status"] for run in reversed(await client.runs.list(thread))]
        assert statuses == ["success"] * number + ["running"] + ["pending"] * (2 - number)
        visitor.let_in()
    state = await client.runs.join(thread, runs[2]["run_id"])
    assert state["log"] == [
        "first arrives",
        "first passed",
        "second arrives",
        "second passed",
        "third arrives",
        "third passed",
    ]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_reject_refuses_a_second_run(client, http, thread, gate):
    run = await client.runs.create(thread, "waiting", input=gate.input())
    visitor = await gate.visitor()
    refusal = {
        "detail": "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
    }
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "multitask_strategy": "reject"}
    for route in ("runs", "runs/wait", "runs/stream"):
        answer = await http.post(f"/threads/{thread}/{route}", json=body)
        assert (answer.status_code, answer.json()) == (409, refusal)
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "simple", input={"foo": "x"}, multitask_strategy="reject")
    assert [each["run_id"] for each in await client.runs.list(thread)] == [run["run_id"]]
    visitor.let_in()
    await client.runs.join(thread, run["run_id"])


@pytest.mark.parametrize("strategy", ["reject", "interrupt", "rollback", "enqueue"])
async def test_a_thread_without_runs_accepts_every_strategy(client, thread, strategy):
    state = await client.runs.wait(thread, "simple", input={"foo": "x"}, multitask_strategy=strategy)
    assert state == {"foo": "A", "log": ["a", "b"]}
    assert (await client.runs.list(thread))[0]["multitask_strategy"] == strategy


async def test_interrupt_stops_the_first_run_and_builds_on_its_state(client, thread, gate):
    first = await client.runs.create(thread, "waiting", input=gate.input("first"))
    visitor = await gate.visitor()
    pending = await client.runs.create(thread, "waiting", input=gate.input("pending"))
    second = await client.runs.create(thread, "waiting", input=gate.input("second"), multitask_strategy="interrupt")
    await visitor.gone()
    visitor = await gate.visitor()
    assert visitor.name == "second"
    assert (await client.threads.get(thread))["status"] == "busy"
    visitor.let_in()
    state = await client.runs.join(thread, second["run_id"])
    assert state["log"] == ["first arrives", "second arrives", "second passed"]
    statuses = {run["run_id"]: run["status"] for run in await client.runs.list(thread)}
    assert statuses == {
        first["run_id"]: "interrupted",
        pending["run_id"]: "interrupted",
        second["run_id"]: "success",
    }
    steps = [entry["metadata"]["step"] for entry in await client.threads.get_history(thread)]
    assert steps == [5, 4, 3, 2, 1, 0, -1]
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("idle", None)
    assert gate.empty


async def test_rollback_removes_the_first_run_and_starts_from_before_it(client, thread, gate):
    kept = (await client.runs.create(thread, "waiting", input=gate.input("kept")))["run_id"]
    (await gate.visitor()).let_in()
    await client.runs.join(thread, kept)
    await client.runs.create(thread, "waiting", input=gate.input("first"))
    visitor = await gate.visitor()
    second = await client.runs.create(thread, "waiting", input=gate.input("second"), multitask_strategy="rollback")
    await visitor.gone()
    (await gate.visitor()).let_in()
    state = await client.runs.join(thread, second["run_id"])
    assert state["log"] == ["kept arrives", "kept passed", "second arrives", "second passed"]
    assert [run["run_id"] for run in await client.runs.list(thread)] == [second["run_id"], kept]
    runs = {entry["metadata"]["run_id"] for entry in await client.threads.get_history(thread)}
    assert runs == {kept, second["run_id"]}
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_threads_do_not_wait_for_each_other(client, gate):
    threads = [(await client.threads.create())["thread_id"] for _ in range(8)]
    runs = [await client.runs.create(thread, "waiting", input=gate.input(thread)) for thread in threads]
    visitors = [await gate.visitor() for _ in threads]
    assert {visitor.name for visitor in visitors} == set(threads)
    for visitor in visitors:
        visitor.let_in()
    states = await asyncio.gather(*(client.runs.join(run["thread_id"], run["run_id"]) for run in runs))
    assert [state["log"][1] for state in states] == [f"{thread} passed" for thread in threads]
