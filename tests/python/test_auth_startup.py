"""Authentication that cannot be loaded keeps everybody out, and says why."""

import json
import re
import subprocess
import sys

import httpx
import pytest
from support.auth import AUTH_PROJECT
from support.server import Server, binary, wait_until

HEAD = "from langgraph_sdk import Auth\nauth = Auth()\n"
GOOD = HEAD + "@auth.authenticate\nasync def who(): return 'me'\n"
FASTAPI = """
from typing import Annotated
from fastapi import Body, Depends
def read(token: Annotated[str, Body()]): return token
"""


@pytest.fixture
def project(tmp_path):
    """Makes a project with this authentication; returns its file."""

    def make(code: str, auth: dict | None = None):
        (tmp_path / "graph.py").write_text((AUTH_PROJECT / "graph.py").read_text())
        (tmp_path / "who.py").write_text(code)
        config = {"dependencies": ["."], "graphs": {"simple": "./graph.py:graph"}}
        config["auth"] = auth or {"path": "./who.py:auth"}
        file = tmp_path / "langgraph.json"
        file.write_text(json.dumps(config))
        return file

    return make


def serve(file) -> subprocess.CompletedProcess:
    command = [binary(), "serve", "--config", file, "--port", "0", "--python", sys.executable]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "code, cause",
    [
        (HEAD, "@auth.authenticate"),
        ("auth = 7\n", "is a int, not a langgraph_sdk.Auth"),
        (GOOD.replace("auth = ", "other = ").replace("@auth", "@other"), "has no variable 'auth'; it has other"),
        (GOOD.replace("who()", "who(token)"), "parameter 'token' of the authenticate handler is unknown"),
        (GOOD.replace("who()", "who(body)"), "parameter 'body'"),
        (f"{FASTAPI}{GOOD}".replace("who()", "who(token: Annotated[str, Depends(read)])"), "wants the body"),
        (GOOD + "@auth.on\ndef rule(ctx, value): pass\n", "must be an async function"),
        (GOOD + "raise RuntimeError('broken here')\n", "broken here"),
        ("import nothing_like_this\n", "nothing_like_this"),
    ],
)
def test_a_server_in_production_does_not_start(project, code, cause):
    ended = serve(project(code))
    assert ended.returncode == 3
    assert cause in ended.stderr.splitlines()[-1], ended.stderr


def test_a_file_that_is_not_there_is_named(project):
    ended = serve(project(GOOD, {"path": "./missing.py:auth"}))
    assert ended.returncode == 3
    assert "there is no file" in ended.stderr.splitlines()[-1], ended.stderr


@pytest.mark.parametrize(
    "auth, cause",
    [
        ({"path": "./who.py"}, "names no variable"),
        ({"path": "./who.ts:auth"}, "JavaScript is not supported"),
        ({"path": "./who.py:auth", "cache": {"ttl_seconds": "long"}}, "auth.cache.ttl_seconds"),
        ({"path": "./who.py:auth", "disable_studio_auth": "yes"}, "auth.disable_studio_auth"),
    ],
)
def test_a_section_that_is_wrong_is_refused(project, auth, cause):
    ended = serve(project(GOOD, auth))
    assert ended.returncode == 2
    assert cause in ended.stderr, ended.stderr


def test_studio_is_only_trusted_on_this_machine(project):
    command = [binary(), "dev", "--config", project(GOOD), "--port", "0", "--host", "0.0.0.0", "--trust-studio"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert "--trust-studio" in ended.stderr


def test_a_workplace_tells_and_lets_nobody_in(project, tmp_path):
    server = Server(tmp_path, config=project(HEAD))
    server.wait_until_ready = lambda: None
    server.start()
    try:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:

            def is_up() -> bool:
                try:
                    return http.get("/ok").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(is_up, "GET /ok answers 200")
            answer = http.post("/threads", json={})
            assert answer.status_code == 503
            assert answer.json() == {"detail": "Authentication could not be loaded; the server's log says why"}
            assert re.search(r"ERROR.*has no handler that says who asks", server.tail())
    finally:
        server.stop()
