"""Commands: updates and leaps, on threads that have ended, that ask, and that are empty."""

import pytest

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def ended(client, thread) -> str:
    """A thread on which simple ran."""
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    return thread


@pytest.fixture
async def asks(client, thread) -> str:
    """A thread whose graph asks."""
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    return thread


def send(node: str, **input) -> dict:
    return {"node": node, "input": input}


@pytest.mark.parametrize(
    ("goto", "log"),
    [
        ("b", ["b"]),
        ("a", ["a", "b"]),
        (["b"], ["b"]),
        # Both in one step, and then what follows after `a`.
        (["b", "a"], ["a", "b", "b"]),
        (send("b", foo="sent"), ["b"]),
        ([send("b", foo="one"), send("b", foo="two")], ["b", "b"]),
        ("nowhere", []),
        (["nowhere", "b"], ["b"]),
    ],
)
async def test_a_leap_goes_on_where_it_lands(client, ended, goto, log):
    state = await client.runs.wait(ended, "simple", command={"goto": goto})
    assert state == {"foo": "A", "log": ["a", "b", *log]}
    row = await client.threads.get(ended)
    assert (row["status"], row["values"]) == ("idle", state)


@pytest.mark.parametrize("goto", [["b", {"node": "a", "input": {}}], 5, [5], {"input": {}}])
async def test_a_leap_to_what_is_none_is_refused(http, ended, goto):
    body = {"assistant_id": "simple", "command": {"goto": goto}}
    for route in ("runs", "runs/wait", "runs/stream"):
        answer = await http.post(f"/threads/{ended}/{route}", json=body)
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("update", [{"foo": "u", "log": ["u"]}, [["foo", "u"], ["log", ["u"]]]])
async def test_an_update_is_applied_before_the_leap(client, ended, update):
    state = await client.runs.wait(ended, "simple", command={"update": update, "goto": "b"})
    assert state == {"foo": "u", "log": ["a", "b", "u", "b"]}


@pytest.mark.parametrize("update", [{"foo": "u"}, [["foo", "u"]]])
async def test_an_update_alone_runs_nothing(client, ended, update):
    assert await client.runs.wait(ended, "simple", command={"update": update}) == {"foo": "u", "log": ["a", "b"]}
    assert (await client.threads.get_state(ended))["values"]["foo"] == "u"
    assert (await client.threads.get(ended))["status"] == "idle"


@pytest.mark.parametrize("command", [{"update": {"foo": "u"}}, {"goto": "before"}])
async def test_without_an_answer_the_question_is_asked_again(client, asks, command):
    asked = await client.runs.wait(asks, "approval", command=command)
    assert [each["value"] for each in asked["__interrupt__"]] == [{"question": "ok?"}]
    row = await client.threads.get(asks)
    assert row["status"] == "interrupted"
    state = await client.runs.wait(asks, "approval", command={"resume": "yes"})
    assert "answer: 'yes'" in state["log"]
    assert state["foo"] == command.get("update", {"foo": "x"})["foo"]


async def test_a_command_makes_input_irrelevant_unless_it_is_empty(client, http, ended):
    state = await client.runs.wait(ended, "simple", input={"foo": "y"}, command={"goto": "b"})
    assert state["log"] == ["a", "b", "b"]
    body = {"assistant_id": "simple", "input": {"foo": "y"}, "command": {}}
    answer = await http.post(f"/threads/{ended}/runs/wait", json=body)
    assert answer.json()["log"] == ["a", "b", "b", "a", "b"]


async def test_an_answer_to_an_unknown_question_answers_none(client, thread):
    asked = await client.runs.wait(thread, "two_approvals", input={"foo": "x"})
    again = await client.runs.wait(thread, "two_approvals", command={"resume": {"0" * 32: "?"}})
    assert again == asked
    assert (await client.threads.get(thread))["status"] == "interrupted"


async def test_an_answer_that_is_no_map_of_ids_is_one_value(client, asks):
    answer = {"0" * 32: "?", "other": "!"}
    state = await client.runs.wait(asks, "approval", command={"resume": answer})
    assert state["log"] == ["before", f"answer: {answer!r}"]


async def test_a_command_is_streamed_like_any_run(client, record, ended):
    stream = client.runs.stream(
        ended, "simple", command={"update": {"foo": "u"}, "goto": "b"}, stream_mode=["values", "updates"]
    )
    assert (await record(stream))[1:] == [
        ("values", {"foo": "u", "log": ["a", "b"]}),
        ("updates", {"b": {"log": ["b"]}}),
        ("values", {"foo": "u", "log": ["a", "b", "b"]}),
    ]
