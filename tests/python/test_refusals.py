"""Requests that are refused: the status and the exact text."""

import pytest
from support.names import NOBODY


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/threads/{nobody}", "Thread with ID {nobody} not found"),
        ("PATCH", "/threads/{nobody}", "Not Found"),
        ("DELETE", "/threads/{nobody}", "Thread with ID {nobody} not found"),
        ("GET", "/threads/{nobody}/state", "Thread with ID {nobody} not found"),
        ("GET", "/threads/{nobody}/history", "Thread with ID {nobody} not found"),
        ("POST", "/threads/{nobody}/history", "Thread with ID {nobody} not found"),
        ("POST", "/threads/{nobody}/state", "Thread with ID {nobody} not found"),
        ("GET", "/threads/{nobody}/runs", "Thread with ID {nobody} not found"),
        ("POST", "/threads/{nobody}/runs", "Thread or assistant not found."),
        ("POST", "/threads/{nobody}/runs/wait", "Thread or assistant not found."),
        ("POST", "/threads/{nobody}/runs/stream", "Thread or assistant not found."),
        ("GET", "/threads/{thread}/runs/{nobody}", "Not Found"),
        ("DELETE", "/threads/{thread}/runs/{nobody}", "Run not found"),
        ("POST", "/threads/{thread}/runs/{nobody}/cancel", "No runs found to cancel."),
        ("GET", "/no/such/route", "Not Found"),
        ("POST", "/ok", "Not Found"),
        ("DELETE", "/info", "Not Found"),
    ],
)
async def test_what_is_not_there_is_404(http, thread, method, path, detail):
    body = {"assistant_id": "simple"} if method in ("POST", "PATCH") else None
    answer = await http.request(method, path.format(nobody=NOBODY, thread=thread), json=body)
    assert (answer.status_code, answer.json()) == (404, {"detail": detail.format(nobody=NOBODY)})
    assert answer.headers["content-type"] == "application/json"


async def test_an_unknown_assistant_is_404(http, thread):
    for path in (f"/threads/{thread}/runs", "/runs", "/runs/wait", "/runs/stream"):
        answer = await http.post(path, json={"assistant_id": NOBODY})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Thread or assistant not found."})


async def test_an_assistant_that_is_neither_id_nor_graph_is_422(http, thread):
    answer = await http.post(f"/threads/{thread}/runs", json={"assistant_id": "nope"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(
        "Invalid assistant: 'nope'. Must be either:\n- A valid assistant UUID, or\n- One of the registered graphs: "
    )


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/threads/x", "Invalid thread ID: must be a UUID"),
        ("PATCH", "/threads/x", "Invalid thread ID: must be a UUID"),
        ("DELETE", "/threads/x", "Invalid thread ID: must be a UUID"),
        ("GET", "/threads/x/state", "Invalid thread ID: must be a UUID"),
        ("POST", "/threads/x/history", "Invalid thread ID: must be a UUID"),
        ("POST", "/threads/x/runs", "Invalid thread ID"),
        ("GET", "/threads/{thread}/runs/x", "Invalid run ID: must be a UUID"),
        ("POST", "/threads/{thread}/runs/x/cancel", "Invalid run ID: must be a UUID"),
        ("GET", "/threads/{thread}/runs/x/join", "Invalid run ID: must be a UUID"),
        ("GET", "/assistants/x", "Invalid assistant ID: must be a UUID"),
    ],
)
async def test_what_is_no_id_is_422(http, thread, method, path, detail):
    body = {"assistant_id": "simple"} if method in ("POST", "PATCH") else None
    answer = await http.request(method, path.format(thread=thread), json=body)
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


@pytest.mark.deviates("the reference server answers 400 with a text of its parser")
@pytest.mark.parametrize("route", ["wait", "stream"])
async def test_what_is_no_id_is_422_on_every_route_that_creates_runs(http, route):
    answer = await http.post(f"/threads/x/runs/{route}", json={"assistant_id": "simple"})
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid thread ID"})


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "/threads/{thread}/runs",
            {},
            '"assistant_id" is a required property\n\nFailed validating "required" in schema\n\nOn instance:\n    {{}}',
        ),
        (
            "/threads",
            {"if_exists": "bogus"},
            '"bogus" is not one of "raise" or "do_nothing"\n\n'
            'Failed validating "enum" in schema["properties"]["if_exists"]\n\n'
            'On instance["if_exists"]:\n    "bogus"',
        ),
        (
            "/threads/search",
            {"limit": 0},
            '0 is less than the minimum of 1\n\nFailed validating "minimum" in schema["properties"]["limit"]\n\n'
            'On instance["limit"]:\n    0',
        ),
        (
            "/threads/search",
            {"limit": 1001},
            "1001 is greater than the maximum of 1000\n\n"
            'Failed validating "maximum" in schema["properties"]["limit"]\n\nOn instance["limit"]:\n    1001',
        ),
        (
            "/threads",
            {"thread_id": 5},
            '5 is not of type "string"\n\nFailed validating "type" in schema["properties"]["thread_id"]\n\n'
            'On instance["thread_id"]:\n    5',
        ),
        (
            "/threads/{thread}/runs",
            {"assistant_id": "simple", "multitask_strategy": "bogus"},
            '"bogus" is not one of "reject", "rollback" or 2 other candidates\n\n'
            'Failed validating "enum" in schema["properties"]["multitask_strategy"]\n\n'
            'On instance["multitask_strategy"]:\n    "bogus"',
        ),
    ],
)
async def test_a_body_against_its_schema_is_422(http, thread, path, body, detail):
    answer = await http.post(path.format(thread=thread), json=body)
    assert (answer.status_code, answer.json()) == (422, {"detail": detail.format()})


@pytest.mark.parametrize("mode", ["tools", "lifecycle", "bogus", None])
async def test_a_stream_mode_that_is_none_is_422(http, thread, mode):
    answer = await http.post(f"/threads/{thread}/runs/stream", json={"assistant_id": "simple", "stream_mode": mode})
    assert answer.status_code == 422
    assert "is not valid under any of the schemas listed in the 'anyOf' keyword" in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b"nonsense"])
async def test_a_body_that_is_no_json_is_422(http, content):
    answer = await http.post("/threads", content=content)
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid JSON in request body"})


async def test_the_content_type_of_a_body_does_not_matter(http):
    answer = await http.post("/threads", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 200


async def test_unknown_fields_are_ignored(http, thread):
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "strict_resume": True, "from_the_future": 1}
    assert (await http.post(f"/threads/{thread}/runs/wait", json=body)).json() == {"foo": "A", "log": ["a", "b"]}


async def test_a_wrong_method_is_405(http, thread):
    answer = await http.put(f"/threads/{thread}", json={})
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert "GET" in answer.headers["allow"].replace(" ", "").split(",")


async def test_a_wrong_selection_is_422(http, thread):
    answer = await http.get(f"/threads/{thread}/runs", params={"select": "bogus"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Invalid select columns: ['bogus']. Expected: {")
