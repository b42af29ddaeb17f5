"""Tenants are apart in MCP and A2A as well: tools, contexts and tasks of others do not exist, and refusals are errors of the protocol."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import DataPart, Message, Part, Task
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from support.auth import SIMPLE

TOOL = {"accept": "application/json"}
DENIED = {"code": -32600, "message": "Forbidden", "data": {"status": 403}}


class Tenant:
    """A user with an assistant of its own, which is a tool and an agent."""

    def __init__(self, name: str, http: httpx.AsyncClient) -> None:
        self.name = name
        self.http = http
        self.tool = f"tool-of-{name}-{uuid4().hex}"
        self.agent = ""

    async def make(self) -> "Tenant":
        body = {"graph_id": "simple", "name": self.tool}
        self.agent = (await self.http.post("/assistants", json=body)).json()["assistant_id"]
        return self

    async def rpc(self, path: str, method: str, params: Any = None, **headers: str) -> dict:
        """The answer to a request of either protocol."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self.http.post(path, json=body, headers=TOOL | headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def a2a(self, method: str, params: Any, agent: str | None = None) -> dict:
        return await self.rpc(f"/a2a/{agent or self.agent}", method, params)

    async def send(self, agent: str | None = None, **more: Any) -> dict:
        """The answer to a message."""
        message = {"messageId": str(uuid4()), "role": "user", "parts": [{"kind": "data", "data": {"n": 1}}]}
        return await self.a2a("message/send", {"message": message | more}, agent)

    async def tools(self) -> set[str]:
        found = (await self.rpc("/mcp", "tools/list"))["result"]["tools"]
        return {tool["name"] for tool in found}


@pytest.fixture
async def alice_has(auth):
    async with auth.http("rpc-alice") as http:
        yield await Tenant("rpc-alice", http).make()


@pytest.fixture
async def bob_has(auth):
    async with auth.http("rpc-bob") as http:
        yield await Tenant("rpc-bob", http).make()


@pytest.fixture
async def denied_has(auth):
    """Somebody to whom handlers say no."""
    async with auth.http("denied") as http:
        yield Tenant("denied", http)


async def test_tools_of_others_do_not_exist(auth, alice_has, bob_has):
    assert alice_has.tool in await alice_has.tools()
    assert bob_has.tool not in await alice_has.tools()
    user = httpx2.AsyncClient(headers={"x-user": alice_has.name}, trust_env=False)
    async with user, Client(streamable_http_client(f"{auth.server.url}/mcp", http_client=user)) as client:
        assert bob_has.tool not in {tool.name for tool in (await client.list_tools()).tools}
        assert (await client.call_tool(alice_has.tool, {"n": 1})).structured_content == {"n": 2}
        for name in (bob_has.tool, "nobody"):
            with pytest.raises(MCPError) as refused:
                await client.call_tool(name, {})
            assert (refused.value.error.code, refused.value.error.message) == (-32602, f"Unknown tool: {name}")


async def test_a_session_is_its_users_alone(auth, alice_has, bob_has):
    global AUTH; AUTH = auth
    """Whoever knows the name of a session cannot end its calls."""
    session = {"mcp-session-id": str(uuid4())}
    params = {"name": alice_has.tool, "arguments": {}}

    async def call(id: int) -> dict:
        body = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
        return (await alice_has.http.post("/mcp", json=body, headers=TOOL | session)).json()

    async def spoil(done: asyncio.Event) -> set[int]:
        seen = set()
        while not done.is_set():
            for id in range(8):
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}
                seen.add((await bob_has.http.post("/mcp", json=cancel, headers=TOOL | session)).status_code)
            seen.add((await bob_has.http.delete("/mcp", headers=session)).status_code)
        return seen

    done = asyncio.Event()
    spoiling = asyncio.create_task(spoil(done))
    try:
        answers = await asyncio.wait_for(asyncio.gather(*map(call, range(8)), return_exceptions=True), 15)
    except TimeoutError:
        import httpx as h; print("HUNG", alice_has.http.base_url); m=(await alice_has.http.get("/metrics")).text; print([l for l in m.splitlines() if "num_" in l or "workers" in l or "loop_lag" in l])
        print(open(AUTH.server.log).read()[-1500:])
        raise
    finally:
        done.set()
    done.set()
    assert [answer["result"].get("structuredContent") for answer in answers] == [{"n": 1}] * 8
    assert await spoiling == {202, 204}


async def test_events_of_tools(auth, alice_has):
    auth.calls()
    await alice_has.tools()
    search = ("assistants:search", {"graph_id": None, "metadata": None, "limit": 1000, "offset": 0})
    assert auth.calls.asked() == [search]
    await alice_has.rpc("/mcp", "tools/call", {"name": alice_has.tool, "arguments": {}})
    asked = auth.calls.asked()
    assert asked[0] == search
    assert [what for what, _ in asked[1:]] == ["threads:create_run", "assistants:read", "threads:read"]


async def test_agents_of_others_do_not_exist(alice_has, bob_has):
    def without(answer: Any, id: str) -> str:
        return str(answer).replace(id, "<id>")

    nobody = str(uuid4())
    for card in ("/a2a/{}/.well-known/agent-card.json", "/.well-known/agent-card.json?assistant_id={}"):
        theirs = await alice_has.http.get(card.format(bob_has.agent))
        unknown = await alice_has.http.get(card.format(nobody))
        assert theirs.status_code == unknown.status_code == 400
        assert without(theirs.text, bob_has.agent) == without(unknown.text, nobody)
    for method in ("tasks/list", "agent/getAuthenticatedExtendedCard"):
        theirs = await alice_has.a2a(method, {}, bob_has.agent)
        assert theirs["error"] == {"code": -32602, "message": f"Assistant '{bob_has.agent}' not found"}
    theirs, unknown = await alice_has.send(bob_has.agent), await alice_has.send(nobody)
    assert theirs["error"]["message"] == f"Assistant '{bob_has.agent}' not found"
    assert without(theirs, bob_has.agent) == without(unknown, nobody)


async def test_tasks_and_contexts_of_others_do_not_exist(alice_has, bob_has):
    # Of one agent that both may call.
    task = (await bob_has.send(SIMPLE))["result"]
    id, context = task["id"], task["contextId"]
    assert (await bob_has.a2a("tasks/get", {"id": id}, SIMPLE))["result"]["id"] == id
    missing = {"code": -32001, "message": f"Task not found: {id}"}
    for method in ("tasks/get", "tasks/cancel", "GetTask", "CancelTask"):
        assert (await alice_has.a2a(method, {"id": id}, SIMPLE))["error"] == missing
    message = f"Task not found: {id} in context '{context}'"
    assert (await alice_has.send(SIMPLE, taskId=id, contextId=context))["error"] == missing | {"message": message}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/resubscribe", "params": {"id": id}}
    headers = {"accept": "text/event-stream"}
    stream = await alice_has.http.post(f"/a2a/{SIMPLE}", json=body, headers=headers)
    assert f'"message":"Task not found: {id}"' in stream.text

    for params in ({}, {"contextId": context}):
        ours = (await bob_has.a2a("tasks/list", params, SIMPLE))["result"]["tasks"]
        assert id in [task["id"] for task in ours]
        theirs = (await alice_has.a2a("tasks/list", params, SIMPLE))["result"]["tasks"]
        assert id not in [task["id"] for task in theirs]
    theirs = await alice_has.a2a("tasks/list", {"contextId": context}, SIMPLE)
    assert theirs == await alice_has.a2a("tasks/list", {"contextId": str(uuid4())}, SIMPLE)

    # That the id is taken cannot be hidden; whose it is can, and nothing happens to it.
    taken = await alice_has.send(SIMPLE, contextId=context)
    why = "Failed to create run: Thread or assistant not found."
    assert taken["error"] == {"code": -32602, "message": why}
    ours = (await bob_has.a2a("tasks/list", {"contextId": context}, SIMPLE))["result"]
    assert [task["id"] for task in ours["tasks"]] == [id]


async def test_the_official_client_works_for_its_user(auth, alice_has):
    for agent in (alice_has.agent, SIMPLE):
        card = await A2ACardResolver(alice_has.http, f"{auth.server.url}/a2a/{agent}").get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=alice_has.http, streaming=True)).create(card)
        part = Part(root=DataPart(data={"n": 1}))
        message = Message(role="user", message_id=str(uuid4()), parts=[part])
        *_, (task, _) = [event async for event in client.send_message(message)]
        assert isinstance(task, Task)
        assert task.status.state == "completed"
        assert [part.root.data for part in task.artifacts[0].parts] == [{"n": 2}]
        thread = (await alice_has.http.get(f"/threads/{task.context_id}")).json()
        assert thread["metadata"]["owner"] == alice_has.name


async def test_events_of_tasks(auth, alice_has):
    auth.calls()
    task = (await alice_has.send())["result"]
    read = ("assistants:read", {"assistant_id": f"UUID:{alice_has.agent}"})
    asked = auth.calls.asked()
    assert asked[0] == read
    assert [what for what, _ in asked[1:]] == ["threads:create_run", "assistants:read", "threads:read"]
    thread = ("threads:read", {"thread_id": f"UUID:{task['contextId']}"})
    await alice_has.a2a("tasks/get", {"id": task["id"]})
    assert auth.calls.asked() == [thread]
    await alice_has.a2a("tasks/list", {"contextId": task["contextId"]})
    assert auth.calls.asked() == [read, thread]
    await alice_has.a2a("tasks/list", {})
    assert [what for what, _ in auth.calls.asked()] == ["assistants:read", "threads:search"]
    card = await alice_has.http.get(f"/a2a/{alice_has.agent}/.well-known/agent-card.json")
    assert (card.status_code, auth.calls.asked()) == (200, [read])


@pytest.mark.parametrize(
    ("user", "error"),
    [
        ("not-you", DENIED | {"message": "not you"}),
        ("conflict", {"code": -32600, "message": "later", "data": {"status": 409}}),
        ("error", {"code": -32603, "message": "Internal Server Error", "data": {"status": 500}}),
    ],
)
async def test_refused_searches_for_tools_are_errors_of_the_protocol(auth, user, error):
    async with auth.http(user) as http:
        for method, params in [("tools/list", None), ("tools/call", {"name": "simple", "arguments": {}})]:
            answer = await Tenant(user, http).rpc("/mcp", method, params)
            assert answer == {"jsonrpc": "2.0", "id": 1, "error": error}


async def test_refusals_are_errors_of_the_protocol(denied_has):
    task = f"{uuid4()}:{uuid4()}"
    for method, params in [("tasks/get", {"id": task}), ("tasks/cancel", {"id": task}), ("tasks/list", {})]:
        answer = await denied_has.a2a(method, params, SIMPLE)
        assert answer == {"jsonrpc": "2.0", "id": 1, "error": DENIED}
    assert (await denied_has.send(SIMPLE))["error"] == DENIED
    # A card is no message.
    card = await denied_has.http.get(f"/a2a/{SIMPLE}/.well-known/agent-card.json")
    assert (card.status_code, card.json()) == (403, {"detail": "Forbidden"})


async def test_strangers_are_refused_before_anything_is_read(auth):
    async with auth.http() as http:
        answers = [
            await http.post("/mcp", content="{"),
            await http.get("/mcp"),
            await http.delete("/mcp"),
            await http.post(f"/a2a/{SIMPLE}", content="{"),
            await http.get(f"/a2a/{SIMPLE}/.well-known/agent-card.json"),
            await http.get("/.well-known/agent-card.json"),
        ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(401, {"detail": "Who are you?"})] * 6
