"""The log: a line for each request and each end of a run, what user code says, and no secrets."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from support.server import Server

PROJECT = Path(__file__).parent / "ops_project"
SECRET = "s3cr3t-value"


@pytest.fixture
def serve(start_server, tmp_path):
    def start(env: dict | None = None, http: dict | None = None, **more) -> Server:
        config = tmp_path / "langgraph.json"
        graphs = {name: f"{PROJECT}/graphs.py:{name}" for name in ("speaks", "spans")}
        config.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, "http": http or {}}))
        return start_server({"LOG_JSON": "true"} | (env or {}), config=config, graph="speaks", **more)

    return start


def entries(server: Server) -> list[dict]:
    """The lines of the log; the others are the banner's."""
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


async def entry(server: Server, seconds: float = 60, **wanted) -> dict:
    """The first line with these fields, once it is there."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                for line in entries(server):
                    if all(line.get(name) == value for name, value in wanted.items()):
                        return line
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"no line with {wanted} within {seconds} s") from None


async def test_lines_are_objects_that_belong_together(serve, client_of):
    server = serve()
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    headers = {"x-request-id": "req-1", "authorization": f"Bearer {SECRET}", "x-api-key": SECRET}
    answer = await http.post(
        f"/threads/{thread}/runs/wait?key={SECRET}",
        json={"assistant_id": "speaks", "input": {"fails": True}},
        headers=headers | {"cookie": f"a={SECRET}"},
    )
    # As upstream has it.
    assert "x-request-id" not in answer.headers
    run = (await client.runs.list(thread))[0]
    ids = {"run_id": run["run_id"], "thread_id": thread, "assistant_id": run["assistant_id"]}

    request = await entry(server, request_id="req-1", route="/threads/{thread_id}/runs/wait")
    took, first = request.pop("latency_ms"), request.pop("ttfb_ms")
    assert 0 <= first <= took
    assert request.pop("timestamp").endswith("Z")
    path = f"/threads/{thread}/runs/wait"
    assert request == {
        "level": "info",
        "event": f"POST {path} 200 {took}ms",
        "logger": "agent_server_server::access_log",
        "request_id": "req-1",
        "method": "POST",
        "path": path,
        "status": 200,
        "response_size_bytes": len(answer.content),
        "route": "/threads/{thread_id}/runs/wait",
        "proto": "1.1",
        "thread_id": thread,
        "run_id": run["run_id"],
    }

    ended = await entry(server, event="run ended: error")
    assert ended.items() >= (ids | {"graph_id": "speaks", "attempt": 1, "request_id": "req-1"}).items()

    of_run = ids | {"graph_id": "speaks", "attempt": 1}
    said = {
        "printed twice": {"level": "info", "logger": "worker"},
        "no end": {"level": "info", "logger": "worker"},
        "logged so": {"level": "info", "logger": "project"},
    }
    for text, more in said.items():
        line = await entry(server, event=text)
        assert line.pop("timestamp") and line.pop("worker") in (0, 1)
        assert line == of_run | {"event": text} | more
    broke = [line for line in entries(server) if line["event"].startswith("it broke\nTraceback")]
    assert [(line["level"], line["logger"], line["run_id"]) for line in broke] == [("error", "project", run["run_id"])]
    assert broke[0]["event"].endswith("ValueError: on purpose")
    failed = [line for line in entries(server) if "RuntimeError: the node fails" in line["event"]]
    assert [(line["level"], line["run_id"]) for line in failed] == [("error", run["run_id"])]
    # Nobody's run: it is the worker's.
    loading = await entry(server, event="loading AF_UNIX")
    assert "run_id" not in loading and loading["logger"] == "worker"

    text = server.log.read_text()
    assert "too quiet" not in text and SECRET not in text


async def test_refusals_and_clients_that_leave_are_told_apart(serve, client_of, gate):
    server = serve()
    client, http = client_of(server)
    for path in ("/ok", "/metrics"):
        await http.get(path)
    await http.get("/nothing")
    lost = await entry(server, path="/nothing")
    assert (lost["level"], lost["status"], lost.get("route")) == ("warning", 404, None)
    assert len(lost["request_id"]) == 36

    body = {"assistant_id": "spans", "input": {"gate": gate.path}}
    async with http.stream("POST", "/runs/stream", json=body) as stream:
        visitor = await gate.visitor()
        run = stream.headers["content-location"].rpartition("/")[2]
    gone = await entry(server, path="/runs/stream")
    assert (gone["level"], gone["status"], gone["run_id"]) == ("warning", 499, run)
    visitor.let_in()
    assert not [line for line in entries(server) if line.get("path") in ("/ok", "/metrics")]


async def test_chosen_headers_are_logged_and_secrets_never(serve, client_of):
    names = {"includes": ["x-*", "authorization", "cookie", "content-type"], "excludes": ["x-hidden"]}
    server = serve(http={"logging_headers": names})
    _, http = client_of(server)
    headers = {"x-seen": "1", "x-hidden": SECRET, "authorization": SECRET, "cookie": SECRET, "x-api-key": SECRET}
    await http.get("/info", headers=headers)
    line = await entry(server, path="/info")
    assert line["req_header"] == {"x-seen": "1"}
    assert line["res_header"] == {"content-type": "application/json"}
    assert SECRET not in server.log.read_text()


async def test_levels_hide_what_is_less_important(serve, client_of):
    server = serve({"LOG_LEVEL": "warning"})
    client, http = client_of(server)
    await http.get("/info")
    await client.runs.wait(None, "speaks", input={})
    await http.get("/nothing", headers={"x-request-id": "late"})
    # Also where only warnings are logged they say which request they are about.
    assert (await entry(server, path="/nothing"))["request_id"] == "late"
    lines = entries(server)
    events = {line["event"] for line in lines if line["level"] == "info"}
    # What is printed has no level, and is not hidden.
    assert {"printed twice", "no end", "loading AF_UNIX"} == events
    assert "logged so" not in {line["event"] for line in lines}


async def test_text_is_for_people(serve, client_of):
    server = serve({"LOG_JSON": "false"})
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "speaks", input={})
    run = (await client.runs.list(thread))[0]["run_id"]
    while f"POST /threads/{thread}/runs/wait 200" not in server.log.read_text():
        await asyncio.sleep(0.02)
    lines = [line.split(" ", 1)[1] for line in server.log.read_text().splitlines() if " INFO " in line]
    printed = next(line for line in lines if "printed twice" in line)
    assert printed.startswith("INFO  printed twice  worker=") and f"run_id={run}" in printed
    request = next(line for line in lines if "/runs/wait" in line)
    assert request.endswith(f"ms  thread_id={thread} run_id={run}")
    assert "\x1b" not in server.log.read_text()


def test_what_is_no_list_of_headers_ends_the_start(serve):
    with pytest.raises(AssertionError, match="the server ended with 2:\n.*http.logging_headers.includes: "):
        serve(http={"logging_headers": {"includes": "x-*"}})


async def test_requests_outside_of_the_prefix_are_logged(serve):
    server = serve(http={"mount_prefix": "/agents"}, prefix="/agents")
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.get(f"{server.url}/info")
        await http.get(server.url.replace("/agents", "/info"))
    assert (await entry(server, path="/agents/info"))["status"] == 200
    assert (await entry(server, path="/info"))["status"] == 404
