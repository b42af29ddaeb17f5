"""Webhooks: a receiver is told of the end of a run, once, over failures and restarts."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from contextlib import AsyncExitStack

import httpx
import langgraph_sdk
import pytest
from support.receiver import Receiver
from support.server import PROJECT, Server, binary, wait_until

SECRET = base64.b64encode(bytes(range(32))).decode()
OPEN = {
    "url": {"require_https": False, "disable_loopback": False},
    "headers": {"X-Sig": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}"},
}
ENV = {"LG_WEBHOOK_TOKEN": "tok123", "AGENT_SERVER_WEBHOOK_SECRET": f"whsec_{SECRET}"}
GRAPHS = {
    "simple": f"{PROJECT}/graphs/simple.py:graph",
    "errors": f"{PROJECT}/graphs/errors.py:graph",
    "approval": f"{PROJECT}/graphs/approval.py:graph",
    "waiting": f"{PROJECT}/graphs/gates.py:waiting",
}


def project(folder, webhooks: dict, http: dict | None = None):
    """A langgraph.json with settings of webhooks."""
    folder.mkdir(exist_ok=True)
    file = folder / "langgraph.json"
    config = {"dependencies": ["."], "graphs": GRAPHS, "webhooks": webhooks, "http": http or {}}
    file.write_text(json.dumps(config))
    return file


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Server:
    """A server that may call this machine."""
    folder = tmp_path_factory.mktemp("webhooks")
    server = Server(folder, ENV, config=project(folder / "project", OPEN))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def receiver():
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def clients():
    """Makes an official and a plain client."""
    async with AsyncExitStack() as stack:

        async def of(server: Server):
            official = langgraph_sdk.get_client(url=server.url, api_key=None)
            stack.push_async_callback(official.aclose)
            plain = httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30)
            return official, await stack.enter_async_context(plain)

        yield of


async def delivery(http: httpx.AsyncClient, run_id: str, status: str) -> dict:
    """The delivery of a run, once it has this status."""
    deadline = time.monotonic() + 15
    while True:
        answer = await http.get("/webhooks/deliveries", params={"limit": 1000})
        found = [each for each in answer.json() if each["run_id"] == run_id]
        if found and found[0]["status"] == status:
            return found[0]
        assert time.monotonic() < deadline, f"not {status} within 15 s: {found}"


def signature(call) -> str:
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.raw
    digest = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def test_the_receiver_is_told_everything_about_the_run(told, clients, receiver, names):
    client, http = await clients(told)
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, metadata={"m": 1}, webhook=receiver.url())
    call = await receiver.call()
    body = call.body
    assert (call.path, call.headers["content-type"], call.headers["x-sig"]) == (
        "/hook",
        "application/json",
        "Bearer tok123",
    )
    assert call.headers["webhook-id"] == run["run_id"]
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 60
    assert call.headers["webhook-signature"] == signature(call)
    stored = await client.runs.get(thread, run["run_id"])
    assert body.pop("kwargs") == stored["kwargs"]
    assert names(body) == {
        "webhook_sent_at": "<time>",
        "run_id": "<run 1>",
        "thread_id": "<thread 1>",
        "assistant_id": "<assistant simple>",
        "created_at": "<time>",
        "updated_at": "<time>",
        "metadata": names(stored["metadata"]),
        "multitask_strategy": "enqueue",
        "langsmith_session_name": None,
        "status": "success",
        "run_started_at": "<time>",
        "run_ended_at": "<time>",
        "values": {"foo": "A", "log": ["a", "b"]},
    }
    assert body["run_ended_at"] == body["updated_at"] == stored["updated_at"]
    assert body["created_at"] <= body["run_started_at"] <= body["run_ended_at"] <= body["webhook_sent_at"]
    assert names(await delivery(http, run["run_id"], "delivered")) == {
        "run_id": "<run 1>",
        "thread_id": "<thread 1>",
        "assistant_id": "<assistant simple>",
        "url": receiver.url(),
        "status": "delivered",
        "attempts": 1,
        "created_at": "<time>",
        "updated_at": "<time>",
        "due_at": None,
        "outcome": "200",
    }


async def test_failures_interrupts_and_stateless_runs_are_told(told, clients, receiver):
    client, _ = await clients(told)
    await client.runs.wait(None, "errors", input={"kind": "value"}, webhook=receiver.url(), raise_error=False)
    told_of = (await receiver.call()).body
    assert (told_of["status"], told_of["error"], told_of["values"]) == (
        "error",
        {"error": "ValueError", "message": "bad value"},
        None,
    )
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "approval", input={}, webhook=receiver.url())
    told_of = (await receiver.call()).body
    assert (told_of["status"], "error" in told_of) == ("success", False)
    await client.runs.wait(None, "simple", input={"foo": "x"}, webhook=receiver.url())
    told_of = (await receiver.call()).body
    assert (told_of["status"], told_of["values"], "error" in told_of) == ("success", None, False)


@pytest.mark.parametrize("action, error", [("interrupt", "UserInterrupt"), ("rollback", "UserRollback")])
async def test_a_cancelled_run_is_told(told, clients, receiver, gate, action, error):
    client, http = await clients(told)
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "waiting", input=gate.input(), webhook=receiver.url())
    waiting = await client.runs.create(thread, "waiting", input=gate.input(), webhook=receiver.url())
    await gate.visitor()
    await client.runs.cancel(thread, waiting["run_id"], action=action)
    body = (await receiver.call()).body
    assert (body["run_id"], body["run_started_at"]) == (waiting["run_id"], None)
    await client.runs.cancel(thread, run["run_id"], action=action)
    body = (await receiver.call()).body
    assert body["run_id"] == run["run_id"] and body["run_started_at"]
    status = {"interrupt": "interrupted", "rollback": "rollback"}[action]
    reason = f"{action} requested via POST /threads/{{thread_id}}/runs/{{run_id}}/cancel"
    assert (body["status"], body["error"]) == (status, {"error": error, "message": reason})
    if action == "rollback":
        assert body["values"] is None
    await delivery(http, run["run_id"], "delivered")


async def test_a_receiver_in_trouble_is_asked_again(told, clients, receiver):
    client, http = await clients(told)
    receiver.answers += [503, "drop"]
    run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook=receiver.url())
    calls = [await receiver.call() for _ in range(3)]
    assert {call.headers["webhook-id"] for call in calls} == {run["run_id"]}
    first, last = calls[0].body, calls[2].body
    assert first.pop("webhook_sent_at") < last.pop("webhook_sent_at") and first == last
    assert (await delivery(http, run["run_id"], "delivered"))["attempts"] == 3


async def test_a_receiver_that_stays_in_trouble_is_given_up_and_can_be_told_again(told, clients, receiver):
    client, http = await clients(told)
    receiver.answers += [500, 429, 500]
    run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook=receiver.url())
    failed = await delivery(http, run["run_id"], "failed")
    assert (failed["attempts"], failed["outcome"], failed["due_at"]) == (3, "500", None)
    for _ in range(3):
        await receiver.call()

    def webhooks(*arguments: str) -> str:
        command = [str(binary()), "webhooks", *arguments, "--url", told.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = webhooks("list", "--status", "failed")
    line = next(line for line in listed.splitlines() if run["run_id"] in line)
    assert "failed" in line and "3 tries" in line and line.endswith(f"{receiver.url()}  500")
    assert "pending" in webhooks("replay", run["run_id"])
    assert (await receiver.call()).headers["webhook-id"] == run["run_id"]
    assert (await delivery(http, run["run_id"], "delivered"))["attempts"] == 1
    unknown = await http.post("/webhooks/deliveries/99999999-9999-4999-8999-999999999999/replay")
    detail = "Delivery of run 99999999-9999-4999-8999-999999999999 not found"
    assert (unknown.status_code, unknown.json()) == (404, {"detail": detail})


@pytest.mark.parametrize("answer, outcome", [(404, "404"), ((307, "/elsewhere"), "307"), ((302, "/elsewhere"), "302")])
async def test_a_refusal_and_a_redirect_are_final(told, clients, receiver, answer, outcome):
    client, http = await clients(told)
    receiver.answers.append(answer)
    run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook=receiver.url())
    failed = await delivery(http, run["run_id"], "failed")
    assert (failed["attempts"], failed["outcome"]) == (1, outcome)
    assert (await receiver.call()).path == "/hook" and receiver.quiet


async def test_a_receiver_that_does_not_answer_holds_up_nobody_else(told, clients, receiver):
    client, http = await clients(told)
    async with Receiver() as dead:
        dead.answers += ["hang"] * 20
        for _ in range(6):
            await client.runs.wait(None, "simple", input={"foo": "x"}, webhook=dead.url())
        for _ in range(4):
            await dead.call()
        run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook=receiver.url())
        await receiver.call()
        await delivery(http, run["run_id"], "delivered")
        # No more than four at a time.
        assert dead.quiet
        pending = (await http.get("/webhooks/deliveries", params={"status": "pending"})).json()
        assert [each["url"] for each in pending] == [dead.url()] * 6


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path, clients, receiver, end):
    server = Server(tmp_path, ENV, config=project(tmp_path / "project", OPEN))
    server.start()
    try:
        client, _ = await clients(server)
        receiver.answers.append("hang")
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "simple", input={"foo": "x"}, webhook=receiver.url())
        first = await receiver.call()
        await client.runs.join(thread, run["run_id"])
        getattr(server, end)()
        assert receiver.quiet
        server.start()
        again = await receiver.call()
        assert again.headers["webhook-id"] == first.headers["webhook-id"] == run["run_id"]
        client, http = await clients(server)
        assert (await delivery(http, run["run_id"], "delivered"))["attempts"] == 1
        server.stop()
        doctor = [str(binary()), "doctor", "--data-dir", str(server.data)]
        assert subprocess.run(doctor, capture_output=True, timeout=60).returncode == 0
    finally:
        server.stop()


async def test_a_run_that_takes_too_long_is_told(tmp_path, clients, receiver, gate):
    env = ENV | {"AGENT_SERVER_RUN_TIMEOUT_SECONDS": "1"}
    server = Server(tmp_path, env, config=project(tmp_path / "project", OPEN))
    server.start()
    try:
        client, _ = await clients(server)
        await client.runs.create(None, "waiting", input=gate.input(), webhook=receiver.url())
        body = (await receiver.call()).body
        assert (body["status"], body["error"]) == ("timeout", {"error": "TimeoutError", "message": ""})
    finally:
        server.stop()


async def test_the_servers_own_routes_can_be_told(told, clients):
    client, http = await clients(told)
    run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook="/assistants/count")
    taken = await delivery(http, run["run_id"], "delivered")
    assert (taken["url"], taken["outcome"]) == ("/assistants/count", "200")
    run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook="/nowhere")
    assert (await delivery(http, run["run_id"], "failed"))["outcome"] == "404"


async def test_deliveries_go_with_their_thread(told, clients, receiver):
    client, http = await clients(told)
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, webhook=receiver.url())
    await delivery(http, run["run_id"], "delivered")
    await client.threads.delete(thread)
    answer = await http.get("/webhooks/deliveries", params={"limit": 1000})
    assert run["run_id"] not in [each["run_id"] for each in answer.json()]


async def test_the_configuration_says_what_may_be_told_to_whom(tmp_path, clients, receiver):
    url = {
        "require_https": False,
        "disable_loopback": False,
        "disable_private_ips": True,
        "allowed_domains": ["127.0.0.1", "*.example.com", "10.0.0.1"],
        "allowed_ports": [receiver.port, 443],
        "max_url_length": 60,
    }
    settings = {"url": url, "allowed_fields": ["run_id", "status", "error"]}
    server = Server(tmp_path, config=project(tmp_path / "project", settings))
    server.start()
    try:
        client, http = await clients(server)

        async def refusal(address: str) -> str:
            answer = await http.post("/runs", json={"assistant_id": "simple", "webhook": address})
            assert answer.status_code == 422, answer.text
            return answer.json()["detail"]

        assert await refusal("https://example.com/x") == "Webhook domain not allowed"
        assert await refusal("https://a.example.com:9999/x") == "Webhook port 9999 not allowed"
        assert await refusal("https://a.example.com/" + "x" * 60) == "Webhook URL too long"
        assert await refusal("ftp://a.example.com:443/x") == "Webhook host blocked: scheme 'ftp' not allowed"
        unknown = "https://nobody-has-this-name.invalid.example.com/x"
        assert await refusal(unknown) == "Webhook host blocked: DNS resolution failed"
        run = await client.runs.create(None, "simple", input={"foo": "x"}, webhook=receiver.url())
        call = await receiver.call()
        assert call.body == {"run_id": run["run_id"], "status": "success"}
        assert "webhook-signature" not in call.headers
    finally:
        server.stop()


async def test_nothing_is_told_where_webhooks_are_disabled(tmp_path, clients, receiver):
    server = Server(tmp_path, ENV, config=project(tmp_path / "project", OPEN, {"disable_webhooks": True}))
    server.start()
    try:
        client, http = await clients(server)
        await client.runs.wait(None, "simple", input={"foo": "x"}, webhook=receiver.url())
        assert (await http.get("/webhooks/deliveries")).json() == [] and receiver.quiet
        document = (await http.get("/openapi.json")).json()
        assert "webhook" not in document["components"]["schemas"]["RunCreateStateful"]["properties"]
    finally:
        server.stop()


def test_a_header_that_cannot_be_filled_stops_the_start(tmp_path):
    config = project(tmp_path / "project", OPEN)
    command = [str(binary()), "dev", "--config", str(config), "--port", "0", "--data-dir", str(tmp_path / "data")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LG_WEBHOOK_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 2
    assert "webhooks.headers.X-Sig of langgraph.json: variable LG_WEBHOOK_TOKEN is not set" in done.stderr
    wait_until(lambda: not (tmp_path / "data").exists(), "nothing was made")
