"""What a graph does to its worker hurts neither the server nor runs in other workers; used-up workers are replaced."""

import asyncio
import sys
import time
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from support.server import descendants

DONE = {"foo": "A", "log": ["a", "b"]}


async def answers(server, count: int = 30) -> None:
    """Far more time than an answer should take, far less than the graph blocks."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for _ in range(count):
            before = time.monotonic()
            assert (await http.get("/ok")).status_code == 200
            assert time.monotonic() - before < 0.5


@pytest.mark.parametrize("graph", ["waiting", "holding"])
async def test_a_graph_that_computes_leaves_the_server_alone(start_server, gate, graph):
    """In the worker's event loop, and in a thread."""
    server = start_server()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, graph, input=gate.input())
        (await gate.visitor()).let_in("spin 3")
        await answers(server)
        assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run spin 3"]


async def test_runs_do_not_wait_for_a_worker_that_is_blocked(start_server, gate):
    """Not even those that it was given before anybody knew."""
    server = start_server({"AGENT_SERVER_WORKERS": "2"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "blocking", input=gate.input())
        visitor = await gate.visitor()
        states = await asyncio.gather(*(client.runs.wait(None, "simple", input={"foo": "x"}) for _ in range(8)))
        assert states == [DONE] * 8
        await answers(server)
        visitor.let_in()
        assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run passed"]
        # What the blocked one was given and gave back is not made a second time.
        runs = await client.runs.list(thread)
        assert [run["status"] for run in runs] == ["success"]


async def test_a_worker_is_replaced_after_so_many_runs(start_server, gate):
    server = start_server({"AGENT_SERVER_WORKERS": "1", "AGENT_SERVER_WORKER_MAX_RUNS": "3"})
    async with get_client(url=server.url, api_key=None) as client:
        # One that outlasts the worker's time goes on in it.
        long = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input("long")))
        first = await gate.visitor()
        pids = {first.pid}
        while len(pids) < 3:
            waiting = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input("short")))
            visitor = await gate.visitor()
            pids.add(visitor.pid)
            visitor.let_in()
            assert (await waiting)["log"] == ["short arrives", "short passed"]
        first.let_in()
        assert (await long)["log"] == ["long arrives", "long passed"]
        assert first.attempt == 1 and gate.empty


async def test_a_worker_that_has_eaten_too_much_is_replaced(start_server, gate):
    server = start_server({"AGENT_SERVER_WORKERS": "1", "AGENT_SERVER_WORKER_MAX_MEMORY_MB": "400"})
    async with get_client(url=server.url, api_key=None) as client:
        waiting = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input()))
        glutton = await gate.visitor()
        glutton.let_in("eat 400")
        assert (await waiting)["log"] == ["run arrives", "run eat 400"]
        pid = glutton.pid
        async with asyncio.timeout(30):
            while pid == glutton.pid:
                waiting = asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input()))
                visitor = await gate.visitor()
                pid = visitor.pid
                visitor.let_in()
                await waiting


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose by rules of their own")
async def test_workers_go_before_the_server_when_memory_runs_out(start_server):
    server = start_server()

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    own = score(server.process.pid)
    assert {score(pid) for pid in descendants(server.process.pid)} == {min(own + 100, 1000)}
