"""A project's own encryption: what its handlers are asked, what is stored, and what everybody sees of it."""

import asyncio
import base64
import json
import sqlite3
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from langgraph_sdk.errors import APIStatusError

from support.encryption import EncryptionServer, canary, holds
from support.server import PROJECT, Server, binary, wait_until


def stored(server: Server, sql: str) -> list[tuple]:
    with sqlite3.connect(server.data / "agent-server.db") as database:
        rows = database.execute(sql).fetchall()
    database.close()
    return rows


@pytest.fixture
def start(tmp_path) -> Iterator:
    servers: list[EncryptionServer] = []

    def start(env: dict[str, str] | None = None) -> EncryptionServer:
        servers.append(EncryptionServer(tmp_path, env))
        servers[-1].server.start()
        return servers[-1]

    yield start
    for each in servers:
        each.server.stop()


async def test_no_file_shows_what_was_written(start):
    project = start()
    server = project.server
    async with project.client("ada", key="k1") as client:
        thread = (await client.threads.create(metadata={"words": canary(1)}))["thread_id"]
        config = {"configurable": {"words": canary(2)}, "tags": [canary(3)]}
        stream = client.runs.stream(
            thread,
            "simple",
            input={"foo": canary(4)},
            config=config,
            metadata={"words": canary(5)},
            stream_mode=["values", "updates"],
            stream_resumable=True,
        )
        parts = [part async for part in stream]
        run = parts[0].data["run_id"]
        await client.runs.wait(thread, "approval", input={"foo": canary(6)})
        await client.threads.update_state(thread, {"foo": canary(7)})
        assistant = await client.assistants.create("simple", metadata={"words": canary(8)}, context={"words": canary(9)})
        cron = await client.crons.create("simple", schedule="0 0 1 1 *", input={"foo": canary(10)})
        await client.store.put_item(["a"], "key", {"words": canary(11)})
        await client.threads.copy(thread)
        before = await client.threads.get(thread)
        history = await client.threads.get_history(thread)
    assert before["metadata"]["words"] == canary(1) and before["values"]["foo"] == canary(7)
    canaries = [canary(seed) for seed in range(1, 12)]
    assert holds(server, *canaries) == set()
    server.kill()
    server.start()
    async with project.client("ada") as client:
        assert await client.threads.get(thread) == before
        assert await client.threads.get_history(thread) == history
        found = await client.runs.get(thread, run)
        assert found["kwargs"]["input"] == {"foo": canary(4)} and found["metadata"]["words"] == canary(5)
        assert found["kwargs"]["config"]["configurable"]["words"] == canary(2)
        assert found["kwargs"]["config"]["tags"] == [canary(3)]
        replay = [part async for part in client.runs.join_stream(thread, run, last_event_id="-1")]
        assert any(canary(4) in str(part.data) for part in replay)
        assert (await client.assistants.get(assistant["assistant_id"]))["context"] == {"words": canary(9)}
        assert (await client.crons.search())[0]["payload"]["input"] == {"foo": canary(10)}
        assert cron["payload"]["input"] == {"foo": canary(10)}
        assert (await client.store.get_item(["a"], "key"))["value"] == {"words": canary(11)}
        # It goes on from there.
        result = await client.runs.wait(thread, "simple", input={"foo": "x"})
        assert result["foo"] == "A" and "__error__" not in result
    server.stop()
    assert holds(server, *canaries) == set()


async def test_what_the_handlers_are_asked(start):
    project = start()
    async with project.client("ada", key="k1") as client:
        thread = (await client.threads.create(metadata={"words": "w"}))["thread_id"]
        project.asked()
        config = {"configurable": {"words": "w"}, "tags": ["t"]}
        await client.runs.wait(thread, "simple", input={"foo": "x"}, config=config, metadata={"words": "w"})
        asked = project.asked()
    context = {"key": "k1", "tenant": "ada"}
    assert {each.model for each in asked if each.kind == "blob"} == {"checkpoint"}
    run = [each for each in asked if each.way == "encrypt" and each.model == "run"]
    assert {each.field for each in run} == {"config", "configurable", "context", "input", "metadata"}
    assert all(each.context == context for each in run)
    names = {name for each in asked for name in each.names}
    assert {"words", "foo", "tags"} <= names
    # What the server itself reads is nobody's business.
    own = {"thread_id", "run_id", "assistant_id", "graph_id", "langgraph_version", "langgraph_auth_user_id", "source", "step"}
    assert not names & (own | {"__encryption_context__", "recursion_limit", "__request_start_time_ms__"})
    # What is written after the request, for the run, is encrypted as its thread is.
    assert all(each.context == context for each in asked if each.model in ("checkpoint", "thread") and each.way == "encrypt")


async def test_the_context_is_kept_beside_the_data(start):
    project = start()
    async with project.client("ada", key="k1") as client:
        thread = await client.threads.create(metadata={"words": "w"})
    rows = stored(project.server, "SELECT metadata ->> '__encryption_context__', metadata ->> 'words' FROM thread")
    assert json.loads(rows[0][0]) == {"key": "k1", "tenant": "ada"} and rows[0][1].startswith("enc:1:")
    assert thread["metadata"] == {"words": "w", "owner": "ada"}
    project.asked()
    async with project.client("ada") as client:
        assert (await client.threads.get(thread["thread_id"]))["metadata"] == thread["metadata"]
        contexts = [each.context for each in project.asked() if each.model == "thread"]
        assert contexts and all(context == {"key": "k1", "tenant": "ada"} for context in contexts)
        # Whoever changes it without a context leaves it without one.
        await client.threads.update(thread["thread_id"], metadata={"words": "v"})
    async with project.client("ada", fail=True) as client:
        # A handler that fails leaves what was sent.
        other = await client.threads.create(metadata={"words": "w"})
        assert (await client.threads.get(other["thread_id"]))["metadata"]["words"] == "w"
    sql = "SELECT metadata ->> '__encryption_context__' FROM thread ORDER BY created_at"
    assert [json.loads(row[0]) for row in stored(project.server, sql)] == [{}, {"fail": True}]


async def test_searches_find_what_is_always_encrypted_alike(start):
    project = start()
    async with project.client("ada") as client:
        await client.threads.create(metadata={"find_me": "here", "words": "w"}, graph_id="simple")
        await client.threads.create(metadata={"find_me": "there", "words": "w"})
        assert await client.threads.count(metadata={"find_me": "here"}) == 1
        assert await client.threads.count(metadata={"words": "w"}) == 0
        assert await client.threads.count(metadata={"graph_id": "simple"}) == 1
        await client.assistants.create("simple", metadata={"find_me": "here"})
        assert await client.assistants.count(metadata={"find_me": "here"}) == 1
        await client.store.put_item(["a"], "key", {"find_me": "here", "words": "w"})
        found = await client.store.search_items(["a"], filter={"find_me": "here"})
        assert [item["value"] for item in found["items"]] == [{"find_me": "here", "words": "w"}]
        assert (await client.store.search_items(["a"], filter={"words": "w"}))["items"] == []


async def test_tenants_are_apart_although_their_names_are_encrypted(start):
    project = start()
    async with project.client("ada") as ada, project.client("bob") as bob:
        threads = [(await ada.threads.create())["thread_id"] for _ in range(3)]
        other = (await bob.threads.create())["thread_id"]
        cron = await bob.crons.create("simple", schedule="0 0 1 1 *", input={"foo": "x"})
        run = await bob.runs.create(other, "simple", input={"foo": "x"})
        await bob.runs.join(other, run["run_id"])
        owners = stored(project.server, "SELECT metadata ->> 'owner' FROM thread")
        assert all(owner.startswith("enc:") for (owner,) in owners) and len(set(owners)) == 4
        assert await ada.threads.count() == 3 and await bob.threads.count() == 1
        found = await ada.threads.search(limit=2, sort_by="created_at", sort_order="asc")
        found += await ada.threads.search(limit=2, offset=2, sort_by="created_at", sort_order="asc")
        assert [thread["thread_id"] for thread in found] == threads
        assert await ada.crons.search() == [] and len(await bob.crons.search()) == 1
        for ask in (
            lambda: ada.threads.get(other),
            lambda: ada.threads.get_state(other),
            lambda: ada.threads.get_history(other),
            lambda: ada.threads.update(other, metadata={"x": 1}),
            lambda: ada.threads.delete(other),
            lambda: ada.runs.get(other, run["run_id"]),
            lambda: ada.runs.create(other, "simple", input={"foo": "x"}),
            lambda: ada.crons.delete(cron["cron_id"]),
        ):
            with pytest.raises(APIStatusError) as refusal:
                await ask()
            assert refusal.value.status_code == 404
        assert (await bob.threads.get(other))["metadata"]["owner"] == "bob"


async def test_another_key_is_taken_over_by_reading(start):
    project = start()
    async with project.client("ada", key="k1") as client:
        thread = (await client.threads.create(metadata={"words": "w"}))["thread_id"]
        run = await client.runs.create(thread, "simple", input={"foo": "x"})
        await client.runs.join(thread, run["run_id"])
        assistant = await client.assistants.create("simple", metadata={"words": "w"})
        await client.store.put_item(["a"], "key", {"words": "w"})
        cron = await client.crons.create("simple", schedule="0 0 1 1 *", input={"foo": "x"}, metadata={"words": "w"})

        async def read() -> list:
            return [
                await client.threads.get(thread),
                await client.threads.get_history(thread),
                await client.threads.get_state(thread),
                await client.runs.get(thread, run["run_id"]),
                await client.assistants.get(assistant["assistant_id"]),
                await client.store.get_item(["a"], "key"),
                await client.crons.search(),
            ]

        before = await read()
        project.turn_key("2")
        assert await read() == before
        for sql in (
            "SELECT metadata ->> 'words' FROM thread",
            f"SELECT metadata ->> 'words' FROM assistant WHERE lower(hex(assistant_id)) = '{assistant['assistant_id'].replace('-', '')}'",
            "SELECT value ->> 'words' FROM item",
            "SELECT metadata ->> 'words' FROM cron",
        ):
            assert [value[:6] for (value,) in stored(project.server, sql)] == ["enc:2:"], sql
        # Blobs: a mark, the context and its length, then what the handler made.
        old = "SELECT count(*) FROM rendered WHERE instr(state_values, CAST('enc:1:' AS BLOB)) > 0"
        new = old.replace("enc:1:", "enc:2:")
        wait_until(lambda: stored(project.server, old) == [(0,)], "rendered states are stored anew", 30)
        assert stored(project.server, new)[0][0] > 2
        project.asked()
        assert await read() == before
        assert cron["metadata"]["words"] == "w"
    contexts = [each.context for each in project.asked() if each.model == "thread" and each.field == "metadata"]
    assert contexts and all(context == {"key": "k1", "tenant": "ada"} for context in contexts)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("%%%", "Invalid symbol 37, offset 0."),
        (base64.b64encode(b"{").decode(), "EOF while parsing an object at line 1 column 1"),
        (base64.b64encode(b"[1]").decode(), "expected base64-encoded JSON object"),
    ],
)
async def test_a_header_that_cannot_be_read_is_refused(start, header, reason):
    project = start()
    async with project.http("ada") as http:
        answer = await http.post("/threads", json={}, headers={"x-encryption-context": header})
    assert (answer.status_code, answer.json()) == (422, {"detail": f"Invalid X-Encryption-Context header: {reason}"})


async def test_handlers_that_fail_change_nothing(start):
    project = start()
    log = project.server.tail
    async with project.http("ada") as http:
        for way, why in (
            ("raise", "RuntimeError: no key is to be had"),
            ("drop", "has to keep the keys of thread.metadata; added: [other], removed: [misbehave, owner]"),
            ("odd", "the handler encrypt.json has to return dict, and returned list"),
        ):
            answer = await http.post("/threads", json={"metadata": {"misbehave": way}})
            assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
            wait_until(lambda why=why: why in log(400), f"the log says {why}")
        assert (await http.post("/threads/count", json={})).json() == 0
        assert (await http.post("/threads", json={"metadata": {"misbehave": "no"}})).status_code == 200


async def test_the_folder_is_nobody_elses(start):
    project = start()
    async with project.client("ada") as client:
        thread = (await client.threads.create(metadata={"words": "w"}))["thread_id"]
    project.server.stop()
    other = Server(project.folder, None, config=PROJECT / "langgraph.json")
    with pytest.raises(AssertionError, match="was written with a project's own encryption: set encryption.path to it"):
        other.start()
    # The section may come from a variable, too.
    path = str(project.server.config.parent / "cipher.py") + ":encryption"
    env = {"LANGGRAPH_ENCRYPTION": json.dumps({"path": path}), "CIPHER_FOLDER": str(project.folder)}
    other = Server(project.folder, env, config=PROJECT / "langgraph.json")
    other.start()
    async with httpx.AsyncClient(base_url=other.url, trust_env=False, timeout=30) as http:
        assert (await http.get(f"/threads/{thread}")).json()["metadata"] == {"words": "w", "owner": "ada"}
    other.stop()


async def test_a_key_and_handlers_work_together(tmp_path, start):
    key = {"LANGGRAPH_AES_KEY": "0123456789abcdef", "LANGGRAPH_AES_JSON_KEYS": "words"}
    plain = Server(tmp_path, key, config=PROJECT / "langgraph.json")
    plain.start()
    async with httpx.AsyncClient(base_url=plain.url, trust_env=False, timeout=30) as http:
        old = (await http.post("/threads", json={"metadata": {"words": "old", "owner": "ada"}})).json()["thread_id"]
        await http.post(f"/threads/{old}/runs/wait", json={"assistant_id": "simple", "input": {"foo": "x"}})
        before = (await http.get(f"/threads/{old}/state")).json()
    plain.stop()
    # What the key has encrypted stays readable.
    project = start(key)
    async with project.client("ada", key="k1") as client:
        assert (await client.threads.get(old))["metadata"]["words"] == "old"
        assert (await client.threads.get_state(old))["values"] == before["values"]
        result = await client.runs.wait(old, "simple", input={"foo": canary(1)})
        assert result == {"foo": "A", "log": ["a", "b", "a", "b"]}
        new = await client.threads.create(metadata={"words": canary(2)})
        assert (await client.threads.get(new["thread_id"]))["metadata"]["words"] == canary(2)
    assert holds(project.server, canary(1), canary(2)) == set()
    found = subprocess.run(
        [str(binary()), "doctor", "--data-dir", str(project.server.data)], capture_output=True, text=True, timeout=60, env=key
    )
    assert found.stdout == f"{project.server.data}: sound\n"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("./half.py:encryption", "has a handler encrypt.json and none for decrypt.json"),
        ("./half.py:nothing", "has no handlers"),
        ("./half.py:text", "half.py is a str, not a langgraph_sdk.Encryption"),
        ("./half.py:absent", "has no variable 'absent'"),
        ("./cipher.ts:encryption", "encryption in JavaScript is not supported yet"),
        ("./half.py", "names no variable"),
    ],
)
def test_what_cannot_be_used_is_explained(tmp_path, path, why):
    env = {"LANGGRAPH_ENCRYPTION": json.dumps({"path": path}), "CIPHER_FOLDER": str(tmp_path)}
    project = EncryptionServer(tmp_path, env)
    with pytest.raises(AssertionError) as error:
        project.server.start()
    assert why in str(error.value), error.value


async def test_runs_at_a_time(start):
    project = start()
    async with project.client("ada", key="k1") as client:

        async def one(number: int) -> dict:
            return await client.runs.wait(None, "simple", input={"foo": f"{number}"})

        results = await asyncio.gather(*(one(number) for number in range(12)))
    assert all(result == {"foo": "A", "log": ["a", "b"]} for result in results)
