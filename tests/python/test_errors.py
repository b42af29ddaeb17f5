"""Graphs that fail: what the caller sees, what it must not see."""

import pytest

SHOWN = {
    "value": {"error": "ValueError", "message": "bad value"},
    "key": {"error": "KeyError", "message": "'bad key'"},
    "connection": {"error": "ConnectionError", "message": "An internal error occurred"},
    "boom": {"error": "Boom", "message": "An internal error occurred"},
}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.mark.parametrize("kind", SHOWN)
async def test_a_failed_run_leaves_the_error_on_the_thread(client, thread, kind):
    answer = await client.runs.wait(thread, "errors", input={"kind": kind}, raise_error=False)
    assert answer == {"__error__": SHOWN[kind]}
    run = (await client.runs.list(thread))[0]
    assert run["status"] == "error"
    assert await client.runs.join(thread, run["run_id"]) == {"__error__": SHOWN[kind]}
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("error", SHOWN[kind])
    # What was produced before is kept.
    assert after["values"] == {"kind": kind, "log": ["before"]}


async def test_waiting_raises(client, thread):
    with pytest.raises(Exception, match="^ValueError: bad value$"):
        await client.runs.wait(thread, "errors", input={"kind": "value"})


async def test_the_state_names_the_failed_task(client, thread):
    await client.runs.wait(thread, "errors", input={"kind": "value"}, raise_error=False)
    state = await client.threads.get_state(thread)
    assert (state["next"], state["tasks"][0]["error"]) == (["fail"], "ValueError('bad value')")


async def test_a_failed_thread_can_go_on(client, thread):
    await client.runs.wait(thread, "errors", input={"kind": "value"}, raise_error=False)
    state = await client.runs.wait(thread, "errors", input={"kind": "none"})
    assert state == {"kind": "none", "log": ["before", "before", "passed"]}
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("idle", None)


async def test_a_failed_run_does_not_hold_up_the_next(client, thread, gate):
    first = await client.runs.create(thread, "waiting", input=gate.input())
    second = await client.runs.create(thread, "counter", input={"count": 0, "limit": 1})
    (await gate.visitor()).refuse()
    await client.runs.join(thread, second["run_id"])
    assert (await client.runs.get(thread, first["run_id"]))["status"] == "error"
    assert (await client.runs.get(thread, second["run_id"]))["status"] == "success"


async def test_input_of_the_wrong_shape_fails_the_run_not_the_request(client, thread):
    answer = await client.runs.wait(thread, "simple", input="text", raise_error=False)
    assert answer["__error__"]["error"] == "InvalidUpdateError"


async def test_a_stateless_failure_is_shown_too(client):
    assert await client.runs.wait(None, "errors", input={"kind": "boom"}, raise_error=False) == {
        "__error__": SHOWN["boom"]
    }
    parts = [part async for part in client.runs.stream(None, "errors", input={"kind": "value"}, stream_mode="updates")]
    assert [(part.event, part.data) for part in parts[1:]] == [
        ("updates", {"before": {"log": ["before"]}}),
        ("error", SHOWN["value"]),
    ]


@pytest.mark.deviates("the reference server does not start")
async def test_a_graph_that_cannot_be_imported_fails_its_runs_alone(client, thread):
    answer = await client.runs.wait(thread, "broken", input={}, raise_error=False)
    assert set(answer) == {"__error__"}
    message = answer["__error__"]["message"]
    assert "a_module_that_nobody_installed" in message and "broken" in message
    assert (await client.runs.list(thread))[0]["status"] == "error"
    after = await client.threads.get(thread)
    assert (after["status"], after["error"]) == ("error", answer["__error__"])
    assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == {"foo": "A", "log": ["a", "b"]}


@pytest.mark.deviates("the reference server does not start")
async def test_a_graph_that_cannot_be_imported_cannot_be_drawn(client, http):
    id = (await client.assistants.search(graph_id="broken"))[0]["assistant_id"]
    for path in ("graph", "schemas"):
        answer = await http.get(f"/assistants/{id}/{path}")
        assert answer.status_code == 424
        assert "a_module_that_nobody_installed" in answer.json()["detail"]
