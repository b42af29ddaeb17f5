"""Everything out of a data folder and into another: agent-server export and import."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.server import STORE_PROJECT, Server, binary

PROGRAM_SECONDS = 60


def run(*arguments: object, input: bytes | None = None) -> subprocess.CompletedProcess:
    command = [str(binary()), *map(str, arguments)]
    return subprocess.run(command, input=input, capture_output=True, timeout=PROGRAM_SECONDS)


def done(*arguments: object, input: bytes | None = None) -> bytes:
    ended = run(*arguments, input=input)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def refused(*arguments: object, input: bytes | None = None) -> str:
    ended = run(*arguments, input=input)
    assert ended.returncode != 0
    return ended.stderr.decode()


def export(server: Server, *arguments: str) -> bytes:
    return done("export", "-", "--data-dir", server.data, *arguments)


@pytest.fixture
def start_with(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server on a folder that an archive was imported into."""
    servers: list[Server] = []

    def start(archive: bytes, **more) -> Server:
        folder = tmp_path / f"imported-{len(servers)}"
        folder.mkdir()
        server = Server(folder, **more)
        done("import", "-", "--data-dir", server.data, input=archive)
        assert done("doctor", "--data-dir", server.data).decode() == f"{server.data}: sound\n"
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


async def everything(http, threads: list[str], assistants: list[str], namespaces: list[list[str]]) -> dict:
    """What clients can read of a server."""

    async def body(method: str, path: str, **more) -> object:
        answer = await http.request(method, path, **more)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    found = {
        "assistants": await body("POST", "/assistants/search", json={"limit": 1000}),
        "threads": await body("POST", "/threads/search", json={"limit": 1000}),
        "crons": await body("POST", "/runs/crons/search", json={"limit": 1000}),
        "namespaces": await body("POST", "/store/namespaces", json={}),
    }
    for id in assistants:
        found[f"versions of {id}"] = await body("POST", f"/assistants/{id}/versions", json={})
    for id in threads:
        found[f"thread {id}"] = await body("GET", f"/threads/{id}")
        found[f"state of {id}"] = await body("GET", f"/threads/{id}/state")
        found[f"history of {id}"] = await body("GET", f"/threads/{id}/history?limit=100")
        found[f"runs of {id}"] = await body("GET", f"/threads/{id}/runs")
    for namespace in namespaces:
        found[f"items of {namespace}"] = await body("POST", "/store/items/search", json={"namespace_prefix": namespace})
    return found


async def test_everything_is_there_and_goes_on(start_server, start_with, client_of):
    server = start_server()
    client, http = client_of(server)
    assistant = (await client.assistants.create("simple", name="one", config={"configurable": {"z": 1, "a": 2}}))["assistant_id"]
    await client.assistants.update(assistant, name="two", metadata={"n": 2})
    await client.assistants.set_latest(assistant, 1)
    asked = (await client.threads.create(metadata={"z": 1, "a": [1.5]}, ttl=600))["thread_id"]
    await client.runs.wait(asked, "approval", input={"foo": "x"})
    past = (await client.threads.create())["thread_id"]
    await client.runs.wait(past, assistant, input={"foo": "x"})
    await client.runs.wait(past, "simple", input={"foo": "y"})
    talk = (await client.threads.create())["thread_id"]
    await client.runs.wait(talk, "simple", input={"foo": "é" * 20_000})
    once = await client.crons.create("simple", schedule="0 0 1 1 *", input={"foo": "x"})
    fires = await client.crons.create_for_thread(talk, "simple", schedule="*/5 * 1 1 *", input={"foo": "cron"})
    await client.store.put_item(["a", "b"], "k", {"z": 1, "a": {"y": 1, "b": 2}}, ttl=600)
    await client.store.put_item(["c"], "k", {"text": "abc"})
    ids = ([asked, past, talk], [assistant], [["a"], ["c"]])
    before = await everything(http, *ids)
    # Beside the server, and after its end: the same.
    beside = export(server, "--only", "assistants,threads,crons,store,webhooks,idempotency")
    server.stop()
    archive = export(server)

    other = start_with(beside)
    client, http = client_of(other)
    assert await everything(http, *ids) == before
    # As bytes: the order of keys is the user's.
    text = (await http.get("/store/items", params={"namespace": "a.b", "key": "k"})).text
    assert '{"z":1,"a":{"y":1,"b":2}}' in text.replace(" ", "")
    # The question can be answered, the past gone on from, another turn taken.
    assert await client.runs.wait(asked, "approval", command={"resume": 1}) == {"foo": "x", "log": ["before", "answer: 1"]}
    history = await client.threads.get_history(past, limit=100)
    first = next(state for state in history if state["values"].get("foo") == "x" and state["next"] == ["a"])
    forked = await client.runs.wait(past, "simple", input=None, checkpoint=first["checkpoint"])
    assert forked == {"foo": "A", "log": ["a", "b"]}
    assert await client.runs.wait(talk, assistant, input={"foo": "z"}) == {"foo": "A", "log": ["a", "b"] * 2}
    assert len(await client.threads.get_history(talk, limit=100)) == 2 * len(before[f"history of {talk}"])
    assert await client.assistants.set_latest(assistant, 2)
    assert {cron["cron_id"] for cron in await client.crons.search()} == {once["cron_id"], fires["cron_id"]}
    other.stop()
    assert done("doctor", "--data-dir", other.data).decode() == f"{other.data}: sound\n"

    # What the second export says differs in nothing but its time.
    again = start_with(archive)
    _, http = client_of(again)
    assert await everything(http, *ids) == before


async def test_a_run_in_flight_goes_on(start_server, start_with, gate, client_of):
    server = start_server()
    client, _ = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    running = await client.runs.create(thread, "waiting", input=gate.input())
    waiting = await client.runs.create(thread, "simple", input={"foo": "x"}, multitask_strategy="enqueue")
    visitor = await gate.visitor()
    archive = export(server)
    server.kill()
    await visitor.gone()
    other = start_with(archive)
    (await gate.visitor()).let_in()
    client, _ = client_of(other)
    for run_of in (running, waiting):
        await client.runs.join(thread, run_of["run_id"])
        assert (await client.runs.get(thread, run_of["run_id"]))["status"] == "success"
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_cron_fires_when_it_would_have(start_server, start_with, client_of):
    server = start_server()
    client, _ = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    cron = await client.crons.create_for_thread(thread, "simple", schedule="* * * * * */2", input={"foo": "x"})
    server.stop()
    other = start_with(export(server))
    client, http = client_of(other)

    async def runs() -> list[dict]:
        return (await http.get(f"/threads/{thread}/runs", params={"limit": 1000})).json()

    had = len(await runs())
    async with asyncio.timeout(PROGRAM_SECONDS):
        while len(await runs()) <= had + 1:
            await asyncio.sleep(0.2)
    await client.crons.delete(cron["cron_id"])


async def test_vectors_are_carried(start_server, start_with, client_of):
    project = {"config": STORE_PROJECT / "langgraph.json", "graph": "memory"}
    server = start_server(**project)
    client, http = client_of(server)
    for key, text in [("1", "abc"), ("2", "xyz"), ("3", "abx")]:
        await client.store.put_item(["a"], key, {"text": text})
    query = {"namespace_prefix": ["a"], "query": "abc"}
    before = (await http.post("/store/items/search", json=query)).json()
    server.stop()
    _, http = client_of(start_with(export(server), **project))
    assert (await http.post("/store/items/search", json=query)).json() == before


async def test_one_thread_comes_back_from_a_backup(start_server, client_of, tmp_path):
    server = start_server()
    client, _ = client_of(server)
    one, two = [(await client.threads.create(metadata={"n": n}))["thread_id"] for n in (1, 2)]
    for thread in (one, two):
        await client.runs.wait(thread, "simple", input={"foo": "x"})
    backup = tmp_path / "backup.jsonl.zst"
    done("export", backup, "--data-dir", server.data)
    assert backup.stat().st_mode & 0o077 == 0
    assert "is there already" in refused("export", backup, "--data-dir", server.data)
    await client.threads.update(two, metadata={"changed": True})
    await client.threads.delete(one)
    arguments = ("import", backup, "--data-dir", server.data)
    assert f"in use by process {server.process.pid}" in refused(*arguments)
    server.stop()
    text = refused(*arguments)
    assert f"thread {two} is there already" in text and "--if-exists replace" in text
    done(*arguments, "--thread", one)
    assert f"thread {one} is there already" in refused(*arguments, "--thread", one)
    done(*arguments, "--if-exists", "skip")
    server.start()
    assert (await client.threads.get(one))["values"] == {"foo": "A", "log": ["a", "b"]}
    assert (await client.threads.get(two))["metadata"]["changed"]
    assert await client.runs.wait(one, "simple", input={"foo": "y"}) == {"foo": "A", "log": ["a", "b"] * 2}
    server.stop()
    done(*arguments, "--if-exists", "replace")
    server.start()
    assert "changed" not in (await client.threads.get(two))["metadata"]
    assert (await client.threads.get(one))["values"] == {"foo": "A", "log": ["a", "b"]}
    missing = "0198a3e5-7a0c-7bb4-93a5-0a4c6f9be0c1"
    assert f"there is no thread {missing}" in refused("export", "-", "--data-dir", server.data, "--thread", missing)


async def test_what_is_cut_off_or_newer_imports_nothing(start_server, client_of, tmp_path):
    server = start_server()
    client, _ = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "simple", input={"foo": "x"})
    archive = export(server)
    data = tmp_path / "empty"
    into = ("import", "-", "--data-dir", data)
    assert "it was cut off" in refused(*into, input=archive[: len(archive) // 2])
    header = {"header": {"format": "agent-server-archive", "version": 7}}
    newer = refused(*into, input=json.dumps(header).encode() + b"\n")
    assert "has format 7" in newer and "update the program" in newer
    assert "this is no archive" in refused(*into, input=b"text\n")
    assert "there is no" in refused("export", "-", "--data-dir", tmp_path / "nothing")
    left = done("export", "-", "--data-dir", data, "--only", "threads")
    assert len(left) and refused(*into, "--thread", thread, input=left)
    done(*into, input=archive)
