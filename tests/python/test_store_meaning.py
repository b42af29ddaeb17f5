"""Search by meaning, and the store inside of graphs: a project that embeds letters and gives every item an hour."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import httpx
import langgraph_sdk
import pytest

from support.server import STORE_PROJECT, Server, binary


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("store"), config=STORE_PROJECT / "langgraph.json", graph="memory")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def url(server):
    return server.url


@pytest.fixture
async def client(url):
    async with langgraph_sdk.get_client(url=url, api_key=None) as client:
        yield client


@pytest.fixture
async def http(url):
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture
def root(request) -> str:
    return request.node.name.split(".")[0].replace(".", "-")[:60]


async def ranked(client, root: str, query: str, **more) -> list[tuple[str, float | None]]:
    found = (await client.store.search_items([root], query=query, **more))["items"]
    return [(item["key"], item["score"] if item["score"] is None else round(item["score"], 4)) for item in found]


async def call(client, *calls: list, sync: bool = False) -> list:
    state = await client.runs.wait(None, "memory", input={"calls": list(calls), "sync": sync})
    return state["answers"]


async def test_items_are_ranked_by_their_best_vector(client, root):
    await client.store.put_item([root], "a", {"text": "aa"})
    await client.store.put_item([root], "ab", {"text": "ab", "kind": "two"})
    await client.store.put_item([root], "notes", {"notes": [{"text": "d"}, {"text": "aaab"}, {"other": "a"}]})
    await client.store.put_item([root], "b", {"text": "bbb"})
    await client.store.put_item([root, "below"], "both", {"text": "b", "notes": [{"text": "a"}]})
    await client.store.put_item([root], "nothing", {"other": "aaa"})
    assert await ranked(client, root, "a") == [
        ("both", 1.0),
        ("a", 1.0),
        ("notes", 0.9487),
        ("ab", 0.7071),
        ("b", 0.0),
        ("nothing", None),
    ]
    assert await ranked(client, root, "a", limit=2, offset=2) == [("notes", 0.9487), ("ab", 0.7071)]
    assert await ranked(client, root, "a", filter={"kind": "two"}) == [("ab", 0.7071)]
    # Another value has other vectors, and what is deleted has none.
    await client.store.put_item([root], "a", {"text": "c"})
    await client.store.delete_item([root, "below"], "both")
    assert (await ranked(client, root, "a"))[0] == ("notes", 0.9487)
    assert (await ranked(client, root, "c"))[0] == ("a", 1.0)
    # Without a query nothing is ranked.
    found = (await client.store.search_items([root]))["items"]
    assert [(item["key"], item["score"]) for item in found][:2] == [("a", None), ("nothing", None)]


async def test_a_put_says_what_is_embedded(client, root, server):
    value = {"text": "a", "other": {"deep": ["b", "c"]}, "tags": ["d", None, 5]}
    await client.store.put_item([root], "usual", value)
    await client.store.put_item([root], "none", value, index=False)
    await client.store.put_item([root], "empty", value, index=[])
    await client.store.put_item([root], "paths", value, index=["other.deep[0]", "other.deep[-1]", "tags[*]", "missing"])
    await client.store.put_item([root], "whole", {"x": "dd"}, index=["$"])
    with sqlite3.connect(server.data / "agent-server.db") as database:
        name = b"".join(label.encode() + b"\0" for label in [root])
        rows = database.execute("SELECT key, path FROM item_vector WHERE namespace = ? ORDER BY key, path", [name])
        assert rows.fetchall() == [
            ("paths", "other.deep[-1]"),
            ("paths", "other.deep[0]"),
            ("paths", "tags[*].0"),
            ("paths", "tags[*].1"),
            ("usual", "text"),
            ("whole", "$"),
        ]
    database.close()
    assert await ranked(client, root, "c") == [
        ("paths", 1.0),
        ("whole", 0.0),
        ("usual", 0.0),
        ("empty", None),
        ("none", None),
    ]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("boom", "store.index.embed failed: ValueError: no embedding today"),
        ("exit", "store.index.embed failed: SystemExit: An internal error occurred"),
        ("few", "store.index.embed failed: ValueError: it returned 0 vectors for 1 texts"),
        ("nan", "store.index.embed failed: ValueError: it returned a vector with numbers that are not finite"),
        ("short", "store.index.embed returned a vector of 3 numbers, but store.index.dims is 4"),
        ("sleep", "store.index.embed did not return within 2s; nothing was changed"),
    ],
)
async def test_what_cannot_be_embedded_is_not_written(client, http, root, text, detail):
    root = f"failing-{text}"
    await client.store.put_item([root], "k", {"text": "a"})
    answer = await http.put("/store/items", json={"namespace": [root], "key": "k", "value": {"text": text}})
    assert (answer.status_code, answer.json()) == (503, {"detail": detail})
    assert (await client.store.get_item([root], "k"))["value"] == {"text": "a"}
    answer = await http.post("/store/items/search", json={"namespace_prefix": [root], "query": text})
    if text == "few":
        detail = "store.index.embed failed: IndexError: An internal error occurred"
    assert answer.status_code == 503
    if text != "few":
        assert answer.json() == {"detail": detail}
    # The same value without an index is no trouble, and everything else goes on.
    await client.store.put_item([root], "plain", {"text": text}, index=False)
    assert await ranked(client, root, "a") == [("k", 1.0), ("plain", None)]


async def test_the_configured_lifetime_is_given(client, http, root, server):
    await client.store.put_item([root], "usual", {})
    await client.store.put_item([root], "own", {}, ttl=5)
    await http.put("/store/items", json={"namespace": [root], "key": "never", "value": {}, "ttl": None})
    await call(
        client,
        ["put", [[root], "graph usual", {}], {}],
        ["put", [[root], "graph own", {}], {"ttl": 5}],
        ["put", [[root], "graph never", {}], {"ttl": None}],
    )
    with sqlite3.connect(server.data / "agent-server.db") as database:
        rows = dict(database.execute("SELECT key, ttl FROM item WHERE namespace = ?", [root.encode() + b"\0"]))
    database.close()
    minute = 60_000_000
    expected = {"usual": 60 * minute, "own": 5 * minute, "never": None}
    assert rows == expected | {f"graph {key}": ttl for key, ttl in expected.items()}


@pytest.mark.parametrize("sync", [False, True])
async def test_graphs_use_the_same_store(client, root, sync):
    root = f"graphs-{sync}"
    await client.store.put_item([root, "n"], "ours", {"text": "a", "z": 1})
    answers = await call(
        client,
        ["get", [[root, "n"], "ours"], {}],
        ["get", [[root, "n"], "nobody's"], {}],
        ["put", [[root, "n"], "theirs", {"text": "ab"}], {}],
        ["put", [[root, "n"], "hidden", {"text": "a"}], {"index": False}],
        ["put", [[root, "m"], "other", {"title": "c"}], {"index": ["title"]}],
        ["search", [[root]], {"query": "a", "limit": 2}],
        ["search", [[root]], {"filter": {"z": {"$gte": 1}}}],
        ["list_namespaces", [], {"prefix": [root]}],
        ["delete", [[root, "n"], "ours"], {}],
        ["get", [[root, "n"], "ours"], {}],
        sync=sync,
    )
    item = {"namespace": [root, "n"], "key": "ours", "value": {"text": "a", "z": 1}}
    search_both = answers.pop(5)
    assert answers == [
        item,
        None,
        None,
        None,
        None,
        [item | {"score": None}],
        [[root, "m"], [root, "n"]],
        None,
        None,
    ]
    assert [(found["key"], round(found["score"], 4)) for found in search_both] == [("ours", 1.0), ("theirs", 0.7071)]
    assert await ranked(client, root, "a") == [("theirs", 0.7071), ("other", 0.0), ("hidden", None)]


async def test_graphs_are_told_what_is_wrong(client, root):
    answers = await call(
        client,
        ["put", [[], "k", {}], {}],
        ["put", [["a.b"], "k", {}], {}],
        ["put", [[root], "k", {}], {"ttl": -1}],
        ["search", [[root]], {"filter": {"n": {"$in": [1]}}}],
        ["put", [[root], "k", {"text": "boom"}], {}],
        ["search", [[root]], {"query": "boom"}],
        ["get", [[root], "k"], {}],
    )
    assert answers[0] == "InvalidNamespaceError: Namespace cannot be empty."
    assert answers[1].startswith("InvalidNamespaceError: ")
    assert answers[2].startswith("ValueError: Invalid ttl -1: ")
    assert answers[3] == "ValueError: Unsupported operator: $in"
    assert answers[4] == answers[5] == "ServerLost: store.index.embed failed: ValueError: no embedding today"
    assert answers[6] is None


async def test_a_value_that_few_programs_can_read_harms_no_graph(client, http, root):
    body = f'{{"namespace":["{root}"],"key":"odd","value":{{"big":1e999,"text":"a\\ud800"}}}}'
    assert (await http.put("/store/items", content=body)).status_code == 204
    answers = await call(client, ["search", [[root]], {"query": "a"}])
    assert [found["key"] for found in answers[0]] == ["odd"]


def project(tmp_path: Path, **index) -> Path:
    """The settings of the project with another index, in a copy of it."""
    copy = shutil.copytree(STORE_PROJECT, tmp_path / "project")
    file = copy / "langgraph.json"
    settings = json.loads(file.read_text())
    settings["store"]["index"] |= index
    file.write_text(json.dumps(settings))
    return file


@pytest.mark.parametrize(
    ("embed", "best"), [("./embeddings.py:embed_async", "a"), ("./embeddings.py:letters", "b"), ("embeddings.py:embed", "a")]
)
async def test_functions_and_objects_embed(tmp_path, start_server, client_of, embed, best):
    client, _ = client_of(start_server(config=project(tmp_path, embed=embed), graph="memory"))
    await client.store.put_item(["n"], "a", {"text": "a"})
    await client.store.put_item(["n"], "b", {"text": "b"})
    assert (await ranked(client, "n", "a"))[0] == (best, 1.0)


@pytest.mark.parametrize(
    ("index", "cause"),
    [
        ({"embed": "./embeddings.py:nobody"}, "has no variable 'nobody'"),
        ({"embed": "./embeddings.py:number"}, "is neither a function from a list of strings to a list of vectors nor"),
        ({"embed": "./missing.py:embed"}, "there is no file './missing.py'"),
        ({"embed": "nobody:model"}, "nobody"),
        ({"dims": None}, "store.index.dims of langgraph.json: must be the number of dimensions"),
        ({"embed": None}, "store.index.embed of langgraph.json: must name what embeds"),
        ({"fields": "text"}, "store.index.fields of langgraph.json: must be a list of paths"),
    ],
)
def test_an_index_that_cannot_work_ends_the_start(tmp_path, index, cause):
    server = Server(tmp_path, config=project(tmp_path, **index), graph="memory")
    command = [each for each in server.command() if each not in ("--no-reload", "--offline")]
    command[1] = "serve"
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)
    assert ended.returncode in (2, 3)
    said = ended.stdout + ended.stderr
    assert "store.index" in said and cause in said, said
    assert binary().is_file()
