"""Clients that stop reading: what they cost, how they are cut off, and that nobody else notices."""

import json
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from support.raw import SECONDS, Raw, frame, upgraded
from support.server import wait_until

GRAPH = '''
import time
from typing import TypedDict
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    count: int

def flood(state):
    write = get_stream_writer()
    for number in range(state["count"]):
        write({"number": number, "text": "x" * 500_000})
        # The disk keeps up: what is not stored yet is in memory, whoever reads.
        time.sleep(0.01)

flood = StateGraph(State).add_node(flood).add_edge(START, "flood").add_edge("flood", END).compile()
'''
COUNT = 240
"""Pieces of half a megabyte: much more than systems keep for a client that reads nothing."""
SAID = (
    "a client is cut off: it has not taken anything of its answer for so long",
    "a client is cut off: it was so slow that events that it had not read are no longer in memory",
)
MEMORY = 4 << 20
"""Most that the server keeps in memory of the events of a run, bytes."""
BOUND = 64 << 20
"""Most by which it may grow: that, and what its allocator holds back."""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("flood")
    (folder / "graph.py").write_text(GRAPH)
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"dependencies": ["."], "graphs": {"flood": "./graph.py:flood"}}))
    return file


@pytest.fixture
def server(start_server, project):
    env = {"AGENT_SERVER_STALL_SECONDS": "2", "AGENT_SERVER_LOG_BYTES": str(MEMORY)}
    return start_server(env=env, config=project, graph="flood")


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url, trust_env=False, timeout=SECONDS) as http:
        yield http


def memory(server) -> int:
    """What the process occupies, bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def cut_off(server, http) -> int:
    """How many clients were, by the figures and the log."""
    lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith("lg_api_cut_off_clients_total")]
    counted = sum(int(line.rsplit(" ", 1)[1]) for line in lines)
    log = server.log.read_text()
    assert sum(map(log.count, SAID)) >= counted
    return counted


def breaks_off(raw: Raw) -> bool:
    """Whether the connection ends, and what it carried has no end."""
    try:
        return not raw.rest().endswith(b"\r\n0\r\n\r\n")
    except ConnectionResetError:
        return True


def begin(raw: Raw, thread: str, count: int = COUNT, **more) -> str:
    """Asks for a run and reads the head of its stream; the run's id."""
    body = {"assistant_id": "flood", "input": {"count": count}, "stream_mode": "custom", **more}
    content = json.dumps(body).encode()
    headers = ("content-type: application/json", f"content-length: {len(content)}")
    raw.send(f"POST /threads/{thread}/runs/stream", content, headers)
    head = raw.until(b"\r\n\r\n").decode().lower()
    assert head.startswith("http/1.1 200 ")
    return head.split("content-location: ")[1].split("\r\n")[0].rsplit("/", 1)[1]


def numbers(text: str) -> list[int]:
    """What the custom events of a stream carry."""
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [event["number"] for event in map(json.loads, data) if "number" in event]


def ended(http, thread: str, run: str) -> str:
    return http.get(f"/threads/{thread}/runs/{run}").json()["status"]


@pytest.mark.parametrize("resumable", [False, True], ids=["forgotten", "kept"])
def test_a_stream_that_nobody_reads(server, http, resumable):
    thread = http.post("/threads", json={}).json()["thread_id"]
    with Raw(server.url) as warm:
        other = begin(warm, http.post("/threads", json={}).json()["thread_id"], 3)
        assert other and b"event: end" not in warm.read
    before = memory(server)
    with Raw(server.url, receive_buffer=16 << 10) as raw:
        run = begin(raw, thread, stream_resumable=resumable, on_disconnect="continue")
        wait_until(lambda: cut_off(server, http) == 1, "the client is cut off", SECONDS)
        grown = memory(server) - before
        # Others read their own, whole.
        thread_2 = http.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "flood", "input": {"count": 5}, "stream_mode": "custom"}
        assert numbers(http.post(f"/threads/{thread_2}/runs/stream", json=body).text) == [*range(5)]
        wait_until(lambda: ended(http, thread, run) == "success", "the run goes on to its end", SECONDS)
        grown = max(grown, memory(server) - before)
        assert breaks_off(raw)
    assert grown < BOUND
    if resumable:
        text = http.get(f"/threads/{thread}/runs/{run}/stream", headers={"last-event-id": "-1"}).text
        assert numbers(text) == [*range(COUNT)], "whoever comes back gets it"
    assert cut_off(server, http) == 1


def test_a_websocket_that_nobody_reads(server, http):
    thread = str(uuid4())
    before = memory(server)
    with upgraded(server.url, f"/threads/{thread}/stream/events", receive_buffer=16 << 10) as raw:
        params = {"channels": ["custom", "lifecycle"]}
        for id, method, params in [
            (1, "subscription.subscribe", params),
            (2, "run.start", {"assistant_id": "flood", "input": {"count": COUNT}}),
        ]:
            raw.socket.sendall(frame(json.dumps({"id": id, "method": method, "params": params}).encode()))
        wait_until(lambda: cut_off(server, http) == 1, "the client is cut off", SECONDS)
        grown = memory(server) - before
        runs = http.get(f"/threads/{thread}/runs").json()
        wait_until(lambda: ended(http, thread, runs[0]["run_id"]) == "success", "the run goes on", SECONDS)
        grown = max(grown, memory(server) - before)
        assert breaks_off(raw)
    assert grown < BOUND
