"""Rates and runs in flight on the real binary, as the official client meets them."""

import json
import shutil
import socket

import httpx
import pytest
from langgraph_sdk.errors import RateLimitError
from support.auth import AuthServer
from support.server import PROJECT, ROOT, Server

SLOW = "0.001"
"""A rate at which nothing becomes free while a test runs."""
RETRY_SECONDS = range(990, 1001)
PER_IDENTITY = {
    "detail": "Too many runs in flight: at most %d per identity may be pending or running. Wait until one has ended, or cancel "
    "one, and try again."
}


def rate_limited(subject: str, who: str, rate: str, seconds: int) -> dict:
    return {
        "detail": f"Rate limit exceeded: {subject} of one {who} are limited to {rate}. Wait {seconds} s and try again."
    }


def too_many(most: int) -> dict:
    return {"detail": PER_IDENTITY["detail"] % most}


async def figures(http: httpx.AsyncClient) -> dict[str, float]:
    """Refused requests by limit."""
    text = (await http.get("/metrics")).raise_for_status().text
    start = 'lg_api_limited_requests_total{limit="'
    found = [line.removeprefix(start) for line in text.splitlines() if line.startswith(start)]
    return {name: float(value) for name, value in (line.split('"} ') for line in found)}


@pytest.fixture
def guarded(tmp_path):
    """Makes a server that asks who one is."""
    servers = []

    def make(*more: str, **options) -> AuthServer:
        servers.append(AuthServer(tmp_path, more=more, **options))
        servers[-1].server.start()
        return servers[-1]

    yield make
    for server in servers:
        server.server.stop()


async def test_users_have_buckets_of_their_own(guarded):
    guarded = guarded("--requests-per-second", SLOW, "--request-burst", "3", env={"LOG_JSON": "true"}, ready=("/ok",))
    async with guarded.client("ann") as ann, guarded.client("ben") as ben, guarded.http("ann") as http:
        for _ in range(3):
            await ann.threads.search()
        with pytest.raises(RateLimitError) as refused:
            await ann.threads.search()
        answer = refused.value.response
        seconds = int(answer.headers["retry-after"])
        assert seconds in RETRY_SECONDS
        assert refused.value.status_code == 429
        assert refused.value.body == rate_limited("requests", "identity", "0.001 per second, 3 at once", seconds)
        # Another client of the same user, on a path that leads nowhere; a stranger is asked who they are first.
        assert (await http.get("/nothing")).status_code == 429
        assert (await http.get("/threads/search", headers={"x-user": ""})).status_code == 401
        await ben.threads.search()
        for path in ("/ok", "/metrics", "/info", "/docs", "/openapi.json", "/"):
            assert (await http.get(path)).status_code == 200, path
        assert await figures(http) == {"requests_per_second": 2}

    lines = [json.loads(line) for line in guarded.server.log.read_text().splitlines() if line.startswith("{")]
    told = [(line["path"], line["limit"]) for line in lines if line.get("status") == 429]
    assert told == [("/threads/search", "requests_per_second"), ("/nothing", "requests_per_second")]


async def test_a_body_is_not_taken_in_before_the_refusal(start_server, client_of):
    server = start_server(more=("--requests-per-second", SLOW, "--request-burst", "9"))
    _, http = client_of(server)
    while (await http.get("/threads/x")).status_code != 429:
        pass
    # It is no JSON, and larger than the server takes, and nobody looks.
    answer = await http.post("/threads", content=b"{" * (9 << 20), headers={"expect": ""})
    assert answer.status_code == 429
    # The connection of one whose body was read over can be used again.
    assert (await http.post("/threads", content=b"{" * 1000)).status_code == 429


async def test_operations_and_their_groups_have_rates_of_their_own(start_server, client_of, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    (project / "agent-server.toml").write_text(
        "[limits.operations]\n"
        f"create-run = {{ requests_per_second = {SLOW}, burst = 2 }}\n"
        f"store = {SLOW}\n"
        f"stream_run = {SLOW}\n"
    )
    server = start_server(config=project / "langgraph.json")
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    for _ in range(2):
        await client.runs.create(thread, "simple", input={})
    with pytest.raises(RateLimitError) as refused:
        await client.runs.create(thread, "simple", input={})
    seconds = int(refused.value.response.headers["retry-after"])
    assert seconds in RETRY_SECONDS
    rate = "0.001 per second, 2 at once"
    assert refused.value.body == rate_limited("requests for create-run", "address", rate, seconds)
    # A stream counts when it is opened.
    assert [part.event async for part in client.runs.stream(thread, "simple", input={})]
    with pytest.raises(RateLimitError):
        [part async for part in client.runs.stream(thread, "simple", input={})]
    # All operations of a tag share a bucket.
    await client.store.put_item(["a"], "k", {})
    with pytest.raises(RateLimitError):
        await client.store.get_item(["a"], "k")
    # What is not named is not limited, and whatever is refused leaves nothing.
    assert len(await client.runs.list(thread)) == 3
    assert await figures(http) == {"create-run": 1, "stream-run": 1, "store": 1}


async def test_a_proxy_says_where_requests_come_from(start_server):
    more = ("--requests-per-second", SLOW, "--request-burst", "9", "--trusted-proxies", "1")
    server = start_server(more=more)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:

        async def from_address(*addresses: str) -> int:
            headers = [("x-forwarded-for", address) for address in addresses]
            return (await http.get("/threads/x", headers=headers)).status_code

        for _ in range(9):
            assert await from_address("192.0.2.1") == 422
        assert await from_address("192.0.2.1") == 429
        # What clients say themselves does not count.
        assert await from_address("192.0.2.7, 192.0.2.1") == 429
        assert await from_address("192.0.2.7", "192.0.2.1") == 429
        assert await from_address("192.0.2.1, 192.0.2.2") == 422


async def test_a_user_may_have_so_many_runs_in_flight(guarded):
    guarded = guarded("--inflight-runs", "2")
    async with guarded.client("ann") as ann, guarded.client("ben") as ben, guarded.http("ann") as http:
        thread = (await ann.threads.create())["thread_id"]
        later = [await ann.runs.create(thread, "simple", input={}, after_seconds=3600) for _ in range(2)]
        with pytest.raises(RateLimitError) as refused:
            await ann.runs.create(None, "simple", input={})
        assert refused.value.body == too_many(2)
        assert refused.value.response.headers["retry-after"] == "5"
        # This call of the client has errors of another kind.
        with pytest.raises(httpx.HTTPStatusError, match="429 Too Many Requests"):
            await ann.runs.wait(None, "simple", input={})
        with pytest.raises(RateLimitError):
            [part async for part in ann.runs.stream(thread, "simple", input={})]
        await ben.runs.wait(None, "simple", input={})
        assert await figures(http) == {"inflight_runs": 3}

        await ann.runs.cancel(thread, later[0]["run_id"])
        await ann.runs.wait(None, "simple", input={})


async def test_a_limit_outlives_a_kill(start_server, client_of):
    server: Server = start_server(more=("--inflight-runs", "1"))
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    later = await client.runs.create(thread, "simple", input={}, after_seconds=3600)
    server.kill()
    server.start()
    with pytest.raises(RateLimitError):
        await client.runs.create(None, "simple", input={})
    # Protocols say it in their own words.
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "simple", "arguments": {}}}
    accept = {"accept": "application/json, text/event-stream"}
    answer = await http.post("/mcp", json=call, headers=accept)
    expected = {"code": -32600, "message": too_many(1)["detail"], "data": {"status": 429}}
    assert (answer.status_code, answer.json()["error"]) == (200, expected)
    assert await figures(http) == {"inflight_runs": 2}
    await client.runs.delete(thread, later["run_id"])
    await client.runs.wait(None, "simple", input={})


async def test_what_a_run_creates_is_part_of_it(start_server, client_of):
    more = ("--inflight-runs", "1", "--requests-per-second", "1000", "--request-burst", "1000")
    server = start_server(config=ROOT / "tests/python/custom_project/langgraph.json", more=more)
    client, _ = client_of(server)
    values = await client.runs.wait(None, "nest", input={"left": 2})
    assert values == {"left": 2, "path": ["2", "1", "leaf"]}
    # They have left nothing that counts.
    await client.runs.wait(None, "nest", input={"left": 0})


def test_what_cannot_be_meant_ends_the_server_with_a_reason(tmp_path):
    server = Server(tmp_path, more=("--requests-per-second", "0"))
    with pytest.raises(AssertionError, match="the server ended with 2"):
        server.start()
    reason = (
        "limits.requests_per_second of agent-server.toml (AGENT_SERVER_REQUESTS_PER_SECOND): 0 requests per second; it must "
        "be from one a day (0.0000116) to 1000000"
    )
    assert reason in server.log.read_text()


class TestSizes:
    """What is limited whatever the settings say, to the byte."""

    @pytest.fixture(autouse=True)
    def _shared(self, url):
        self.address = httpx.URL(url).host, httpx.URL(url).port

    def answer(self, request: bytes) -> bytes:
        """The head of the answer to a request that may be broken off."""
        with socket.create_connection(self.address, timeout=30) as connection:
            try:
                connection.sendall(request)
            except OSError:
                # Refused while it is sent.
                pass
            return connection.recv(1 << 16)

    HEAD = b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%s\r\n"

    def test_headers(self):
        assert self.answer(self.HEAD % (b"/ok", b"x-a: " + b"a" * 60_000 + b"\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        too_large = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
        assert self.answer(self.HEAD % (b"/ok", b"x-a: " + b"a" * 600_000 + b"\r\n")).startswith(too_large)
        many = b"".join(b"x-%d: a\r\n" % number for number in range(101))
        assert self.answer(self.HEAD % (b"/ok", many)).startswith(too_large)

    def test_addresses(self):
        assert self.answer(self.HEAD % (b"/ok?" + b"a" * 60_000, b"")).startswith(b"HTTP/1.1 200 OK\r\n")
        too_long = b"HTTP/1.1 414 URI Too Long\r\n"
        assert self.answer(self.HEAD % (b"/ok?" + b"a" * 70_000, b"")).startswith(too_long)

    @pytest.mark.parametrize(
        ("path", "body", "field", "limit"),
        [
            ("/threads", '{"metadata": %s}', "metadata", 100),
            ("/threads/search", '{"metadata": %s}', "metadata", 100),
            ("/runs", '{"assistant_id": "simple", "config": {"configurable": %s}}', "config", 100),
            ("/runs", '{"assistant_id": "simple", "input": %s}', "input", 1024),
            ("/runs", '{"assistant_id": "simple", "context": %s}', "context", 1024),
        ],
    )
    async def test_nesting(self, http, path, body, field, limit):
        deep = '{"a":' * (limit + 1) + "1" + "}" * (limit + 1)
        answer = await http.post(path, content=body % deep)
        assert (answer.status_code, answer.json()) == (
            422,
            {"detail": f"'{field}' is nested too deeply (limit: {limit} levels)"},
        )

    async def test_pages(self, http):
        for path in ("/threads/search", "/assistants/search", "/runs/crons/search"):
            answer = await http.post(path, json={"limit": 1001})
            assert (answer.status_code, answer.json()) == (
                422,
                {
                    "detail": "1001 is greater than the maximum of 1000\n\nFailed validating \"maximum\" in "
                    'schema["properties"]["limit"]\n\nOn instance["limit"]:\n    1001'
                },
            )
