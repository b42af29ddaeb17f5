"""Deleting runs: what goes with them, what stays, who goes on."""

import asyncio

import pytest
from support.wire import EMPTY_STATE

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def run(client, thread: str, graph: str = "simple", input=None) -> str:
    """Runs a graph to its end: the run's id."""
    made = await client.runs.create(thread, graph, input=input or {"foo": "x"})
    await client.runs.join(thread, made["run_id"])
    return made["run_id"]


@pytest.mark.deviates("the reference server leaves the row of the thread as it was")
async def test_the_only_run_leaves_an_empty_thread(client, thread):
    await client.runs.delete(thread, await run(client, thread))
    assert await client.threads.get_history(thread) == []
    assert await client.threads.get_state(thread) == EMPTY_STATE
    row = await client.threads.get(thread)
    assert (row["status"], row["values"], row["interrupts"]) == ("idle", None, {})
    assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == DONE


async def test_an_earlier_run_leaves_what_came_after(client, thread):
    first, second = await run(client, thread), await run(client, thread)
    state = await client.threads.get_state(thread)
    await client.runs.delete(thread, first)
    assert await client.threads.get_state(thread) == state
    history = await client.threads.get_history(thread)
    assert {each["metadata"]["run_id"] for each in history} == {second}
    assert [each["metadata"]["step"] for each in history] == [6, 5, 4, 3]
    assert (await client.threads.get(thread))["values"] == state["values"]
    assert (await client.runs.wait(thread, "simple", input={"foo": "y"}))["log"] == ["a", "b"] * 3


@pytest.mark.deviates("the reference server leaves the row of the thread as it was")
async def test_a_question_goes_with_its_run(client, thread):
    await run(client, thread)
    await client.runs.delete(thread, await run(client, thread, "approval"))
    row = await client.threads.get(thread)
    assert (row["status"], row["values"], row["interrupts"]) == ("idle", DONE, {})
    assert (await client.threads.get_state(thread))["next"] == []


@pytest.mark.deviates("the reference server keeps the answer, and the next run goes on with it")
async def test_an_answer_goes_with_its_run(client, thread):
    await run(client, thread, "approval")
    before = await client.threads.get_state(thread)
    assert before["next"] == ["ask"]
    answer = await client.runs.create(thread, "approval", command={"resume": "no"})
    await client.runs.join(thread, answer["run_id"])
    await client.runs.delete(thread, answer["run_id"])
    assert await client.threads.get_state(thread) == before
    assert (await client.threads.get(thread))["status"] == "interrupted"
    state = await client.runs.wait(thread, "approval", command={"resume": "yes"})
    assert state == {"foo": "x", "log": ["before", "answer: 'yes'"]}


@pytest.mark.deviates("the reference server leaves the row of the thread as it was")
async def test_an_error_goes_with_its_run(client, thread):
    await run(client, thread)
    failed = await run(client, thread, "errors", {"kind": "value"})
    assert (await client.threads.get(thread))["status"] == "error"
    await client.runs.delete(thread, failed)
    row = await client.threads.get(thread)
    assert (row["status"], row["values"], row["error"]) == ("idle", DONE, None)


async def test_an_update_by_hand_is_nobodys_and_stays(client, thread):
    made = await run(client, thread)
    await client.threads.update_state(thread, {"log": ["by hand"]}, as_node="b")
    await client.runs.delete(thread, made)
    (left,) = await client.threads.get_history(thread)
    assert (left["metadata"]["source"], left["values"]["log"]) == ("update", ["a", "b", "by hand"])


@pytest.mark.deviates("the reference server's thread stays busy for ever")
async def test_a_run_in_the_queue_never_starts(client, thread, gate):
    first = await client.runs.create(thread, "waiting", input=gate.input("first"))
    visitor = await gate.visitor()
    second = await client.runs.create(thread, "waiting", input=gate.input("second"))
    third = await client.runs.create(thread, "waiting", input=gate.input("third"))
    await client.runs.delete(thread, second["run_id"])
    visitor.let_in()
    visitor = await gate.visitor()
    assert visitor.name == "third"
    visitor.let_in()
    await client.runs.join(thread, third["run_id"])
    assert gate.empty
    assert [each["run_id"] for each in await client.runs.list(thread)] == [third["run_id"], first["run_id"]]
    assert (await client.threads.get(thread))["status"] == "idle"


@pytest.mark.deviates("the reference server lets the run go on")
async def test_the_next_in_the_queue_goes_on_when_a_running_run_is_deleted(client, thread, gate):
    first = await client.runs.create(thread, "waiting", input=gate.input("first"), durability="sync")
    visitor = await gate.visitor()
    second = await client.runs.create(thread, "waiting", input=gate.input("second"))
    await client.runs.delete(thread, first["run_id"])
    await visitor.gone()
    (await gate.visitor()).let_in()
    state = await client.runs.join(thread, second["run_id"])
    assert state["log"] == ["second arrives", "second passed"]
    assert (await client.threads.get(thread))["status"] == "idle"


@pytest.mark.parametrize("whole", [True, False])
async def test_the_streams_of_a_deleted_run_end(client, thread, gate, whole):
    stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
    made = (await anext(stream)).data["run_id"]
    visitor = await gate.visitor()
    assert (await anext(stream)).event == "updates"
    if whole:
        await client.threads.delete(thread)
    else:
        await client.runs.delete(thread, made)
    await visitor.gone()
    async with asyncio.timeout(10):
        # A stream that was told nothing else may say that its run is gone.
        assert [part.event async for part in stream] in ([], ["error"])


async def test_the_subgraphs_of_a_run_go_with_it(client, thread):
    made = await run(client, thread, "deep", {"foo": "ask"})
    inside = (await client.threads.get_state(thread))["tasks"][0]["checkpoint"]
    assert len(await client.threads.get_history(thread, checkpoint=inside)) == 2
    await client.runs.delete(thread, made)
    assert await client.threads.get_history(thread, checkpoint=inside) == []
