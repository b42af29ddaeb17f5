"""Parts of the API that a project switches off, and a path in front of all routes."""

import json

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError
from support.server import PROJECT, assistant

THREAD = "00000000-0000-4000-8000-000000000000"
GONE = (404, {"detail": "Not Found"})


@pytest.fixture
def serve(start_server, tmp_path):
    """Starts a server of one graph with a section `http`."""

    def start(http: dict, env: dict | None = None, **more):
        config = tmp_path / "langgraph.json"
        graphs = {"simple": f"{PROJECT}/graphs/simple.py:graph"}
        config.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, "http": http}))
        return start_server(env, config=config, **more)

    return start


async def answer(http: httpx.AsyncClient, method: str, path: str) -> tuple:
    answer = await http.request(method, path, json=None if method in ("GET", "DELETE") else {})
    return answer.status_code, answer.json()


ROUTES = {
    "disable_assistants": [
        ("POST", "/assistants"),
        ("POST", "/assistants/search"),
        ("GET", f"/assistants/{assistant('simple')}"),
        ("GET", f"/assistants/{assistant('simple')}/schemas"),
    ],
    "disable_threads": [
        ("POST", "/threads"),
        ("POST", "/threads/search"),
        ("POST", "/threads/count"),
        ("GET", f"/threads/{THREAD}"),
        ("DELETE", f"/threads/{THREAD}"),
        ("GET", f"/threads/{THREAD}/state"),
        ("POST", f"/threads/{THREAD}/history"),
        ("GET", f"/threads/{THREAD}/stream"),
    ],
    "disable_runs": [
        ("POST", "/runs"),
        ("POST", "/runs/wait"),
        ("POST", "/runs/crons/search"),
        ("GET", f"/threads/{THREAD}/runs"),
        ("POST", f"/threads/{THREAD}/runs/stream"),
        ("POST", f"/threads/{THREAD}/stream/events"),
        ("POST", f"/threads/{THREAD}/commands"),
    ],
    "disable_store": [("GET", "/store/items?key=a"), ("PUT", "/store/items"), ("POST", "/store/namespaces")],
    "disable_meta": [(method, path) for path in ("/", "/info", "/docs", "/openapi.json") for method in ("GET", "POST")]
    + [("GET", "/metrics"), ("GET", "/docs/swagger-ui.css")],
    "disable_event_streaming": [("POST", f"/threads/{THREAD}/stream/events"), ("POST", f"/threads/{THREAD}/commands")],
}


async def test_what_is_switched_off_is_not_there(serve, client_of):
    server = serve(dict.fromkeys(ROUTES, True) | {"disable_ui": True}, ready=("/ok",))
    _, http = client_of(server)
    routes = [route for part in ROUTES.values() for route in part] + [("GET", "/ui/x")]
    assert {route: await answer(http, *route) for route in routes} == dict.fromkeys(routes, GONE)
    assert await answer(http, "GET", "/ok") == (200, {"ok": True})
    assert await answer(http, "GET", "/ok?check_db=1") == (200, {"ok": True})
    # A warning would say that a switch has no effect.
    assert "has no effect" not in server.log.read_text()


async def test_what_is_not_switched_off_stays(serve, client_of):
    server = serve({"disable_threads": True, "disable_store": True, "disable_event_streaming": True})
    client, http = client_of(server)
    thread = THREAD.replace("4000", "4001")
    state = await client.runs.wait(thread, "simple", input={"foo": ""}, if_not_exists="create")
    assert state["log"] == ["a", "b"]
    assert [run["status"] for run in await client.runs.list(thread)] == ["success"]
    with pytest.raises(NotFoundError):
        await client.threads.get(thread)
    assert (await http.get("/info")).status_code == 200
    # As upstream has it, the document keeps what is not a protocol of its own.
    document = (await http.get("/openapi.json")).json()
    assert "/threads" in document["paths"] and "servers" not in document


async def test_the_variable_switches_event_streaming_off(serve, client_of):
    server = serve({}, {"FF_V2_EVENT_STREAMING": "no"})
    _, http = client_of(server)
    for route in ROUTES["disable_event_streaming"]:
        assert await answer(http, *route) == GONE


async def test_strangers_learn_nothing_of_what_is_switched_off(serve, client_of):
    serve_keys = {"AGENT_SERVER_AUTH_KEYS": "true"}
    server = serve({"disable_meta": True, "disable_store": True}, serve_keys, ready=("/ok",))
    _, http = client_of(server)
    for path in ("/info", "/metrics", "/docs", "/docs/swagger-ui.css", "/", "/store/items", "/nothing"):
        assert (await http.get(path)).status_code == 401, path
    assert await answer(http, "GET", "/ok") == (200, {"ok": True})


async def test_the_document_leaves_protocols_out_that_are_off(serve, client_of):
    server = serve({"disable_mcp": True, "disable_a2a": True})
    _, http = client_of(server)
    document = (await http.get("/openapi.json")).json()
    assert not [path for path in document["paths"] if "mcp" in path or "a2a" in path or "agent-card" in path]
    assert not {tag["name"] for tag in document.get("tags", [])} & {"MCP", "A2A"}


@pytest.mark.parametrize("env", [{}, {"MOUNT_PREFIX": "/team/agents"}])
async def test_everything_is_below_the_prefix(serve, env):
    prefix = env.get("MOUNT_PREFIX", "/agents")
    server = serve({"mount_prefix": "/agents/"}, env, prefix=prefix)
    root = server.url.removesuffix(prefix)
    assert f"  API      {server.url}\n" in server.log.read_text()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

        async def status(url: str) -> int:
            return (await http.get(url)).status_code

        for path in ("", "/", "/ok", "/info", "/metrics", "/docs", "/docs/swagger-ui.css", "/openapi.json"):
            assert await status(f"{server.url}{path}") == 200, path
        for path in ("/", "/ok", "/metrics"):
            assert await status(f"{root}{path}") == 200, path
        for path in ("/info", "/docs", "/openapi.json", f"{prefix}x/ok", f"/assistants/{assistant('simple')}"):
            gone = await http.get(f"{root}{path}")
            assert (gone.status_code, gone.json()) == GONE, path

        document = (await http.get(f"{server.url}/openapi.json")).json()
        assert document["servers"] == [{"url": prefix}]
        agent = f"{server.url}/a2a/{assistant('simple')}"
        card = (await http.get(f"{agent}/.well-known/agent-card.json")).json()
        assert card["url"] == agent
        card = await http.get(f"{server.url}/.well-known/agent-card.json?assistant_id={assistant('simple')}")
        assert card.json()["url"] == agent

        metrics = (await http.get(f"{root}/metrics")).text
        assert 'path="/assistants/{assistant_id}/graph"' in metrics

    async with get_client(url=server.url, api_key=None) as client:
        thread = await client.threads.create()
        state = await client.runs.wait(thread["thread_id"], "simple", input={"foo": ""})
        assert state["log"] == ["a", "b"]
        assert [found["thread_id"] for found in await client.threads.search()] == [thread["thread_id"]]


async def test_places_of_runs_are_without_the_prefix(serve):
    server = serve({"mount_prefix": "/agents"}, prefix="/agents")
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        answer = await http.post("/runs/wait", json={"assistant_id": "simple", "input": {"foo": ""}})
        place = answer.headers["content-location"]
        assert place.startswith("/threads/")
        assert answer.headers["location"] == f"{place}/join"


async def test_the_document_names_the_address_of_the_server(serve, client_of):
    url = "https://agents.example.com/x"
    server = serve({"mount_prefix": "/agents"}, {"LANGGRAPH_API_URL": url}, prefix="/agents")
    _, http = client_of(server)
    assert (await http.get("/openapi.json")).json()["servers"] == [{"url": url}]


@pytest.mark.parametrize("prefix", ["agents", "/noauth", "/noauth/x", "/a//b", 1])
def test_a_prefix_that_cannot_be_one_ends_the_start(serve, prefix):
    with pytest.raises(AssertionError, match="the server ended with 2:\n.*http.mount_prefix: "):
        serve({"mount_prefix": prefix})
