"""The event protocol over a WebSocket: commands and events on one connection."""

import json
from uuid import uuid4

import pytest
from support.events import CHANNELS, ends, read, start
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus


@pytest.fixture
def http(events_http):
    return events_http


@pytest.fixture
def thread() -> str:
    return str(uuid4())


class Connection:
    """One connection; answers are matched by their ids."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self.events: list[dict] = []
        self.count = 0

    async def frame(self) -> dict:
        return json.loads(await self.socket.recv())

    async def send(self, method: str, **params) -> dict:
        """Sends a command; its answer. Events that come before it are kept."""
        self.count += 1
        await self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while (frame := await self.frame())["type"] == "event":
            self.events.append(frame)
        assert frame["id"] == self.count
        return frame

    async def until(self, condition) -> list[dict]:
        """Events up to the first for which the condition holds."""
        while not any(map(condition, self.events)):
            frame = await self.frame()
            assert frame["type"] == "event"
            self.events.append(frame)
        taken = next(index for index, event in enumerate(self.events) if condition(event)) + 1
        events, self.events = self.events[:taken], self.events[taken:]
        return events


@pytest.fixture
def connected(events_url):
    def connected(thread: str, **options):
        return connect(f"ws{events_url[4:]}/threads/{thread}/stream/events", proxy=None, **options)

    return connected


def error(code: str, message: str, id: int | None = 1, seq: int | None = 0) -> dict:
    answer = {"type": "error", "id": id, "error": code, "message": message}
    return answer if seq is None else answer | {"meta": {"applied_through_seq": seq}}


async def test_a_question_is_asked_and_answered_on_one_connection(connected, http, thread):
    async with connected(thread) as socket:
        connection = Connection(socket)
        subscribed = await connection.send("subscription.subscribe", channels=CHANNELS)
        assert subscribed["result"] == {
            "subscription_id": subscribed["result"]["subscription_id"],
            "replayed_events": 0,
        }
        started = await connection.send("run.start", assistant_id="asking", input={"n": 1})
        assert started["type"] == "success"
        events = await connection.until(ends)
        question = events[-2]["params"]
        answer = {"interrupt_id": question["data"]["interrupt_id"], "response": "yes"}
        wrong = await connection.send("input.respond", namespace=["other"], **answer)
        assert (wrong["error"], wrong["message"]) == (
            "no_such_interrupt",
            "Interrupt namespace does not match the pending interrupt.",
        )
        done = await connection.send("input.respond", namespace=question["namespace"], **answer)
        assert done["result"] == {} and done["meta"]["applied_through_seq"] >= events[-1]["seq"]
        events += await connection.until(ends)
        assert events[-1]["params"]["data"]["event"] == "completed"
        tree = await connection.send("agent.getTree")
        child = question["namespace"]
        assert tree["result"] == {
            "tree": {
                "namespace": [],
                "status": "completed",
                "graph_name": "asking",
                "children": [{"namespace": child, "status": "completed", "graph_name": "child"}],
            }
        }
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    # The same as whoever reads the thread another way.
    assert await read(http, thread, lambda event: event["seq"] == len(events)) == events


async def test_subscriptions_are_answered_before_what_they_replay(connected, http, thread):
    await start(http, thread, "counted", {"n": 1})
    events = await read(http, thread, ends)
    async with connected(thread) as socket:
        connection = Connection(socket)
        values = [event for event in events if event["method"] == "values"]
        first = await connection.send("subscription.subscribe", channels=["values"])
        assert first["result"]["replayed_events"] == len(values) and connection.events == []
        assert await connection.until(lambda event: event == values[-1]) == values
        named = [event for event in events if event["method"] == "custom"]
        second = await connection.send("subscription.subscribe", channels=["custom:counter"], namespaces=[[]])
        assert second["result"]["replayed_events"] == len(named)
        assert await connection.until(lambda event: event == named[-1]) == named
        again = await connection.send(
            "subscription.reconnect",
            channels=["custom"],
            since=named[0]["seq"],
            subscription_id=second["result"]["subscription_id"],
        )
        assert again["result"] == {
            "subscription_id": second["result"]["subscription_id"],
            "replayed_events": len(named) - 1,
        }
        assert await connection.until(lambda event: event == named[-1]) == named[1:]
        id = first["result"]["subscription_id"]
        assert (await connection.send("subscription.unsubscribe", subscription_id=id))["result"] == {}
        gone = await connection.send("subscription.unsubscribe", subscription_id=id)
        assert gone == error("no_such_subscription", f"Unknown subscription: {id}", 5, named[-1]["seq"])
        # Of what comes, each subscription that is left gets its part.
        await connection.send("run.start", assistant_id="counted", input={"n": 1})
        more = await connection.until(lambda event: event["params"]["data"] == named[-1]["params"]["data"])
        assert {event["method"] for event in more} == {"custom"}


async def test_what_is_no_command_leaves_the_connection_open(connected, thread):
    async with connected(thread) as socket:
        connection = Connection(socket)
        await socket.send("{")
        assert await connection.frame() == error(
            "invalid_argument", "Protocol commands must be valid JSON.", None, None
        )
        await socket.send('{"id": "x"}')
        assert await connection.frame() == error(
            "invalid_argument", "Protocol commands must include an integer id and string method.", "x", None
        )
        assert await connection.send("foo.bar") == error("unknown_command", "Unknown protocol command: foo.bar")
        refused = await connection.send("subscription.subscribe", channels=["bogus"])
        assert refused["message"] == "subscription.subscribe received an unsupported channel."
        refused = await connection.send("subscription.reconnect", channels=["values"], since=0)
        assert refused["error"] == "no_such_run"
        assert (await connection.send("agent.getTree"))["error"] == "no_such_run"


async def test_a_thread_that_cannot_be_ends_the_connection(connected):
    async with connected("nope") as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "thread stream ended")


async def test_a_deleted_thread_ends_the_connection(connected, http, thread):
    await start(http, thread, "counted", {"n": 1})
    async with connected(thread) as socket:
        connection = Connection(socket)
        await connection.send("subscription.subscribe", channels=["lifecycle"])
        await connection.until(ends)
        await http.delete(f"/threads/{thread}")
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1011


async def test_strangers_are_refused_with_one_status(auth, alice, bob):
    thread = (await alice.threads.create())["thread_id"]
    url = f"ws{auth.server.url[4:]}/threads/{thread}/stream/events"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, proxy=None):
            pass
    assert refused.value.response.status_code == 403
    subscribe = json.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": ["lifecycle"]}})
    async with connect(url, proxy=None, additional_headers={"x-user": "alice"}) as socket:
        await socket.send(subscribe)
        assert json.loads(await socket.recv())["result"]["replayed_events"] == 0
        await alice.runs.wait(thread, "simple", input={"foo": "x"})
        async with connect(url, proxy=None, additional_headers={"x-user": "bob"}) as other:
            # Another tenant's thread is like one that is not there.
            await other.send(subscribe)
            assert json.loads(await other.recv())["result"]["replayed_events"] == 0
            command = {"id": 2, "method": "input.respond", "params": {"interrupt_id": "i"}}
            await other.send(json.dumps(command))
            assert json.loads(await other.recv())["error"] == "no_such_run"
