"""agent-server dev: what is saved is served, and nothing that runs is lost by it. Each test has a project of its own."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from support.gate import Gate
from support.server import PROJECT, Server, assistant, wait_until

SECONDS = 45
"""Only a failure takes so long."""

GRAPH = """
import os

from graphs.gates import State, wait
from langgraph.graph import END, START, StateGraph
from words import WORD


async def speak(state, config):
    heard = await wait(state, config) if state.get("gate") else "nothing"
    step = state.get("step", 0)
    return {"step": step + 1, "log": [f"{step}: {WORD} {os.environ.get('COLOUR')} {heard}"]}


def more(state):
    return "speak" if state["step"] < state.get("steps", 1) else END


graph = (
    StateGraph(State)
    .add_node(speak)
    .add_edge(START, "speak")
    .add_conditional_edges("speak", more, ["speak", END])
    .compile()
)
"""

CIPHER = """
from langgraph_sdk import Encryption

encryption = Encryption()


@encryption.encrypt.blob
@encryption.decrypt.blob
async def turned(ctx, blob):
    return blob[::-1]
"""


class Project:
    """A project that says a word, and the server that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.describe()
        self.write(".env", "COLOUR=green\n")
        self.write("graph.py", GRAPH)
        self.write("words.py", "WORD = 'one'\n")
        # Gates of the shared project, installed as packages are: outside of what is followed.
        (folder / "venv").mkdir()
        self.write("venv/pyvenv.cfg", "")
        (folder / "venv/graphs").symlink_to(PROJECT / "graphs")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def describe(self, **more: object) -> None:
        config = {"dependencies": ["."], "graphs": {"speaks": "./graph.py:graph"}, "env": ".env"}
        self.write("langgraph.json", json.dumps(config | more))


@pytest.fixture
def project(tmp_path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


@pytest.fixture
def start(project, start_server):
    """Starts a server that follows the project."""

    def start(**more) -> Server:
        env = {"PYTHONPATH": str(project.folder / "venv"), "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"}
        more = {"reload": True} | more
        return start_server(env, config=project.folder / "langgraph.json", graph="speaks", **more)

    yield start


def said(server: Server) -> str | None:
    """What the graph says now; `None` while the server starts anew."""
    body = {"assistant_id": "speaks", "input": {"name": "x"}}
    try:
        answer = httpx.post(f"{server.url}/runs/wait", json=body, timeout=SECONDS, trust_env=False)
    except httpx.TransportError:
        return None
    return answer.json()["log"][0] if answer.status_code == 200 and "log" in answer.json() else None


def until_said(server: Server, text: str) -> None:
    wait_until(lambda: said(server) == text, f"the graph says {text!r}", SECONDS)


def restarts(server: Server) -> int:
    return server.log.read_text().count("The project has changed")


def until_logged(server: Server, text: str, times: int = 1) -> None:
    wait_until(lambda: server.log.read_text().count(text) >= times, f"the log says {text!r}", SECONDS)


def test_what_is_saved_is_what_runs(project, start):
    server = start()
    pid = server.process.pid
    assert said(server) == "0: one green nothing"
    project.write("words.py", "WORD = 'two'\n")
    until_said(server, "0: two green nothing")
    project.write(".env", "COLOUR=red\n")
    until_said(server, "0: two red nothing")
    # A graph more, in a file of a new folder.
    (project.folder / "more").mkdir()
    project.write("more/other.py", GRAPH.replace("{heard}", "{heard} too"))
    project.describe(graphs={"speaks": "./graph.py:graph", "other": "./more/other.py:graph"})
    body = {"assistant_id": "other", "input": {"name": "x"}}

    def other() -> bool:
        try:
            answer = httpx.post(f"{server.url}/runs/wait", json=body, timeout=SECONDS, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and answer.json().get("log") == ["0: two red nothing too"]

    wait_until(other, "the new graph answers", SECONDS)
    # The same process at the same place, all along.
    assert (server.process.poll(), server.process.pid) == (None, pid)


def test_what_is_not_the_projects_code_changes_nothing(project, start):
    for folder in ("__pycache__", ".git", "node_modules"):
        (project.folder / folder).mkdir()
    data = project.folder / "data"
    data.mkdir()
    server = start(more=("--data-dir", str(data)))
    for name in ("notes.txt", "venv/lib.py", "__pycache__/x.py", ".git/hook.py", "node_modules/x.py", "data/x.py", ".#words.py"):
        project.write(name, "new = 1\n")
    assert said(server) == "0: one green nothing"
    # What is found in order: by the time that this is followed, the others would have been.
    project.write("words.py", "WORD = 'two'\n")
    until_said(server, "0: two green nothing")
    assert restarts(server) == 1


def test_nothing_is_followed_where_that_is_asked_for(project, start):
    server = start(reload=False)
    project.write("words.py", "WORD = 'two'\n")
    project.describe(graphs={})
    assert said(server) == "0: one green nothing"
    assert restarts(server) == 0


def test_what_is_half_written_changes_nothing(project, start):
    server = start()
    project.write("words.py", "WORD = 'two\n")
    until_logged(server, "words.py, line 1: unterminated string literal")
    assert said(server) == "0: one green nothing"
    # Another file does not bring it in.
    project.write("notes.py", "")
    until_logged(server, "words.py, line 1: unterminated string literal", times=2)
    assert said(server) == "0: one green nothing"
    project.write("words.py", "WORD = 'two'\n")
    until_said(server, "0: two green nothing")

    whole = (project.folder / "langgraph.json").read_text()
    project.write("langgraph.json", whole[:-1])
    until_logged(server, "langgraph.json: not valid JSON")
    project.write("langgraph.json", json.dumps(json.loads(whole) | {"http": {"cors": {"max_age": "long"}}}))
    until_logged(server, "going on with what was there before", times=4)
    # Neither does code bring that in.
    project.write("words.py", "WORD = 'three'\n")
    until_logged(server, "going on with what was there before", times=5)
    assert said(server) == "0: two green nothing"
    project.write("langgraph.json", whole)
    until_said(server, "0: three green nothing")
    assert server.process.poll() is None


def test_code_that_cannot_be_loaded_is_told_and_healed_by_the_next_save(project, start):
    server = start()
    project.write("words.py", "WORD = missing\n")
    until_logged(server, "name 'missing' is not defined")
    body = {"assistant_id": "speaks", "input": {"name": "x"}}

    def failed() -> bool:
        try:
            answer = httpx.post(f"{server.url}/runs/wait", json=body, timeout=SECONDS, trust_env=False)
        except httpx.TransportError:
            return False
        return "name 'missing' is not defined" in answer.text

    wait_until(failed, "a run says why", SECONDS)
    project.write("words.py", "WORD = 'two'\n")
    until_said(server, "0: two green nothing")


def test_an_encryption_that_cannot_be_loaded_changes_nothing(project, start):
    """A server without it could read nothing that is stored."""
    project.write("cipher.py", CIPHER)
    project.describe(encryption={"path": "./cipher.py:encryption"})
    server = start()
    project.write("cipher.py", "import missing\n" + CIPHER)
    until_logged(server, "No module named 'missing'")
    until_logged(server, "going on with what was there before")
    assert said(server) == "0: one green nothing"
    # Other code does not bring it in.
    project.write("words.py", "WORD = 'two'\n")
    until_logged(server, "going on with what was there before", times=2)
    project.write("cipher.py", CIPHER)
    until_said(server, "0: two green nothing")


async def test_a_superstep_ends_with_the_old_code_and_the_run_goes_on_with_the_new(project, start, gate: Gate):
    server = start()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, assistant("speaks"), input=gate.input(steps=2), durability="exit")
        visitor = await gate.visitor()
        project.write("words.py", "WORD = 'two'\n")
        await asyncio.to_thread(until_logged, server, "The project has changed")
        visitor.let_in("first")
        heir = await gate.visitor()
        assert (heir.run_id, heir.step, heir.attempt) == (run["run_id"], 1, 1)
        heir.let_in("second")
        state = await client.runs.join(thread, run["run_id"])
        assert state["log"] == ["0: one green first", "1: two green second"]
        assert gate.empty


async def test_a_superstep_that_does_not_end_is_done_again_with_the_new_code(project, start, gate: Gate):
    server = start()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, assistant("speaks"), input=gate.input())
        held = await gate.visitor()
        project.write("words.py", "WORD = 'two'\n")
        heir = await gate.visitor()
        await held.gone()
        heir.let_in("again")
        assert (await client.runs.join(thread, run["run_id"]))["log"] == ["0: two green again"]
