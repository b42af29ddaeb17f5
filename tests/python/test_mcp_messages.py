"""What the endpoint answers to messages, to the letter: what no official client would send, and what it hides."""

import pytest

JSON = {"accept": "application/json"}


def error(why: str) -> tuple:
    return 400, '{"error": "' + why + '"}'


def failed(code: int, message: str, id: str = "1") -> tuple:
    return 200, f'{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}'


def result(text: str, id: str = "1") -> tuple:
    return 200, f'{{"jsonrpc":"2.0","id":{id},"result":{text}}}'


def initialized(version: str) -> str:
    return (
        f'{{"protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":false}}}},'
        '"serverInfo":{"name":"LangGraph","version":"0.16.7"}}'
    )


NO_ACCEPT = error("Accept header must include application/json or text/event-stream")
NO_OBJECT = error("Invalid message format.")
NO_VERSION = error("Invalid JSON-RPC message. Missing or invalid jsonrpc version.")
NO_ID = error("Invalid JSON-RPC message. The id must be a string or a number.")
NEITHER = error("Invalid JSON-RPC message. It is neither a request, nor a response, nor a notification.")
NOTHING = (202, "")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{", error("Invalid JSON")),
        ("", error("Invalid JSON")),
        ('"\\ud800"', NO_OBJECT),
        ("[]", NO_OBJECT),
        ('[{"jsonrpc":"2.0","id":1,"method":"ping"}]', NO_OBJECT),
        ("null", NO_OBJECT),
        ('{"id":1,"method":"ping"}', NO_VERSION),
        ('{"jsonrpc":2.0,"id":1,"method":"ping"}', NO_VERSION),
        ('{"jsonrpc":"1.0","id":1,"method":"ping"}', NO_VERSION),
        ('{"jsonrpc":"2.0","id":{},"method":"ping"}', NO_ID),
        ('{"jsonrpc":"2.0","id":[1],"method":"ping"}', NO_ID),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', NO_ID),
        ('{"jsonrpc":"2.0"}', NEITHER),
        ('{"jsonrpc":"2.0","id":null}', NEITHER),
        ('{"jsonrpc":"2.0","id":1}', NOTHING),
        ('{"jsonrpc":"2.0","id":1,"result":{}}', NOTHING),
        ('{"jsonrpc":"2.0","method":"notifications/initialized"}', NOTHING),
        ('{"jsonrpc":"2.0","method":"notifications/cancelled"}', NOTHING),
        ('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"simple"}}', NOTHING),
        ('{"jsonrpc":"2.0","id":1,"method":"ping"}', result("{}")),
        ('{"jsonrpc":"2.0","id":0,"method":"ping"}', result("{}", "0")),
        ('{"jsonrpc":"2.0","id":"a","method":"ping"}', result("{}", '"a"')),
        ('{"jsonrpc":"2.0","id":12345678901234567890123,"method":"ping"}', result("{}", "12345678901234567890123")),
        ('{"jsonrpc":"2.0","id":1,"method":"resources/list"}', failed(-32601, "Method not found: resources/list")),
        ('{"jsonrpc":"2.0","id":1,"method":"tools/call"}', failed(-32602, "Unknown tool: None")),
        (
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
            failed(-32602, "Invalid params: must be an object"),
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}',
            failed(-32602, "Unknown tool: None"),
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"simple","arguments":[1]}}',
            failed(-32602, "Invalid params: arguments must be an object"),
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"simple","context":1}}',
            failed(-32602, "Invalid params: context must be an object"),
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"9999"}}', result('{"tools":[]}')),
        ('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":9999}}', result('{"tools":[]}')),
    ],
)
async def test_messages(http, body, expected):
    answer = await http.post("/mcp", content=body, headers=JSON)
    assert (answer.status_code, answer.text) == expected


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [(version, version) for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")]
    + [("2019-01-01", "2025-11-25"), ("2026-07-28", "2025-11-25"), (7, "2025-11-25"), (None, "2025-11-25")],
)
async def test_versions_are_negotiated(http, wanted, agreed):
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": wanted}}
    answer = await http.post("/mcp", json=body, headers=JSON)
    assert (answer.status_code, answer.text) == result(initialized(agreed))
    assert answer.headers["mcp-session-id"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json", result("{}")),
        ("text/event-stream", result("{}")),
        ("application/json, text/event-stream", result("{}")),
        ("*/*", NO_ACCEPT),
        ("text/html", NO_ACCEPT),
        ("", NO_ACCEPT),
    ],
)
async def test_the_accept_header_names_what_is_answered(http, accept, expected):
    answer = await http.post("/mcp/", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers={"accept": accept})
    assert (answer.status_code, answer.text) == expected
    assert answer.headers["content-type"] == "application/json"


async def test_an_unknown_version_of_a_request_is_told_the_known_ones(http):
    headers = JSON | {"mcp-protocol-version": "2031-01-01"}
    answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
    assert answer.json()["error"] == {
        "code": -32022,
        "message": "Unsupported protocol version: 2031-01-01",
        "data": {
            "supported": ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
            "requested": "2031-01-01",
        },
    }


async def test_other_methods_of_http(http):
    got, deleted, put = await http.get("/mcp"), await http.delete("/mcp/"), await http.put("/mcp")
    assert [(answer.status_code, answer.text) for answer in (got, deleted, put)] == [
        (405, ""),
        (404, ""),
        (405, '{"detail":"Method Not Allowed"}'),
    ]


async def test_a_body_that_is_too_large_is_refused(start_server, client_of):
    server = start_server({"HTTP_MAX_REQUEST_BODY_BYTES": "1000"})
    _, http = client_of(server)
    for path in ("/mcp", "/a2a/00000000-0000-0000-0000-000000000001"):
        assert (await http.post(path, content="x" * 1001, headers=JSON)).status_code == 413
