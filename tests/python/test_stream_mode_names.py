"""Names of stream modes: those that released clients can send, and all others."""

from typing import get_args

import pytest
from langgraph_sdk.schema import StreamMode, ThreadStreamMode

# What the types of released clients allow: Python 0.1.0 to 0.4.14, JavaScript 0.0.20 to 2.0.0.
FROM_THE_FIRST = ["values", "messages", "updates", "events", "debug"]
SINCE_PYTHON_0_1_40 = ["custom", "messages-tuple"]
SINCE_PYTHON_0_1_74 = ["tasks", "checkpoints"]
ACCEPTED = FROM_THE_FIRST + SINCE_PYTHON_0_1_40 + SINCE_PYTHON_0_1_74
# In the types of the newest clients, but channels of the command and event protocol: here the reference server
# refuses them too.
ELSEWHERE = ["tools", "lifecycle"]
NO_MODES = [
    "",
    "bogus",
    "Values",
    "values ",
    "values|child",
    "messages/partial",
    "metadata",
    "error",
    "end",
    "feedback",
]
ROUTES = ["threads/{thread}/runs", "threads/{thread}/runs/wait", "threads/{thread}/runs/stream", "runs", "runs/wait"]
ROUTES += ["runs/stream"]
THREAD_MODES = ["run_modes", "lifecycle", "state_update"]


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


def body(mode) -> dict:
    return {"assistant_id": "simple", "input": {"foo": "x"}, "stream_mode": mode}


def test_no_client_has_modes_that_nobody_looked_at():
    assert set(get_args(StreamMode)) == {*ACCEPTED, *ELSEWHERE}
    assert set(get_args(ThreadStreamMode)) == set(THREAD_MODES)


@pytest.mark.parametrize("route", ROUTES)
async def test_every_mode_is_accepted_alone_and_in_a_list(http, thread, route):
    for mode in [*ACCEPTED, *([mode] for mode in ACCEPTED), ACCEPTED, []]:
        answer = await http.post("/" + route.format(thread=thread), json=body(mode))
        assert (mode, answer.status_code) == (mode, 200), answer.text


@pytest.mark.parametrize("route", ROUTES)
async def test_every_other_name_is_refused_alone_and_in_a_list(http, thread, route):
    for name in [*ELSEWHERE, *NO_MODES, None, 5, True, {}]:
        for mode in (name, [name], ["values", name]):
            answer = await http.post("/" + route.format(thread=thread), json=body(mode))
            assert (mode, answer.status_code) == (mode, 422), answer.text
            assert "is not valid under any of the schemas listed in the 'anyOf' keyword" in answer.json()["detail"]
    assert (await http.get(f"/threads/{thread}/runs")).json() == []


@pytest.mark.parametrize(
    ("mode", "events"),
    [
        ("values", {"values"}),
        ("updates", {"updates"}),
        ("messages", {"messages/metadata", "messages/partial"}),
        ("messages-tuple", {"messages"}),
        ("events", {"events"}),
        ("debug", {"debug"}),
        ("tasks", {"tasks"}),
        ("checkpoints", {"checkpoints"}),
        ("custom", set()),
    ],
)
async def test_a_mode_has_these_events_and_no_others(client, thread, mode, events):
    input = {"messages": [{"role": "user", "content": "hi"}]}
    stream = client.runs.stream(thread, "chat", input=input, stream_mode=mode)
    assert {part.event async for part in stream} == {"metadata"} | events


async def test_a_mode_may_be_named_twice(client, record, thread):
    stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_mode=["updates", "updates"])
    assert [event for event, _ in await record(stream)] == ["metadata", "updates", "updates"]


@pytest.mark.parametrize("parameter", ["stream_modes", "stream_mode"])
@pytest.mark.parametrize("mode", [*THREAD_MODES, ",".join(THREAD_MODES)])
async def test_a_thread_can_be_followed_in_every_mode(http, thread, parameter, mode):
    async with http.stream("GET", f"/threads/{thread}/stream", params={parameter: mode}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("mode", ["values", "bogus", "RUN_MODES"])
async def test_a_thread_cannot_be_followed_in_others(http, thread, mode):
    answer = await http.get(f"/threads/{thread}/stream", params={"stream_modes": mode})
    assert (answer.status_code, answer.json()) == (422, {"detail": f"Invalid stream mode: {mode}"})
