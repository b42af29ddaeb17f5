"""Assistants as tools, used by the official client of the Model Context Protocol, in both of its ways to connect."""

import asyncio
import json
from uuid import uuid4

import pytest
from mcp import Client, MCPError

from support.server import PROJECT, assistant

MODES = ["legacy", "auto"]
"""With a handshake (2025-11-25), and with requests that stand for themselves (2026-07-28)."""

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture(params=MODES)
async def mcp(request, url):
    async with Client(f"{url}/mcp", mode=request.param) as client:
        yield client


async def tools(client: Client) -> dict:
    found, cursor = {}, None
    while True:
        page = await client.list_tools(cursor=cursor)
        found |= {tool.name: tool for tool in page.tools}
        cursor = page.next_cursor
        if cursor is None:
            return found


def texts(result) -> list[str]:
    return [block.text for block in result.content]


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_newest_version_of_each_way_is_agreed_on(url, mode, version):
    async with Client(f"{url}/mcp/", mode=mode) as client:
        assert client.protocol_version == version
        assert client.server_info is None or client.server_info.name == "LangGraph"


async def test_a_conversation_takes_a_text(mcp):
    tool = (await tools(mcp))["talks"]
    assert tool.model_dump(by_alias=True, exclude_none=True) == {
        "name": "talks",
        "title": "talks",
        "description": "Says what it heard",
        "inputSchema": {
            "properties": {
                "messages": {
                    "type": "string",
                    "title": "Messages",
                    "description": "The user message to send to the agent.",
                }
            },
            "required": ["messages"],
            "title": "MessagesState",
            "type": "object",
        },
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": False,
            "openWorldHint": True,
        },
    }


async def test_graphs_that_cannot_say_what_they_take_are_no_tools(mcp):
    names = await tools(mcp)
    assert "simple" in names and "broken" not in names
    assert names["progress"].description == "Tool based on the progress assistant"


async def test_a_call_returns_the_values_as_json(mcp):
    result = await mcp.call_tool("simple", {"foo": "x"})
    assert [json.loads(text) for text in texts(result)] == [DONE]
    assert (result.structured_content, bool(result.is_error)) == (DONE, False)


async def test_a_text_becomes_a_message(mcp):
    result = await mcp.call_tool("talks", {"messages": "hello"})
    said = result.structured_content["messages"]
    assert [(message["type"], message["content"]) for message in said] == [("human", "hello"), ("ai", "heard: hello")]


async def test_an_interrupted_call_shows_the_question(mcp):
    result = await mcp.call_tool("asks", {"messages": "hello"})
    [interrupt] = result.structured_content["__interrupt__"]
    assert interrupt["value"] == {"question": "sure?"}
    assert not result.is_error


async def test_a_failed_call_says_what_went_wrong(mcp):
    result = await mcp.call_tool("fails", {"messages": "hello"})
    assert (texts(result), result.is_error) == (["ValueError: kaboom"], True)
    hidden = await mcp.call_tool("errors", {"kind": "connection"})
    assert texts(hidden) == ["ConnectionError: An internal error occurred"]


async def test_unknown_tools_are_refused(mcp):
    with pytest.raises(MCPError, match="Unknown tool: nobody") as refused:
        await mcp.call_tool("nobody", {})
    assert refused.value.error.code == -32602


async def test_progress_is_told_step_by_step(mcp):
    told = []

    async def on_progress(progress, total, message):
        told.append((progress, total, message))

    result = await mcp.call_tool("simple", {"foo": "x"}, progress_callback=on_progress)
    assert result.structured_content == DONE
    assert told == [(1, None, "a"), (2, None, "b")]


@pytest.mark.parametrize("with_progress", [False, True])
async def test_a_call_that_is_given_up_is_cancelled(mcp, gate, with_progress):
    async def on_progress(*_):
        pass

    callback = on_progress if with_progress else None
    call = asyncio.create_task(mcp.call_tool("waiting", gate.input(), progress_callback=callback))
    visitor = await gate.visitor()
    call.cancel()
    await visitor.gone()
    # The client cannot be closed while the answer to its call comes in.
    await tools(mcp)


async def test_the_end_of_a_session_cancels_its_calls(url, http, gate):
    headers = {"accept": "application/json"}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
    answer = await http.post("/mcp", json=hello, headers=headers)
    session = {"mcp-session-id": answer.headers["mcp-session-id"]}
    params = {"name": "waiting", "arguments": gate.input()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    call = asyncio.create_task(http.post("/mcp", json=body, headers=headers | session))
    visitor = await gate.visitor()
    # The same number in another session is another call.
    other = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    for stranger in ({}, {"mcp-session-id": str(uuid4())}):
        assert (await http.post("/mcp", json=other, headers=headers | stranger)).status_code == 202
    ended = await http.delete("/mcp", headers=session)
    assert (ended.status_code, ended.content) == (204, b"")
    await visitor.gone()
    result = {"content": [{"type": "text", "text": "The call was cancelled"}], "isError": True}
    assert (await call).json() == {"jsonrpc": "2.0", "id": 1, "result": result}


async def test_more_tools_than_a_page_has_are_found_and_called(start_server, client_of):
    server = start_server()
    official, _ = client_of(server)
    for number in range(205):
        await official.assistants.create("simple", name=f"tool {number}")
    async with Client(f"{server.url}/mcp") as mcp:
        found = await tools(mcp)
        assert {f"tool_{number}" for number in range(205)} <= set(found)
        first = await mcp.list_tools()
        assert (len(first.tools), first.next_cursor) == (100, "100")
        assert (await mcp.call_tool("tool_0", {"foo": "x"})).structured_content == DONE


async def test_of_several_with_one_name_the_listed_one_is_called(client, mcp):
    name = f"twice {uuid4()}"
    for graph in ("simple", "talks"):
        await client.assistants.create(graph, name=name, description=graph)
    tool = (await tools(mcp))[name.replace(" ", "_")]
    assert (tool.title, tool.description) == (name, "talks")
    assert "messages" in (await mcp.call_tool(tool.name, {"messages": "hi"})).structured_content
    for found in await client.assistants.search(name=name):
        await client.assistants.delete(found["assistant_id"])


async def test_the_context_of_a_call_reaches_the_graph(http):
    params = {"name": "context", "arguments": {}, "context": {"model": "m"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = (await http.post("/mcp", json=body, headers={"accept": "application/json"})).json()
    assert answer["result"]["structuredContent"]["seen"]["context"] == {"model": "m", "style": "plain"}


async def test_tools_and_agents_can_be_switched_off(start_server, client_of, tmp_path):
    config = tmp_path / "langgraph.json"
    graphs = {"simple": f"{PROJECT}/graphs/simple.py:graph"}
    http = {"disable_mcp": True, "disable_a2a": True}
    config.write_text(json.dumps({"dependencies": ["."], "graphs": graphs, "http": http}))
    server = start_server(config=config)
    _, http = client_of(server)
    agent = assistant("simple")
    gone = [
        await http.post("/mcp", json={}),
        await http.get("/mcp/"),
        await http.delete("/mcp"),
        await http.post(f"/a2a/{agent}", json={}),
        await http.get(f"/a2a/{agent}/.well-known/agent-card.json"),
        await http.get("/.well-known/agent-card.json"),
    ]
    assert [(answer.status_code, answer.json()) for answer in gone] == [(404, {"detail": "Not Found"})] * 6
