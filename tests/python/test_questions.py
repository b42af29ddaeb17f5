"""Several questions: one after the other in a node, at once in several subgraphs, far down."""

import pytest
from support.wire import interrupt

NOTHING = {"notes": []}
ANN_BOB_CY = {"names": ["ann", "bob", "cy"]}
SAID = [
    "ann is prepared",
    "ann says ANN?",
    "bob is prepared",
    "bob says BOB?",
    "cy is prepared",
    "cy says CY?",
]


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


def values(answer: dict) -> list:
    return [each["value"] for each in answer["__interrupt__"]]


async def row(client, thread: str) -> tuple:
    """Status of the thread and the questions that it shows."""
    shown = await client.threads.get(thread)
    return shown["status"], [each["value"] for task in shown["interrupts"].values() for each in task]


class TestANodeThatAsksTwice:
    async def test_gets_one_answer_after_the_other(self, client, thread):
        first = await client.runs.wait(thread, "sequence", input=NOTHING)
        second = await client.runs.wait(thread, "sequence", command={"resume": "yes"})
        assert (values(first), values(second)) == (["first?"], [{"after": "yes"}])
        assert await row(client, thread) == ("interrupted", [{"after": "yes"}])
        assert await client.runs.wait(thread, "sequence", command={"resume": 5}) == {"notes": ["'yes', 5"]}
        assert await row(client, thread) == ("idle", [])

    async def test_keeps_the_first_answer_when_the_second_is_given_by_id(self, client, thread):
        await client.runs.wait(thread, "sequence", input=NOTHING)
        asked = await client.runs.wait(thread, "sequence", command={"resume": "yes"})
        answer = {asked["__interrupt__"][0]["id"]: "no"}
        assert await client.runs.wait(thread, "sequence", command={"resume": answer}) == {"notes": ["'yes', 'no'"]}

    async def test_starts_over_with_new_input(self, client, thread):
        await client.runs.wait(thread, "sequence", input=NOTHING)
        await client.runs.wait(thread, "sequence", command={"resume": "yes"})
        assert values(await client.runs.wait(thread, "sequence", input=NOTHING)) == ["first?"]


class TestSubgraphsThatAskAtOnce:
    async def test_are_answered_with_one_map(self, client, names, thread):
        asked = await client.runs.wait(thread, "experts", input=ANN_BOB_CY)
        assert names(sorted(asked["__interrupt__"], key=lambda each: each["value"])) == [
            interrupt("ann?", "<interrupt 1>"),
            interrupt("bob?", "<interrupt 2>"),
            interrupt("cy?", "<interrupt 3>"),
        ]
        assert set(asked) == {"__interrupt__"}
        answers = {each["id"]: each["value"].upper() for each in asked["__interrupt__"]}
        state = await client.runs.wait(thread, "experts", command={"resume": answers})
        assert state == ANN_BOB_CY | {"notes": SAID}
        assert await row(client, thread) == ("idle", [])

    async def test_are_answered_one_by_one(self, client, thread):
        asked = (await client.runs.wait(thread, "experts", input=ANN_BOB_CY))["__interrupt__"]
        left = {each["value"]: each["id"] for each in asked}
        for value in ("bob?", "ann?"):
            answer = await client.runs.wait(thread, "experts", command={"resume": {left.pop(value): value.upper()}})
            assert sorted(values(answer)) == sorted(left)
            status, shown = await row(client, thread)
            assert (status, sorted(shown)) == ("interrupted", sorted(left))
        state = await client.runs.wait(thread, "experts", command={"resume": {left["cy?"]: "CY?"}})
        assert state["notes"] == SAID

    async def test_show_their_states_side_by_side(self, client, thread):
        await client.runs.wait(thread, "experts", input=ANN_BOB_CY)
        state = await client.threads.get_state(thread, subgraphs=True)
        assert state["next"] == ["expert"] * 3
        inside = [task["state"] for task in state["tasks"]]
        assert [(each["values"], each["next"]) for each in inside] == [
            ({"name": name, "notes": [f"{name} is prepared"]}, ["consult"]) for name in ANN_BOB_CY["names"]
        ]
        assert [[each["value"] for each in task["interrupts"]] for task in state["tasks"]] == [
            ["ann?"],
            ["bob?"],
            ["cy?"],
        ]
        assert sorted(each["value"] for each in state["interrupts"]) == ["ann?", "bob?", "cy?"]

    async def test_ask_anew_when_their_state_is_changed(self, client, thread):
        asked = (await client.runs.wait(thread, "experts", input=ANN_BOB_CY))["__interrupt__"]
        bob = (await client.threads.get_state(thread))["tasks"][1]["checkpoint"]
        await client.threads.update_state(thread, {"name": "rob"}, checkpoint=bob)
        answers = {each["id"]: each["value"].upper() for each in asked if each["value"] != "bob?"}
        again = await client.runs.wait(thread, "experts", command={"resume": answers})
        assert values(again) == ["rob?"]
        state = await client.runs.wait(thread, "experts", command={"resume": "BOB?"})
        assert state["notes"] == [line.replace("bob says", "rob says") for line in SAID]


class TestAQuestionTwoGraphsDown:
    async def test_is_seen_at_every_level(self, client, thread):
        asked = await client.runs.wait(thread, "deep", input={"foo": "ask"})
        assert (asked["foo"], values(asked)) == ("ask", ["deep?"])
        state = await client.threads.get_state(thread, subgraphs=True)
        (question,) = state["interrupts"]
        levels = []
        while state["tasks"]:
            (task,) = state["tasks"]
            levels.append((task["name"], task["interrupts"]))
            state = task["state"] or {"tasks": []}
        assert levels == [(name, [question]) for name in ("middle", "bottom", "dig")]

    async def test_is_answered_at_the_root(self, client, thread):
        await client.runs.wait(thread, "deep", input={"foo": "ask"})
        assert await client.runs.wait(thread, "deep", command={"resume": "gold"}) == {"foo": "ask", "found": "gold"}

    async def test_is_answered_in_a_stream(self, client, record, thread):
        await client.runs.wait(thread, "deep", input={"foo": "ask"})
        stream = client.runs.stream(
            thread, "deep", command={"resume": "gold"}, stream_mode="updates", stream_subgraphs=True
        )
        found = {"foo": "ask", "found": "gold"}
        assert (await record(stream))[1:] == [
            ("updates|middle:<id 1>|bottom:<id 2>", {"dig": {"found": "gold"}}),
            ("updates|middle:<id 1>", {"bottom": found}),
            ("updates", {"middle": found}),
        ]

    async def test_is_answered_by_an_edit_of_the_innermost_state(self, client, thread):
        await client.runs.wait(thread, "deep", input={"foo": "ask"})
        middle = (await client.threads.get_state(thread))["tasks"][0]["checkpoint"]
        bottom = (await client.threads.get_state(thread, checkpoint=middle))["tasks"][0]["checkpoint"]
        await client.threads.update_state(thread, {"found": "by hand"}, as_node="dig", checkpoint=bottom)
        assert await client.runs.wait(thread, "deep", input=None) == {"foo": "ask", "found": "by hand"}


async def test_an_answer_may_come_with_a_leap(client, thread):
    """The node that asked goes on beside the one that was leapt to."""
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    state = await client.runs.wait(
        thread, "approval", command={"resume": 1, "goto": "before", "update": {"foo": "leapt"}}
    )
    assert state["foo"] == "leapt" and "answer: 1" in state["log"] and state["log"].count("before") == 2


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_an_answer_that_never_came_leaves_the_question(client, thread, action):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    before = await client.threads.get(thread)
    run = await client.runs.create(thread, "approval", command={"resume": 1}, after_seconds=7200)
    assert (await client.threads.get(thread))["status"] == "busy"
    await client.runs.cancel(thread, run["run_id"], action=action)
    after = await client.threads.get(thread)
    for key in ("status", "values", "interrupts"):
        assert (key, after[key]) == (key, before[key])
    state = await client.runs.wait(thread, "approval", command={"resume": 2})
    assert state == {"foo": "x", "log": ["before", "answer: 2"]}


async def test_breakpoints_stop_inside_of_nothing_but_the_root(client, thread):
    state = await client.runs.wait(thread, "deep", input={"foo": "x"}, interrupt_before=["dig", "middle"])
    assert state == {"foo": "x"}
    assert (await client.threads.get_state(thread))["next"] == ["middle"]
    state = await client.runs.wait(thread, "deep", input=None, interrupt_after="*")
    assert state == {"foo": "x", "found": "a stone"}


async def test_the_stream_of_every_mode_ends_at_a_question(client, record, thread):
    modes = ["values", "updates", "tasks", "debug", "custom", "messages"]
    transcript = await record(client.runs.stream(thread, "sequence", input=NOTHING, stream_mode=modes))
    asked = [interrupt("first?")]
    results = [data for event, data in transcript if event == "tasks" and "result" in data]
    assert [each["interrupts"] for each in results] == [asked]
    results = [data["payload"] for event, data in transcript if event == "debug" and data["type"] == "task_result"]
    assert [each["interrupts"] for each in results] == [asked]
    assert [data for event, data in transcript if event == "updates"] == [{"__interrupt__": asked}]
    assert [data for event, data in transcript if event == "values"] == [
        {"notes": []},
        {"notes": [], "__interrupt__": asked},
    ]
