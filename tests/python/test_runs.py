"""Runs on threads: create, read, wait, join, delete, options."""

from uuid import UUID

import pytest

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_a_created_run_has_every_field(client, names, thread):
    run = await client.runs.create(
        thread,
        "simple",
        input={"foo": "x"},
        metadata={"mine": 1, "run_id": "reserved, and so dropped"},
        config={"tags": ["t"], "recursion_limit": 9, "configurable": {"colour": "red"}},
        stream_mode=["values", "updates"],
        stream_subgraphs=True,
        stream_resumable=True,
        interrupt_before=["nobody"],
        durability="sync",
        multitask_strategy="enqueue",
        headers={"x-request-id": "11111111-2222-4333-8444-555555555555"},
    )
    metadata = {"created_by": "system", "graph_id": "simple", "assistant_id": "<assistant simple>", "mine": 1}
    assert names(run) == {
        "run_id": "<run 1>",
        "thread_id": "<thread 1>",
        "assistant_id": "<assistant simple>",
        "created_at": "<time>",
        "updated_at": "<time>",
        "metadata": metadata,
        "status": "pending",
        "kwargs": {
            "input": {"foo": "x"},
            "command": None,
            "config": {
                "tags": ["t"],
                "recursion_limit": 9,
                "configurable": {
                    "colour": "red",
                    "langgraph_auth_user": None,
                    "langgraph_auth_user_id": "",
                    "langgraph_auth_permissions": [],
                    "langgraph_request_id": "<langgraph_request_id>",
                    "__request_start_time_ms__": "<milliseconds>",
                    "__after_seconds__": 0,
                    "run_id": "<run 1>",
                    "thread_id": "<thread 1>",
                    "graph_id": "simple",
                    "assistant_id": "<assistant simple>",
                    "user_id": "",
                },
                "metadata": metadata,
            },
            "context": {"colour": "red"},
            "stream_mode": ["values", "updates"],
            "interrupt_before": ["nobody"],
            "interrupt_after": None,
            "webhook": None,
            "feedback_keys": None,
            "temporary": False,
            "subgraphs": True,
            "resumable": True,
            "checkpoint_during": True,
            "durability": "sync",
        },
        "multitask_strategy": "enqueue",
        "langsmith_session_name": None,
    }
    assert UUID(run["run_id"]).version == 7
    assert run["kwargs"]["config"]["configurable"]["langgraph_request_id"] == "11111111-2222-4333-8444-555555555555"

    assert await client.runs.join(thread, run["run_id"]) == DONE
    after = await client.runs.get(thread, run["run_id"])
    assert after["status"] == "success" and after["updated_at"] > run["updated_at"]


@pytest.mark.deviates("the worker of the reference server's development edition writes into the kwargs")
async def test_a_finished_run_shows_the_kwargs_that_it_was_created_with(client, thread):
    run = await client.runs.create(thread, "simple", input={"foo": "x"})
    await client.runs.join(thread, run["run_id"])
    after = await client.runs.get(thread, run["run_id"])
    assert after == run | {"status": "success", "updated_at": after["updated_at"]}


async def test_the_answers_name_the_run_in_their_headers(http, thread):
    body = {"assistant_id": "simple", "input": {"foo": "x"}}
    created = await http.post(f"/threads/{thread}/runs", json=body)
    run = f"/threads/{thread}/runs/{created.json()['run_id']}"
    assert (created.status_code, created.headers["content-location"]) == (200, run)
    assert "location" not in created.headers

    joined = await http.get(f"{run}/join")
    assert (joined.headers["location"], joined.headers["content-location"]) == (f"{run}/join", run)
    assert joined.headers["content-type"] == "application/json"

    waited = await http.post(f"/threads/{thread}/runs/wait", json=body)
    latest = (await http.get(f"/threads/{thread}/runs", params={"limit": 1})).json()[0]["run_id"]
    run = f"/threads/{thread}/runs/{latest}"
    assert (waited.headers["location"], waited.headers["content-location"]) == (f"{run}/join", run)


async def test_runs_are_listed_newest_first(client, thread):
    for word in ("one", "two", "three"):
        await client.runs.wait(thread, "simple", input={"foo": word})
    await client.runs.wait(thread, "errors", input={"kind": "value"}, raise_error=False)
    runs = await client.runs.list(thread)
    assert [run["kwargs"]["input"] for run in runs] == [
        {"kind": "value"},
        {"foo": "three"},
        {"foo": "two"},
        {"foo": "one"},
    ]
    assert [run["kwargs"]["input"] for run in await client.runs.list(thread, limit=2, offset=1)] == [
        {"foo": "three"},
        {"foo": "two"},
    ]
    assert [run["status"] for run in await client.runs.list(thread, status="error")] == ["error"]
    assert await client.runs.list(thread, status="pending") == []
    selected = await client.runs.list(thread, status="error", select=["status", "run_id"])
    assert selected == [{"status": "error", "run_id": runs[0]["run_id"]}]


async def test_a_run_accepts_a_graph_or_an_assistant(client, thread):
    made = await client.assistants.create("simple")
    assert await client.runs.wait(thread, made["assistant_id"], input={"foo": "x"}) == DONE
    assert (await client.threads.get(thread))["metadata"]["assistant_id"] == made["assistant_id"]
    await client.assistants.delete(made["assistant_id"])


async def test_waiting_returns_the_final_state(client, thread):
    assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == DONE
    again = await client.runs.wait(thread, "simple", input={"foo": "y"})
    assert again == {"foo": "A", "log": ["a", "b", "a", "b"]}


async def test_waiting_does_not_depend_on_the_stream_mode(client, thread):
    assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == DONE
    body = {"assistant_id": "counter", "input": {"count": 0, "limit": 2}, "stream_mode": "updates"}
    state = await client.http.post(f"/threads/{(await client.threads.create())['thread_id']}/runs/wait", json=body)
    assert state == {"count": 2, "limit": 2}


async def test_joining_returns_the_final_state_before_and_after_the_end(client, thread, gate):
    run = await client.runs.create(thread, "waiting", input=gate.input())
    (await gate.visitor()).let_in()
    state = await client.runs.join(thread, run["run_id"])
    assert state["log"] == ["run arrives", "run passed"]
    assert await client.runs.join(thread, run["run_id"]) == state


async def test_a_run_without_input_goes_on_from_the_last_checkpoint(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_before=["b"])
    assert (await client.threads.get(thread))["status"] == "interrupted"
    assert await client.runs.wait(thread, "simple", input=None) == DONE
    assert (await client.threads.get(thread))["status"] == "idle"
    assert await client.runs.wait(thread, "simple", input=None) == DONE


async def test_a_run_without_input_on_an_empty_thread_fails(client, thread):
    answer = await client.runs.wait(thread, "simple", input=None, raise_error=False)
    assert answer["__error__"]["error"] == "EmptyInputError"
    assert (await client.runs.list(thread))[0]["status"] == "error"


async def test_a_run_may_start_from_an_older_checkpoint(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    older = (await client.threads.get_history(thread))[1]
    assert older["next"] == ["b"]
    assert await client.runs.wait(thread, "simple", input=None, checkpoint=older["checkpoint"]) == DONE
    sources = [entry["metadata"]["source"] for entry in await client.threads.get_history(thread)]
    assert sources == ["loop", "fork", "loop", "loop", "loop", "input"]

    anew = await client.runs.wait(thread, "simple", input={"foo": "y"}, checkpoint_id=older["checkpoint_id"])
    assert anew == {"foo": "A", "log": ["a", "a", "b"]}


async def test_durability_exit_leaves_one_checkpoint(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"}, durability="exit")
    history = await client.threads.get_history(thread)
    assert [(entry["metadata"]["step"], entry["values"]) for entry in history] == [(2, DONE)]


async def test_the_recursion_limit_ends_a_run(client, thread):
    answer = await client.runs.wait(
        thread, "counter", input={"count": 0, "limit": 50}, config={"recursion_limit": 3}, raise_error=False
    )
    assert answer["__error__"]["error"] == "GraphRecursionError"
    assert (await client.threads.get(thread))["values"]["count"] == 3


async def test_a_long_loop_runs_to_its_end(client, thread):
    assert await client.runs.wait(thread, "counter", input={"count": 0, "limit": 100}) == {"count": 100, "limit": 100}
    assert (await client.threads.get_state(thread))["metadata"]["step"] == 100


async def test_a_run_on_a_missing_thread_may_create_it(client, http):
    id = "00000000-0000-4000-8000-0000000000aa"
    refused = await http.post(f"/threads/{id}/runs", json={"assistant_id": "simple"})
    assert (refused.status_code, refused.json()) == (404, {"detail": "Thread or assistant not found."})
    assert await client.runs.wait(id, "simple", input={"foo": "x"}, if_not_exists="create", metadata={"m": 1}) == DONE
    thread = await client.threads.get(id)
    assert thread["metadata"] == {"graph_id": "simple", "assistant_id": thread["metadata"]["assistant_id"], "m": 1}
    await client.threads.delete(id)


async def test_a_delayed_run_waits_its_time(client, thread):
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, after_seconds=3600)
    assert (run["status"], run["kwargs"]["config"]["configurable"]["__after_seconds__"]) == ("pending", 3600)
    assert run["created_at"] > run["updated_at"]
    assert (await client.threads.get(thread))["status"] == "busy"
    # A run that is due overtakes it.
    assert await client.runs.wait(thread, "simple", input={"foo": "y"}) == DONE
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "pending"
    await client.runs.cancel(thread, run["run_id"])


async def test_a_short_delay_delays(client, thread):
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, after_seconds=1)
    await client.runs.join(thread, run["run_id"])
    after = await client.runs.get(thread, run["run_id"])
    assert after["status"] == "success" and after["updated_at"] > after["created_at"]


async def test_a_deleted_run_takes_its_checkpoints_with_it(client, http, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    first = await client.threads.get_state(thread)
    await client.runs.wait(thread, "simple", input={"foo": "y"})
    second = (await client.runs.list(thread))[0]["run_id"]
    deleted = await http.delete(f"/threads/{thread}/runs/{second}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert await client.threads.get_state(thread) == first
    assert len(await client.runs.list(thread)) == 1
    gone = await http.get(f"/threads/{thread}/runs/{second}")
    assert (gone.status_code, gone.json()) == (404, {"detail": "Not Found"})
    again = await http.delete(f"/threads/{thread}/runs/{second}")
    assert (again.status_code, again.json()) == (404, {"detail": "Run not found"})


@pytest.mark.deviates("the reference server lets the run go on and the thread busy")
async def test_deleting_a_running_run_stops_it(client, thread, gate):
    run = await client.runs.create(thread, "waiting", input=gate.input())
    visitor = await gate.visitor()
    await client.runs.delete(thread, run["run_id"])
    await visitor.gone()
    assert await client.runs.list(thread) == []
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_large_values_come_back_as_they_were_sent(client, thread):
    text = 'äöü€😀\\"\n' * 20_000
    state = await client.runs.wait(thread, "counter", input={"count": 0, "limit": 1, "unknown": text})
    assert state == {"count": 1, "limit": 1}
    chat = await client.runs.wait(None, "chat", input={"messages": [{"role": "user", "content": text, "id": "hi"}]})
    assert chat["messages"][0]["content"] == text


async def test_the_client_is_told_of_the_run_when_it_is_created(client, thread):
    told = []
    await client.runs.wait(thread, "simple", input={"foo": "x"}, on_run_created=told.append)
    assert told == [{"run_id": (await client.runs.list(thread))[0]["run_id"], "thread_id": thread}]
