"""Lists of a thread's runs: selections, pages and statuses."""

import pytest
from langgraph_sdk.errors import NotFoundError
from support.names import NOBODY

SELECTABLE = [
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "status",
    "metadata",
    "kwargs",
    "multitask_strategy",
    "langsmith_session_name",
]


@pytest.fixture(scope="module")
async def thread(client) -> str:
    """A thread with runs that ended in several ways, and one that has not begun."""
    id = (await client.threads.create())["thread_id"]
    await client.runs.wait(id, "simple", input={"foo": "x"}, metadata={"n": 0})
    await client.runs.wait(id, "errors", input={"kind": "value"}, metadata={"n": 1}, raise_error=False)
    await client.runs.wait(id, "approval", input={"foo": "x"}, metadata={"n": 2})
    run = await client.runs.create(id, "simple", input={"foo": "x"}, metadata={"n": 3}, after_seconds=7200)
    await client.runs.cancel(id, run["run_id"])
    await client.runs.create(id, "simple", input={"foo": "x"}, metadata={"n": 4}, after_seconds=10800)
    return id


async def numbers(client, thread: str, **filter) -> list[int]:
    return [run["metadata"]["n"] for run in await client.runs.list(thread, **filter)]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("pending", [4]),
        ("interrupted", [3]),
        ("success", [2, 0]),
        ("error", [1]),
        ("running", []),
        ("timeout", []),
    ],
)
async def test_runs_are_found_by_status(client, thread, status, found):
    assert await numbers(client, thread, status=status) == found


async def test_runs_come_in_pages(client, thread):
    assert await numbers(client, thread) == [4, 3, 2, 1, 0]
    pages = [await numbers(client, thread, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert pages == [[4, 3], [2, 1], [0], []]
    assert await numbers(client, thread, status="success", limit=1, offset=1) == [0]


async def test_ten_runs_come_unless_a_limit_is_given(client):
    id = (await client.threads.create())["thread_id"]
    for _ in range(11):
        await client.runs.create(id, "simple", after_seconds=7200)
    assert len(await client.runs.list(id)) == 10
    assert len(await client.runs.list(id, limit=11)) == 11
    await client.threads.delete(id)


async def test_each_field_can_be_had_alone(client, thread):
    (run,) = await client.runs.list(thread, status="error")
    assert set(run) == set(SELECTABLE)
    for field in SELECTABLE:
        assert await client.runs.list(thread, status="error", select=[field]) == [{field: run[field]}]
    assert await client.runs.list(thread, status="error", select=SELECTABLE) == [run]


async def test_a_list_shows_runs_as_they_are_alone(client, thread):
    for run in await client.runs.list(thread):
        assert await client.runs.get(thread, run["run_id"]) == run


async def test_what_is_refused(client, http, thread):
    path = f"/threads/{thread}/runs"
    assert (await http.get(path, params={"status": "bogus"})).json() == []
    for params in ({"limit": "x"}, {"offset": "x"}, {"select": ["run_id", "bogus"]}):
        assert (await http.get(path, params=params)).status_code == 422
    with pytest.raises(NotFoundError) as refusal:
        await client.runs.list(NOBODY)
    assert refusal.value.body == {"detail": f"Thread with ID {NOBODY} not found"}


async def test_a_run_is_found_on_its_own_thread_alone(client, http, thread):
    other = (await client.threads.create())["thread_id"]
    run = (await client.runs.list(thread, limit=1))[0]["run_id"]
    for method, path in (("GET", ""), ("GET", "/join"), ("GET", "/stream"), ("DELETE", ""), ("POST", "/cancel")):
        answer = await http.request(method, f"/threads/{other}/runs/{run}{path}")
        assert (method, path, answer.status_code) == (method, path, 404)
    assert (await client.runs.get(thread, run))["status"] == "pending"
