"""SIGTERM in the middle of everything: what was accepted is done once, and the end comes in time."""

import asyncio
import collections
import signal
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from support.encryption import EncryptionServer
from support.server import ROOT, Server, assistant, binary, wait_until

PROJECT = ROOT / "tests/python/stop_project/langgraph.json"
SECONDS = 60
"""Only a failure takes so long."""
STEPS = 45


class Demo(Server):
    """A server without a project: of the graph in Rust."""

    def command(self) -> list[str]:
        return [str(binary()), "dev", "--port", str(self.port), "--data-dir", str(self.data), "--offline", "--no-reload"]


async def stopped(server: Server, code: int = 0) -> None:
    """Returns when the server has ended."""
    await asyncio.to_thread(server.process.wait, SECONDS)
    assert server.process.returncode == code, server.tail()


def done(notes: Path) -> dict[str, list[tuple[int, int]]]:
    """Attempt and number of each superstep that was done, by run."""
    found = collections.defaultdict(list)
    for line in notes.read_text().splitlines():
        run, attempt, step = line.split()
        found[run].append((int(attempt), int(step)))
    return found


@pytest.fixture
def project(start_server):
    def start(grace: int, **more) -> Server:
        env = {"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": str(grace)} | more.pop("env", {})
        return start_server(env, config=PROJECT, graph="walks", **more)

    return start


async def test_under_load_every_superstep_is_done_once(project, tmp_path):
    server = project(9, mode="serve")
    notes = tmp_path / "notes"
    accepted: dict[str, tuple[str, str]] = {}

    def input(seconds: float) -> dict:
        return {"notes": str(notes), "steps": STEPS, "seconds": seconds}

    async def create(client, graph: str, durability: str) -> None:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, graph, input=input(0.2), durability=durability, stream_resumable=True)
        accepted[run["run_id"]] = (thread, graph)

    async def stream(client) -> str:
        """Reads to the end, or to where it breaks off."""
        thread = (await client.threads.create())["thread_id"]
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=SECONDS) as http:
            body = {"assistant_id": "talks", "input": input(0.2), "stream_mode": "custom"}
            async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
                run = answer.headers["location"].split("/runs/")[1].split("/")[0]
                accepted[run] = (thread, "talks")
                try:
                    async for _ in answer.aiter_lines():
                        pass
                except httpx.RemoteProtocolError:
                    return "broken off"
        return "ended"

    async with get_client(url=server.url, api_key=None) as client:
        durabilities = ["sync", "async", "exit"]
        await asyncio.gather(*(create(client, graph, each) for each in durabilities for graph in ("walks", "blocks", "talks")))
        streams = [asyncio.create_task(stream(client)) for _ in range(3)]
        short = await client.runs.create(None, "walks", input=input(0.2) | {"steps": 2})
        await asyncio.to_thread(wait_until, lambda: notes.exists() and len(done(notes)) >= 10, "runs are in progress", SECONDS)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: "get 9 s to end" in server.log.read_text(), "it stops", SECONDS)
        # Accepted until the end, for the next start.
        await create(client, "walks", "async")
        await stopped(server)
        assert await asyncio.gather(*streams) == ["broken off"] * 3
        before = done(notes)
        assert len(before.pop(short["run_id"])) == 2
        assert all(len(steps) < STEPS for steps in before.values())

        server.start()
        for run, (thread, graph) in accepted.items():
            state = await client.runs.join(thread, run)
            assert state["done"] == list(range(STEPS)), graph
            assert (await client.runs.get(thread, run))["status"] == "success"
    after = done(notes)
    assert {attempt for steps in after.values() for attempt, _ in steps} == {1}
    was_cut = "cut off within a superstep" in server.log.read_text()
    for run, (_, graph) in accepted.items():
        steps = [step for _, step in after[run]]
        # A machine that stands still for seconds may have a superstep cut off, which was not finished then.
        expected = sorted(set(steps)) if was_cut else steps
        assert expected == list(range(STEPS)), graph


async def test_a_second_signal_ends_it_at_once(project, tmp_path):
    server = project(1000)
    notes = tmp_path / "notes"
    input = {"notes": str(notes), "steps": 3, "seconds": 0.4}
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        runs = [await client.runs.create(thread, graph, input=input) for graph in ("walks", "blocks")]
        await asyncio.to_thread(wait_until, notes.exists, "a run is in progress", SECONDS)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: "get 1000 s to end" in server.log.read_text(), "it stops", SECONDS)
        server.process.send_signal(signal.SIGTERM)
        await stopped(server, 130)
        server.start()
        for run in runs:
            await client.runs.join(thread, run["run_id"])
            assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"


async def test_streams_without_runs_do_not_keep_it(project):
    server = project(1000)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=SECONDS) as http:
        opened = asyncio.Semaphore(0)

        async def follow() -> None:
            thread = (await http.post("/threads", json={})).json()["thread_id"]
            async with http.stream("GET", f"/threads/{thread}/stream") as answer:
                assert answer.status_code == 200
                opened.release()
                async for _ in answer.aiter_lines():
                    pass

        following = [asyncio.create_task(follow()) for _ in range(20)]
        for _ in following:
            await opened.acquire()
        server.process.send_signal(signal.SIGTERM)
        await stopped(server)
        ends = await asyncio.gather(*following, return_exceptions=True)
        assert {type(end) for end in ends} == {httpx.RemoteProtocolError}


async def test_while_graphs_are_loading(project, gate):
    server = project(1000, env={"LOADING_GATE": gate.path}, ready=("/ok",))
    await gate.visitor()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "slow", input={"notes": "/dev/null", "steps": 1, "seconds": 0})
        server.process.send_signal(signal.SIGTERM)
        await stopped(server)
        server.env.pop("LOADING_GATE")
        server.ready = ("/ok", f"/assistants/{assistant('walks')}/graph")
        server.start()
        assert (await client.runs.join(thread, run["run_id"]))["done"] == [0]


async def test_while_the_encryption_is_loading(tmp_path, gate):
    project = EncryptionServer(tmp_path, {"LOADING_GATE": gate.path})
    starting = asyncio.create_task(asyncio.to_thread(project.server.start))
    await gate.visitor()
    project.server.process.send_signal(signal.SIGTERM)
    await stopped(project.server)
    with pytest.raises(AssertionError, match="the server ended with 0"):
        await starting


async def test_graphs_in_rust_go_on_after_it(tmp_path):
    (tmp_path / "demo").mkdir()
    server = Demo(tmp_path / "demo", {"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"}, graph="demo")
    try:
        server.start()
        async with get_client(url=server.url, api_key=None) as client:
            accepted: dict[str, str] = {}
            enough = asyncio.Event()

            async def create() -> None:
                while True:
                    thread = (await client.threads.create())["thread_id"]
                    run = await client.runs.create(thread, "demo", input={"messages": [{"role": "user", "content": "hello"}]})
                    accepted[run["run_id"]] = thread
                    if len(accepted) >= 100:
                        enough.set()

            clients = [asyncio.create_task(create()) for _ in range(4)]
            await enough.wait()
            server.process.send_signal(signal.SIGTERM)
            await stopped(server)
            for task in clients:
                task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
            server.start()
            states = [await client.runs.join(thread, run) for run, thread in accepted.items()]
            assert {len(state["messages"]) for state in states} == {2}
            statuses = [(await client.runs.get(thread, run))["status"] for run, thread in accepted.items()]
            assert set(statuses) == {"success"}
    finally:
        server.stop()
