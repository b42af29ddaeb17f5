"""The project's own application: its routes, in front of the API's and beside them."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest
import websockets
from support.server import ROOT, Server, binary, wait_until

FOLDER = ROOT / "tests/python/custom_project"
SECONDS = 50
"""Only a failure takes so long."""


def project(folder, http: dict, auth: dict | None = None):
    """A project with this section `http`; returns its file."""
    for name in ("graph.py", "app.py"):
        (folder / name).write_text((FOLDER / name).read_text())
    (folder / "auth.py").write_text(
        "from langgraph_sdk import Auth\n"
        "auth = Auth()\n"
        "@auth.authenticate\n"
        "async def who(headers):\n"
        "    name = headers.get(b'x-user')\n"
        "    if name is None:\n"
        "        raise Auth.exceptions.HTTPException(401, 'who are you?')\n"
        "    return {'identity': name.decode(), 'permissions': ['read']}\n"
    )
    config = {
        "dependencies": ["."],
        "graphs": {"simple": "./graph.py:simple", "nest": "./graph.py:nest"},
        "http": http,
    }
    if auth:
        config["auth"] = auth
    file = folder / "langgraph.json"
    file.write_text(json.dumps(config))
    return file


@pytest.fixture(scope="module")
def app_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    server = Server(folder, config=project(folder, {"app": "./app.py:app"}))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def http(app_server):
    async with httpx.AsyncClient(base_url=app_server.url, trust_env=False, timeout=SECONDS) as http:
        yield http


async def test_a_route(http):
    answer = await http.get("/hello/w%C3%B6rld?a=1&b=%20", headers={"x-foo": "f"})
    assert answer.status_code == 201
    assert answer.headers["x-app"] == "yes"
    assert answer.headers["x-stamp"] == "yes"
    assert answer.json() == {
        "name": "wörld",
        "query": {"a": "1", "b": " "},
        "header": "f",
        "started": True,
        "user": None,
        "scopes": None,
    }


async def test_what_the_app_refuses_itself(http, app_server):
    answer = await http.put("/hello/you")
    assert (answer.status_code, answer.text) == (405, "Method Not Allowed")
    wait_until(lambda: "PUT /hello/you 405 " in app_server.log.read_text(), "the answer is in the log")
    answer = await http.get("/nothing-like-this")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_routes_of_the_server_method_by_method(http):
    assert (await http.get("/threads/search")).text == "mine"
    assert (await http.post("/threads/search", json={})).json() == []
    assert (await http.get("/info")).json() == {"mine": True}
    answer = await http.get("/ok")
    assert answer.json()["ok"] is True
    assert "x-stamp" not in answer.headers


async def test_a_mount_takes_what_is_below_it(http):
    assert (await http.post("/tree/a/b")).text == "POST a/b"


async def test_an_exception_is_not_told(http):
    answer = await http.get("/fail")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


async def test_a_body_and_its_answer_pass_as_they_come(http):
    # By hand, because the client reads no answer before its body is sent.
    host, port = http.base_url.host, http.base_url.port
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        writer.write(b"5\r\nfirst\r\n")
        seen = await reader.readuntil(b"FIRST")
        assert seen.startswith(b"HTTP/1.1 200 OK")
        writer.write(b"6\r\nsecond\r\n")
        await reader.readuntil(b"SECOND")
        writer.write(b"0\r\n\r\n")
        await reader.read()
        writer.close()


async def test_a_large_body(http):
    answer = await http.post("/echo", content=b"a" * 5_000_000)
    assert answer.content == b"A" * 5_000_000


async def test_the_app_hears_that_its_client_has_left(http, gate):
    async with http.stream("GET", "/until-left", params={"gate": gate.path}) as answer:
        async for part in answer.aiter_bytes():
            assert part == b"here"
            break
    visitor = await gate.visitor(SECONDS)
    await visitor.gone(SECONDS)


async def test_a_websocket(app_server):
    url = app_server.url.replace("http", "ws") + "/talk"
    async with asyncio.timeout(SECONDS), websockets.connect(url, subprotocols=["lower", "upper"]) as socket:
        assert socket.subprotocol == "upper"
        await socket.send("hello")
        assert await socket.recv() == "HELLO"
        await socket.send("bytes")
        assert await socket.recv() == b"\x00\xff"
        await socket.send("end")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as asked")


async def test_a_websocket_that_is_not_accepted(app_server):
    url = app_server.url.replace("http", "ws") + "/refuse"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url):
            pass
    assert refused.value.response.status_code == 403


async def test_the_app_calls_the_server(http):
    assert (await http.get("/app/assistants")).json() == ["nest", "simple"]
    assert (await http.get("/app/run")).json()["path"] == ["1", "leaf"]


async def test_a_crash_is_a_503_on_its_routes_only_and_it_is_started_again(start_server, client_of, tmp_path):
    server = start_server(config=project(tmp_path, {"app": "./app.py:without_middleware"}))
    client, http = client_of(server)
    url = server.url.replace("http", "ws") + "/talk"
    async with websockets.connect(url) as socket:
        answer = await http.get("/die")
        assert answer.status_code == 503
        assert answer.json() == {"detail": "The custom app ended before it answered; it is being started again"}
        assert await client.assistants.search(graph_id="simple")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1011
    async with asyncio.timeout(SECONDS):
        while (answer := await http.get("/hello/you")).status_code != 201:
            assert answer.status_code == 503
            assert answer.json()["detail"].endswith("it is being started again")
            await asyncio.sleep(0.05)


async def test_routes_are_open_unless_they_are_to_be_authenticated(start_server, client_of, tmp_path):
    auth = {"path": "./auth.py:auth"}
    config = project(tmp_path, {"app": "./app.py:app"}, auth)
    _, http = client_of(start_server(config=config, headers={"x-user": "root"}))
    assert (await http.get("/hello/you")).json()["user"] is None
    assert (await http.get("/info")).json() == {"mine": True}
    assert (await http.post("/threads/search", json={})).status_code == 401


async def test_authenticated_routes(start_server, client_of, tmp_path):
    auth = {"path": "./auth.py:auth"}
    config = project(tmp_path, {"app": "./app.py:app", "enable_custom_route_auth": True}, auth)
    server = start_server(config=config, headers={"x-user": "root"})
    _, http = client_of(server)
    for path in ("/hello/you", "/info", "/threads/search"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (401, {"detail": "who are you?"})
    seen = (await http.get("/hello/you", headers={"x-user": "me"})).json()
    assert (seen["user"], seen["scopes"]) == ("me", ["read"])
    assert (await http.get("/ok")).json()["ok"] is True
    # Nobody is asked who calls from inside.
    assert (await http.get("/app/assistants", headers={"x-user": "me"})).json() == ["nest", "simple"]
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(server.url.replace("http", "ws") + "/talk"):
            pass
    assert refused.value.response.status_code == 403


async def test_an_app_without_routes_gets_what_the_server_does_not_have(start_server, client_of, tmp_path):
    client, http = client_of(start_server(config=project(tmp_path, {"app": "./app.py:bare"})))
    assert (await http.get("/what/ever")).text == "/what/ever"
    assert (await http.get("/info")).json()["version"]
    assert await client.threads.search() == []


def test_the_lifespan_ends_with_the_server(tmp_path):
    (tmp_path / "p").mkdir()
    server = Server(tmp_path, config=project(tmp_path / "p", {"app": "./app.py:app"}))
    server.start()
    wait_until(lambda: "the app starts" in server.tail(), "the lifespan has started", SECONDS)
    server.stop()
    assert "the app ends" in server.tail()


@pytest.mark.parametrize(
    "app, cause",
    [
        ("./app.py:broken", "its lifespan failed to start: RuntimeError: no database"),
        ("./app.py:nothing", "has no variable 'nothing'"),
        ("./app.py:no_app", "is a int, not an ASGI application"),
        ("./missing.py:app", "there is no file"),
    ],
)
def test_what_cannot_be_served_keeps_a_server_in_production_from_starting(tmp_path, app, cause):
    file = project(tmp_path, {"app": app})
    command = [binary(), "serve", "--config", file, "--port", "0", "--python", sys.executable]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    assert ended.returncode == 3
    assert "http.app" in ended.stderr.splitlines()[-1]
    assert cause in ended.stderr.splitlines()[-1], ended.stderr
