"""The store over HTTP, with the official client and without."""

import asyncio
from datetime import datetime
from uuid import uuid4

import pytest
from langgraph_sdk import get_sync_client


@pytest.fixture
def root() -> str:
    """A label that nobody else uses: all tests share one store."""
    return f"test-{uuid4()}"


def shown(items: list[dict]) -> list[str]:
    """Items as `namespace/key` below the root."""
    return [f"{'.'.join(item['namespace'][1:])}/{item['key']}" for item in items]


async def search(http, root: str, **body) -> list[dict]:
    answer = await http.post("/store/items/search", json={"namespace_prefix": [root], **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_item_is_put_read_replaced_and_deleted(client, http, root):
    await client.store.put_item([root, "n"], "k", {"z": 1, "a": {"y": [1, 2], "b": None}})
    item = await client.store.get_item([root, "n"], "k")
    created, updated = item.pop("created_at"), item.pop("updated_at")
    assert item == {"namespace": [root, "n"], "key": "k", "value": {"z": 1, "a": {"y": [1, 2], "b": None}}}
    assert created == updated and datetime.fromisoformat(created).tzinfo is not None
    await client.store.put_item([root, "n"], "k", {"other": "é\u0001"})
    again = await client.store.get_item([root, "n"], "k")
    assert again["value"] == {"other": "é\u0001"}
    assert again["created_at"] == created and again["updated_at"] > updated
    await client.store.delete_item([root, "n"], "k")
    assert await client.store.get_item([root, "n"], "k") is None
    await client.store.delete_item([root, "n"], "k")
    answer = await http.get("/store/items", params={"namespace": f"{root}.n", "key": "k"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"null", "application/json")


def test_the_synchronous_client_does_the_same(url, root):
    with get_sync_client(url=url, api_key=None) as client:
        client.store.put_item([root, "n"], "k", {"a": 1}, index=False, ttl=5)
        assert client.store.get_item([root, "n"], "k", refresh_ttl=True)["value"] == {"a": 1}
        found = client.store.search_items([root], filter={"a": 1}, limit=1, offset=0, refresh_ttl=False)
        assert shown(found["items"]) == ["n/k"]
        assert client.store.list_namespaces(prefix=[root]) == {"namespaces": [[root, "n"]]}
        client.store.delete_item([root, "n"], "k")
        assert client.store.search_items([root]) == {"items": []}


async def test_a_value_comes_back_byte_for_byte(http, root):
    value = '{"b":1.0, "a":1e2,"big":123456789012345678901234567890,"odd":"\\ud800","b":{"z":[],"a":{}}}'
    body = f'{{"namespace":["{root}"],"key":"k","value":{value}}}'
    answer = await http.put("/store/items", content=body)
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await http.get("/store/items", params={"namespace": root, "key": "k"})
    assert f'"value":{value}}}' in answer.text
    answer = await http.post("/store/items/search", json={"namespace_prefix": [root]})
    assert f'"value":{value}}}' in answer.text
    # No program can read it, so that no filter finds it; the others are found.
    await http.put("/store/items", json={"namespace": [root], "key": "plain", "value": {"a": 100}})
    assert shown(await search(http, root, filter={"a": 100})) == ["/plain"]


@pytest.mark.parametrize(
    ("namespace", "status", "detail"),
    [
        ([], 400, "Namespace cannot be empty."),
        ([""], 422, "Namespace label '' must be a non-empty string without periods"),
        (["a", "b.c"], 422, "Namespace label 'b.c' must be a non-empty string without periods"),
        (["langgraph"], 400, "Root label for namespace cannot be \"langgraph\". Got: ('langgraph',)"),
        (["langgraph", "it's"], 400, "Root label for namespace cannot be \"langgraph\". Got: ('langgraph', \"it's\")"),
    ],
)
async def test_a_namespace_that_is_none_is_refused(http, namespace, status, detail):
    answer = await http.put("/store/items", json={"namespace": namespace, "key": "k", "value": {}})
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    if status == 422:
        for method, path, body in [
            ("DELETE", "/store/items", {"namespace": namespace, "key": "k"}),
            ("POST", "/store/items/search", {"namespace_prefix": namespace}),
            ("POST", "/store/namespaces", {"prefix": namespace}),
            ("POST", "/store/namespaces", {"suffix": namespace}),
        ]:
            answer = await http.request(method, path, json=body)
            assert (answer.status_code, answer.json()) == (422, {"detail": detail}), (method, path)
    else:
        answer = await http.request("DELETE", "/store/items", json={"namespace": namespace, "key": "k"})
        assert (answer.status_code, answer.content) == (204, b"")


async def test_langgraph_is_reserved_as_the_root_only(client, root):
    await client.store.put_item([root, "langgraph"], "langgraph", {})
    assert (await client.store.get_item([root, "langgraph"], "langgraph"))["value"] == {}


@pytest.mark.parametrize("query", ["namespace=a", "namespace=a&key="])
async def test_a_get_without_key_is_refused(http, query):
    answer = await http.get(f"/store/items?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": "Key is required"})


@pytest.mark.parametrize(
    "query", ["", "key=", "key=k", "namespace=&key=k", "namespace=a..b&key=k", "namespace=a.&key=k"]
)
async def test_a_get_with_an_empty_label_is_refused(http, query):
    answer = await http.get(f"/store/items?{query}")
    detail = "Namespace label '' must be a non-empty string without periods"
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


async def test_an_empty_key_can_be_written_and_found(http, client, root):
    await client.store.put_item([root], "", {"a": 1})
    assert shown(await search(http, root)) == ["/"]


@pytest.mark.parametrize(
    "body",
    [
        {"namespace": ["a"], "key": "k"},
        {"namespace": ["a"], "value": {}},
        {"key": "k", "value": {}},
        {"namespace": ["a"], "key": "k", "value": []},
        {"namespace": ["a"], "key": "k", "value": "text"},
        {"namespace": ["a"], "key": "k", "value": {}, "index": True},
        {"namespace": ["a"], "key": "k", "value": {}, "ttl": "1"},
        {"namespace": "a", "key": "k", "value": {}},
    ],
)
async def test_a_body_that_is_none_is_refused(http, body):
    answer = await http.put("/store/items", json=body)
    assert answer.status_code == 422 and "Failed validating" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/store/items/search", {"limit": -1}),
        ("/store/items/search", {"offset": -1}),
        ("/store/namespaces", {"limit": -1}),
        ("/store/namespaces", {"offset": -1}),
        ("/store/namespaces", {"max_depth": -1}),
    ],
)
@pytest.mark.deviates("the reference server takes them as Python slices do")
async def test_a_negative_page_is_refused(http, path, body):
    answer = await http.post(path, json=body)
    (name,) = body
    detail = (
        f'-1 is less than the minimum of 0\n\nFailed validating "minimum" in schema["properties"]["{name}"]'
        f'\n\nOn instance["{name}"]:\n    -1'
    )
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


@pytest.mark.parametrize(("body", "path"), [({"prefix": None}, "prefix"), ({"suffix": None}, "suffix")])
async def test_a_condition_that_is_null_is_refused(http, body, path):
    answer = await http.post("/store/namespaces", json=body)
    assert answer.status_code == 422 and f'"{path}"' in answer.json()["detail"]


async def test_search_goes_by_whole_labels_and_latest_first(client, http, root):
    for namespace, key in [(["a"], "1"), (["a", "b"], "2"), (["ab"], "3"), (["a", "b", "c"], "4"), ([], "5")]:
        await client.store.put_item([root, *namespace], key, {})
    assert shown(await search(http, root)) == ["/5", "a.b.c/4", "ab/3", "a.b/2", "a/1"]
    below = (await client.store.search_items([root, "a"]))["items"]
    assert shown(below) == ["a.b.c/4", "a.b/2", "a/1"]
    assert {item["score"] for item in below} == {None}
    assert set(below[0]) == {"namespace", "key", "value", "created_at", "updated_at", "score"}
    assert shown(await search(http, root, limit=2, offset=1)) == ["a.b.c/4", "ab/3"]
    assert shown(await search(http, root, offset=5)) == []
    assert shown(await search(http, root, query="anything", limit=1)) == ["/5"]
    # Everywhere, as three ways to say it.
    for body in ({}, {"namespace_prefix": None}, {"namespace_prefix": []}):
        answer = await http.post("/store/items/search", json={**body, "filter": None, "query": None, "limit": 10**15})
        assert [item for item in answer.json()["items"] if item["namespace"][0] == root] == await search(http, root)


async def test_a_page_has_10_items_unless_asked(client, http, root):
    for number in range(12):
        await client.store.put_item([root], str(number), {})
    assert len(await search(http, root)) == 10
    assert len(await search(http, root, limit=0)) == 10
    assert len(await search(http, root, limit=12)) == 12


FILTERS = [
    ({"n": 5}, "ab"),
    ({"n": "5"}, "d"),
    ({"n": {"$eq": 5.0}}, "ab"),
    ({"n": {"$ne": 5}}, "cdef"),
    ({"n": {"$gt": 5}}, "c"),
    ({"n": {"$gte": 5}}, "abc"),
    ({"n": {"$gte": 5, "$lt": 10}}, "ab"),
    ({"n": {"$lte": 5}}, "ab"),
    ({"n": {"$lt": "6"}}, "d"),
    ({"n": None}, "ef"),
    ({"o": {"x": 1}}, "ab"),
    ({"o": {"x": {"$gt": 0}, "y": 2}}, "a"),
    ({"l": [1, 2]}, "a"),
    ({"l": [1]}, ""),
    ({"n": 5, "o": {"y": 3}}, "b"),
    ({"o.x": 1}, ""),
    ({"$and": [{"n": 5}]}, ""),
    ({}, "abcdef"),
]


@pytest.mark.parametrize(("filter", "keys"), FILTERS)
async def test_filters(client, http, root, filter, keys):
    values = {
        "a": {"n": 5, "o": {"x": 1, "y": 2}, "l": [1, 2]},
        "b": {"n": 5.0, "o": {"x": 1, "y": 3}},
        "c": {"n": 10, "o": 1},
        "d": {"n": "5"},
        "e": {"n": None},
        "f": {},
    }
    for key, value in values.items():
        await client.store.put_item([root], key, value)
    found = await search(http, root, filter=filter)
    assert "".join(sorted(item["key"] for item in found)) == keys


@pytest.mark.parametrize(
    ("filter", "name"),
    [({"n": {"$in": [1]}}, "$in"), ({"n": {"$gt": 1, "x": 2}}, "x"), ({"o": {"n": {"$x": 1}}}, "$x")],
)
async def test_an_unknown_operator_is_refused(http, filter, name):
    answer = await http.post("/store/items/search", json={"filter": filter})
    assert (answer.status_code, answer.json()) == (400, {"detail": f"Unsupported operator: {name}"})


async def test_namespaces(client, http, root):
    for namespace in (["b", "x"], ["a", "b", "c"], ["a", "b", "d"], ["a"], ["a", "z", "c"], ["ab", "b"]):
        for key in "12":
            await client.store.put_item([root, *namespace], key, {})

    async def listed(**body) -> list[str]:
        body["prefix"] = [root, *body.get("prefix", [])]
        answer = await http.post("/store/namespaces", json=body)
        assert answer.status_code == 200, answer.text
        return [".".join(labels[1:]) for labels in answer.json()["namespaces"]]

    every = ["a", "a.b.c", "a.b.d", "a.z.c", "ab.b", "b.x"]
    assert await listed() == every
    assert await listed(limit=2, offset=3) == ["a.z.c", "ab.b"]
    assert await listed(limit=0) == []
    assert await listed(offset=9) == []
    assert await listed(suffix=[]) == every
    assert await listed(prefix=["a", "*", "c"]) == ["a.b.c", "a.z.c"]
    assert await listed(suffix=["c"]) == ["a.b.c", "a.z.c"]
    assert await listed(suffix=["b", "*"]) == ["a.b.c", "a.b.d", "b.x"]
    assert await listed(prefix=["a"], suffix=["d"]) == ["a.b.d"]
    assert await listed(max_depth=2) == ["a", "ab", "b"]
    assert await listed(max_depth=3) == ["a", "a.b", "a.z", "ab.b", "b.x"]
    assert await listed(max_depth=3, limit=2, offset=1) == ["a.b", "a.z"]
    answer = await http.post("/store/namespaces", json={"prefix": [root], "max_depth": 0})
    assert answer.json() == {"namespaces": [[]]}
    # A namespace that has lost its items, or was only asked for, is none.
    for key in "12":
        await client.store.delete_item([root, "b", "x"], key)
    await client.store.get_item([root, "c"], "k")
    assert await listed() == every[:-1]


@pytest.mark.deviates("the reference server for development knows no lifetimes")
@pytest.mark.parametrize("ttl", [0, -1, 1e300])
async def test_a_lifetime_that_is_none_is_refused(http, root, ttl):
    answer = await http.put("/store/items", json={"namespace": [root], "key": "k", "value": {}, "ttl": ttl})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("Invalid ttl ")
    assert await search(http, root) == []


@pytest.mark.deviates("the reference server for development knows no lifetimes")
async def test_an_item_lives_as_long_as_it_is_read(client, http, root):
    second = 1 / 60
    for key in ("read", "searched", "refreshed", "left"):
        await client.store.put_item([root, key], key, {}, ttl=1.5 * second)
    await client.store.put_item([root], "for ever", {})
    for _ in range(4):
        await asyncio.sleep(0.6)
        # A read refreshes unless it says otherwise.
        assert await client.store.get_item([root, "read"], "read")
        assert (await client.store.search_items([root, "searched"]))["items"]
        assert await client.store.get_item([root, "refreshed"], "refreshed", refresh_ttl=True)
        await client.store.get_item([root, "left"], "left", refresh_ttl=False)
    assert await client.store.get_item([root, "left"], "left") is None
    found = (await client.store.search_items([root], refresh_ttl=False))["items"]
    assert {item["key"] for item in found} == {"read", "searched", "refreshed", "for ever"}
    await asyncio.sleep(1.6)
    assert shown((await client.store.search_items([root]))["items"]) == ["/for ever"]
    assert (await client.store.list_namespaces(prefix=[root]))["namespaces"] == [[root]]
    # What is over is not continued, and null takes a lifetime away.
    await client.store.put_item([root], "k", {}, ttl=0.3 * second)
    answer = await http.put("/store/items", json={"namespace": [root], "key": "k", "value": {}, "ttl": None})
    assert answer.status_code == 204
    await asyncio.sleep(0.5)
    assert await client.store.get_item([root], "k")


async def test_many_write_at_once(client, http, root):
    await asyncio.gather(*(client.store.put_item([root], str(n % 10), {"n": n}) for n in range(100)))
    found = await search(http, root, limit=100)
    assert sorted(item["key"] for item in found) == [str(n) for n in range(10)]
