"""Search and count of threads: every filter, order and selection, and values picked out."""

from itertools import pairwise
from uuid import uuid4

import pytest

SELECTABLE = [
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "status",
    "values",
    "interrupts",
]
ORDERS = ["thread_id", "status", "created_at", "updated_at", "state_updated_at"]


@pytest.fixture(scope="module")
def mark() -> dict:
    """Metadata that tells this file's threads from all others."""
    return {"mark": str(uuid4())}


@pytest.fixture(scope="module")
async def threads(client, mark) -> dict[str, dict]:
    """Threads with different fates, by name."""
    config = {"configurable": {"colour": "red"}, "tags": ["t"]}
    fates = {
        "fresh": None,
        "done": ("simple", {"foo": "x"}),
        "again": ("simple", {"foo": "y"}),
        "asks": ("approval", {"foo": "x"}),
        "failed": ("errors", {"kind": "value"}),
    }
    ids = {}
    for number, (name, fate) in enumerate(fates.items()):
        metadata = mark | {"name": name, "number": number, "deep": {"list": [1, {"two": [2, 3]}]}}
        ids[name] = (await client.threads.create(metadata=metadata))["thread_id"]
        if fate:
            await client.runs.wait(ids[name], fate[0], input=fate[1], config=config, raise_error=False)
    return {name: await client.threads.get(id) for name, id in ids.items()}


@pytest.fixture
def found(client, mark, threads):
    """Names of the threads that a search finds; a count has to agree."""

    async def search(*, metadata: dict | None = None, **filter) -> list[str]:
        metadata = mark | (metadata or {})
        answer = await client.threads.search(metadata=metadata, **filter)
        if set(filter) <= {"values", "status"}:
            assert await client.threads.count(metadata=metadata, **filter) == len(answer)
        return [thread["metadata"]["name"] for thread in answer]

    return search


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({}, {"fresh", "done", "again", "asks", "failed"}),
        ({"metadata": {"number": 2}}, {"again"}),
        ({"metadata": {"number": "2"}}, set()),
        ({"metadata": {"graph_id": "simple"}}, {"done", "again"}),
        ({"metadata": {"deep": {"list": [1, {"two": [2, 3]}]}, "name": "asks"}}, {"asks"}),
        ({"metadata": {"deep": {}}, "status": "error"}, {"failed"}),
        ({"metadata": {"unknown": None}}, set()),
        ({"status": "interrupted"}, {"asks"}),
        ({"status": "busy"}, set()),
        ({"status": "idle", "metadata": {"graph_id": "simple"}}, {"done", "again"}),
    ],
)
async def test_threads_are_found_by_metadata_and_status(found, filter, names):
    assert set(await found(**filter)) == names


@pytest.mark.deviates("the reference server answers 500 when a thread without values is there")
@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({"values": {"foo": "A"}}, {"done", "again"}),
        ({"values": {"foo": "A"}, "metadata": {"number": 1}}, {"done"}),
        ({"values": {"foo": "A"}, "status": "error"}, set()),
        ({"values": {"log": ["before"]}}, {"asks", "failed"}),
        ({"values": {"log": ["before"]}, "status": "interrupted"}, {"asks"}),
        ({"values": {"kind": "value"}}, {"failed"}),
        ({"values": {"kind": 5}}, set()),
    ],
)
async def test_threads_are_found_by_values(found, filter, names):
    assert set(await found(**filter)) == names


async def test_ids_restrict_what_other_filters_find(found, threads):
    ids = [threads[name]["thread_id"] for name in ("done", "asks")]
    assert set(await found(ids=ids)) == {"done", "asks"}
    assert await found(ids=ids, status="interrupted") == ["asks"]
    assert await found(ids=ids, metadata={"number": 2}) == []
    assert len(await found(ids=[])) == 5


@pytest.mark.parametrize("by", ORDERS)
async def test_every_order_has_two_directions_and_pages(found, threads, by):
    rising = await found(sort_by=by, sort_order="asc")
    keys = [threads[name][by] for name in rising]
    if by == "status":
        # Only which are equal is certain: the wire does not say how statuses are ordered.
        assert sum(one != two for one, two in pairwise(keys)) == 2
    else:
        assert keys == sorted(keys)
        assert await found(sort_by=by, sort_order="desc") == rising[::-1]
    assert await found(sort_by=by) == await found(sort_by=by, sort_order="desc")
    pages = [await found(sort_by=by, sort_order="asc", limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert pages == [rising[:2], rising[2:4], rising[4:], []]


async def test_the_newest_change_comes_first(found, threads):
    by_change = sorted(threads, key=lambda name: threads[name]["updated_at"], reverse=True)
    assert await found() == by_change
    # A direction alone is no order.
    assert await found(sort_order="asc") in (by_change, by_change[::-1])


@pytest.mark.parametrize("field", SELECTABLE)
async def test_each_field_can_be_had_alone(client, mark, threads, field):
    for name in ("fresh", "asks"):
        selected = await client.threads.search(metadata=mark | {"name": name}, select=[field])
        assert selected == [{field: threads[name][field]}]


async def test_all_fields_can_be_had_together(client, mark, threads):
    selected = await client.threads.search(metadata=mark | {"name": "asks"}, select=SELECTABLE)
    assert selected == [{field: threads["asks"][field] for field in SELECTABLE}]


@pytest.mark.parametrize("field", ["error", "ttl", "extracted", "bogus"])
async def test_what_is_no_field_cannot_be_had(http, field):
    answer = await http.post("/threads/search", json={"select": [field]})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f'"{field}" is not one of ')


PATHS = {
    "metadata.name": "asks",
    "metadata.deep.list[1].two[0]": 2,
    "metadata.deep.list[1].two[-1]": 3,
    "metadata.deep.list[-2]": 1,
    "metadata.deep.list[7]": None,
    "metadata.deep.list[-7]": None,
    "metadata.deep.list.two": None,
    "metadata.unknown.name": None,
    "metadata._private": None,
    "values.foo": "x",
    "values.log[0]": "before",
    "values.log": ["before"],
    "config.tags[0]": "t",
}


async def test_values_are_picked_out_by_their_paths(client, mark, threads):
    aliases = {f"p{number}": path for number, path in enumerate(PATHS)}
    picked = {}
    for start in (0, 10):
        extract = dict(list(aliases.items())[start : start + 10])
        (thread,) = await client.threads.search(metadata=mark | {"name": "asks"}, extract=extract)
        assert {key: value for key, value in thread.items() if key != "extracted"} == threads["asks"]
        picked |= {aliases[alias]: value for alias, value in thread["extracted"].items()}
    assert picked == PATHS


async def test_a_question_is_picked_out(client, mark, threads):
    ((task, (question,)),) = threads["asks"]["interrupts"].items()
    extract = {"question": f"interrupts.{task}[0].value.question"}
    found = await client.threads.search(metadata=mark | {"name": "asks"}, select=["status"], extract=extract)
    assert found == [{"status": "interrupted", "extracted": {"question": question["value"]["question"]}}]


async def test_of_threads_without_values_nothing_is_picked(client, mark, threads):
    found = await client.threads.search(
        metadata=mark | {"name": "fresh"}, select=["thread_id"], extract={"foo": "values.foo"}
    )
    assert found == [{"thread_id": threads["fresh"]["thread_id"], "extracted": {"foo": None}}]


@pytest.mark.parametrize(
    "extract",
    [{f"a{n}": "values.a" for n in range(11)}, {"1a": "values.a"}, {"a-b": "values.a"}, {"": "values.a"}, {"a": 5}],
)
async def test_extracts_that_are_refused(http, extract):
    assert (await http.post("/threads/search", json={"extract": extract})).status_code == 422


async def test_pages_are_numbered_in_headers(http, mark, threads):
    async def page(limit: int, offset: int) -> tuple:
        body = {"metadata": mark, "select": ["status"], "limit": limit, "offset": offset}
        answer = await http.post("/threads/search", json=body)
        headers = answer.headers
        return len(answer.json()), headers.get("x-pagination-next"), headers["x-pagination-total"]

    assert await page(1, 0) == (1, "1", "2")
    assert await page(3, 1) == (3, "4", "5")
    assert await page(3, 2) == (3, None, "5")
    assert await page(5, 0) == (5, None, "5")
    assert await page(1000, 4) == (1, None, "5")


@pytest.mark.parametrize("body", [{"limit": -1}, {"limit": "5"}, {"offset": -1}, {"sort_by": "values"}, {"status": ""}])
async def test_searches_that_are_refused(http, body):
    assert (await http.post("/threads/search", json=body)).status_code == 422


async def test_a_count_is_a_bare_number(http, mark, threads):
    answer = await http.post("/threads/count", json={"metadata": mark})
    assert (answer.status_code, answer.text) == (200, "5")
    assert (await http.post("/threads/count", json={"metadata": {"mark": "nobody's"}})).text == "0"
    assert (await http.post("/threads/count", json={"status": "bogus"})).status_code == 422
