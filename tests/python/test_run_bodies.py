"""Every field of the bodies that create runs: what the run keeps of it, and what it does."""

from uuid import uuid4

import pytest

DONE = {"foo": "A", "log": ["a", "b"]}
CHECKPOINT = "1f1e7628-64f8-64b1-8000-2b0b7a88c402"
# Field and value of the body, place in the run, value there; `...` says that it is the one of the body.
KEPT = [
    ("input", [1, {"a": None}], "kwargs.input", ...),
    ("input", "text", "kwargs.input", ...),
    ("input", None, "kwargs.input", ...),
    ("command", {"goto": "b"}, "kwargs.command", ...),
    ("command", {"update": [["foo", "x"]], "goto": [{"node": "a", "input": 1}]}, "kwargs.command", ...),
    ("metadata", {"mine": [1]}, "metadata.mine", [1]),
    ("metadata", {"mine": [1]}, "kwargs.config.metadata.mine", [1]),
    ("config", {"tags": ["t"]}, "kwargs.config.tags", ["t"]),
    ("config", {"recursion_limit": 3}, "kwargs.config.recursion_limit", 3),
    ("config", {"configurable": {"c": 1}}, "kwargs.context", {"c": 1}),
    ("config", {"metadata": {"m": 1}}, "metadata.m", 1),
    ("config", {"other": 1}, "kwargs.config.other", 1),
    ("context", {"c": {"d": 1}}, "kwargs.context", ...),
    ("context", {"c": 1}, "kwargs.config.configurable.c", 1),
    ("interrupt_before", "*", "kwargs.interrupt_before", ...),
    ("interrupt_before", ["a"], "kwargs.interrupt_before", ...),
    ("interrupt_after", "*", "kwargs.interrupt_after", ...),
    ("interrupt_after", ["a", "b"], "kwargs.interrupt_after", ...),
    ("stream_mode", "updates", "kwargs.stream_mode", ["updates"]),
    ("stream_mode", [], "kwargs.stream_mode", ["values"]),
    ("stream_mode", ["debug", "custom"], "kwargs.stream_mode", ...),
    ("stream_subgraphs", True, "kwargs.subgraphs", ...),
    ("stream_resumable", True, "kwargs.resumable", ...),
    ("feedback_keys", ["k"], "kwargs.feedback_keys", ...),
    ("webhook", "https://example.com/hook", "kwargs.webhook", ...),
    ("durability", "sync", "kwargs.durability", ...),
    ("durability", "exit", "kwargs.durability", ...),
    ("checkpoint_during", False, "kwargs.durability", "exit"),
    ("checkpoint_during", False, "kwargs.checkpoint_during", ...),
    ("checkpoint_during", True, "kwargs.durability", "async"),
    ("after_seconds", 7200.5, "kwargs.config.configurable.__after_seconds__", ...),
    ("langsmith_tracer", {"project_name": "p"}, "kwargs.config.configurable.__langsmith_project__", "p"),
]
ON_THREADS = [
    ("multitask_strategy", "reject", "multitask_strategy", ...),
    ("multitask_strategy", "interrupt", "multitask_strategy", ...),
    ("multitask_strategy", "rollback", "multitask_strategy", ...),
    ("checkpoint_id", CHECKPOINT, "kwargs.config.configurable.checkpoint_id", ...),
    ("checkpoint", {"checkpoint_id": CHECKPOINT}, "kwargs.config.configurable.checkpoint_id", CHECKPOINT),
    ("checkpoint", {"checkpoint_ns": "a:b"}, "kwargs.config.configurable.checkpoint_ns", "a:b"),
    ("checkpoint", {"checkpoint_map": {"": "x"}}, "kwargs.config.configurable.checkpoint_map", {"": "x"}),
    ("command", {"resume": {"a": 1}}, "kwargs.command", ...),
]
ON_NO_THREAD = [
    ("on_completion", "keep", "kwargs.temporary", False),
    ("on_completion", "delete", "kwargs.temporary", True),
]


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def created(http, path: str, field: str, value) -> dict:
    """A run that never starts, with this field in its body."""
    body = {"assistant_id": "simple", "after_seconds": 7200, field: value}
    answer = await http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def part(run: dict, place: str):
    for key in place.split("."):
        run = run[key]
    return run


@pytest.mark.parametrize(("field", "value", "place", "expected"), KEPT + ON_THREADS)
async def test_a_run_on_a_thread_keeps(client, http, thread, field, value, place, expected):
    run = await created(http, f"/threads/{thread}/runs", field, value)
    assert part(run, place) == (value if expected is ... else expected)
    assert await client.runs.get(thread, run["run_id"]) == run
    await client.threads.delete(thread)


@pytest.mark.parametrize(("field", "value", "place", "expected"), KEPT + ON_NO_THREAD)
async def test_a_run_without_a_thread_keeps(client, http, field, value, place, expected):
    run = await created(http, "/runs", field, value)
    assert part(run, place) == (value if expected is ... else expected)
    await client.threads.delete(run["thread_id"])


NULLABLE = ["input", "command", "checkpoint_id", "langsmith_tracer"]
WRONG = {
    "assistant_id": [5, None],
    "command": ["resume", []],
    "checkpoint": ["x", None],
    "metadata": ["x", None],
    "config": ["x", None, {"tags": "t"}, {"recursion_limit": "3"}, {"configurable": []}],
    "context": ["x", None],
    "webhook": ["", 5, None],
    "interrupt_before": ["a", 5],
    "interrupt_after": ["a", [5]],
    "stream_subgraphs": ["true", None],
    "stream_resumable": [1, None],
    "feedback_keys": ["k", [1], None],
    "multitask_strategy": ["", None],
    "if_not_exists": ["raise", None],
    "after_seconds": ["5", None],
    "checkpoint_during": ["false", None],
    "durability": ["never", None],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
async def test_a_field_of_the_wrong_kind_is_refused(client, http, thread, field, value):
    for route in ("runs", "runs/wait", "runs/stream"):
        answer = await http.post(f"/threads/{thread}/{route}", json={"assistant_id": "simple", field: value})
        assert (route, answer.status_code) == (route, 422), answer.text
        assert answer.headers["content-type"] == "application/json"
    assert await client.runs.list(thread) == []


@pytest.mark.parametrize("field", NULLABLE)
async def test_null_is_no_value_for_these(client, http, thread, field):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, field: None}
    answer = await http.post(f"/threads/{thread}/runs", json=body)
    assert answer.status_code == 200
    await client.runs.join(thread, answer.json()["run_id"])


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"durability": "sync"}, [2, 1, 0, -1]),
        ({"durability": "async"}, [2, 1, 0, -1]),
        ({"durability": "exit"}, [2]),
        ({"checkpoint_during": True}, [2, 1, 0, -1]),
        ({"checkpoint_during": False}, [2]),
        ({"checkpoint_during": False, "durability": "sync"}, [2, 1, 0, -1]),
        ({"checkpoint_during": True, "durability": "exit"}, [2]),
    ],
)
async def test_durability_decides_which_checkpoints_remain(client, http, thread, options, steps):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, **options}
    assert (await http.post(f"/threads/{thread}/runs/wait", json=body)).json() == DONE
    history = await client.threads.get_history(thread)
    assert [state["metadata"]["step"] for state in history] == steps


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_question_survives_every_durability(client, thread, durability):
    asked = await client.runs.wait(thread, "approval", input={"foo": "x"}, durability=durability)
    assert len(asked["__interrupt__"]) == 1
    state = await client.runs.wait(thread, "approval", command={"resume": 1}, durability=durability)
    assert state == {"foo": "x", "log": ["before", "answer: 1"]}


@pytest.mark.parametrize("route", ["create", "stream"])
async def test_a_missing_thread_is_made_by_the_run(client, route):
    id = str(uuid4())
    if route == "create":
        run = await client.runs.create(id, "simple", input={"foo": "x"}, if_not_exists="create")
        assert run["thread_id"] == id
        assert await client.runs.join(id, run["run_id"]) == DONE
    else:
        stream = client.runs.stream(id, "simple", input={"foo": "x"}, if_not_exists="create")
        assert [part.event async for part in stream] == ["metadata", "values", "values", "values"]
    assert (await client.threads.get(id))["values"] == DONE
    assert await client.runs.wait(id, "simple", input=None, if_not_exists="create") == DONE


async def test_a_run_that_is_due_since_long_comes_first(client, http, thread, gate):
    await client.runs.create(thread, "waiting", input=gate.input("first"))
    visitor = await gate.visitor()
    for name, seconds in (("now", 0), ("long ago", -3600), ("soon", 0.001)):
        body = {"assistant_id": "waiting", "input": gate.input(name), "after_seconds": seconds}
        run = (await http.post(f"/threads/{thread}/runs", json=body)).json()
        assert (run["created_at"] < run["updated_at"]) == (name == "long ago")
    order = []
    for _ in range(3):
        visitor.let_in()
        visitor = await gate.visitor()
        order.append(visitor.name)
    visitor.let_in()
    assert order == ["long ago", "now", "soon"]
    assert [each["kwargs"]["input"]["name"] for each in await client.runs.list(thread)] == [
        "soon",
        "now",
        "first",
        "long ago",
    ]


@pytest.mark.parametrize("route", ["wait", "stream"])
async def test_a_thread_of_a_run_without_one_may_stay(client, http, route):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "on_completion": "keep", "metadata": {"kept": route}}
    answer = await http.post(f"/runs/{route}", json=body)
    assert answer.status_code == 200
    (thread,) = await client.threads.search(metadata={"kept": route})
    assert (thread["status"], thread["values"]) == ("idle", DONE)
    await client.threads.delete(thread["thread_id"])


async def test_a_kept_run_is_replayed_without_its_thread(client, http):
    stream = client.runs.stream(
        None, "simple", input={"foo": "x"}, stream_mode="updates", stream_resumable=True, on_completion="keep"
    )
    parts = [part async for part in stream]
    run = parts[0].data["run_id"]
    answer = await http.get(f"/runs/{run}/stream", headers={"Last-Event-ID": "-1"})
    assert (answer.headers["location"], answer.headers["content-location"]) == (f"/runs/{run}/stream", f"/runs/{run}")
    assert [line for line in answer.text.splitlines() if line.startswith("id: ")] == [
        f"id: {part.id}" for part in parts
    ]
    await client.threads.delete((await http.get(f"/runs/{run}")).json()["thread_id"])


@pytest.mark.deviates("the reference server fails the run")
async def test_feedback_keys_without_a_tracing_backend_have_no_effect(http, thread):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "feedback_keys": ["k"]}
    assert (await http.post(f"/threads/{thread}/runs/wait", json=body)).json() == DONE
    streamed = await http.post("/runs/stream", json=body)
    assert "feedback" not in streamed.text and "error" not in streamed.text


@pytest.mark.parametrize("route", ["wait", "stream"])
async def test_a_run_without_a_thread_ends_with_its_listener_if_asked(http, gate, route):
    body = {"assistant_id": "waiting", "input": gate.input(), "on_disconnect": "cancel"}
    async with http.stream("POST", f"/runs/{route}", json=body):
        visitor = await gate.visitor()
    await visitor.gone()


@pytest.mark.parametrize("route", ["wait", "stream"])
async def test_leaving_is_no_reason_to_stop_unless_asked(client, http, thread, gate, route):
    body = {"assistant_id": "waiting", "input": gate.input(), "on_disconnect": "continue"}
    async with http.stream("POST", f"/threads/{thread}/runs/{route}", json=body):
        visitor = await gate.visitor()
    visitor.let_in()
    state = await client.runs.join(thread, visitor.run_id)
    assert state["log"] == ["run arrives", "run passed"]
    assert (await client.runs.get(thread, visitor.run_id))["status"] == "success"


async def test_input_is_kept_letter_by_letter(http, thread):
    input = '{"z":1.0,"big":12345678901234567890123,"power":1E2,"a":{"y":"\\u00e4","x":null}}'
    body = f'{{"assistant_id":"simple","after_seconds":7200,"input":{input}}}'
    run = (await http.post(f"/threads/{thread}/runs", content=body)).json()
    shown = (await http.get(f"/threads/{thread}/runs/{run['run_id']}")).text
    assert f'"input":{input}' in shown
    await http.delete(f"/threads/{thread}")


@pytest.mark.parametrize("seconds", [1e300, -1e300, 3.2e9])
async def test_a_delay_has_its_bounds(http, thread, seconds):
    answer = await http.post(f"/threads/{thread}/runs", json={"assistant_id": "simple", "after_seconds": seconds})
    assert answer.status_code == 422 and "after_seconds" in answer.json()["detail"]


async def test_an_id_is_shown_in_one_form_however_it_is_written(http, thread):
    body = {"assistant_id": "simple", "input": {"foo": "x"}}
    for form in (thread.upper(), thread.replace("-", ""), f"{{{thread}}}"):
        answer = await http.post(f"/threads/{form}/runs/wait", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-location"].startswith(f"/threads/{thread}/runs/")
        run = answer.headers["content-location"].rpartition("/")[2]
        assert (await http.get(f"/threads/{form}/runs/{run.upper()}")).json()["run_id"] == run
