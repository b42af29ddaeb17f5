"""Threads with the synchronous official client."""

from uuid import uuid4

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import ConflictError, NotFoundError

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture(scope="module")
def sync(url):
    with get_sync_client(url=url, api_key=None) as client:
        yield client


@pytest.fixture
def thread(sync) -> str:
    return sync.threads.create()["thread_id"]


def test_a_thread_is_created_changed_and_deleted(sync):
    id = str(uuid4())
    thread = sync.threads.create(thread_id=id, metadata={"a": 1}, graph_id="simple", ttl=30)
    assert (thread["thread_id"], thread["metadata"]) == (id, {"a": 1, "graph_id": "simple"})
    assert sync.threads.get(id, include=["ttl"])["ttl"]["ttl_minutes"] == 30
    assert sync.threads.create(thread_id=id, if_exists="do_nothing") == thread
    with pytest.raises(ConflictError):
        sync.threads.create(thread_id=id)
    assert sync.threads.update(id, metadata={"b": 2}, ttl={"ttl": 60})["metadata"] == thread["metadata"] | {"b": 2}
    assert sync.threads.update(id, metadata={"c": 3}, return_minimal=True) is None
    assert sync.threads.get(id, include=["ttl"])["ttl"]["ttl_minutes"] == 60
    sync.threads.delete(id)
    with pytest.raises(NotFoundError):
        sync.threads.get(id)


def test_threads_are_found_and_counted(sync):
    mark = {"mark": str(uuid4())}
    ids = [sync.threads.create(metadata=mark | {"n": n})["thread_id"] for n in range(3)]
    sync.runs.wait(ids[0], "simple", input={"foo": "x"})
    found = sync.threads.search(metadata=mark, sort_by="created_at", sort_order="asc", select=["thread_id"], limit=2)
    assert found == [{"thread_id": id} for id in ids[:2]]
    assert sync.threads.search(metadata=mark, values=DONE, select=["metadata"], extract={"last": "values.log[-1]"}) == [
        {"metadata": sync.threads.get(ids[0])["metadata"], "extracted": {"last": "b"}}
    ]
    assert [thread["thread_id"] for thread in sync.threads.search(ids=ids, metadata={"n": 2}, status="idle")] == ids[2:]
    assert sync.threads.search(metadata=mark, offset=3) == []
    assert sync.threads.count(metadata=mark) == 3
    assert sync.threads.count(metadata=mark, values={"foo": "A"}, status="idle") == 1


def test_threads_are_copied_and_pruned(sync, thread):
    sync.runs.wait(thread, "simple", input={"foo": "x"})
    copy = sync.threads.copy(thread)
    assert (copy["values"], copy["status"]) == (DONE, "idle")
    assert sync.threads.prune([thread], strategy="keep_latest") == {"pruned_count": 1}
    assert [len(sync.threads.get_history(id)) for id in (thread, copy["thread_id"])] == [1, 4]
    assert sync.threads.prune([thread, copy["thread_id"]]) == {"pruned_count": 2}
    assert sync.threads.search(ids=[thread, copy["thread_id"]]) == []


def test_a_thread_begins_with_a_state(sync):
    steps = [
        {"updates": [{"values": {"foo": "in"}, "as_node": "__start__"}]},
        {"updates": [{"values": {"log": ["seeded"]}, "as_node": "a"}]},
    ]
    thread = sync.threads.create(graph_id="simple", supersteps=steps)
    assert (thread["values"], thread["status"]) == ({"foo": "in", "log": ["seeded"]}, "interrupted")
    assert sync.runs.wait(thread["thread_id"], "simple", input=None)["log"] == ["seeded", "b"]


def test_states_are_read_changed_and_followed_back(sync, thread):
    sync.runs.wait(thread, "simple", input={"foo": "x"})
    history = sync.threads.get_history(thread)
    assert history[0] == sync.threads.get_state(thread)
    for state in history:
        assert sync.threads.get_state(thread, checkpoint=state["checkpoint"])["values"] == state["values"]
        assert sync.threads.get_state(thread, checkpoint_id=state["checkpoint_id"])["next"] == state["next"]
    assert sync.threads.get_history(thread, limit=2) == history[:2]
    assert sync.threads.get_history(thread, before=history[1]["checkpoint"]) == history[2:]
    assert sync.threads.get_history(thread, metadata={"source": "input"}) == history[-1:]
    assert sync.threads.get_history(thread, checkpoint={"checkpoint_id": history[2]["checkpoint_id"]}) == history[2:3]

    made = sync.threads.update_state(thread, {"log": ["fork"]}, as_node="a", checkpoint=history[2]["checkpoint"])
    assert sync.threads.get_state(thread)["checkpoint"] == made["checkpoint"]
    assert sync.runs.wait(thread, "simple", input=None, checkpoint=made["checkpoint"])["log"] == ["fork", "b"]
    made = sync.threads.update_state(thread, None, as_node="a", checkpoint_id=history[1]["checkpoint_id"])
    assert sync.threads.get_state(thread)["values"] == {"foo": "A", "log": ["a"]}


def test_subgraphs_are_looked_into(sync, thread):
    sync.runs.wait(thread, "deep", input={"foo": "ask"})
    outer = sync.threads.get_state(thread, subgraphs=True)
    middle = outer["tasks"][0]["state"]
    assert middle["next"] == ["bottom"]
    place = middle["checkpoint"]
    assert sync.threads.get_state(thread, checkpoint=place, subgraphs=True) == middle
    assert len(sync.threads.get_history(thread, checkpoint={"checkpoint_ns": place["checkpoint_ns"]})) == 2
