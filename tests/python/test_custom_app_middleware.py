"""The middleware of the project's own application, around the API of the server."""

import asyncio
import json

import httpx
import pytest
from langgraph_sdk import get_client
from support.server import PROJECT, Server, wait_until

SECONDS = 45
"""Only a failure takes so long."""

APP = """
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route


class Counts:
    '''Plain ASGI, with a number of its own: there is one of it.'''

    def __init__(self, app):
        self.app, self.count = app, 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self.count += 1
        user = getattr(scope.get("user"), "identity", "")

        async def counted(event):
            if event["type"] == "http.response.start":
                event["headers"] += [(b"x-count", str(self.count).encode()), (b"x-seen-user", user.encode())]
            await send(event)

        await self.app(scope, receive, counted)


async def guard(request, call_next):
    if request.headers.get("x-die"):
        os._exit(7)
    if request.headers.get("x-blocked"):
        return JSONResponse({"detail": "blocked"}, 418)
    if request.headers.get("x-broken"):
        raise ValueError("not for clients")
    if name := request.query_params.get("as"):
        request.scope["headers"].append((b"x-user", name.encode()))
        request.scope["query_string"] = b"limit=1"
    answer = await call_next(request)
    answer.headers["x-status"] = str(answer.status_code)
    return answer


async def mine(request):
    return JSONResponse({"mine": True})


app = Starlette(
    routes=[Route("/mine", mine)],
    middleware=[
        Middleware(Counts),
        Middleware(BaseHTTPMiddleware, dispatch=guard),
        Middleware(GZipMiddleware, minimum_size=20000),
    ],
)
"""

AUTH = """
from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def who(headers):
    name = headers.get(b"x-user")
    if name is None:
        raise Auth.exceptions.HTTPException(401, "who are you?")
    return {"identity": name.decode()}
"""


def project(folder, auth: bool = False, **http):
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "auth.py").write_text(AUTH)
    graphs = {name: f"{PROJECT / 'graphs'}/{file}" for name, file in (("simple", "simple.py:graph"), ("waiting", "gates.py:waiting"))}
    config = {"dependencies": ["."], "graphs": graphs, "http": {"app": "./app.py:app", **http}}
    if auth:
        config["auth"] = {"path": "./auth.py:auth"}
    (folder / "langgraph.json").write_text(json.dumps(config))
    return folder / "langgraph.json"


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    folder = tmp_path_factory.mktemp("around")
    server = Server(folder, config=project(folder / "project"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def http(around):
    async with httpx.AsyncClient(base_url=around.url, trust_env=False, timeout=SECONDS) as http:
        yield http


async def test_it_runs_around_the_api_and_its_own_routes_once(http):
    answers = [
        await http.get("/mine"),
        await http.get("/info"),
        await http.post("/threads", json={"metadata": {"a": "é"}}),
        await http.get("/threads/no-id"),
        await http.get("/nothing/like/this"),
        await http.options("/threads", headers={"origin": "http://a", "access-control-request-method": "POST"}),
    ]
    assert [answer.headers["x-status"] for answer in answers] == ["200", "200", "200", "422", "404", "200"]
    counts = [int(answer.headers["x-count"]) for answer in answers]
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    assert answers[2].json()["metadata"] == {"a": "é"}
    assert answers[3].json() == {"detail": "Invalid thread ID: must be a UUID"}
    assert "access-control-allow-origin" in answers[5].headers
    # Health and figures are asked by machines, and have to be there without the application.
    for path in ("/ok", "/metrics"):
        assert "x-count" not in (await http.get(path)).headers


async def test_it_answers_itself_and_what_it_raises_is_not_told(http):
    answer = await http.post("/threads", json={}, headers={"x-blocked": "1"})
    assert (answer.status_code, answer.json()) == (418, {"detail": "blocked"})
    answer = await http.post("/threads", json={}, headers={"x-broken": "1"})
    assert answer.status_code == 500 and "not for clients" not in answer.text
    assert (await http.post("/threads/search", json={"metadata": {"b": 1}})).json() == []


async def test_large_bodies_pass_in_both_directions(http):
    text = "é" * 2_000_000
    thread = (await http.post("/threads", json={"metadata": {"text": text}})).json()["thread_id"]
    answer = await http.get(f"/threads/{thread}")
    assert (answer.headers["content-encoding"], answer.json()["metadata"]["text"]) == ("gzip", text)
    # Refused before it was read.
    answer = await http.post("/threads/no-id/runs", content=b"x" * 200_000, headers={"content-type": "application/json"})
    assert answer.status_code == 422


async def test_an_answer_before_the_request_was_read_is_not_lost(around, http):
    for _ in range(100):
        answers = await asyncio.gather(*(http.get("/threads/too-early") for _ in range(3)))
        assert [answer.status_code for answer in answers] == [422] * 3
    # Nobody has left before the end of any.
    lines = [line for line in around.log.read_text().splitlines() if "GET /threads/too-early" in line]
    assert {line.split("GET /threads/too-early ")[1].split()[0] for line in lines} == {"422"}


@pytest.mark.parametrize("size", [0, 300_000])
async def test_answers_that_need_no_body_pass_it(http, size):
    """Requests that are refused for their address: nobody waits for what they carry."""
    for _ in range(30):
        answer = await http.patch("/threads/nothing", content=b" " * size)
        assert (answer.status_code, answer.headers["x-status"]) == (422, "422")
        answer = await http.post("/nothing", content=b" " * size)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_the_sdk_streams_through_it(around, gate, record):
    async with get_client(url=around.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
        assert (await anext(stream)).event == "metadata"
        # Before the end, so nothing waits for it.
        assert (await anext(stream)).data == {"before": {"log": ["run arrives"]}}
        (await gate.visitor()).let_in()
        assert [part.event async for part in stream] == ["updates"]
        assert (await client.runs.wait(thread, "simple", input={"foo": "x"}))["foo"] == "A"


async def test_the_server_hears_that_a_client_has_left(around, http, gate):
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    body = {"assistant_id": "waiting", "input": gate.input(), "on_disconnect": "cancel"}
    for kind in ("wait", "stream"):
        asking = asyncio.create_task(http.post(f"/threads/{thread}/runs/{kind}", json=body))
        visitor = await gate.visitor()
        asking.cancel()
        await visitor.gone()
        statuses = [run["status"] for run in (await http.get(f"/threads/{thread}/runs")).json()]
        assert "success" not in statuses


async def test_before_authentication(start_server, client_of, tmp_path):
    server = start_server(config=project(tmp_path / "p", auth=True), headers={"x-user": "root"})
    _, http = client_of(server)
    refused = await http.post("/threads/search", json={})
    assert (refused.status_code, refused.headers["x-status"], refused.json()) == (401, "401", {"detail": "who are you?"})
    # What it says about a request counts.
    for _ in range(2):
        assert (await http.post("/threads", json={}, headers={"x-user": "me"})).status_code == 200
    listed = await http.post("/threads/search?as=me", json={})
    assert (listed.status_code, listed.headers["x-seen-user"]) == (200, "")


async def test_after_authentication(start_server, client_of, tmp_path):
    config = project(tmp_path / "p", auth=True, middleware_order="auth_first")
    server = start_server(config=config, headers={"x-user": "root"})
    _, http = client_of(server)
    refused = await http.post("/threads/search?as=me", json={})
    assert refused.status_code == 401 and "x-status" not in refused.headers
    answer = await http.post("/threads/search", json={}, headers={"x-user": "me"})
    assert (answer.headers["x-status"], answer.headers["x-seen-user"]) == ("200", "me")


async def test_nobody_gets_past_it_while_it_is_not_there(start_server, client_of, tmp_path):
    server = start_server(config=project(tmp_path / "p"))
    _, http = client_of(server)
    died = await http.get("/info", headers={"x-die": "1"})
    assert died.status_code == 503
    assert (await http.get("/ok")).status_code == 200

    def is_back() -> bool:
        answer = httpx.get(f"{server.url}/info", trust_env=False, timeout=SECONDS)
        assert (answer.status_code == 200) == ("x-count" in answer.headers)
        assert answer.status_code in (200, 503)
        return answer.status_code == 200

    await asyncio.to_thread(wait_until, is_back, "it is started again", SECONDS)


def test_another_order_is_refused(tmp_path):
    server = Server(tmp_path, config=project(tmp_path / "p", middleware_order="last"))
    with pytest.raises(AssertionError, match='http.middleware_order: neither "middleware_first" nor "auth_first"'):
        server.start()
