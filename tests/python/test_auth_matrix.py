"""Tenants are apart on every path: each operation of the document, with each of its ids in turn being another tenant's.

The answer has to be that for an id that does not exist, and the other tenant's data have to stay as they are. Operations are
read from the document, so that a new one joins by itself.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.names import IDS, TIME
from support.server import ROOT

DOCUMENT = json.loads((ROOT / "openapi.json").read_text())
NOT_IMPLEMENTED = json.loads((ROOT / "crates/conformance/not_implemented.json").read_text())["operations"]

# Names of members and parameters that hold ids, with what they are ids of.
ID_OF = {
    "assistant_id": "assistant",
    "thread_id": "thread",
    "run_id": "run",
    "cron_id": "cron",
    "checkpoint_id": "checkpoint",
    "thread_ids": "thread",
    "run_ids": "run",
    "ids": "thread",
    "contextId": "thread",
    "taskId": "run",
}

# Bodies where the document's example does not say enough of an operation.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/runs/cancel"): {"thread_id": "?", "run_ids": ["?"]},
    ("POST", "/threads"): {"metadata": {"a": 1}},
    ("POST", "/assistants"): {"graph_id": "simple"},
    ("POST", "/threads/{thread_id}/state"): {"values": {"n": 3}},
    ("PATCH", "/assistants/{assistant_id}"): {"metadata": {"a": 1}},
    ("POST", "/threads/{thread_id}/history"): {"limit": 2},
    ("POST", "/threads/search"): {"limit": 5},
    ("POST", "/threads/prune"): {"thread_ids": ["?"]},
    # One that starts a run would make the thread.
    ("POST", "/threads/{thread_id}/commands"): {"id": 1, "method": "input.respond", "params": {"interrupt_id": "i"}},
}

# Streams that never end: their first bytes are looked at.
ENDLESS = "/threads/{thread_id}/stream/events"

# Numbers in answers that differ from one time to the next.
BY_CHANCE = re.compile(r'"__request_start_time_ms__":\d+|^id: \d+-\d+\r$', re.MULTILINE)

# Where an id of somebody else is told from one that does not exist, and why.
EXCEPTIONS = {
    ("POST", "/threads", "body/thread_id"): "an id can be taken only once: 409",
    ("POST", "/assistants", "body/assistant_id"): "an id can be taken only once: 409",
}


def resolved(schema: dict) -> dict:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def id_places(schema: dict, place: tuple = (), depth: int = 0) -> Iterator[tuple[tuple, str]]:
    """Where ids may stand in a body, and what of."""
    schema = resolved(schema)
    if depth > 4:
        return
    for part in [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        yield from id_places(part, place, depth + 1)
    if "items" in schema and not place:
        yield from id_places(schema["items"], (0,), depth + 1)
    for name, member in schema.get("properties", {}).items():
        if name in ID_OF:
            yield (*place, name), ID_OF[name]
        elif name in ("checkpoint", "params", "message"):
            yield from id_places(member, (*place, name), depth + 1)


def operations() -> Iterator[tuple[str, str, dict]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield method.upper(), path, operation


def body_schema(operation: dict) -> dict | None:
    content = operation.get("requestBody", {}).get("content", {})
    return content["application/json"] if content else None


def example_of(method: str, path: str, operation: dict) -> Any:
    if (method, path) in BODIES:
        return copy.deepcopy(BODIES[method, path])
    content = body_schema(operation)
    if content is None:
        return None
    candidates = [content.get("example")]
    candidates += [example.get("value") for example in content.get("examples", {}).values()]
    schema = resolved(content["schema"])
    candidates += [schema.get("example"), *schema.get("examples", ())]
    return copy.deepcopy(next((candidate for candidate in candidates if candidate is not None), {}))


def cases() -> list[Any]:
    """Each operation with each place of an id in it."""
    found = []
    for method, path, operation in operations():
        places = [("path", name) for name in re.findall(r"\{(\w+)\}", path) if name in ID_OF]
        for parameter in operation.get("parameters", ()):
            if parameter.get("in") == "query" and parameter["name"] in ID_OF:
                places.append(("query", parameter["name"]))
        if content := body_schema(operation):
            places += {("body", *place) for place, _ in sorted(id_places(content["schema"]), key=str)}
        found += [
            pytest.param(method, path, operation, place, id=f"{method} {path} {'.'.join(map(str, place))}")
            for place in sorted(places, key=str)
        ]
    return found


def put(body: Any, place: tuple, id: str) -> Any:
    """The body with an id at a place."""
    target = body
    for key in place[:-1]:
        if isinstance(key, str) and not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    target[place[-1]] = [id] if place[-1].endswith("ids") else id
    return body


def fill(body: Any, own: dict[str, str]) -> Any:
    """The body with own ids wherever it has some."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in ID_OF and isinstance(value, str):
                body[name] = own[ID_OF[name]]
            elif name in ID_OF and isinstance(value, list):
                body[name] = [own[ID_OF[name]]]
            else:
                body[name] = fill(value, own)
        if body.get("graph_id"):
            body["graph_id"] = "simple"
        if "metadata" in body and isinstance(body["metadata"], dict):
            body["metadata"] = {"a": 1}
    elif isinstance(body, list):
        body = [fill(item, own) for item in body]
    return body


class Tenant:
    """A user with one of everything."""

    def __init__(self, name: str, http: httpx.AsyncClient) -> None:
        self.name = name
        self.http = http
        self.own: dict[str, str] = {}

    async def make(self) -> "Tenant":
        post = self.http.post
        assistant = (await post("/assistants", json={"graph_id": "simple"})).json()["assistant_id"]
        thread = (await post("/threads", json={})).json()["thread_id"]
        answer = await post(f"/threads/{thread}/runs/wait", json={"assistant_id": assistant, "input": {"secret": f"secret of {self.name}"}})
        run = answer.headers["content-location"].rpartition("/")[2]
        state = (await self.http.get(f"/threads/{thread}/state")).json()
        self.own = {
            "assistant": assistant,
            "thread": thread,
            "run": run,
            "checkpoint": state["checkpoint"]["checkpoint_id"],
            "cron": str(uuid4()),
        }
        cron = {"assistant_id": assistant, "schedule": "0 0 1 1 *", "input": {}}
        answer = await post(f"/threads/{thread}/runs/crons", json=cron)
        if answer.status_code == 200:
            self.own["cron"] = answer.json()["cron_id"]
        item = {"namespace": ["notes"], "key": "secret", "value": {"secret": f"secret of {self.name}"}}
        assert (await self.http.put("/store/items", json=item)).status_code == 204
        return self

    async def everything(self) -> list[Any]:
        """All that the tenant can see of its own."""
        own, get, post = self.own, self.http.get, self.http.post
        answers = [
            await get(f"/threads/{own['thread']}"),
            await get(f"/threads/{own['thread']}/state"),
            await get(f"/threads/{own['thread']}/history"),
            await get(f"/threads/{own['thread']}/runs"),
            await get(f"/assistants/{own['assistant']}"),
            await post("/threads/search", json={"limit": 100}),
            await post("/assistants/search", json={"limit": 100}),
            await post("/runs/crons/search", json={"limit": 100}),
            await get("/store/items?namespace=notes&key=secret"),
            await post("/store/items/search", json={"limit": 100}),
            await post("/store/namespaces", json={}),
        ]
        return [(answer.status_code, answer.json()) for answer in answers]


@pytest.fixture(scope="module")
async def bob_has(auth):
    async with auth.http("matrix-bob") as http:
        yield await Tenant("matrix-bob", http).make()


@pytest.fixture
async def alice_has(auth):
    """Made anew for each case: what an operation does to its caller's data is not looked at."""
    async with auth.http("matrix-alice") as http:
        yield await Tenant("matrix-alice", http).make()


async def sent(tenant: Tenant, method: str, path: str, operation: dict, ids: dict[tuple, str]) -> tuple:
    """Sends the operation with own ids but for `ids`; returns status and body with names for what differs by chance."""

    def own(match: re.Match) -> str:
        name = match[1]
        return ids.get(("path", name)) or tenant.own.get(ID_OF.get(name, ""), "x")

    query = {place[1]: id for place, id in ids.items() if place[0] == "query"}
    body = example_of(method, path, operation)
    if body is not None:
        body = fill(body, tenant.own)
        for place, id in ids.items():
            if place[0] == "body":
                body = put(body, place[1:], id)
    request = tenant.http.build_request(method, re.sub(r"\{(\w+)\}", own, path), params=query, json=body)
    answer = await tenant.http.send(request, stream=True)
    text = await anext(answer.aiter_text(), "") if path == ENDLESS else (await answer.aread()).decode()
    await answer.aclose()
    headers = {name: IDS.sub("<id>", answer.headers.get(name, "")) for name in ("location", "content-location")}
    return answer.status_code, BY_CHANCE.sub("", TIME.sub("<time>", IDS.sub("<id>", text))), headers


@pytest.mark.parametrize("method, path, operation, place", cases())
async def test_what_is_not_yours_does_not_exist(alice_has, bob_has, method, path, operation, place):
    kind = ID_OF[place[-1]]
    before = await bob_has.everything()
    foreign = await sent(alice_has, method, path, operation, {place: bob_has.own[kind]})
    if foreign[0] == 501:
        pytest.skip("not implemented")
    # With other data of the same kind, because the first may have changed these.
    again = await Tenant(alice_has.name, alice_has.http).make()
    unknown = await sent(again, method, path, operation, {place: str(uuid4())})
    assert await bob_has.everything() == before
    assert bob_has.name not in foreign[1]
    if (method, path, "/".join(map(str, place))) in EXCEPTIONS:
        assert foreign[0] in (404, 409) and unknown[0] == 200
        return
    assert foreign == unknown


def several() -> list[Any]:
    """Operations with more than one id in their path."""
    found = []
    for method, path, operation in operations():
        names = [name for name in re.findall(r"\{(\w+)\}", path) if name in ID_OF]
        if len(names) > 1:
            found.append(pytest.param(method, path, operation, names, id=f"{method} {path}"))
    return found


@pytest.mark.parametrize("method, path, operation, names", several())
async def test_a_whole_path_of_somebody_else_does_not_exist(alice_has, bob_has, method, path, operation, names):
    before = await bob_has.everything()
    theirs = {("path", name): bob_has.own[ID_OF[name]] for name in names}
    nobodys = {("path", name): str(uuid4()) for name in names}
    foreign = await sent(alice_has, method, path, operation, theirs)
    if foreign[0] == 501:
        pytest.skip("not implemented")
    assert foreign == await sent(alice_has, method, path, operation, nobodys)
    assert foreign[0] == 404
    assert await bob_has.everything() == before


async def test_what_is_left_out_is_what_is_not_implemented(alice_has):
    """The matrix skips what answers 501: that must be the list, and nothing else."""
    left_out = 0
    for method, path, operation in operations():
        missing = {("path", name): str(uuid4()) for name in re.findall(r"\{(\w+)\}", path)}
        answer = await sent(alice_has, method, path, operation, missing)
        left_out += answer[0] == 501
    assert left_out <= len(NOT_IMPLEMENTED)


async def test_lists_show_nothing_of_others(alice_has, bob_has):
    for path in ("/threads/search", "/assistants/search"):
        found = (await alice_has.http.post(path, json={"limit": 1000})).text
        assert not any(id in found for id in bob_has.own.values())
    for path, sort in (("/threads/count", {}), ("/assistants/count", {})):
        assert (await alice_has.http.post(path, json=sort)).status_code == 200


async def test_cancelling_everything_spares_others(auth, alice_has, bob_has):
    """Runs that wait for their time, of both."""
    runs = []
    for tenant in (alice_has, bob_has):
        body = {"assistant_id": "simple", "input": {}, "after_seconds": 3600}
        runs.append((await tenant.http.post(f"/threads/{tenant.own['thread']}/runs", json=body)).json()["run_id"])
    assert (await alice_has.http.post("/runs/cancel", json={"status": "all"})).status_code == 204
    path = f"/threads/{bob_has.own['thread']}/runs/{runs[1]}"
    assert (await bob_has.http.get(path)).json()["status"] == "pending"
    assert (await bob_has.http.post("/runs/cancel", json={"status": "pending"})).status_code == 204
    assert (await bob_has.http.get(path)).json()["status"] == "interrupted"


async def test_deleting_an_assistant_spares_the_threads_of_others(auth, alice_has, bob_has):
    """Both have used the server's own assistant; who is nobody's owner may not delete it."""
    path = f"/assistants/{bob_has.own['assistant']}?delete_threads=true"
    assert (await alice_has.http.delete(path)).status_code == 404
    assert (await bob_has.http.get(f"/threads/{bob_has.own['thread']}")).status_code == 200


async def test_a_run_cannot_make_a_thread_that_somebody_else_has(alice_has, bob_has):
    """That it is there cannot be hidden; that it is bob's is."""
    body = {"assistant_id": "simple", "input": {}, "if_not_exists": "create"}
    answer = await alice_has.http.post(f"/threads/{bob_has.own['thread']}/runs", json=body)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Thread or assistant not found."})


async def test_a_command_cannot_start_a_run_on_a_thread_of_somebody_else(alice_has, bob_has):
    command = {"id": 1, "method": "run.start", "params": {"assistant_id": "simple", "input": {}}}
    before = await bob_has.everything()
    answer = await alice_has.http.post(f"/threads/{bob_has.own['thread']}/commands", json=command)
    message = "404: Thread or assistant not found."
    assert answer.json() == {"type": "error", "id": 1, "error": "unknown_error", "message": message}
    assert await bob_has.everything() == before


async def test_texts_of_what_is_not_there(alice_has, bob_has):
    """Each operation has its own."""
    theirs, http = bob_has.own, alice_has.http
    thread, run, assistant = theirs["thread"], theirs["run"], theirs["assistant"]
    missing = f"Thread with ID {thread} not found"
    turn = {"assistant_id": "simple", "input": {}}
    for method, path, body, text in [
        ("GET", f"/threads/{thread}", None, missing),
        ("GET", f"/threads/{thread}/state", None, missing),
        ("GET", f"/threads/{thread}/history", None, missing),
        ("DELETE", f"/threads/{thread}", None, missing),
        ("PATCH", f"/threads/{thread}", {"metadata": {}}, "Not Found"),
        ("DELETE", f"/threads/{thread}/runs/{run}", None, "Run not found"),
        ("GET", f"/assistants/{assistant}", None, "Not Found"),
        ("DELETE", f"/assistants/{assistant}", None, f"Assistant with ID {assistant} not found"),
        ("POST", f"/threads/{thread}/runs", turn, "Thread or assistant not found."),
        ("POST", "/runs/wait", turn | {"assistant_id": assistant}, "Thread or assistant not found."),
        ("POST", "/threads/prune", {"thread_ids": [thread]}, "At least one thread not found or not authorized"),
    ]:
        answer = await http.request(method, path, json=body)
        assert (answer.status_code, answer.json()) == (404, {"detail": text}), (method, path)


@pytest.mark.parametrize("if_exists", ["raise", "do_nothing"])
async def test_an_id_that_somebody_else_has_is_taken(alice_has, bob_has, if_exists):
    thread, assistant = bob_has.own["thread"], bob_has.own["assistant"]
    answer = await alice_has.http.post("/threads", json={"thread_id": thread, "if_exists": if_exists})
    assert (answer.status_code, answer.json()) == (409, {"detail": f"Thread with ID {thread} already exists"})
    body = {"graph_id": "simple", "assistant_id": assistant, "if_exists": if_exists}
    answer = await alice_has.http.post("/assistants", json=body)
    assert (answer.status_code, answer.json()) == (409, {"detail": f"Assistant {assistant} already exists"})
