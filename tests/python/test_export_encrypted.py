"""agent-server export and import of folders that a project's own handlers encrypt."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.encryption import ENCRYPTION_PROJECT, EncryptionServer, canary, holds
from support.server import PROJECT, Server, binary

SECONDS = 60
PLAIN = ("--config", PROJECT / "langgraph.json")


def run(*arguments: object, keys: Path | None = None, input: bytes | None = None) -> subprocess.CompletedProcess:
    """Runs the program; with the project whose keys are there, else with the plain one."""
    config = ("--config", ENCRYPTION_PROJECT / "langgraph.json") if keys else PLAIN
    env = {"CIPHER_FOLDER": str(keys), "AGENT_SERVER_PYTHON": sys.executable}
    command = [str(binary()), *map(str, (*arguments, *config))]
    return subprocess.run(command, input=input, capture_output=True, timeout=SECONDS, env=env)


def done(*arguments: object, **more) -> bytes:
    ended = run(*arguments, **more)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


@pytest.fixture
def start(tmp_path) -> Iterator:
    servers: list[Server] = []

    def start(name: str) -> EncryptionServer:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        project = EncryptionServer(folder)
        servers.append(project.server)
        return project

    yield start
    for each in servers:
        each.stop()


async def everything(http, threads: list[str]) -> dict:
    async def body(method: str, path: str, **more) -> object:
        answer = await http.request(method, path, **more)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    found = {
        "assistants": await body("POST", "/assistants/search", json={"limit": 1000}),
        "threads": await body("POST", "/threads/search", json={"limit": 1000}),
        "crons": await body("POST", "/runs/crons/search", json={"limit": 1000}),
        "items": await body("POST", "/store/items/search", json={"namespace_prefix": []}),
    }
    for id in threads:
        for part in ("", "/state", "/history?limit=100", "/runs"):
            found[id + part] = await body("GET", f"/threads/{id}{part}")
    return found


async def fill(project: EncryptionServer) -> list[str]:
    threads = []
    for user, key, at in (("ada", "k1", 0), ("bob", None, 10)):
        context = {"key": key} if key else {}
        async with project.client(user, **context) as client:
            thread = (await client.threads.create(metadata={"words": canary(at + 1)}))["thread_id"]
            threads.append(thread)
            await client.runs.wait(thread, "simple", input={"foo": canary(at + 2)}, metadata={"words": canary(at + 3)})
            await client.runs.wait(thread, "approval", input={"foo": canary(at + 4)})
            await client.assistants.create("simple", metadata={"words": canary(at + 5)}, context={"words": canary(at + 6)})
            await client.crons.create("simple", schedule="0 0 1 1 *", input={"foo": canary(at + 7)})
            await client.store.put_item(["a"], user, {"words": canary(at + 8)})
    return threads


CANARIES = [canary(at + seed) for at in (0, 10) for seed in range(1, 9)]


async def test_everything_goes_into_a_folder_with_other_keys_in_its_own_context(start):
    one, other = start("one"), start("other")
    other.turn_key("2")
    one.server.start()
    threads = await fill(one)
    async with one.http("ada", key="k1") as http:
        before = await everything(http, threads[:1])
    async with one.http("bob") as http:
        before_bob = await everything(http, threads[1:])
    beside = done("export", "-", "--data-dir", one.server.data, keys=one.folder)
    assert len(beside) > 1000
    one.server.stop()
    archive = done("export", "-", "--data-dir", one.server.data, keys=one.folder)

    other.asked()
    done("import", "-", "--data-dir", other.server.data, keys=other.folder, input=archive)
    asked = [each for each in other.asked() if each.way == "encrypt"]
    assert {each.model for each in asked} == {"assistant", "checkpoint", "cron", "run", "store", "thread"}
    contexts = [{"key": "k1", "tenant": "ada"}, {}]
    assert all(each.context in contexts for each in asked)
    for model in ("assistant", "checkpoint", "cron", "run", "store", "thread"):
        seen = [each.context for each in asked if each.model == model]
        assert all(context in seen for context in contexts), model
    assert holds(other.server, *CANARIES) == set()
    other.server.start()
    async with other.http("ada", key="k1") as http:
        assert await everything(http, threads[:1]) == before
    async with other.http("bob") as http:
        assert await everything(http, threads[1:]) == before_bob
    async with other.client("ada") as client:
        assert await client.runs.wait(threads[0], "approval", command={"resume": 1}) == {
            "foo": canary(4),
            "log": ["a", "b", "before", "answer: 1"],
        }


async def test_into_a_plain_folder_and_back(start, tmp_path):
    one, back = start("one"), start("back")
    one.server.start()
    threads = await fill(one)
    async with one.http("ada", key="k1") as http:
        before = await everything(http, threads[:1])
    one.server.stop()
    archive = done("export", "-", "--data-dir", one.server.data, keys=one.folder)

    plain = Server(tmp_path, config=PROJECT / "langgraph.json")
    done("import", "-", "--data-dir", plain.data, input=archive)
    plain.start()
    try:
        async with httpx.AsyncClient(base_url=plain.url, trust_env=False, timeout=SECONDS) as http:
            state = await everything(http, threads)
            # In which context it was encrypted is nobody's business here.
            assert "__encryption_context__" not in json.dumps(state)
            assert state[threads[0] + "/history?limit=100"] == before[threads[0] + "/history?limit=100"]
            assert canary(8) in json.dumps(state["items"], ensure_ascii=False)
    finally:
        plain.stop()
    again = done("export", "-", "--data-dir", plain.data)
    done("import", "-", "--data-dir", back.server.data, keys=back.folder, input=again)
    assert holds(back.server, *CANARIES) == set()
    back.server.start()
    # What is newest among assistants was told anew by each start.
    own = {name: found for name, found in before.items() if name != "assistants"}
    async with back.http("ada", key="k1") as http:
        after = await everything(http, threads[:1])
    assert {name: found for name, found in after.items() if name != "assistants"} == own
    assert {each["assistant_id"] for each in after["assistants"]} == {each["assistant_id"] for each in before["assistants"]}


def test_without_the_handlers_it_is_refused(start):
    one = start("one")
    one.server.start()
    one.server.stop()
    archive = done("export", "-", "--data-dir", one.server.data, keys=one.folder)
    for arguments in (("export", "-"), ("import", "-")):
        ended = run(*arguments, "--data-dir", one.server.data, input=archive)
        assert ended.returncode != 0
        assert b"was written with a project's own encryption: set encryption.path to it" in ended.stderr
