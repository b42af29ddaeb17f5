"""Updates of a thread's state: in whose name, with what, in which graph; and states that a thread begins with."""

from uuid import uuid4

import pytest
from langgraph_sdk.errors import BadRequestError

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create(graph_id="simple"))["thread_id"]


@pytest.fixture
async def ran(client, thread) -> str:
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    return thread


async def summary(client, thread: str) -> tuple:
    """Values, next nodes, source and step of the thread's state, and the status of its row, which has to agree."""
    state, row = await client.threads.get_state(thread), await client.threads.get(thread)
    assert row["values"] == state["values"]
    return state["values"], state["next"], state["metadata"]["source"], state["metadata"]["step"], row["status"]


async def test_the_first_update_counts_as_input(client, thread):
    await client.threads.update_state(thread, {"foo": "u"})
    assert await summary(client, thread) == ({"foo": "u", "log": []}, ["a"], "update", 0, "interrupted")
    assert await client.runs.wait(thread, "simple", input=None) == DONE


async def test_an_update_may_be_input(client, ran):
    await client.threads.update_state(ran, {"foo": "u"}, as_node="__start__")
    values, next, *_, status = await summary(client, ran)
    assert (values, next, status) == ({"foo": "u", "log": ["a", "b"]}, ["a"], "interrupted")
    assert await client.runs.wait(ran, "simple", input=None) == {"foo": "A", "log": ["a", "b", "a", "b"]}


async def test_an_update_may_clear_what_is_left_to_do(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    await client.threads.update_state(thread, None, as_node="__end__")
    assert await summary(client, thread) == ({"foo": "x", "log": ["before"]}, [], "update", 2, "idle")
    assert (await client.threads.get(thread))["interrupts"] == {}
    assert await client.runs.wait(thread, "approval", input=None) == {"foo": "x", "log": ["before"]}


async def test_an_update_may_copy_the_newest_checkpoint(client, ran):
    before = await client.threads.get_state(ran)
    await client.threads.update_state(ran, None, as_node="__copy__")
    after = await client.threads.get_state(ran)
    assert (after["values"], after["next"]) == (before["values"], before["next"])
    assert after["metadata"]["source"] == "fork"
    assert after["checkpoint_id"] > before["checkpoint_id"]


async def test_an_update_without_values_counts_as_a_node_that_wrote_nothing(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_before=["a"])
    await client.threads.update_state(thread, None, as_node="a")
    assert await summary(client, thread) == ({"foo": "x", "log": []}, ["b"], "update", 1, "interrupted")
    assert await client.runs.wait(thread, "simple", input=None) == {"foo": "x", "log": ["b"]}


async def test_an_update_of_nothing_is_a_checkpoint_all_the_same(client, http, ran):
    answer = await http.post(f"/threads/{ran}/state", json={})
    assert answer.status_code == 200
    assert await summary(client, ran) == (DONE, [], "update", 3, "idle")
    assert (await client.threads.get_state(ran))["checkpoint"] == answer.json()["checkpoint"]


async def test_an_update_is_in_the_name_of_the_node_that_wrote_last(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_after=["a"])
    await client.threads.update_state(thread, {"foo": "u", "unknown": 1})
    assert await summary(client, thread) == ({"foo": "u", "log": ["a"]}, ["b"], "update", 2, "interrupted")


async def test_an_update_has_to_name_one_of_several_nodes(client, thread):
    asked = (await client.runs.wait(thread, "two_approvals", input={"foo": "x"}))["__interrupt__"]
    await client.runs.wait(thread, "two_approvals", command={"resume": {each["id"]: "yes" for each in asked}})
    before = await client.threads.get_history(thread)
    with pytest.raises(BadRequestError) as refusal:
        await client.threads.update_state(thread, {"foo": "u"})
    assert "mbiguous" in refusal.value.body["detail"]
    assert await client.threads.get_history(thread) == before
    await client.threads.update_state(thread, {"foo": "u"}, as_node="left")
    assert (await client.threads.get_state(thread))["values"]["foo"] == "u"


@pytest.mark.parametrize("values", [["x"], [{"foo": "x"}], [["foo", "x"], 5]])
async def test_an_update_has_to_have_the_shape_of_the_state(client, ran, values):
    before = await client.threads.get_history(ran)
    with pytest.raises(BadRequestError):
        await client.threads.update_state(ran, values, as_node="a")
    assert await client.threads.get_history(ran) == before


@pytest.mark.parametrize("values", ["text", 5, True])
async def test_an_update_is_an_object_or_an_array(http, ran, values):
    answer = await http.post(f"/threads/{ran}/state", json={"values": values})
    assert answer.status_code == 422
    assert "is not valid under any of the schemas listed in the 'anyOf' keyword" in answer.json()["detail"]


async def test_messages_are_merged_as_the_graph_does(client, thread):
    hi = {"messages": [{"role": "user", "content": "hi", "id": "hi"}]}
    await client.runs.wait(thread, "chat", input=hi)
    changed = [
        {"role": "user", "content": "hello", "id": "hi"},
        {"role": "remove", "content": "", "id": "ai-1"},
        {"role": "assistant", "content": "by hand", "id": "mine"},
    ]
    await client.threads.update_state(thread, {"messages": changed}, as_node="call")
    messages = (await client.threads.get_state(thread))["values"]["messages"]
    assert [(each["type"], each["content"], each["id"]) for each in messages] == [
        ("human", "hello", "hi"),
        ("ai", "by hand", "mine"),
    ]


async def test_the_state_of_a_stopped_subgraph_is_changed(client, thread):
    await client.runs.wait(thread, "nested", input={"foo": "ask"})
    inside = (await client.threads.get_state(thread))["tasks"][0]["checkpoint"]
    answer = await client.threads.update_state(thread, {"log": ["edited"]}, checkpoint=inside)
    assert answer["checkpoint"]["checkpoint_ns"] == inside["checkpoint_ns"]
    state = (await client.threads.get_state(thread, subgraphs=True))["tasks"][0]["state"]
    assert (state["values"]["log"], state["next"]) == (["pre", "edited"], ["inner"])
    # The root is as it was.
    assert await summary(client, thread) == ({"foo": "ask", "log": ["pre"]}, ["child"], "loop", 1, "interrupted")

    state = await client.runs.wait(thread, "nested", command={"resume": "yes"})
    assert state["log"] == ["pre", "pre", "edited", "inner: sub speaks, answer: yes", "post"]


async def test_an_update_may_stand_for_the_work_of_a_node_in_a_subgraph(client, thread):
    await client.runs.wait(thread, "nested", input={"foo": "ask"})
    inside = (await client.threads.get_state(thread))["tasks"][0]["checkpoint"]
    await client.threads.update_state(thread, {"log": ["instead"]}, as_node="inner", checkpoint=inside)
    state = await client.runs.wait(thread, "nested", input=None)
    assert state["log"] == ["pre", "pre", "instead", "post"]


def superstep(*updates: dict) -> dict:
    return {"updates": [{"values": None, **update} for update in updates]}


async def test_a_superstep_may_have_several_updates(client):
    steps = [
        superstep({"values": {"foo": "x"}, "as_node": "__start__"}),
        superstep(
            {"values": {"log": ["left by hand"]}, "as_node": "left"},
            {"values": {"log": ["right by hand"]}, "as_node": "right"},
        ),
    ]
    thread = await client.threads.create(graph_id="two_approvals", supersteps=steps)
    assert (thread["status"], thread["interrupts"]) == ("idle", {})
    assert thread["values"] == {"foo": "x", "log": ["left by hand", "right by hand"]}
    history = await client.threads.get_history(thread["thread_id"])
    assert [(state["metadata"]["source"], state["metadata"]["step"], state["next"]) for state in history] == [
        ("update", 1, []),
        ("update", 0, ["left", "right"]),
    ]


async def test_a_superstep_may_be_a_command(client):
    command = {"update": {"log": ["commanded"]}, "goto": "b"}
    steps = [
        superstep({"values": {"foo": "x"}, "as_node": "__start__"}),
        superstep({"values": {"log": ["ignored"]}, "command": command, "as_node": "a"}),
    ]
    thread = await client.threads.create(graph_id="simple", supersteps=steps)
    assert thread["values"] == {"foo": "x", "log": ["commanded"]}
    assert "b" in (await client.threads.get_state(thread["thread_id"]))["next"]


@pytest.mark.parametrize(
    ("graph", "inputs"),
    [("simple", [{"foo": "x"}, {"foo": "y"}]), ("counter", [{"count": 0, "limit": 3}]), ("approval", [{"foo": "x"}])],
)
async def test_a_thread_is_rebuilt_from_the_history_of_another(client, graph, inputs):
    """What the official clients call copying between deployments."""
    first = (await client.threads.create())["thread_id"]
    for input in inputs:
        await client.runs.wait(first, graph, input=input)
    history = await client.threads.get_history(first, limit=100)
    steps = [
        superstep(*({"values": task["result"], "as_node": task["name"]} for task in state["tasks"]))
        for state in reversed(history)
        if state["tasks"] and not state["interrupts"]
    ]
    second = await client.threads.create(thread_id=str(uuid4()), graph_id=graph, supersteps=steps)
    assert (second["values"], second["status"]) == (
        history[0]["values"],
        (await client.threads.get(first))["status"],
    )
    copied = await client.threads.get_history(second["thread_id"], limit=100)
    assert [(state["values"], state["next"]) for state in copied if state["metadata"]["step"] >= 0][0] == (
        history[0]["values"],
        history[0]["next"],
    )
    assert len(copied) == len(steps)
