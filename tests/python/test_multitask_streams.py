"""Second runs on a busy thread, started and watched through streams and waits."""

import asyncio

import pytest
from langgraph_sdk.errors import ConflictError

REFUSAL = {
    "detail": "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def first(client, thread, gate):
    """A run at the gate whose client has seen everything so far: its id, the visitor, the rest of its stream."""
    stream = client.runs.stream(thread, "waiting", input=gate.input("first"), stream_mode="updates", durability="sync")
    run = (await anext(stream)).data["run_id"]
    visitor = await gate.visitor()
    assert (await anext(stream)).data == {"before": {"log": ["first arrives"]}}
    return run, visitor, stream


def arrival(name: str) -> tuple[str, dict]:
    return "updates", {"before": {"log": [f"{name} arrives"]}}


def passage(name: str) -> tuple[str, dict]:
    return "updates", {"gate": {"log": [f"{name} passed"]}}


async def test_enqueue_keeps_the_second_stream_open_until_its_turn(client, names, record, thread, gate, first):
    _, visitor, stream = first
    told = asyncio.get_running_loop().create_future()
    second = client.runs.stream(
        thread,
        "waiting",
        input=gate.input("second"),
        stream_mode="updates",
        multitask_strategy="enqueue",
        on_run_created=told.set_result,
    )
    opening = asyncio.create_task(anext(second))
    # The answer is there, the run waits.
    run = (await told)["run_id"]
    assert (await client.runs.get(thread, run))["status"] == "pending"
    assert not opening.done()
    visitor.let_in()
    assert await record(stream) == [passage("first")]
    assert (await opening).data == {"run_id": run, "attempt": 1}
    (await gate.visitor()).let_in()
    assert await record(second) == [arrival("second"), passage("second")]


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_second_stream_ends_the_first(client, record, thread, gate, first, strategy):
    _, visitor, stream = first
    second = client.runs.stream(
        thread, "waiting", input=gate.input("second"), stream_mode="updates", multitask_strategy=strategy
    )
    reading = asyncio.create_task(record(second))
    # Without an error, and without an end event.
    assert await record(stream) == []
    await visitor.gone()
    (await gate.visitor()).let_in()
    assert (await reading)[1:] == [arrival("second"), passage("second")]
    log = (await client.threads.get(thread))["values"]["log"]
    left = {"interrupt": ["first arrives"], "rollback": []}[strategy]
    assert log == [*left, "second arrives", "second passed"]
    runs = [each["status"] for each in await client.runs.list(thread)]
    assert runs == {"interrupt": ["success", "interrupted"], "rollback": ["success"]}[strategy]


@pytest.mark.parametrize(("strategy", "error"), [("interrupt", "UserInterrupt"), ("rollback", "UserRollback")])
async def test_the_thread_says_which_run_took_over(client, thread, gate, first, strategy, error):
    _, visitor, _ = first
    second = await client.runs.create(thread, "waiting", input=gate.input("second"), multitask_strategy=strategy)
    await visitor.gone()
    await gate.visitor()
    row = await client.threads.get(thread)
    message = f"superseded by run {second['run_id']} (multitask_strategy={strategy})"
    assert (row["status"], row["error"]) == ("busy", {"error": error, "message": message})


async def test_who_waits_for_a_run_that_is_superseded_gets_its_last_values(client, thread, gate):
    waiting = asyncio.create_task(
        client.runs.wait(thread, "steps", input=gate.input("first", steps=3), durability="sync")
    )
    (await gate.visitor()).let_in("0")
    visitor = await gate.visitor()
    second = asyncio.create_task(
        client.runs.wait(thread, "steps", input=gate.input("second", steps=2), multitask_strategy="interrupt")
    )
    await visitor.gone()
    state = await waiting
    assert (state["log"], state["step"]) == (["step 0: 0"], 1)
    (await gate.visitor()).let_in("again")
    assert (await second)["log"] == ["step 0: 0", "step 1: again"]


@pytest.mark.parametrize("strategy", ["reject", "interrupt", "rollback"])
async def test_a_run_that_is_not_due_counts_as_well(client, thread, strategy):
    later = await client.runs.create(thread, "simple", input={"foo": "later"}, after_seconds=7200)
    now = client.runs.wait(thread, "simple", input={"foo": "x"}, multitask_strategy=strategy)
    if strategy == "reject":
        with pytest.raises(Exception, match="409"):
            await now
        assert (await client.runs.get(thread, later["run_id"]))["status"] == "pending"
        await client.runs.cancel(thread, later["run_id"])
        return
    assert await now == {"foo": "A", "log": ["a", "b"]}
    left = {run["run_id"]: run["status"] for run in await client.runs.list(thread)}
    assert left.get(later["run_id"]) == {"interrupt": "interrupted", "rollback": None}[strategy]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_stream_is_rejected_before_it_begins(client, thread, first):
    _, visitor, stream = first
    before = await client.threads.get(thread)
    with pytest.raises(ConflictError) as refusal:
        async for _ in client.runs.stream(thread, "simple", input={"foo": "x"}, multitask_strategy="reject"):
            raise AssertionError("nothing is streamed")
    assert refusal.value.body == REFUSAL
    assert await client.threads.get(thread) == before
    visitor.let_in()
    assert [part.event async for part in stream] == ["updates"]


async def test_each_new_run_interrupts_the_one_before(client, thread, gate):
    runs = []
    for number in range(4):
        run = await client.runs.create(
            thread,
            "waiting",
            input=gate.input(str(number)),
            multitask_strategy="interrupt",
            durability="sync",
        )
        runs.append(run["run_id"])
        visitor = await gate.visitor()
        assert visitor.name == str(number)
    visitor.let_in()
    state = await client.runs.join(thread, runs[-1])
    assert state["log"] == [f"{number} arrives" for number in range(4)] + ["3 passed"]
    assert [run["status"] for run in await client.runs.list(thread)] == ["success", *["interrupted"] * 3]


async def test_reject_lets_pass_who_comes_after_the_end(client, thread, gate, first):
    _, visitor, stream = first
    visitor.let_in()
    assert [part.event async for part in stream] == ["updates"]
    state = await client.runs.wait(thread, "simple", input={"foo": "x"}, multitask_strategy="reject")
    assert state["log"][-2:] == ["a", "b"]
