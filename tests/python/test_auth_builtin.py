"""Built-in authentication on the real binary: API keys and tokens, with the official client."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from support.server import PROJECT, Server, binary

REFUSED = {"detail": "Invalid or missing credentials"}

# Signed once with a key that is kept nowhere; good until the year 2100.
JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "pMUCRK1kWF4vCJ_b71OIoZbvGkIuvrmjCAKxntsYBpY"}]}
HEAD = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ."
TOKEN = (
    HEAD + "eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoiYWdlbnRzIiwic3ViIjoiYW5uIiwic2NvcGUiOiJyZWFkIHdyaXRlIiwi"
    "ZW1haWwiOiJhbm5AeC50ZXN0IiwiZXhwIjo0MTAyNDQ0ODAwfQ"
    ".IqDoTT-NN2oaF0IGjWm4-PCD9DVVnCg8bAa-v4pVOKc71uvNt7OzqZWdSTxmnnlpYguI1tGaF58FaQZVYUU6Bg"
)
EXPIRED = (
    HEAD + "eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoiYWdlbnRzIiwic3ViIjoiYW5uIiwic2NvcGUiOiJyZWFkIHdyaXRlIiwi"
    "ZW1haWwiOiJhbm5AeC50ZXN0IiwiZXhwIjoxNzAwMDAwMDAwfQ"
    ".SbQV0YhTUB_3XNHDafckg4oEeJL4ptPM7b2pSWwTjIhIzZiPkan6UG1F1XHqPRwqE6KHRVwDAs8skQChh4C6AQ"
)
OTHERS = (
    HEAD + "eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoib3RoZXJzIiwic3ViIjoiYW5uIiwic2NvcGUiOiJyZWFkIHdyaXRlIiwi"
    "ZW1haWwiOiJhbm5AeC50ZXN0IiwiZXhwIjo0MTAyNDQ0ODAwfQ"
    ".8oWNMtv35GejbYw8b4E_dBxBPmID4uXH931HJmQ5xJhJls6zIfeTeCXKOQ2YkNETqT2IodYdk-3s4KUvrzrdAg"
)


def keys(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(binary()), "keys", *arguments, "--data-dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def create(folder: Path, name: str, *options: str) -> str:
    made = keys(folder, "create", name, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


async def status(server: Server, headers: dict[str, str], path: str = "/threads/search") -> int:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        answer = await http.post(path, json={}, headers=headers)
    if answer.status_code == 401:
        assert answer.json() == REFUSED
        assert answer.headers["www-authenticate"] == ('Bearer error="invalid_token"' if headers else "Bearer")
    return answer.status_code


async def user(client: LangGraphClient) -> dict:
    """The user as a run knows them, who may read and write."""
    thread = (await client.threads.create())["thread_id"]
    assert (await client.runs.wait(thread, "context", input={}))["seen"]
    known = (await client.runs.list(thread))[0]["kwargs"]["config"]["configurable"]
    assert known["langgraph_auth_permissions"] == ["read", "write"]
    assert known["langgraph_auth_user_id"] == known["langgraph_auth_user"]["identity"]
    return known["langgraph_auth_user"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that ask who one is; `headers` are what their readiness is asked with."""
    servers: list[Server] = []

    def make(env: dict[str, str] | None = None, **headers: str) -> Server:
        env = {"AGENT_SERVER_LOG_LEVEL": "debug"} | (env or {})
        headers = {name.replace("_", "-"): text for name, text in headers.items()}
        servers.append(Server(tmp_path, env, headers=headers))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def issuer() -> Iterator[tuple[str, list[str]]]:
    """An issuer: the address of its keys, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(JWKS).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_commands_that_ask_a_server_find_it_and_its_key_alike(guarded, tmp_path):
    key = create(tmp_path / "data", "ci")
    server = guarded(x_api_key=key).start()
    keys = ("AGENT_SERVER_API_KEY", "LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")
    unset = dict.fromkeys(keys, "") | {"AGENT_SERVER_URL": server.url}

    def run(*words: str, **env: str) -> subprocess.CompletedProcess:
        command = [str(binary()), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | unset | env)

    for command, answer in ((("call", "count-threads"), "0"), (("webhooks", "list"), "")):
        for sent in (
            run(*command, "--api-key", key, AGENT_SERVER_API_KEY="other"),
            run(*command, "--url", server.url, AGENT_SERVER_URL="http://127.0.0.1:1", AGENT_SERVER_API_KEY=key),
            run(*command, AGENT_SERVER_API_KEY=key, LANGGRAPH_API_KEY="other"),
            run(*command, LANGGRAPH_API_KEY=key, LANGSMITH_API_KEY="other"),
            run(*command, LANGSMITH_API_KEY=key, LANGCHAIN_API_KEY="other"),
            run(*command, LANGCHAIN_API_KEY=f'"{key}"'),
        ):
            assert (sent.returncode, sent.stdout.strip(), sent.stderr) == (0, answer, "")
        refused = run(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert REFUSED["detail"] in refused.stderr


async def test_a_key_opens_the_server_until_it_is_revoked(guarded, tmp_path):
    folder = tmp_path / "data"
    key = create(folder, "ci", "--identity", "bob", "--permission", "read", "--permission", "write")
    # That keys were made is enough: nobody makes one to leave the door open.
    server = guarded(x_api_key=key).start()
    async with get_client(url=server.url, api_key=key) as client:
        assert await user(client) == {"identity": "bob", "is_authenticated": True, "display_name": "bob"}
    assert await status(server, {"authorization": f"Bearer {key}"}) == 200
    for headers in (
        {},
        {"x-api-key": key[:-1] + ("a" if key[-1] != "a" else "b")},
        {"x-api-key": "lsv2_pt_0123"},
        {"authorization": "Bearer a.b.c"},
        {"authorization": f"Bearer {'a' * 17_000}"},
    ):
        assert await status(server, headers) == 401
        assert await status(server, headers, "/no/such/path") == 401
    assert await status(server, {}, "/ok") != 401
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for path in ("/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/openapi.json"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/docs/other.js")).status_code == 401

    second = create(folder, "second", "--expires-in", "1d")
    assert await status(server, {"x-api-key": second}) == 200
    assert keys(folder, "revoke", "ci").returncode == 0
    assert await status(server, {"x-api-key": key}) == 401
    assert await status(server, {"x-api-key": second}) == 200

    content = (folder / "keys.json").read_text()
    (folder / "keys.json").write_text(content[:-20])
    assert await status(server, {"x-api-key": second}) == 401
    doctor = subprocess.run([str(binary()), "doctor", "--data-dir", str(folder)], capture_output=True, text=True)
    assert (doctor.returncode, "the key file is damaged" in doctor.stdout) == (1, True)
    (folder / "keys.json").write_text(content)
    assert await status(server, {"x-api-key": second}) == 200

    log = server.log.read_text()
    assert "was revoked" in log and "the key file is damaged" in log
    listed = keys(folder, "list").stdout
    for secret in (key[-40:], second[-40:]):
        assert secret not in log and secret not in listed and secret not in content


def test_keys_are_listed_for_people(tmp_path):
    made = keys(tmp_path / "new", "create", "ci")
    assert made.stdout.startswith("as_") and len(made.stdout) == 56
    assert "It is shown this once" in made.stderr and "from its next start on" in made.stderr
    create(tmp_path / "new", "ann's laptop", "--identity", "ann", "--permission", "a", "--permission", "b")
    assert keys(tmp_path / "new", "revoke", "ci").stderr.endswith("is revoked.\n")
    head, *rows = (line.split("  ") for line in keys(tmp_path / "new", "list").stdout.splitlines())
    assert [cell.strip() for cell in head if cell] == "ID NAME IDENTITY STATE CREATED EXPIRES PERMISSIONS".split()
    rows = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [row[1:4] for row in rows] == [["ci", "ci", "revoked"], ["ann's laptop", "ann", "active"]]
    assert [row[5:] for row in rows] == [["never"], ["never", "a b"]]
    again = keys(tmp_path / "new", "create", "ann's laptop")
    assert (again.returncode, again.stdout) == (1, "")
    assert "error: there is a key named 'ann's laptop' already" in again.stderr
    assert keys(tmp_path / "new", "revoke", "nobody").returncode == 1
    assert keys(tmp_path / "new", "create", "x", "--expires-in", "soon").returncode == 2


async def test_tokens_of_the_issuer_open_the_server(guarded, issuer, tmp_path):
    url, asked = issuer
    env = {
        "AGENT_SERVER_JWT_ISSUER": "https://issuer.test",
        "AGENT_SERVER_JWT_AUDIENCE": "agents,other",
        "AGENT_SERVER_JWT_JWKS_URL": url,
        "AGENT_SERVER_JWT_CLAIMS": "email",
    }
    server = guarded(env, authorization=f"Bearer {TOKEN}").start()
    async with get_client(url=server.url, api_key=None, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        expected = {"identity": "ann", "is_authenticated": True, "display_name": "ann", "email": "ann@x.test"}
        assert await user(client) == expected
    for token in (EXPIRED, OTHERS, TOKEN[:-4] + "AAAA", HEAD.replace("EdDSA", "none") + "e30."):
        assert await status(server, {"authorization": f"Bearer {token}"}) == 401
    # What SDKs find in the environment and send beside the token does not disturb.
    assert await status(server, {"authorization": f"Bearer {TOKEN}", "x-api-key": "lsv2_pt_0123"}) == 200
    assert await status(server, {}) == 401
    assert asked == ["/keys"]
    log = server.log.read_text()
    assert "expired" in log and "made for another audience" in log
    assert not any(token[-40:] in log for token in (TOKEN, EXPIRED, OTHERS))


async def test_browsers_and_the_document_know_of_keys(guarded, tmp_path):
    key = create(tmp_path / "data", "ci")
    server = guarded(x_api_key=key).start()
    page = {"origin": "https://app.example.com"}
    ask = page | {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        preflight = await http.options("/threads", headers=ask)
        assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (200, "x-api-key")
        # A page may read that it was refused.
        refused = await http.post("/threads", json={}, headers=page)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
        document = (await http.get("/openapi.json")).json()
    assert document["security"] == [{"apiKey": []}, {"bearer": []}]
    assert document["components"]["securitySchemes"] == {
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }


async def test_who_asks_is_not_warned_of(guarded, tmp_path):
    nobody = "nobody is asked who they are"
    open_to_all = guarded({"AGENT_SERVER_HOST": "0.0.0.0"}).start()
    assert nobody in open_to_all.log.read_text()
    open_to_all.stop()
    open_to_all.log.unlink()
    key = create(tmp_path / "data", "ci")
    server = guarded({"AGENT_SERVER_HOST": "0.0.0.0"}, x_api_key=key).start()
    log = server.log.read_text()
    assert nobody not in log and "whoever asks must show who they are: API keys" in log


def serve(config: Path, env: dict[str, str], data: Path) -> subprocess.CompletedProcess:
    command = [str(binary()), "serve", "--config", str(config), "--port", "0", "--data-dir", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | env)


def test_a_server_that_could_let_nobody_in_does_not_start(tmp_path):
    create(tmp_path, "ci")
    (tmp_path / "keys.json").write_text("{")
    ended = serve(PROJECT / "langgraph.json", {}, tmp_path)
    assert ended.returncode == 2
    assert "keys.json: the key file is damaged (line 1, column 1): restore it" in ended.stderr


@pytest.mark.parametrize(
    ("env", "cause"),
    [
        ({"AGENT_SERVER_JWT_ISSUER": "https://i.test"}, "AGENT_SERVER_JWT_AUDIENCE): it is not set"),
        ({"AGENT_SERVER_JWT_AUDIENCE": "us"}, "AGENT_SERVER_JWT_ISSUER): it is not set"),
        ({"AGENT_SERVER_JWT_ISSUER": "http://i.test", "AGENT_SERVER_JWT_AUDIENCE": "us"}, "is not encrypted"),
        (
            {
                "AGENT_SERVER_JWT_ISSUER": "https://i.test",
                "AGENT_SERVER_JWT_AUDIENCE": "us",
                "AGENT_SERVER_JWT_ALGORITHMS": "HS256",
            },
            "'HS256' is not one of the algorithms",
        ),
        (
            {
                "AGENT_SERVER_JWT_ISSUER": "https://i.test",
                "AGENT_SERVER_JWT_AUDIENCE": "us",
                "AGENT_SERVER_JWT_JWKS_FILE": "missing.json",
            },
            "missing.json is not there",
        ),
    ],
)
def test_half_a_configuration_is_refused(tmp_path, env, cause):
    ended = serve(PROJECT / "langgraph.json", env, tmp_path)
    assert ended.returncode == 2
    assert cause in ended.stderr


def test_a_handler_and_built_in_authentication_cannot_both_decide(tmp_path):
    config = tmp_path / "langgraph.json"
    project = {"dependencies": ["."], "graphs": {"a": "./a.py:graph"}, "auth": {"path": "./auth.py:auth"}}
    config.write_text(json.dumps(project))
    (tmp_path / "a.py").write_text("graph = None\n")
    (tmp_path / "auth.py").write_text("auth = None\n")
    ended = serve(config, {"AGENT_SERVER_AUTH_KEYS": "true"}, tmp_path / "data")
    assert ended.returncode == 2
    assert "auth.path of langgraph.json names a handler, and API keys are asked for" in ended.stderr
