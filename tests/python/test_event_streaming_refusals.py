"""The event protocol of a thread over HTTP: what is refused, in which words, and what a stream is without events."""

from uuid import uuid4

import pytest
from support.events import CHANNELS, command, start
from support.names import NOBODY


@pytest.fixture
def http(events_http):
    return events_http


@pytest.fixture
def thread() -> str:
    return str(uuid4())


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ("{", 400, {"detail": "Invalid JSON body"}),
        (
            '{"method": "a"}',
            400,
            {
                "type": "error",
                "id": None,
                "error": "invalid_argument",
                "message": "Protocol commands must include an integer id and string method.",
            },
        ),
        (
            '{"id": "x", "method": "a"}',
            400,
            {
                "type": "error",
                "id": "x",
                "error": "invalid_argument",
                "message": "Protocol commands must include an integer id and string method.",
            },
        ),
        (
            '{"id": 1, "method": "foo.bar"}',
            200,
            {"type": "error", "id": 1, "error": "unknown_command", "message": "Unknown protocol command: foo.bar"},
        ),
        (
            '{"id": 1, "method": "run.start"}',
            200,
            {
                "type": "error",
                "id": 1,
                "error": "invalid_argument",
                "message": "run.start requires an assistant_id.",
            },
        ),
        (
            '{"id": 1, "method": "input.respond", "params": {"interrupt_id": "x"}}',
            200,
            {
                "type": "error",
                "id": 1,
                "error": "no_such_run",
                "message": "No interrupted run is bound to this thread.",
            },
        ),
        (
            '{"id": 1, "method": "subscription.unsubscribe", "params": {"subscription_id": "s"}}',
            200,
            {"type": "error", "id": 1, "error": "no_such_subscription", "message": "Unknown subscription: s"},
        ),
        (
            '{"id": 1, "method": "subscription.subscribe", "params": {}}',
            200,
            {
                "type": "error",
                "id": 1,
                "error": "invalid_argument",
                "message": "subscription.subscribe requires a non-empty channels array.",
            },
        ),
    ],
)
async def test_commands_that_cannot_be_carried_out_say_why(http, thread, body, status, answer):
    got = await http.post(f"/threads/{thread}/commands", content=body)
    assert (got.status_code, got.json()) == (status, answer)


async def test_refusals_of_a_run_are_told_with_their_status(http, thread):
    async def refused(thread: str, assistant: str, **params) -> str:
        answer = await command(http, thread, "run.start", assistant_id=assistant, **params)
        assert answer.keys() == {"type", "id", "error", "message"} and answer["error"] == "unknown_error"
        return answer["message"]

    assert await refused("nope", "counted") == "422: Invalid thread ID"
    assert await refused(thread, NOBODY) == "404: Thread or assistant not found."
    assert (await refused(thread, "nope")).startswith("422: Invalid assistant: 'nope'. ")
    run = await start(http, thread, "gated", {"n": 1})
    busy = await refused(thread, "gated", input={"n": 1}, multitaskStrategy="reject")
    assert busy == (
        "409: Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
    )
    await http.post(f"/threads/{thread}/runs/{run}/cancel")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{", "Invalid JSON body"),
        ("[]", "channels is required and must be a non-empty array"),
        ('{"channels": []}', "channels is required and must be a non-empty array"),
        (
            '{"channels": ["values", "bogus", 1]}',
            f"channels contains unsupported entries: bogus, 1. Allowed: {', '.join(CHANNELS)}",
        ),
    ],
)
async def test_streams_that_cannot_be_are_refused(http, thread, body, detail):
    got = await http.post(f"/threads/{thread}/stream/events", content=body)
    text = got.json()["detail"]
    if "Allowed" in detail:
        assert sorted(text.partition("Allowed: ")[2].split(", ")[:9]) == sorted(CHANNELS)
        text, detail = text.partition(" Allowed")[0], detail.partition(" Allowed")[0]
    assert (got.status_code, text) == (400, detail)


async def test_no_thread_has_no_events(http):
    got = await http.post("/threads/nope/stream/events", json={"channels": ["values"]})
    assert (got.status_code, got.content) == (200, b"")


async def test_the_stream_has_the_headers_of_its_kind(http, thread):
    async with http.stream("POST", f"/threads/{thread}/stream/events", json={"channels": ["values"]}) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        # An unknown thread is silent, but for the heartbeat.
        assert await anext(answer.aiter_bytes()) == b": heartbeat\r\n\r\n"


@pytest.mark.parametrize("path", ["commands", "stream/events"])
async def test_the_paths_have_no_other_methods(http, thread, path):
    got = await http.get(f"/threads/{thread}/{path}")
    assert (got.status_code, got.json()) == (405, {"detail": "Method Not Allowed"})
