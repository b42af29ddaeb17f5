"""The store of users: handlers give each a namespace of their own, and the operation uses what they made of the request."""

import pytest

ITEMS = "/store/items"


async def keys(client, *namespace: str) -> list[tuple]:
    found = await client.store.search_items(namespace)
    return [(item["namespace"], item["key"], item["value"]) for item in found["items"]]


async def test_a_namespace_that_handlers_rewrite_keeps_users_apart(alice, bob):
    for client, owner in ((alice, "alice"), (bob, "bob")):
        await client.store.put_item(["apart"], "k", {"of": owner})
    for client, owner in ((alice, "alice"), (bob, "bob")):
        item = await client.store.get_item(["apart"], "k")
        assert (item["namespace"], item["key"], item["value"]) == ([owner, "apart"], "k", {"of": owner})
        assert await keys(client, "apart") == [([owner, "apart"], "k", {"of": owner})]
        namespaces = (await client.store.list_namespaces(["apart"]))["namespaces"]
        assert namespaces == [[owner, "apart"]]
        # Who asks for everything sees what is theirs.
        assert {found[0][0] for found in await keys(client)} == {owner}
        everything = (await client.store.list_namespaces())["namespaces"]
        assert {namespace[0] for namespace in everything} == {owner}
    # Somebody else's own name leads nowhere.
    assert await keys(alice, "bob", "apart") == []
    await alice.store.delete_item(["bob", "apart"], "k")
    await alice.store.delete_item(["apart"], "k")
    assert await keys(alice, "apart") == []
    assert await keys(bob, "apart") == [(["bob", "apart"], "k", {"of": "bob"})]


async def test_events_of_the_store(auth):
    async with auth.http("alice") as http:
        auth.calls()
        put = {"namespace": ["events"], "key": "k", "value": {"n": 1}, "index": False, "ttl": 5}
        await http.put(ITEMS, json=put)
        await http.get(ITEMS, params={"namespace": "events", "key": "k", "refresh_ttl": "false"})
        await http.post(f"{ITEMS}/search", json={"namespace_prefix": ["events"], "filter": {"n": 1}, "limit": 3})
        await http.post("/store/namespaces", json={"max_depth": 2})
        await http.request("DELETE", ITEMS, json={"namespace": ["events"], "key": "k"})
    assert auth.calls.asked() == [
        ("store:put", put),
        ("store:get", {"namespace": ["events"], "key": "k", "refresh_ttl": False}),
        (
            "store:search",
            {"namespace": ["events"], "filter": {"n": 1}, "limit": 3, "offset": 0, "query": None, "refresh_ttl": None},
        ),
        ("store:list_namespaces", {"namespace": None, "suffix": None, "max_depth": 2, "limit": 100, "offset": 0}),
        ("store:delete", {"namespace": ["events"], "key": "k"}),
    ]


def requests(namespace: list[str]) -> list[tuple]:
    item = {"namespace": namespace, "key": "k"}
    return [
        ("PUT", ITEMS, item | {"value": {"n": 1}}),
        ("GET", f"{ITEMS}?namespace={'.'.join(namespace)}&key=k", None),
        ("POST", f"{ITEMS}/search", {"namespace_prefix": namespace}),
        ("POST", "/store/namespaces", {"prefix": namespace}),
        ("DELETE", ITEMS, item),
    ]


@pytest.mark.parametrize("method, path, body", requests(["n"]))
async def test_what_handlers_make_of_a_namespace_is_checked(auth, method, path, body):
    async with auth.http("bad-label") as http:
        answer = await http.request(method, path, json=body)
    text = "Namespace label 'a.b' must be a non-empty string without periods"
    assert (answer.status_code, answer.json()) == (422, {"detail": text})


@pytest.mark.parametrize("method, path, body", requests(["n"]))
async def test_who_is_denied_has_no_store(auth, method, path, body):
    async with auth.http("denied") as http:
        answer = await http.request(method, path, json=body)
    assert answer.status_code == 403


async def test_a_filter_counts_for_searches_alone(auth):
    async with auth.client("stamps") as client:
        await client.store.put_item(["f"], "mine", {"owner": "me", "n": 1})
        await client.store.put_item(["f"], "other", {"owner": "you", "n": 1})
        other = await client.store.get_item(["f"], "other")
        assert other["value"] == {"owner": "you", "n": 1, "by": "stamps"}
        mine = (["stamps", "f"], "mine", {"owner": "me", "n": 1, "by": "stamps"})
        assert await keys(client, "f") == [mine]
        found = await client.store.search_items(["f"], filter={"owner": "you"})
        assert found["items"] == []


async def test_a_value_that_handlers_cannot_be_shown_is_refused(auth):
    body = '{"namespace":["odd"],"key":"k","value":{"big":1e999}}'
    async with auth.http("alice") as http:
        answer = await http.put(ITEMS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the value cannot be shown to the handler of store.put: ")
