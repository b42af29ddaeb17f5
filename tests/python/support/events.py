"""The event protocol without its official client: commands, and events as they come."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from .names import Names
from .server import ROOT, Server

EVENTS_PROJECT = ROOT / "tests/python/events_project"
CHANNELS = ["values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks", "checkpoints"]
ENTRY = re.compile(r"\d+-\d+(\.\d+)?")
Event = dict[str, Any]


def events_server(folder: Path, **more: Any) -> Server:
    """A server of the project whose graphs cover all channels."""
    env = {"EVENTS_GATE": str(folder / "gate")}
    return Server(folder, env, config=EVENTS_PROJECT / "langgraph.json", graph="speaker", **more)


async def command(http: httpx.AsyncClient, thread: str, method: str, **params: Any) -> dict[str, Any]:
    """The answer to a command."""
    answer = await http.post(f"/threads/{thread}/commands", json={"id": 7, "method": method, "params": params})
    assert answer.status_code == 200
    return answer.json()


async def start(http: httpx.AsyncClient, thread: str, graph: str, input: Any, **params: Any) -> str:
    """Starts a run; its id."""
    answer = await command(http, thread, "run.start", assistant_id=graph, input=input, **params)
    assert answer == {
        "type": "success",
        "id": 7,
        "result": {"run_id": answer.get("result", {}).get("run_id")},
        "meta": {"applied_through_seq": 0},
    }
    return answer["result"]["run_id"]


async def frames(http: httpx.AsyncClient, thread: str, **body: Any) -> AsyncIterator[tuple[str, str, Event]]:
    """Name, id and event of each frame of an endless stream."""
    body = {"channels": CHANNELS} | body
    async with http.stream("POST", f"/threads/{thread}/stream/events", json=body) as answer:
        assert answer.status_code == 200
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if not line:
                if "data" in fields:
                    yield fields["event"], fields["id"], json.loads(fields["data"])
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value


async def read(
    http: httpx.AsyncClient, thread: str, until: Callable[[Event], bool], **body: Any
) -> list[Event]:
    """Events up to the first for which `until` holds."""
    events = []
    async with aclosing(frames(http, thread, **body)) as stream:
        async for name, id, event in stream:
            assert (name, id) == (event["method"], str(event["seq"]))
            events.append(event)
            if until(event):
                return events
    raise AssertionError(f"the stream ended before what was waited for: {events}")


def is_root(*words: str) -> Callable[[Event], bool]:
    """Whether an event says one of these words of the outermost graph."""

    def check(event: Event) -> bool:
        params = event["params"]
        return event["method"] == "lifecycle" and params["namespace"] == [] and params["data"]["event"] in words

    return check


ends = is_root("completed", "failed", "interrupted")


def times(count: int, condition: Callable[[Event], bool]) -> Callable[[Event], bool]:
    """Whether a condition has held so many times."""
    held = 0

    def check(event: Event) -> bool:
        nonlocal held
        held += condition(event)
        return held == count

    return check


def shown(events: list[Event], names: Names) -> list[tuple]:
    """Method, namespace, node and data of events, with stable names, after a look at all that they have in common."""
    result = []
    for event in events:
        params = event["params"]
        assert set(event) == {"type", "event_id", "seq", "method", "params"} and event["type"] == "event"
        assert isinstance(params["timestamp"], int) and params["timestamp"] > 1_700_000_000_000
        assert ENTRY.fullmatch(event["event_id"]) or event["event_id"].startswith("synth:")
        more = (params["node"],) if "node" in params else ()
        result.append((event["method"], names(params["namespace"]), *more, names(params["data"])))
    return result


def ids(events: list[Event], names: Names) -> list[str]:
    """Ids of events, with stable names."""
    return [ENTRY.sub("<entry>", event["event_id"], 1) if ENTRY.match(event["event_id"]) else names(event["event_id"]) for event in events]
