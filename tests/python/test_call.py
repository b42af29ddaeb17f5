"""`agent-server call`: every operation of the document from the command line; `check` and `completions` beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from support.server import PROJECT, assistant, binary, free_port

ROOT = PROJECT.parents[2]


def run(*words: str, stdin: str = "", env: dict | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(binary()), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | (env or {}),
        cwd=cwd,
    )


@pytest.fixture
def call(url):
    def call(*words: str, **options) -> subprocess.CompletedProcess:
        return run("call", *words, env={"AGENT_SERVER_URL": url}, **options)

    return call


def answer(done: subprocess.CompletedProcess):
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def events(text: str) -> list[tuple[str, object]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_every_operation_of_the_document_is_a_command_with_help():
    listed = run("call", "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    names = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    paths = json.loads((ROOT / "openapi.json").read_text())["paths"]
    documented = [operation for item in paths.values() for method, operation in item.items() if method != "parameters"]
    assert len(names) == len(set(names)) == len(documented)
    for name in ("get-run", "create-run", "put-item", "post-mcp", "stream-thread-events"):
        help = run("call", name, "--help")
        assert help.returncode == 0 and "Request: " in help.stdout and "Answers:" in help.stdout


def test_a_thread_is_created_read_found_and_deleted(call):
    thread = str(uuid4())
    made = answer(call("create-thread", "--thread-id", thread, "--metadata", '{"of": "call"}'))
    assert (made["thread_id"], made["metadata"]) == (thread, {"of": "call"})
    assert answer(call("get-thread", "--thread-id", thread)) == made
    found = answer(call("search-threads", "--metadata", '{"of": "call"}', "--limit", "1", "--select", "thread_id"))
    assert found == [{"thread_id": thread}]
    deleted = call("delete-thread", "--thread-id", thread)
    assert (deleted.returncode, deleted.stdout, deleted.stderr) == (0, "", "")
    missing = call("get-thread", "--thread-id", thread)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == f"error: 404 Not Found: Thread with ID {thread} not found\n"


def test_a_run_is_created_with_flags_of_every_kind(call, tmp_path):
    thread = answer(call("create-thread"))["thread_id"]
    message = tmp_path / "input.json"
    message.write_text('{"messages": [{"role": "user", "content": "hi"}]}')
    done = call(
        "wait-run",
        *("--thread-id", thread, "--assistant-id", "chat", "--input", f"@{message}"),
        *("--interrupt-after", "nothing", "--multitask-strategy", "reject", "--if-not-exists", "create"),
        *("--stream-resumable=false", "--after-seconds", "0", "--field", 'metadata={"a": 1}'),
    )
    assert [each["content"] for each in answer(done)["messages"]][0] == "hi"
    [run] = answer(call("list-runs", "--thread-id", thread, "--limit", "5"))
    assert (run["metadata"]["a"], run["status"], run["multitask_strategy"]) == (1, "success", "reject")
    assert run["kwargs"]["interrupt_after"] == ["nothing"]
    assert answer(call("get-run", "--thread-id", thread, "--run-id", run["run_id"])) == run


@pytest.mark.parametrize("source", ["text", "file", "stdin"])
def test_a_whole_body_may_come_from_anywhere_and_fields_go_on_top(call, tmp_path, source):
    body = '{"graph_id": "simple", "name": "whole", "metadata": {"n": 1.0}}'
    (tmp_path / "body.json").write_text(body)
    given = {"text": body, "file": f"@{tmp_path}/body.json", "stdin": "-"}[source]
    made = answer(call("create-assistant", "--body", given, "--name", "on top", stdin=body))
    assert (made["graph_id"], made["name"], made["metadata"]) == ("simple", "on top", {"n": 1.0})
    call("delete-assistant", "--assistant-id", made["assistant_id"])


@pytest.mark.parametrize("operation", ["stream-stateless-run", "stream-run"])
def test_streams_are_printed_as_events(call, operation):
    where = []
    if operation == "stream-run":
        where = ["--thread-id", answer(call("create-thread"))["thread_id"]]
    modes = ["--stream-mode", "values", "--stream-mode", "updates"]
    done = call(operation, *where, "--assistant-id", "simple", "--input", "{}", *modes)
    assert (done.returncode, done.stderr) == (0, "")
    found = events(done.stdout)
    assert found[0][0] == "metadata" and UUID(found[0][1]["run_id"])
    assert {name for name, _ in found[1:]} == {"values", "updates"}


def test_tables_are_for_people(call):
    done = call("search-assistants", "--graph-id", "simple", "--output", "table")
    head, row = done.stdout.splitlines()
    assert head.split()[0] == "assistant_id" and row.split()[0] == assistant("simple")
    done = call("get-assistant", "--assistant-id", assistant("simple"), "--output", "table")
    assert ["graph_id", "simple"] in [line.split() for line in done.stdout.splitlines()]
    assert call("search-threads", "--ids", str(uuid4()), "--output", "table").stdout == "Nothing.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get-run", "--thread-id", "x"], "--run-id <TEXT>"),
        (["create-run", "--thread-id", "x"], "--assistant-id <TEXT>"),
        (["create-assistant", "--graph-id", "a", "--if-exists", "perhaps"], "[possible values: "),
        (["search-threads", "--limit", "many"], "invalid value 'many' for '--limit <N>'"),
        (["create-thread", "--metadata", "{"], "error: --metadata: not JSON: "),
        (["create-thread", "--body", "@nowhere.json"], "error: --body: @nowhere.json: "),
        (["create-thread", "--body", "[]", "--if-exists", "raise"], "error: --body: fields can only be added"),
        (["health-check", "--header", "nothing"], "error: --header: 'nothing' is not 'name: value'"),
        (["get-nothing"], "unrecognized subcommand 'get-nothing'"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_exit_code_2(call, words, message):
    done = call(*words)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert message in done.stderr


def test_a_server_that_is_not_there_is_an_error():
    done = run("call", "health-check", "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no answer from the server: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_operations_and_their_flags(shell):
    done = run("completions", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stream-stateless-run" in done.stdout and "multitask-strategy" in done.stdout


READY = "graph = StateGraph(State)\ngraph.add_node('a', lambda state: {})\ngraph.add_edge('__start__', 'a')\n"
AUTH = "from langgraph_sdk import Auth\nauth = Auth()\n@auth.authenticate\nasync def who(): return 'me'\n"
PROJECTS = {
    "ready": ({}, READY),
    "ready with auth": ({"auth": {"path": "./agent.py:auth"}}, READY + AUTH),
    "broken": ({}, "import nowhere_to_be_found"),
    "no variable": ({}, "other = 1"),
    "no auth file": ({"auth": {"path": "./auth.py:auth"}}, READY),
    "no handler": ({"auth": {"path": "./agent.py:auth"}}, READY + AUTH.split("@")[0]),
}


@pytest.mark.parametrize(
    ("project", "code", "found"),
    [
        ("ready", 0, "  ok       graph: agent loads and has schemas\n"),
        ("broken", 1, ": ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("no variable", 1, "  problem  graph agent: "),
        ("ready with auth", 0, "  ok       auth: loads\n"),
        ("no auth file", 1, "  problem  auth: "),
        ("no handler", 1, "@auth.authenticate"),
    ],
)
def test_check_says_whether_a_project_is_ready(tmp_path, project, code, found):
    sections, source = PROJECTS[project]
    head = "from typing import TypedDict\nfrom langgraph.graph import StateGraph\nclass State(TypedDict):\n    x: int\n"
    (tmp_path / "agent.py").write_text(head + source + "\n")
    file = tmp_path / "langgraph.json"
    file.write_text(
        json.dumps({"dependencies": ["."], "graphs": {"agent": "./agent.py:graph"}, "env": ".env"} | sections)
    )
    (tmp_path / ".env").write_text("A=1\nB=2\n")
    done = run("check", "--python", sys.executable, cwd=tmp_path)
    assert done.returncode == code, done
    assert found in done.stdout
    assert f"  ok       env: 2 variables of {tmp_path}/.env\n" in done.stdout
    end = "langgraph.json: ready\n" if code == 0 else "langgraph.json\n"
    assert done.stdout.endswith(end) if code == 0 else done.stderr.startswith("error: langgraph.json: ")
    # The name that the upstream tool has for it.
    assert run("validate", "--python", sys.executable, cwd=tmp_path).returncode == code
    assert not (tmp_path / ".agent-server").exists()


def test_check_refuses_a_file_that_is_none(tmp_path):
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "  problem  langgraph.json: there is no such file\n" in done.stdout
