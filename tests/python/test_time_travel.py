"""Runs and updates that begin at a checkpoint other than the newest."""

import pytest
from support.names import NOBODY

DONE = {"foo": "A", "log": ["a", "b"]}
STEPS = [2, 1, 0, -1]
FIELDS = ("checkpoint", "checkpoint_id")


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def past(client, thread) -> dict[int, dict]:
    """Checkpoints that a run of simple left, by their steps."""
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    history = await client.threads.get_history(thread)
    assert [state["metadata"]["step"] for state in history] == STEPS
    return {state["metadata"]["step"]: state for state in history}


def at(state: dict, field: str = "checkpoint") -> dict:
    """How a client names the checkpoint of `state`."""
    return {field: state[field]}


async def trail(client, thread: str) -> list[tuple[str, int]]:
    """Sources and steps of the newest state and of those that it came from."""
    history = {state["checkpoint_id"]: state for state in await client.threads.get_history(thread, limit=100)}
    state, found = next(iter(history.values())), []
    while state:
        found.append((state["metadata"]["source"], state["metadata"]["step"]))
        state = history.get(state["parent_checkpoint_id"])
    return found


INPUT = [("loop", 0), ("input", -1)]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("step", "after"),
    [
        (1, [("loop", 3), ("fork", 2), ("loop", 1), *INPUT]),
        (0, [("loop", 3), ("loop", 2), ("fork", 1), *INPUT]),
    ],
)
async def test_a_run_without_input_repeats_what_followed(client, thread, past, field, step, after):
    assert await client.runs.wait(thread, "simple", input=None, **at(past[step], field)) == DONE
    assert await trail(client, thread) == after
    assert (await client.threads.get(thread))["values"] == DONE
    assert len(await client.threads.get_history(thread, limit=100)) == 4 + len(after) - (step + 2)


async def test_a_run_without_input_from_the_last_checkpoint_does_nothing(client, thread, past):
    assert await client.runs.wait(thread, "simple", input=None, **at(past[2])) == DONE
    assert (await client.threads.get_state(thread))["values"] == DONE


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("step", "log"),
    [(2, ["a", "b", "a", "b"]), (1, ["a", "a", "b"]), (0, ["a", "b"]), (-1, ["a", "b"])],
)
async def test_a_run_with_input_begins_anew_on_that_state(client, thread, past, field, step, log):
    assert await client.runs.wait(thread, "simple", input={"foo": "y"}, **at(past[step], field)) == {
        "foo": "A",
        "log": log,
    }
    after = (await client.threads.get_history(thread))[:4]
    assert [state["metadata"]["step"] for state in after] == [step + 4, step + 3, step + 2, step + 1]
    assert after[-1]["metadata"]["source"] == "input"
    assert after[-1]["parent_checkpoint"] == past[step]["checkpoint"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("step", "node", "next", "values"),
    [
        (2, "b", [], {"foo": "u", "log": ["a", "b", "by hand"]}),
        (1, "a", ["b"], {"foo": "u", "log": ["a", "by hand"]}),
        (0, "a", ["b"], {"foo": "u", "log": ["by hand"]}),
    ],
)
async def test_an_update_branches_off_any_checkpoint(client, thread, past, field, step, node, next, values):
    update = {"foo": "u", "log": ["by hand"]}
    answer = await client.threads.update_state(thread, update, as_node=node, **at(past[step], field))
    state = await client.threads.get_state(thread)
    assert answer["checkpoint"] == state["checkpoint"]
    assert (state["values"], state["next"]) == (values, next)
    assert (state["metadata"]["source"], state["metadata"]["step"]) == ("update", step + 1)
    assert state["parent_checkpoint"] == past[step]["checkpoint"]
    # What was there is there still.
    assert [each["checkpoint_id"] for each in await client.threads.get_history(thread)][1:] == [
        past[each]["checkpoint_id"] for each in STEPS
    ]


async def test_both_branches_can_be_followed_further(client, thread, past):
    fork = await client.threads.update_state(thread, {"log": ["fork"]}, as_node="a", **at(past[0]))
    left = await client.runs.wait(thread, "simple", input=None, checkpoint=fork["checkpoint"])
    assert left == {"foo": "x", "log": ["fork", "b"]}
    right = await client.runs.wait(thread, "simple", input={"foo": "y"}, **at(past[2]))
    assert right == {"foo": "A", "log": ["a", "b", "a", "b"]}
    again = await client.threads.update_state(
        thread, {"log": ["second fork"]}, as_node="a", checkpoint=fork["checkpoint"]
    )
    assert await client.runs.wait(thread, "simple", input=None, checkpoint=again["checkpoint"]) == {
        "foo": "x",
        "log": ["fork", "second fork", "b"],
    }
    assert (await client.threads.get(thread))["values"]["log"] == ["fork", "second fork", "b"]


@pytest.mark.parametrize("route", ["create", "stream"])
async def test_every_way_to_run_accepts_a_checkpoint(client, record, thread, past, route):
    if route == "create":
        run = await client.runs.create(thread, "simple", input=None, **at(past[1]))
        assert run["kwargs"]["config"]["configurable"]["checkpoint_id"] == past[1]["checkpoint_id"]
        assert await client.runs.join(thread, run["run_id"]) == DONE
    else:
        stream = client.runs.stream(
            thread, "simple", input=None, stream_mode=["values", "updates"], checkpoint=past[1]["checkpoint"]
        )
        assert (await record(stream))[1:] == [
            ("values", {"foo": "A", "log": ["a"]}),
            ("updates", {"b": {"log": ["b"]}}),
            ("values", DONE),
        ]
    assert (await trail(client, thread))[:3] == [("loop", 3), ("fork", 2), ("loop", 1)]


async def test_the_thread_of_the_path_wins_over_that_of_the_checkpoint(client, thread, past):
    other = (await client.threads.create())["thread_id"]
    await client.runs.wait(other, "simple", input={"foo": "other"})
    checkpoint = past[1]["checkpoint"] | {"thread_id": other}
    assert await client.runs.wait(thread, "simple", input=None, checkpoint=checkpoint) == DONE
    assert (await trail(client, thread))[:2] == [("loop", 3), ("fork", 2)]
    assert len(await client.threads.get_history(other)) == 4


async def test_a_run_never_falls_back_to_the_newest_state(client, thread, past):
    unknown = "1f1e7628-64f8-64b1-8000-2b0b7a88c402"
    state = await client.runs.wait(thread, "simple", input={"foo": "y"}, checkpoint_id=unknown)
    assert state == DONE
    steps = [state["metadata"]["step"] for state in await client.threads.get_history(thread)]
    assert sorted(steps) == sorted(2 * STEPS)


@pytest.mark.parametrize("id", ["x", "5", NOBODY[:-1]])
async def test_a_checkpoint_id_has_to_be_one(http, thread, id):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "checkpoint_id": id}
    for route in ("runs", "runs/wait", "runs/stream"):
        answer = await http.post(f"/threads/{thread}/{route}", json=body)
        assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid checkpoint ID"})


async def test_a_question_is_asked_again_from_before_it(client, names, thread):
    first = await client.runs.wait(thread, "approval", input={"foo": "x"})
    await client.runs.wait(thread, "approval", command={"resume": "yes"})
    start = (await client.threads.get_history(thread))[-2]
    assert start["next"] == ["before"]
    again = await client.runs.wait(thread, "approval", input=None, **at(start))
    assert (again["foo"], again["log"], len(again["__interrupt__"])) == ("x", ["before"], 1)
    assert again["__interrupt__"][0]["value"] == first["__interrupt__"][0]["value"]
    assert (await client.threads.get(thread))["status"] == "interrupted"
    state = await client.runs.wait(thread, "approval", command={"resume": "no"})
    assert state == {"foo": "x", "log": ["before", "answer: 'no'"]}


async def test_a_failed_step_is_tried_again_from_its_checkpoint(client, thread):
    await client.runs.wait(thread, "errors", input={"kind": "value"}, raise_error=False)
    failed = await client.threads.get_state(thread)
    assert failed["next"] == ["fail"]
    fork = await client.threads.update_state(thread, {"kind": "none"}, as_node="before", **at(failed))
    state = await client.runs.wait(thread, "errors", input=None, checkpoint=fork["checkpoint"])
    assert state == {"kind": "none", "log": ["before", "passed"]}
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_subgraph_is_read_at_any_of_its_checkpoints(client, thread):
    await client.runs.wait(thread, "nested", input={"foo": "ask"})
    stopped = (await client.threads.get_state(thread, subgraphs=True))["tasks"][0]["state"]
    place = stopped["checkpoint"]
    assert set(place["checkpoint_map"]) == {"", place["checkpoint_ns"]}
    assert (await client.threads.get_state(thread, checkpoint=place))["values"] == stopped["values"]
    (asked, entered) = await client.threads.get_history(thread, checkpoint={"checkpoint_ns": place["checkpoint_ns"]})
    for state, next in ((asked, ["inner"]), (entered, ["__start__"])):
        read = await client.threads.get_state(thread, checkpoint=state["checkpoint"])
        assert (read["values"], read["next"], state["next"]) == (state["values"], next, next)


@pytest.mark.parametrize(("level", "place"), [(1, 1), (2, 1), (2, 2)])
async def test_a_run_begins_at_a_checkpoint_of_a_subgraph(client, thread, level, place):
    """What is inside begins there, and all around it is repeated."""
    await client.runs.wait(thread, "deep", input={"foo": "ask"})
    await client.runs.wait(thread, "deep", command={"resume": "gold"})
    history = await client.threads.get_history(thread)
    for _ in range(level):
        history = await client.threads.get_history(thread, checkpoint=history[1]["tasks"][0]["checkpoint"])
    asked = await client.runs.wait(thread, "deep", input=None, checkpoint=history[place]["checkpoint"])
    assert [each["value"] for each in asked["__interrupt__"]] == ["deep?"]
    state = await client.runs.wait(thread, "deep", command={"resume": "silver"})
    assert state == {"foo": "ask", "found": "silver"}
    assert await trail(client, thread) == [("loop", 2), ("fork", 1), ("loop", 0), ("input", -1)]
