"""Graphs that stop and ask, and how they are answered."""

import pytest
from support.wire import interrupt, message

QUESTION = {"question": "ok?"}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_an_interrupt_ends_the_run_and_marks_the_thread(client, names, thread):
    answer = names(await client.runs.wait(thread, "approval", input={"foo": "x"}))
    assert answer == {"foo": "x", "log": ["before"], "__interrupt__": [interrupt(QUESTION)]}
    assert (await client.runs.list(thread))[0]["status"] == "success"

    after = await client.threads.get(thread)
    (task,) = (await client.threads.get_state(thread))["tasks"]
    assert (after["status"], after["error"]) == ("interrupted", None)
    assert after["values"] == {"foo": "x", "log": ["before"]}
    assert names(after["interrupts"][task["id"]]) == [{"id": "<interrupt 1>", "value": QUESTION}]
    assert list(after["interrupts"]) == [task["id"]]


async def test_the_state_shows_the_question(client, names, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    state = names(await client.threads.get_state(thread))
    asked = [{"id": "<interrupt 1>", "value": QUESTION}]
    assert (state["next"], state["interrupts"]) == (["ask"], asked)
    assert state["tasks"] == [
        {
            "id": state["tasks"][0]["id"],
            "name": "ask",
            "path": ["__pregel_pull", "ask"],
            "error": None,
            "interrupts": asked,
            "checkpoint": None,
            "state": None,
            "result": None,
        }
    ]


@pytest.mark.parametrize("value", ["yes", {"a": [1]}, False, 0, "", []])
async def test_the_answer_reaches_the_node_whatever_it_is(client, thread, value):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    state = await client.runs.wait(thread, "approval", command={"resume": value})
    assert state == {"foo": "x", "log": ["before", f"answer: {value!r}"]}
    after = await client.threads.get(thread)
    assert (after["status"], after["interrupts"]) == ("idle", {})


async def test_joining_after_an_interrupt_shows_the_question_only(client, names, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    run = (await client.runs.list(thread))[0]["run_id"]
    assert names(await client.runs.join(thread, run)) == {"__interrupt__": [{"id": "<interrupt 1>", "value": QUESTION}]}


async def test_new_input_abandons_the_question(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    await client.runs.wait(thread, "approval", input={"foo": "y"})
    state = await client.runs.wait(thread, "approval", command={"resume": 1})
    assert state == {"foo": "y", "log": ["before", "before", "answer: 1"]}


async def test_a_command_may_also_update_the_state(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    state = await client.runs.wait(thread, "approval", command={"resume": 1, "update": {"foo": "u"}})
    assert state == {"foo": "u", "log": ["before", "answer: 1"]}


async def test_a_command_may_go_to_a_node(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    state = await client.runs.wait(thread, "simple", command={"goto": "b"})
    assert state == {"foo": "A", "log": ["a", "b", "b"]}


async def test_two_questions_are_shown_together(client, names, thread):
    answer = names(await client.runs.wait(thread, "two_approvals", input={"foo": "x"}))
    assert answer == {"__interrupt__": [interrupt("left?"), interrupt("right?", "<interrupt 2>")]}


async def test_two_questions_are_answered_by_their_ids(client, thread):
    answer = await client.runs.wait(thread, "two_approvals", input={"foo": "x"})
    left, right = (each["id"] for each in answer["__interrupt__"])
    partly = await client.runs.wait(thread, "two_approvals", command={"resume": {left: "L"}})
    assert [each["value"] for each in partly["__interrupt__"]] == ["right?"]
    assert (await client.threads.get(thread))["status"] == "interrupted"
    state = await client.runs.wait(thread, "two_approvals", command={"resume": {right: "R"}})
    assert state == {"foo": "x", "log": ["left: L", "right: R"]}


async def test_one_answer_to_two_questions_fails_the_run_and_keeps_the_questions(client, thread):
    await client.runs.wait(thread, "two_approvals", input={"foo": "x"})
    answer = await client.runs.wait(thread, "two_approvals", command={"resume": "both"}, raise_error=False)
    assert answer["__error__"]["error"] == "RuntimeError"
    after = await client.threads.get(thread)
    assert after["status"] == "error"
    asked = [each for task in after["interrupts"].values() for each in task]
    state = await client.runs.wait(
        thread, "two_approvals", command={"resume": {each["id"]: each["value"] for each in asked}}
    )
    assert sorted(state["log"]) == ["left: left?", "right: right?"]


async def test_static_interrupts_stop_before_and_after_nodes(client, record, thread):
    stream = client.runs.stream(
        thread, "simple", input={"foo": "x"}, stream_mode=["values", "updates"], interrupt_before=["b"]
    )
    assert (await record(stream))[1:] == [
        ("values", {"foo": "x", "log": []}),
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("values", {"foo": "A", "log": ["a"]}),
        ("updates", {"__interrupt__": []}),
    ]
    after = await client.threads.get(thread)
    assert (after["status"], after["interrupts"]) == ("interrupted", {})
    assert (await client.threads.get_state(thread))["next"] == ["b"]

    state = await client.runs.wait(thread, "simple", input={"foo": "y"}, interrupt_after="*")
    assert state == {"foo": "A", "log": ["a", "a"]}


async def test_an_interrupt_in_a_subgraph_is_answered_at_the_root(client, thread):
    await client.runs.wait(thread, "nested", input={"foo": "ask"})
    assert (await client.threads.get(thread))["status"] == "interrupted"
    state = await client.runs.wait(thread, "nested", command={"resume": "yes"})
    assert state["log"][-2:] == ["inner: sub speaks, answer: yes", "post"]


async def test_an_agent_asks_before_it_uses_a_tool(client, names, thread):
    hi = {"messages": [{"role": "user", "content": "what is 1 + 2?", "id": "hi-1"}]}
    asked = await client.runs.wait(thread, "agent", input=hi)
    assert [each["value"] for each in asked["__interrupt__"]] == [{"tool": "add", "args": {"a": 1, "b": 2}}]

    state = names(await client.runs.wait(thread, "agent", command={"resume": True}))
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "call-1", "type": "tool_call"}
    assert state["messages"] == [
        message("human", "what is 1 + 2?", "hi-1"),
        message("ai", "", "question", tool_calls=[call]),
        message(
            "tool", "3", state["messages"][2]["id"], name="add", tool_call_id="call-1", artifact=None, status="success"
        ),
        message("ai", "the sum is 3", "answer"),
    ]


async def test_an_agent_takes_no_for_an_answer(client, thread):
    hi = {"messages": [{"role": "user", "content": "what is 1 + 2?", "id": "hi-1"}]}
    await client.runs.wait(thread, "agent", input=hi)
    state = await client.runs.wait(thread, "agent", command={"resume": False})
    assert [each["content"] for each in state["messages"]] == ["what is 1 + 2?", "", "do not"]


async def test_a_stateless_run_cannot_be_resumed(http):
    answer = await http.post("/runs/wait", json={"assistant_id": "approval", "command": {"resume": 1}})
    assert (answer.status_code, answer.json()) == (400, {"detail": "You must provide a thread_id when resuming."})
