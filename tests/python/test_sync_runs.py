"""Runs with the synchronous official client."""

import asyncio

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import ConflictError, NotFoundError

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture(scope="module")
def sync(url):
    with get_sync_client(url=url, api_key=None) as client:
        yield client


@pytest.fixture
def thread(sync) -> str:
    return sync.threads.create()["thread_id"]


def test_a_run_takes_every_option(sync, thread):
    told = []
    run = sync.runs.create(
        thread,
        "simple",
        input={"foo": "x"},
        stream_mode=["values", "debug"],
        stream_subgraphs=True,
        stream_resumable=True,
        metadata={"m": 1},
        config={"tags": ["t"], "recursion_limit": 9},
        context={"c": 1},
        interrupt_after=["a"],
        webhook="https://example.com/hook",
        multitask_strategy="reject",
        if_not_exists="create",
        after_seconds=0,
        durability="sync",
        on_run_created=told.append,
    )
    assert told == [{"run_id": run["run_id"], "thread_id": thread}]
    kwargs = run["kwargs"]
    assert {key: value for key, value in kwargs.items() if key != "config"} == {
        "input": {"foo": "x"},
        "command": None,
        "context": {"c": 1},
        "stream_mode": ["values", "debug"],
        "interrupt_before": None,
        "interrupt_after": ["a"],
        "webhook": "https://example.com/hook",
        "feedback_keys": None,
        "temporary": False,
        "subgraphs": True,
        "resumable": True,
        "checkpoint_during": True,
        "durability": "sync",
    }
    assert (kwargs["config"]["tags"], kwargs["config"]["recursion_limit"]) == (["t"], 9)
    assert sync.runs.join(thread, run["run_id"]) == {"foo": "A", "log": ["a"]}
    assert sync.runs.wait(thread, "simple", input=None, interrupt_before=["nobody"]) == DONE


def test_runs_are_listed_read_and_deleted(sync, thread):
    for word in ("one", "two"):
        sync.runs.wait(thread, "simple", input={"foo": word})
    runs = sync.runs.list(thread)
    assert [run["kwargs"]["input"]["foo"] for run in runs] == ["two", "one"]
    assert sync.runs.list(thread, limit=1, offset=1) == runs[1:]
    assert sync.runs.list(thread, status="success", select=["run_id"]) == [{"run_id": run["run_id"]} for run in runs]
    assert sync.runs.get(thread, runs[0]["run_id"]) == runs[0]
    sync.runs.delete(thread, runs[0]["run_id"])
    assert sync.runs.list(thread) == runs[1:]
    with pytest.raises(NotFoundError):
        sync.runs.get(thread, runs[0]["run_id"])
    assert sync.threads.get_state(thread)["values"] == DONE


def test_a_batch_is_started(sync):
    mark = {"mark": "sync batch"}
    payload = {"assistant_id": "simple", "input": {"foo": "x"}, "metadata": mark, "on_completion": "keep"}
    runs = sync.runs.create_batch([payload, payload | {"assistant_id": "counter", "input": {"count": 1, "limit": 2}}])
    results = [sync.runs.join(run["thread_id"], run["run_id"]) for run in runs]
    assert results == [DONE, {"count": 2, "limit": 2}]
    assert sync.threads.prune([run["thread_id"] for run in runs]) == {"pruned_count": 2}


def test_a_run_without_a_thread_is_streamed_and_waited_for(sync, names):
    stream = sync.runs.stream(None, "simple", input={"foo": "x"}, stream_mode="updates", version="v2")
    assert [names(part) for part in stream][1:] == [
        {"type": "updates", "ns": [], "data": {"a": {"foo": "A", "log": ["a"]}}, "interrupts": []},
        {"type": "updates", "ns": [], "data": {"b": {"log": ["b"]}}, "interrupts": []},
    ]
    assert sync.runs.wait(None, "simple", input={"foo": "x"}) == DONE
    run = sync.runs.create(None, "simple", input={"foo": "x"}, on_completion="keep")
    assert sync.runs.join(run["thread_id"], run["run_id"]) == DONE


async def test_runs_are_cancelled(sync, thread, gate):
    async def at_gate(**options) -> tuple:
        run = await asyncio.to_thread(sync.runs.create, thread, "waiting", input=gate.input(), **options)
        return run["run_id"], await gate.visitor()

    run, visitor = await at_gate()
    await asyncio.to_thread(sync.runs.cancel, thread, run)
    await visitor.gone()
    await asyncio.to_thread(sync.runs.join, thread, run)
    assert sync.runs.get(thread, run)["status"] == "interrupted"

    run, visitor = await at_gate()
    await asyncio.to_thread(sync.runs.cancel, thread, run, wait=True, action="rollback")
    with pytest.raises(NotFoundError):
        sync.runs.get(thread, run)

    run, visitor = await at_gate()
    with pytest.raises(ConflictError):
        sync.runs.create(thread, "simple", multitask_strategy="reject")
    later = sync.runs.create(thread, "simple", after_seconds=7200)["run_id"]
    await asyncio.to_thread(sync.runs.cancel_many, thread_id=thread, run_ids=[run, later])
    await visitor.gone()
    await asyncio.to_thread(sync.runs.join, thread, run)
    assert [each["status"] for each in sync.runs.list(thread)] == ["interrupted"] * 3


def test_several_questions_are_answered_by_id(sync, thread):
    asked = sync.runs.wait(thread, "two_approvals", input={"foo": "x"})["__interrupt__"]
    stream = sync.runs.stream(
        thread, "two_approvals", command={"resume": {each["id"]: "yes" for each in asked}}, stream_mode="values"
    )
    assert [part.data for part in stream][-1] == {"foo": "x", "log": ["left: yes", "right: yes"]}


def test_a_joined_stream_is_replayed_from_any_event(sync, thread):
    parts = list(
        sync.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=["updates", "values"], stream_resumable=True)
    )
    run = parts[0].data["run_id"]
    assert list(sync.runs.join_stream(thread, run, last_event_id=parts[2].id)) == parts[3:]
    assert [part.event for part in sync.runs.join_stream(thread, run, stream_mode="updates", last_event_id="-1")] == [
        "updates",
        "updates",
    ]
