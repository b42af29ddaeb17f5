"""Copies, prunings, lifetimes and patches of threads through the official client."""

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError
from support.names import NOBODY

QUESTION = {"question": "ok?"}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create(metadata={"mark": "original"}))["thread_id"]


@pytest.fixture
async def stopped(client, thread) -> str:
    """A thread whose graph asks."""
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    return thread


async def test_a_copy_of_a_question_can_be_answered(client, stopped):
    copy = await client.threads.copy(stopped)
    original = await client.threads.get(stopped)
    assert copy["thread_id"] != stopped
    for key in ("status", "values", "interrupts", "metadata"):
        assert (key, copy[key]) == (key, original[key])
    assert copy["status"] == "interrupted"
    state = await client.runs.wait(copy["thread_id"], "approval", command={"resume": "copy"})
    assert state == {"foo": "x", "log": ["before", "answer: 'copy'"]}
    # The other still waits for its own answer.
    assert await client.threads.get(stopped) == original
    state = await client.runs.wait(stopped, "approval", command={"resume": "original"})
    assert state == {"foo": "x", "log": ["before", "answer: 'original'"]}


async def test_a_copy_is_forked_at_any_checkpoint_of_the_original(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    past = (await client.threads.get_history(thread))[1]
    copy = (await client.threads.copy(thread))["thread_id"]
    state = await client.runs.wait(copy, "simple", input={"foo": "y"}, checkpoint_id=past["checkpoint_id"])
    assert state["log"] == ["a", "a", "b"]
    assert len(await client.threads.get_history(thread)) == 4


async def test_a_copy_has_the_subgraphs_too(client, thread):
    await client.runs.wait(thread, "deep", input={"foo": "ask"})
    copy = (await client.threads.copy(thread))["thread_id"]
    tasks = (await client.threads.get_state(copy, subgraphs=True))["tasks"]
    inner = tasks[0]["state"]["tasks"][0]["state"]
    assert (inner["next"], inner["checkpoint"]["thread_id"]) == (["dig"], copy)
    assert await client.runs.wait(copy, "deep", command={"resume": "gold"}) == {"foo": "ask", "found": "gold"}


async def test_a_copy_of_a_thread_at_work_goes_on_by_itself(client, thread, gate):
    run = await client.runs.create(thread, "waiting", input=gate.input(), durability="sync")
    visitor = await gate.visitor()
    copy = (await client.threads.copy(thread))["thread_id"]
    assert await client.runs.list(copy) == []
    assert (await client.threads.get_state(copy))["next"] == ["gate"]
    going_on = await client.runs.create(copy, "waiting", input=None)
    (await gate.visitor()).let_in("copied")
    state = await client.runs.join(copy, going_on["run_id"])
    assert state["log"] == ["run arrives", "run copied"]
    visitor.let_in()
    assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run passed"]


async def test_a_copy_of_a_thread_at_work_shows_the_state_that_it_has(client, thread, gate):
    await client.runs.create(thread, "waiting", input=gate.input(), durability="sync")
    await gate.visitor()
    copy = await client.threads.copy(thread)
    state = await client.threads.get_state(copy["thread_id"])
    assert (copy["status"], copy["values"]) == ("interrupted", state["values"])


async def test_a_copy_of_a_fresh_thread_is_fresh(client, thread):
    copy = await client.threads.copy(thread)
    assert (copy["status"], copy["values"], copy["metadata"]) == ("idle", None, {"mark": "original"})
    assert await client.threads.get_history(copy["thread_id"]) == []


async def test_nothing_cannot_be_copied(client, http):
    with pytest.raises(ConflictError) as refusal:
        await client.threads.copy(NOBODY)
    assert refusal.value.body == {"detail": "Conflict"}


@pytest.mark.deviates("the reference server answers 400 with a text of its parser")
async def test_what_is_no_id_cannot_be_copied(http):
    answer = await http.post("/threads/x/copy")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid thread ID: must be a UUID"})


@pytest.mark.deviates("the reference server's development edition does not know `keep_latest`")
async def test_a_pruned_question_can_be_answered(client, stopped):
    before = await client.threads.get(stopped)
    assert await client.threads.prune([stopped], strategy="keep_latest") == {"pruned_count": 1}
    assert await client.threads.get(stopped) == before
    (left,) = await client.threads.get_history(stopped)
    assert [each["value"] for each in left["interrupts"]] == [QUESTION]
    state = await client.runs.wait(stopped, "approval", command={"resume": 1})
    assert state == {"foo": "x", "log": ["before", "answer: 1"]}


@pytest.mark.deviates("the reference server's development edition does not know `keep_latest`")
async def test_the_latest_of_every_subgraph_is_kept(client, thread):
    await client.runs.wait(thread, "deep", input={"foo": "ask"})
    state = await client.threads.get_state(thread, subgraphs=True)
    await client.threads.prune([thread], strategy="keep_latest")
    assert await client.threads.get_state(thread, subgraphs=True) == state
    middle = (await client.threads.get_state(thread))["tasks"][0]["checkpoint"]
    assert len(await client.threads.get_history(thread, checkpoint=middle)) == 1
    assert await client.runs.wait(thread, "deep", command={"resume": "gold"}) == {"foo": "ask", "found": "gold"}


async def test_several_threads_are_pruned_at_once(client, http):
    ids = [(await client.threads.create())["thread_id"] for _ in range(3)]
    await client.runs.wait(ids[0], "simple", input={"foo": "x"})
    assert await client.threads.prune([*ids[:2], NOBODY], strategy="delete") == {"pruned_count": 2}
    assert await client.threads.search(ids=ids, select=["thread_id"]) == [{"thread_id": ids[2]}]
    for id in ids[:2]:
        with pytest.raises(NotFoundError):
            await client.threads.get_state(id)


@pytest.mark.parametrize("body", [{}, {"thread_ids": ["x"]}, {"thread_ids": "x"}, {"thread_ids": [], "strategy": "x"}])
async def test_prunings_that_are_refused(http, body):
    assert (await http.post("/threads/prune", json=body)).status_code == 422


@pytest.mark.parametrize(
    ("ttl", "strategy"),
    [(90, "delete"), ({"ttl": 90}, "delete"), ({"ttl": 90, "strategy": "keep_latest"}, "keep_latest")],
)
async def test_a_lifetime_is_given_in_several_ways(client, ttl, strategy):
    for id in (
        (await client.threads.create(ttl=ttl))["thread_id"],
        (await client.threads.update((await client.threads.create())["thread_id"], metadata={}, ttl=ttl))["thread_id"],
    ):
        shown = (await client.threads.get(id, include=["ttl", "unknown"]))["ttl"]
        assert set(shown) == {"strategy", "ttl_minutes", "expires_at"}
        assert (shown["strategy"], shown["ttl_minutes"]) == (strategy, 90)


async def test_a_patch_may_answer_nothing(client, thread):
    before = await client.threads.get(thread)
    assert await client.threads.update(thread, metadata={"mark": None, "new": []}, return_minimal=True) is None
    after = await client.threads.get(thread)
    assert after["metadata"] == {"mark": None, "new": []}
    assert after == before | {"metadata": after["metadata"], "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]


async def test_a_patch_of_nothing_counts_as_a_change(client, http, thread):
    before = await client.threads.get(thread)
    after = (await http.patch(f"/threads/{thread}", json={})).json()
    assert after == before | {"updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]


async def test_reserved_metadata_is_dropped(client):
    reserved = dict.fromkeys(
        ["thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"], "reserved"
    )
    assert (await client.threads.create(metadata=reserved | {"mine": 1}))["metadata"] == {"mine": 1}


async def test_a_thread_that_exists_is_returned_as_it_is(client, stopped):
    before = await client.threads.get(stopped)
    again = await client.threads.create(
        thread_id=stopped,
        if_exists="do_nothing",
        metadata={"mark": "other"},
        graph_id="simple",
        supersteps=[],
        ttl=5,
    )
    assert again == before
    assert "ttl" not in await client.threads.get(stopped, include=["ttl"])
    with pytest.raises(ConflictError):
        await client.threads.create(thread_id=stopped, if_exists="raise")
    assert await client.threads.get(stopped) == before
