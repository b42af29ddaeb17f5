"""Encryption with a key: what the files show, who may open them, and that everything works as without."""

import sqlite3
import subprocess

import httpx
import pytest
from langgraph_sdk import get_client

from support.encryption import canary, holds
from support.server import STORE_PROJECT, Server, binary

KEY = "0123456789abcdef0123456789abcdef"
ENV = {"LANGGRAPH_AES_KEY": KEY, "LANGGRAPH_AES_JSON_KEYS": "secret,profile"}


def doctor(server: Server, env: dict[str, str]) -> subprocess.CompletedProcess:
    command = [str(binary()), "doctor", "--data-dir", str(server.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


def refusal(server: Server, env: dict[str, str]) -> str:
    """What a server says that does not start."""
    server.env = {"AGENT_SERVER_WORKERS": "2"} | env
    with pytest.raises(AssertionError, match="the server ended with"):
        server.start()
    return server.tail()


async def work(server: Server) -> tuple[str, str, str]:
    """Everything that is stored, with canaries in it. Returns ids of a thread, its resumable run, and a cron."""
    async with get_client(url=server.url, api_key=None) as client:
        metadata = {"owner": "me", "secret": canary(1), "profile": {"name": canary(2)}}
        thread = (await client.threads.create(metadata=metadata))["thread_id"]
        await client.runs.wait(
            thread,
            "simple",
            input={"foo": canary(3)},
            config={"configurable": {"words": canary(4)}},
            metadata={"secret": canary(6)},
        )
        await client.runs.wait(thread, "simple", input={"foo": "x"}, context={"words": canary(5)})
        stream = client.runs.stream(
            thread, "simple", input={"foo": canary(7)}, stream_mode=["values", "updates"], stream_resumable=True
        )
        parts = [part async for part in stream]
        assert any(canary(7) in str(part.data) for part in parts), "the run streams its input"
        run = parts[0].data["run_id"]
        await client.runs.wait(thread, "approval", input={"foo": canary(8)})
        await client.threads.update_state(thread, {"foo": canary(9)})
        assistant = await client.assistants.create(
            "simple",
            metadata={"secret": canary(10)},
            config={"configurable": {"words": canary(11)}},
        )
        await client.assistants.update(assistant["assistant_id"], metadata={"secret": canary(12)})
        cron = await client.crons.create(
            "simple", schedule="0 0 1 1 *", input={"foo": canary(13)}, metadata={"secret": canary(14)}
        )
        await client.store.put_item(["a"], "key", {"text": canary(15)})
        await client.threads.copy(thread)
        return thread, run, cron["cron_id"]


async def test_no_file_shows_what_was_written(start_server):
    canaries = [canary(seed) for seed in range(1, 16)]
    plain = start_server()
    await work(plain)
    seen = [seed for seed in range(1, 16) if holds(plain, canary(seed))]
    assert len(seen) > 10, f"the search finds only {seen} even while they are there"
    plain.stop()

    server = start_server(ENV)
    thread, run, cron = await work(server)
    assert holds(server, *canaries) == set(), "with the log"
    async with get_client(url=server.url, api_key=None) as client:
        before = await client.threads.get(thread)
        history = await client.threads.get_history(thread)
        state = await client.threads.get_state(thread)
    assert before["metadata"]["secret"] == canary(1) and before["metadata"]["profile"] == {"name": canary(2)}
    assert before["values"]["foo"] == canary(9) and "__encryption_context__" not in before["metadata"]
    server.kill()
    assert holds(server, *canaries) == set(), "after a crash"

    server.start()
    async with get_client(url=server.url, api_key=None) as client:
        assert await client.threads.get(thread) == before
        assert await client.threads.get_history(thread) == history
        assert await client.threads.get_state(thread) == state
        replay = [part async for part in client.runs.join_stream(thread, run, last_event_id="-1")]
        assert any(canary(7) in str(part.data) for part in replay)
        assert (await client.runs.get(thread, run))["kwargs"]["input"] == {"foo": canary(7)}
        found = await client.crons.search()
        assert [(c["cron_id"], c["payload"]["input"], c["metadata"]["secret"]) for c in found] == [
            (cron, {"foo": canary(13)}, canary(14))
        ]
        # Searches see what was written, also under encrypted keys.
        assert await client.threads.count(metadata={"owner": "me", "secret": canary(1)}) == 2
        assert await client.threads.count(metadata={"secret": canary(2)}) == 0
        assert await client.threads.count(values={"foo": canary(9)}) == 2
        items = await client.store.search_items(["a"], filter={"text": canary(15)})
        assert [item["value"] for item in items["items"]] == [{"text": canary(15)}]
    server.stop()
    assert holds(server, *canaries) == set(), "after an orderly end"


async def test_named_keys_are_marked_and_others_are_readable(start_server, client_of):
    server = start_server(ENV)
    client, _ = client_of(server)
    metadata = {"owner": "me", "secret": "s", "odd": "encrypted.aes:no"}
    thread = await client.threads.create(metadata=metadata)
    assert thread["metadata"] == metadata
    with sqlite3.connect(server.data / "agent-server.db") as database:
        stored = database.execute(
            "SELECT metadata ->> 'owner', metadata ->> 'secret', metadata ->> 'odd', "
            "metadata ->> '__encryption_context__' FROM thread"
        ).fetchone()
    database.close()
    assert stored[0] == "me"
    assert all(text.startswith("encrypted.aes:") and len(text) > 40 for text in stored[1:3])
    assert stored[3] == '{"__langgraph_encryption_type__":"aes"}'
    assert (await client.threads.get(thread["thread_id"]))["metadata"] == metadata


async def test_another_key_or_none_is_refused(start_server):
    server = start_server(ENV)
    thread, _, _ = await work(server)
    server.stop()
    file = server.data / "agent-server.db"
    said = refusal(server, {})
    assert f"{file} is encrypted, and there is no key: set LANGGRAPH_AES_KEY to the one that it was written with" in said
    said = refusal(server, {"LANGGRAPH_AES_KEY": KEY[::-1]})
    assert f"{file} is encrypted, and LANGGRAPH_AES_KEY is not the key that it was written with" in said
    assert KEY[::-1] not in said
    assert "there is no key" in doctor(server, {}).stderr
    assert doctor(server, ENV).stdout == f"{server.data}: sound\n"
    server.env = {"AGENT_SERVER_WORKERS": "2", "LANGGRAPH_AES_KEY": KEY}
    server.start()
    async with get_client(url=server.url, api_key=None) as client:
        assert (await client.threads.get(thread))["metadata"]["secret"] == canary(1)


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"LANGGRAPH_AES_KEY": "short"}, "LANGGRAPH_AES_KEY: a key has 16, 24 or 32 bytes, and this one has 5"),
        ({"LANGGRAPH_AES_JSON_KEYS": "secret"}, "LANGGRAPH_AES_JSON_KEYS: there is no key to encrypt with"),
        (
            {"LANGGRAPH_AES_KEY": KEY, "LANGGRAPH_AES_JSON_KEYS": "graph_id"},
            "LANGGRAPH_AES_JSON_KEYS: 'graph_id' is read by the server itself and cannot be encrypted",
        ),
    ],
)
def test_wrong_settings_are_explained(tmp_path, env, why):
    assert why in refusal(Server(tmp_path), env)


async def test_a_folder_with_data_is_encrypted_when_it_gets_a_key(start_server):
    server = start_server()
    thread, run, _ = await work(server)
    async with get_client(url=server.url, api_key=None) as client:
        before = (await client.threads.get(thread), await client.threads.get_history(thread))
    server.stop()
    canaries = [canary(seed) for seed in range(1, 16)]
    assert holds(server, *canaries)
    server.env |= ENV
    server.start()
    async with get_client(url=server.url, api_key=None) as client:
        assert (await client.threads.get(thread), await client.threads.get_history(thread)) == before
        assert [part async for part in client.runs.join_stream(thread, run, last_event_id="-1")]
    server.stop()
    assert holds(server, *canaries) == set()
    assert doctor(server, ENV).stdout == f"{server.data}: sound\n"


async def test_vectors_and_their_texts_are_hidden(start_server, client_of):
    server = start_server(ENV, config=STORE_PROJECT / "langgraph.json", graph="memory")
    client, _ = client_of(server)
    await client.store.put_item(["a"], "key", {"text": canary(1)})
    found = await client.store.search_items(["a"], query=canary(1))
    assert [(item["key"], item["score"] is None) for item in found["items"]] == [("key", False)]
    with sqlite3.connect(server.data / "agent-server.db") as database:
        markers = database.execute("SELECT hex(substr(vector, 1, 1)) FROM item_vector").fetchall()
    database.close()
    assert markers == [("04",)]
    assert holds(server, canary(1)) == set()
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        assert http.get("/ok").status_code == 200
