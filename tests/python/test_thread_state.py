"""State and history of threads, and updates of it."""

import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError
from support.names import NOBODY
from support.wire import EMPTY_STATE


def checkpoint_metadata(source: str, step: int) -> dict:
    """What a run's checkpoint is marked with."""
    return {
        "created_by": "system",
        "graph_id": "simple",
        "assistant_id": "<assistant simple>",
        "user_id": "",
        "run_attempt": 1,
        "langgraph_version": "<langgraph_version>",
        "langgraph_api_version": "<langgraph_api_version>",
        "langgraph_plan": "<langgraph_plan>",
        "langgraph_host": "<langgraph_host>",
        "langgraph_api_url": "<langgraph_api_url>",
        "langgraph_auth_user_id": "",
        "langgraph_request_id": "<langgraph_request_id>",
        "thread_id": "<thread 1>",
        "run_id": "<run 1>",
        "source": source,
        "step": step,
        "parents": {},
    }


def place(name: str | None) -> dict | None:
    return name and {"checkpoint_id": name, "thread_id": "<thread 1>", "checkpoint_ns": ""}


def state(values: dict, task: dict | None, source: str, step: int, checkpoint: str, parent: str | None) -> dict:
    return {
        "values": values,
        "next": [task["name"]] if task else [],
        "tasks": [task] if task else [],
        "metadata": checkpoint_metadata(source, step),
        "created_at": "<time>",
        "checkpoint": place(checkpoint),
        "parent_checkpoint": place(parent),
        "interrupts": [],
        "checkpoint_id": checkpoint,
        "parent_checkpoint_id": parent,
    }


def task(id: str, name: str, result: dict | None) -> dict:
    return {
        "id": id,
        "name": name,
        "path": ["__pregel_pull", name],
        "error": None,
        "interrupts": [],
        "checkpoint": None,
        "state": None,
        "result": result,
    }


@pytest.fixture
async def ran(client) -> str:
    """A thread on which simple ran."""
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "simple", input={"foo": "x"})
    return thread["thread_id"]


async def test_a_fresh_thread_has_an_empty_state_and_no_history(client):
    id = (await client.threads.create())["thread_id"]
    assert await client.threads.get_state(id) == EMPTY_STATE
    assert await client.threads.get_history(id) == []


async def test_the_state_after_a_run_is_its_last_checkpoint(client, names, ran):
    names(await client.runs.list(ran))
    assert names(await client.threads.get_state(ran)) == state(
        {"foo": "A", "log": ["a", "b"]}, None, "loop", 2, "<checkpoint 1>", "<checkpoint 2>"
    )


async def test_the_history_goes_back_to_the_input(client, names, ran):
    names(await client.runs.list(ran))
    history = names(await client.threads.get_history(ran))
    start = task("<id 3>", "__start__", {"foo": "x"}) | {"path": ["__pregel_pull", "__start__"]}
    assert history == [
        state({"foo": "A", "log": ["a", "b"]}, None, "loop", 2, "<checkpoint 1>", "<checkpoint 2>"),
        state(
            {"foo": "A", "log": ["a"]},
            task("<id 1>", "b", {"log": ["b"]}),
            "loop",
            1,
            "<checkpoint 2>",
            "<checkpoint 3>",
        ),
        state(
            {"foo": "x", "log": []},
            task("<id 2>", "a", {"foo": "A", "log": ["a"]}),
            "loop",
            0,
            "<checkpoint 3>",
            "<checkpoint 4>",
        ),
        state({"log": []}, start, "input", -1, "<checkpoint 4>", None),
    ]


async def test_the_history_can_be_narrowed(client, http, ran):
    whole = await client.threads.get_history(ran)
    steps = [entry["metadata"]["step"] for entry in whole]
    assert steps == [2, 1, 0, -1]

    async def narrowed(**filter) -> list[int]:
        return [entry["metadata"]["step"] for entry in await client.threads.get_history(ran, **filter)]

    assert await narrowed(limit=2) == [2, 1]
    assert await narrowed(metadata={"source": "input"}) == [-1]
    assert await narrowed(metadata={"step": 1}) == [1]
    assert await narrowed(metadata={"run_id": NOBODY}) == []
    assert await narrowed(checkpoint={"checkpoint_id": whole[1]["checkpoint_id"]}) == [1]
    assert await narrowed(before={"configurable": {"checkpoint_id": whole[1]["checkpoint_id"]}}) == [0, -1]
    get = await http.get(f"/threads/{ran}/history", params={"limit": 3, "before": whole[0]["checkpoint_id"]})
    assert [entry["metadata"]["step"] for entry in get.json()] == [1, 0, -1]


@pytest.mark.deviates("the reference server answers 500 to a flat checkpoint")
async def test_the_history_can_be_read_before_a_flat_checkpoint(client, ran):
    whole = await client.threads.get_history(ran)
    before = await client.threads.get_history(ran, before=whole[1]["checkpoint"])
    assert [entry["metadata"]["step"] for entry in before] == [0, -1]


async def test_the_state_at_a_checkpoint_can_be_read_in_two_ways(client, ran):
    entry = (await client.threads.get_history(ran))[1]
    read = await client.threads.get_state(ran, checkpoint_id=entry["checkpoint_id"])
    # The reference server leaves the root's namespace out of what it was asked for without one.
    read["checkpoint"].setdefault("checkpoint_ns", "")
    assert (read["values"], read["next"], read["checkpoint"]) == (
        {"foo": "A", "log": ["a"]},
        ["b"],
        entry["checkpoint"],
    )
    assert await client.threads.get_state(ran, checkpoint=entry["checkpoint"]) == read


async def test_an_unknown_checkpoint_has_an_empty_state(client, ran):
    checkpoint = {"checkpoint_id": "1f1e7628-64f8-64b1-8000-2b0b7a88c402", "thread_id": ran, "checkpoint_ns": ""}
    state = await client.threads.get_state(ran, checkpoint_id=checkpoint["checkpoint_id"])
    state["checkpoint"].setdefault("checkpoint_ns", "")
    assert state == EMPTY_STATE | {
        "checkpoint": checkpoint,
        "checkpoint_id": checkpoint["checkpoint_id"],
    }


async def test_an_update_counts_as_the_work_of_a_node(client, names):
    id = (await client.threads.create(graph_id="simple"))["thread_id"]
    answer = names(await client.threads.update_state(id, {"foo": "u", "log": ["by hand"]}, as_node="a"))
    checkpoint = {"thread_id": "<thread 1>", "checkpoint_ns": "", "checkpoint_id": "<checkpoint 1>"}
    assert answer == {"checkpoint": checkpoint, "configurable": checkpoint, "checkpoint_id": "<checkpoint 1>"}

    after = await client.threads.get_state(id)
    assert (after["values"], after["next"]) == ({"foo": "u", "log": ["by hand"]}, ["b"])
    assert (after["metadata"]["source"], after["metadata"]["step"]) == ("update", 0)
    thread = await client.threads.get(id)
    assert (thread["status"], thread["values"]) == ("interrupted", {"foo": "u", "log": ["by hand"]})

    assert await client.runs.wait(id, "simple", input=None) == {"foo": "u", "log": ["by hand", "b"]}
    assert (await client.threads.get(id))["status"] == "idle"


async def test_an_update_clears_an_error(client):
    id = (await client.threads.create())["thread_id"]
    await client.runs.wait(id, "errors", input={"kind": "value"}, raise_error=False)
    failed = await client.threads.get(id)
    assert (failed["status"], failed["error"]) == ("error", {"error": "ValueError", "message": "bad value"})
    await client.threads.update_state(id, {"kind": "none"}, as_node="before")
    repaired = await client.threads.get(id)
    assert (repaired["status"], repaired["error"]) == ("interrupted", None)
    assert await client.runs.wait(id, "errors", input=None) == {"kind": "none", "log": ["before", "passed"]}


async def test_an_update_of_an_older_checkpoint_starts_a_branch(client, ran):
    first = (await client.threads.get_history(ran))[2]
    assert first["next"] == ["a"]
    await client.threads.update_state(ran, {"log": ["forked"]}, as_node="a", checkpoint=first["checkpoint"])
    after = await client.threads.get_state(ran)
    assert (after["values"], after["next"]) == ({"foo": "x", "log": ["forked"]}, ["b"])
    assert after["parent_checkpoint"] == first["checkpoint"]
    assert await client.runs.wait(ran, "simple", input=None) == {"foo": "x", "log": ["forked", "b"]}


@pytest.mark.deviates("the reference server shows the values of the base checkpoint")
async def test_a_thread_shows_the_values_of_its_newest_branch(client, ran):
    first = (await client.threads.get_history(ran))[2]
    await client.threads.update_state(ran, {"log": ["forked"]}, as_node="a", checkpoint=first["checkpoint"])
    assert (await client.threads.get(ran))["values"] == {"foo": "x", "log": ["forked"]}


async def test_an_impossible_update_is_refused(client, ran):
    with pytest.raises(BadRequestError) as refusal:
        await client.threads.update_state(ran, {"foo": "x"}, as_node="nobody")
    assert refusal.value.body == {"detail": "Node nobody does not exist"}
    with pytest.raises(BadRequestError):
        await client.threads.update_state((await client.threads.create())["thread_id"], {"foo": "x"})
    with pytest.raises(NotFoundError) as refusal:
        await client.threads.update_state(NOBODY, {"foo": "x"})
    assert refusal.value.body == {"detail": f"Thread with ID {NOBODY} not found"}


@pytest.mark.deviates("the text of the reference server's development edition dumps internals")
async def test_a_busy_thread_cannot_be_updated(client, gate):
    id = (await client.threads.create())["thread_id"]
    await client.runs.create(id, "waiting", input=gate.input())
    await gate.visitor()
    with pytest.raises(ConflictError) as refusal:
        await client.threads.update_state(id, {"name": "x"})
    assert refusal.value.body == {"detail": "Thread is busy with a running job. Cannot update state."}


async def test_the_state_can_be_read_in_the_middle_of_a_run(client, gate):
    id = (await client.threads.create())["thread_id"]
    await client.runs.create(id, "steps", input=gate.input(steps=2), durability="sync")
    (await gate.visitor()).let_in("done")
    await gate.visitor()
    midway = await client.threads.get_state(id)
    assert (midway["values"]["log"], midway["next"]) == (["step 0: done"], ["one_step"])


async def test_a_stopped_subgraph_shows_its_own_state_on_demand(client, names):
    id = (await client.threads.create())["thread_id"]
    await client.runs.wait(id, "nested", input={"foo": "ask"})
    plain = await client.threads.get_state(id)
    (stopped,) = plain["tasks"]
    assert (stopped["name"], stopped["state"]) == ("child", None)
    assert stopped["checkpoint"] == {"thread_id": id, "checkpoint_ns": f"child:{stopped['id']}"}
    assert names(plain["interrupts"]) == [{"id": "<interrupt 1>", "value": "inside?"}]

    deep = await client.threads.get_state(id, subgraphs=True)
    (stopped,) = deep["tasks"]
    assert stopped["checkpoint"] is None
    assert (stopped["state"]["values"], stopped["state"]["next"]) == ({"foo": "ask", "log": ["pre"]}, ["inner"])
    inner = await client.threads.get_state(id, checkpoint={"checkpoint_ns": f"child:{stopped['id']}"})
    assert inner["values"] == {"foo": "ask", "log": ["pre"]}
