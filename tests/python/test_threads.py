"""Threads: create, read, change, find, delete."""

from uuid import UUID, uuid4

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError
from support.names import NOBODY

FRESH = {
    "thread_id": "<thread 1>",
    "created_at": "<time>",
    "updated_at": "<time>",
    "state_updated_at": "<time>",
    "metadata": {},
    "status": "idle",
    "config": {},
    "values": None,
}


@pytest.fixture
def mark() -> dict:
    """Metadata that tells this test's threads from all others."""
    return {"mark": str(uuid4())}


async def test_a_fresh_thread_is_idle_and_has_no_values(client, names):
    created = await client.threads.create()
    shown = names(created)
    shown.pop("interrupts", None)  # The reference server leaves it out until there were some.
    assert shown == FRESH
    assert UUID(created["thread_id"]).version == 7
    assert await client.threads.get(created["thread_id"]) == created


async def test_a_thread_keeps_the_metadata_and_id_of_the_client(client):
    id = str(uuid4())
    metadata = {"user": {"name": "äöü €", "tags": ["a", "b"]}, "n": 1.5, "none": None}
    reserved = {"run_id": "dropped", "thread_id": "dropped"}
    created = await client.threads.create(thread_id=id, metadata=metadata | reserved)
    assert (created["thread_id"], created["metadata"]) == (id, metadata)
    assert (await client.threads.create(graph_id="simple"))["metadata"] == {"graph_id": "simple"}


async def test_a_zero_character_is_replaced(http):
    created = await http.post("/threads", content=rb'{"metadata":{"zero":"a\u0000b"}}')
    assert created.json()["metadata"] == {"zero": "a\ufffdb"}
    read = await http.get(f"/threads/{created.json()['thread_id']}")
    assert read.json() == created.json()


async def test_an_id_can_be_taken_only_once(client):
    created = await client.threads.create(metadata={"first": True})
    id = created["thread_id"]
    with pytest.raises(ConflictError) as refusal:
        await client.threads.create(thread_id=id)
    assert refusal.value.body == {"detail": f"Thread with ID {id} already exists"}
    assert await client.threads.create(thread_id=id, if_exists="do_nothing", metadata={"second": True}) == created


async def test_an_id_may_be_written_in_any_form(http):
    id = str(uuid4())
    created = await http.post("/threads", json={"thread_id": id.upper()})
    assert created.json()["thread_id"] == id
    for form in (id.upper(), id.replace("-", "")):
        assert (await http.get(f"/threads/{form}")).json() == created.json()


async def test_update_merges_metadata_by_its_top_level_keys(client, http):
    created = await client.threads.create(metadata={"a": 1, "deep": {"x": 1}})
    id = created["thread_id"]
    updated = await client.threads.update(id, metadata={"b": 2, "deep": {"y": 2}})
    assert updated["metadata"] == {"a": 1, "b": 2, "deep": {"y": 2}}
    assert updated["updated_at"] > created["updated_at"]
    assert updated["state_updated_at"] == created["state_updated_at"]
    assert await client.threads.get(id) == updated

    minimal = await http.patch(f"/threads/{id}", json={"metadata": {"c": 3}}, headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (204, b"")
    assert (await client.threads.get(id))["metadata"] == {"a": 1, "b": 2, "c": 3, "deep": {"y": 2}}


async def test_a_deleted_thread_is_gone_with_its_runs(client, http):
    thread = await client.threads.create()
    id = thread["thread_id"]
    await client.runs.wait(id, "simple", input={"foo": "x"})
    run = (await client.runs.list(id))[0]
    await client.threads.delete(id)
    gone = {"detail": f"Thread with ID {id} not found"}
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/state"),
        ("GET", "/history"),
        ("GET", "/runs"),
        ("GET", f"/runs/{run['run_id']}"),
    ]:
        answer = await http.request(method, f"/threads/{id}{path}")
        assert (method, path, answer.status_code, answer.json()) == (method, path, 404, gone)
    with pytest.raises(NotFoundError):
        await client.threads.get(id)


@pytest.mark.deviates("the reference server lets the run go on")
async def test_a_deleted_thread_stops_its_run(client, gate):
    thread = await client.threads.create()
    await client.runs.create(thread["thread_id"], "waiting", input=gate.input())
    visitor = await gate.visitor()
    await client.threads.delete(thread["thread_id"])
    await visitor.gone()


async def test_a_thread_shows_the_outcome_of_its_last_run(client, names):
    thread = await client.threads.create()
    await client.runs.wait(thread["thread_id"], "simple", input={"foo": "x"})
    after = await client.threads.get(thread["thread_id"])
    assert names(after) == FRESH | {
        "config": {"configurable": {}},
        "metadata": {"graph_id": "simple", "assistant_id": "<assistant simple>"},
        "values": {"foo": "A", "log": ["a", "b"]},
        "interrupts": {},
        "error": None,
    }
    assert after["updated_at"] > thread["updated_at"] and after["state_updated_at"] > thread["state_updated_at"]


async def test_a_thread_is_busy_while_it_has_a_run(client, gate):
    id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(id, "waiting", input=gate.input())
    visitor = await gate.visitor()
    assert (await client.threads.get(id))["status"] == "busy"
    visitor.let_in()
    await client.runs.join(id, run["run_id"])
    assert (await client.threads.get(id))["status"] == "idle"


@pytest.fixture
def found(client, mark):
    """Ids of this test's threads that a search finds."""

    async def search(**filter) -> list[str]:
        return [thread["thread_id"] for thread in await client.threads.search(metadata=mark, **filter)]

    return search


class TestSearchFindsThreads:
    async def test_by_metadata_containment(self, client, mark):
        one = await client.threads.create(metadata=mark | {"deep": {"a": 1, "b": 2}, "tags": ["x"]})
        two = await client.threads.create(metadata=mark | {"deep": {"a": 1}, "tags": ["y"]})

        async def found(metadata: dict) -> set[str]:
            return {thread["thread_id"] for thread in await client.threads.search(metadata=mark | metadata)}

        assert await found({}) == {one["thread_id"], two["thread_id"]}
        assert await found({"deep": {"a": 1}}) == {one["thread_id"], two["thread_id"]}
        assert await found({"deep": {"b": 2}}) == {one["thread_id"]}
        assert await found({"tags": ["y"]}) == {two["thread_id"]}
        assert await found({"deep": {"a": "1"}}) == set()

    @pytest.mark.deviates("the reference server compares arrays as a whole")
    async def test_by_members_of_an_array(self, client, mark):
        one = await client.threads.create(metadata=mark | {"tags": ["x", "y"]})
        assert await client.threads.search(metadata=mark | {"tags": ["y"]}) == [one]
        assert await client.threads.search(metadata=mark | {"tags": ["y", "z"]}) == []

    async def test_by_status(self, client, mark, found, gate):
        idle = await client.threads.create(metadata=mark)
        busy = await client.threads.create(metadata=mark)
        failed = await client.threads.create(metadata=mark)
        stopped = await client.threads.create(metadata=mark)
        await client.runs.create(busy["thread_id"], "waiting", input=gate.input())
        await gate.visitor()
        await client.runs.wait(failed["thread_id"], "errors", input={"kind": "value"}, raise_error=False)
        await client.runs.wait(stopped["thread_id"], "approval", input={"foo": "x"})
        assert await found(status="idle") == [idle["thread_id"]]
        assert await found(status="busy") == [busy["thread_id"]]
        assert await found(status="error") == [failed["thread_id"]]
        assert await found(status="interrupted") == [stopped["thread_id"]]
        assert await client.threads.count(metadata=mark) == 4
        assert await client.threads.count(metadata=mark, status="error") == 1

    @pytest.mark.deviates("the reference server answers 500 when a thread without values is there")
    async def test_by_values(self, client, mark, found):
        await client.threads.create(metadata=mark)
        thread = await client.threads.create(metadata=mark)
        await client.runs.wait(thread["thread_id"], "simple", input={"foo": "x"})
        assert await found(values={"foo": "A"}) == [thread["thread_id"]]
        assert await found(values={"foo": "B"}) == []
        assert await client.threads.count(metadata=mark, values={"foo": "A"}) == 1

    async def test_by_ids(self, client, http, mark, found):
        threads = [await client.threads.create(metadata=mark) for _ in range(3)]
        ids = [thread["thread_id"] for thread in threads]
        assert await found(ids=ids[:2]) == [ids[1], ids[0]]
        assert await found(ids=[ids[0], NOBODY]) == [ids[0]]
        refused = await http.post("/threads/search", json={"ids": ["x"]})
        assert (refused.status_code, refused.json()) == (400, {"detail": "Invalid thread ID x"})

    async def test_newest_change_first_unless_sorted(self, client, mark, found):
        ids = [(await client.threads.create(metadata=mark))["thread_id"] for _ in range(3)]
        await client.threads.update(ids[0], metadata={"changed": True})
        assert await found() == [ids[0], ids[2], ids[1]]
        assert await found(sort_by="created_at") == [ids[2], ids[1], ids[0]]
        assert await found(sort_by="created_at", sort_order="asc") == ids
        assert await found(sort_by="updated_at", sort_order="asc") == [ids[1], ids[2], ids[0]]
        assert await found(sort_by="thread_id", sort_order="asc") == sorted(ids)
        await client.runs.wait(ids[1], "approval", input={"foo": "x"})
        assert (await found(sort_by="status", sort_order="desc"))[0] == ids[1]
        assert (await found(sort_by="state_updated_at"))[0] == ids[1]

    async def test_selected_fields_only(self, client, mark):
        await client.threads.create(metadata=mark)
        selected = await client.threads.search(metadata=mark, select=["status", "values"])
        assert selected == [{"status": "idle", "values": None}]

    async def test_in_pages(self, client, http, mark):
        ids = [(await client.threads.create(metadata=mark))["thread_id"] for _ in range(3)]
        body = {"metadata": mark, "sort_by": "created_at", "sort_order": "asc", "select": ["thread_id"], "limit": 2}

        first = await http.post("/threads/search", json=body)
        assert first.json() == [{"thread_id": id} for id in ids[:2]]
        assert (first.headers["x-pagination-next"], first.headers["x-pagination-total"]) == ("2", "3")

        last = await http.post("/threads/search", json=body | {"offset": 2})
        assert last.json() == [{"thread_id": ids[2]}]
        assert last.headers["x-pagination-total"] == "3" and "x-pagination-next" not in last.headers

        past = await http.post("/threads/search", json=body | {"offset": 50})
        assert (past.json(), past.headers["x-pagination-total"]) == ([], "50")

    async def test_ten_at_a_time_by_default(self, client, mark):
        for _ in range(11):
            await client.threads.create(metadata=mark)
        assert len(await client.threads.search(metadata=mark)) == 10
        assert len(await client.threads.search(metadata=mark, limit=11)) == 11
        assert await client.threads.count(metadata=mark) == 11
