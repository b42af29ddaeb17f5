"""The synchronous official client, once through everything that it has in common with the other."""

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import NotFoundError

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
def sync(url):
    with get_sync_client(url=url, api_key=None) as client:
        yield client


def test_a_conversation_from_thread_to_deletion(sync, names):
    thread = sync.threads.create(metadata={"sync": True})
    id = thread["thread_id"]
    parts = [
        (names(part.event), names(part.data))
        for part in sync.runs.stream(id, "simple", input={"foo": "x"}, stream_mode=["updates", "values"])
    ]
    assert parts == [
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("values", {"foo": "x", "log": []}),
        ("updates", {"a": {"foo": "A", "log": ["a"]}}),
        ("values", {"foo": "A", "log": ["a"]}),
        ("updates", {"b": {"log": ["b"]}}),
        ("values", DONE),
    ]
    assert sync.threads.get_state(id)["values"] == DONE
    assert len(sync.threads.get_history(id)) == 4
    sync.runs.wait(id, "simple", input={"foo": "x"})
    assert [run["status"] for run in sync.runs.list(id)] == ["success", "success"]
    sync.threads.delete(id)
    with pytest.raises(NotFoundError):
        sync.threads.get(id)


def test_an_interrupt_is_answered(sync):
    id = sync.threads.create()["thread_id"]
    assert sync.runs.wait(id, "approval", input={"foo": "x"})["__interrupt__"][0]["value"] == {"question": "ok?"}
    assert sync.runs.wait(id, "approval", command={"resume": "yes"}) == {"foo": "x", "log": ["before", "answer: 'yes'"]}


def test_a_failure_is_raised(sync):
    with pytest.raises(Exception, match="^ValueError: bad value$"):
        sync.runs.wait(None, "errors", input={"kind": "value"})


def test_a_background_run_is_joined(sync):
    id = sync.threads.create()["thread_id"]
    run = sync.runs.create(id, "simple", input={"foo": "x"}, stream_resumable=True)
    assert sync.runs.join(id, run["run_id"]) == DONE
    replayed = [part.event for part in sync.runs.join_stream(id, run["run_id"], last_event_id="-1")]
    assert replayed == ["metadata", "values", "values", "values"]
