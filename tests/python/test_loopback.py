"""Clients without an address reach the server that the graph runs in, and runs that wait for runs never wait for ever."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from support.server import ROOT, wait_until

CONFIG = ROOT / "tests/python/custom_project/langgraph.json"
ONE_SLOT = {"AGENT_SERVER_WORKERS": "1", "N_JOBS_PER_WORKER": "1"}
SECONDS = 50
"""Only a failure takes so long."""


@pytest.fixture
def one_slot(start_server):
    """A server with a single slot."""
    return start_server(ONE_SLOT, config=CONFIG)


async def within_time(awaitable):
    async with asyncio.timeout(SECONDS):
        return await awaitable


async def test_a_run_waits_for_a_child_that_waits_for_a_grandchild(one_slot, client_of):
    client, _ = client_of(one_slot)
    values = await within_time(client.runs.wait(None, "nest", input={"left": 2}))
    assert values == {"left": 2, "path": ["2", "1", "leaf"]}


async def test_the_synchronous_client_too(one_slot, client_of):
    client, _ = client_of(one_slot)
    values = await within_time(client.runs.wait(None, "nest_sync", input={"left": 2}))
    assert values == {"left": 2, "path": ["2", "1", "leaf"]}


async def test_more_parents_than_slots(start_server, client_of):
    slots = 2
    server = start_server({"AGENT_SERVER_WORKERS": "1", "N_JOBS_PER_WORKER": str(slots)}, config=CONFIG)
    client, _ = client_of(server)
    waits = [client.runs.wait(None, "nest", input={"left": 2}) for _ in range(2 * slots)]
    for values in await within_time(asyncio.gather(*waits)):
        assert values["path"] == ["2", "1", "leaf"]


async def test_only_runs_that_others_wait_for_get_more_slots(one_slot, client_of, gate):
    client, _ = client_of(one_slot)
    parent = asyncio.create_task(client.runs.wait(None, "nest", input={"left": 1, "gate": gate.path}))
    child = await gate.visitor(SECONDS)
    waiting = await client.runs.create(None, "nest", input={"left": 0, "gate": gate.path})
    other = asyncio.create_task(client.runs.wait(None, "simple", input={}))
    await asyncio.sleep(0)
    assert (await client.runs.get(waiting["thread_id"], waiting["run_id"]))["status"] == "pending"
    child.let_in()
    assert (await within_time(parent))["path"] == ["1", "leaf"]
    visitor = await gate.visitor(SECONDS)
    assert visitor.run_id == waiting["run_id"]
    visitor.let_in()
    await within_time(other)


async def test_a_child_behind_another_run_of_its_thread(one_slot, client_of, gate):
    client, _ = client_of(one_slot)
    # Takes the only slot, so that the next one has to wait on its thread.
    first = asyncio.create_task(client.runs.wait(None, "nest", input={"left": 0, "gate": gate.path}))
    visitor = await gate.visitor(SECONDS)
    thread = (await client.threads.create())["thread_id"]
    parent = asyncio.create_task(client.runs.wait(None, "behind", input={"thread": thread}))
    # A parent that is older than what it will have to wait for.
    while not await client.threads.search(status="busy", metadata={"graph_id": "behind"}):
        await asyncio.sleep(0.02)
    before = await client.runs.create(thread, "simple", input={})
    visitor.let_in()
    assert (await within_time(parent))["seen"] == {"x-foo": "within", "user": None}
    await within_time(first)
    await within_time(client.runs.join(thread, before["run_id"]))


async def test_a_run_joins_one_that_somebody_else_has_started(one_slot, client_of, gate):
    client, _ = client_of(one_slot)
    thread = (await client.threads.create())["thread_id"]
    first = asyncio.create_task(client.runs.wait(None, "nest", input={"left": 0, "gate": gate.path}))
    visitor = await gate.visitor(SECONDS)
    # Waits as well, and is older than what it waits for.
    joiner_thread = (await client.threads.create())["thread_id"]
    later = await client.runs.create(thread, "simple", input={}, after_seconds=1)
    given = {"gate": gate.path, "thread": thread, "run": later["run_id"]}
    joiner = await client.runs.create(joiner_thread, "joiner", input=given)
    visitor.let_in()
    await within_time(first)
    (await gate.visitor(SECONDS)).let_in()
    values = await within_time(client.runs.join(joiner_thread, joiner["run_id"]))
    assert values["seen"]["seen"] == {"user": None}


async def test_what_a_child_tells_is_passed_on_as_it_comes(one_slot, client_of, gate):
    client, _ = client_of(one_slot)
    stream = client.runs.stream(None, "listener", input={"gate": gate.path}, stream_mode="custom")
    told = []
    async with asyncio.timeout(SECONDS):
        async for part in stream:
            if part.event == "custom":
                told.append(part.data)
                if part.data == "before the gate":
                    # The child still stands there: nothing that buffers could have brought this.
                    (await gate.visitor(SECONDS)).let_in()
    assert told == ["before the gate", "after the gate"]


async def test_the_socket_is_the_users_alone_and_goes_with_the_server(one_slot):
    sockets = [
        line.split()[-1]
        for line in Path("/proc/net/unix").read_text().splitlines()
        if line.endswith("/api") and "agent-server-" in line
    ]
    mine = [path for path in map(Path, sockets) if path.exists() and owned_by(one_slot.process.pid, path)]
    assert len(mine) == 1
    folder = mine[0].parent
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    one_slot.kill()
    wait_until(lambda: not folder.exists(), "the socket is removed although the server was killed", 30)


def owned_by(pid: int, path) -> bool:
    """Whether a process listens at a socket."""
    inodes = {
        line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines() if line.endswith(f" {path}")
    }
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            return True
    return False
