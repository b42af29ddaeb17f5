"""Graphs for the worker's tests: odd values, synchronous code, ways to call subgraphs."""

import dataclasses
import datetime
import enum
import operator
import re
import uuid
from collections import deque, namedtuple
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.config import get_store, get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send
from pydantic import BaseModel
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    text: str
    log: Annotated[list[str], operator.add]


def _one(node: Any, **options: Any) -> Any:
    builder = StateGraph(State).add_node(node.__name__, node).add_edge(START, node.__name__)
    return builder.compile(**options)


class Color(enum.Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime.date


@dataclasses.dataclass
class Data:
    when: datetime.timedelta


Point = namedtuple("Point", ["x", "y"])

ODD: dict[str, Any] = {
    "date": datetime.date(2026, 1, 2),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    "timedelta": datetime.timedelta(seconds=90),
    "zone": datetime.UTC,
    "decimals": [Decimal("1.50"), Decimal("3"), Decimal("NaN")],
    "uuid": uuid.UUID(int=5),
    "path": Path("/a/b"),
    "regex": re.compile("a+"),
    "bytes": b"hi",
    "sets": [{1}, frozenset({2}), deque([3])],
    "enum": Color.RED,
    "model": Model(when=datetime.date(2026, 1, 2)),
    "data": Data(datetime.timedelta(seconds=1)),
    "tuple": Point(1, (2, 3)),
    "error": ValueError("bad"),
    "hidden": OSError("secret"),
    "send": Send("node", {"a": 1}),
    "numbers": [float("nan"), float("inf"), 2**70, -(2**70), True],
    "keys": {1: "one", None: "none", Color.RED: "red"},
    "text": ["\ud800 lone", "nul \x00", "ünïcödé"],
    "nothing": [object(), Model, lambda: None],
    "messages": [
        HumanMessage("h", id="1", extra_field="kept"),
        AIMessage("a", id="2", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}]),
        ToolMessage("t", id="3", tool_call_id="c"),
        AIMessageChunk("c", id="4", chunk_position="last"),
    ],
}


async def odd(state: State) -> State:
    writer = get_stream_writer()
    for name, value in ODD.items():
        writer({name: value})
    for message in ODD["messages"]:
        writer({"same": message.model_dump()})
    return {"text": "done"}


odd_values = _one(odd)


def sync_child(state: State) -> State:
    return {"log": ["sync child"]}


_child = _one(sync_child)


def sync_node(state: State) -> State:
    # Graph and store from a thread.
    found = _child.invoke({"log": []})
    store = get_store()
    store.put(("sync",), "k", {"n": 1})
    item = store.get(("sync",), "k")
    assert item is not None
    return {"log": found["log"], "text": str(item.value)}


sync = _one(sync_node)


async def twice(state: State) -> State:
    first = await _child.ainvoke({"log": ["1"]})
    second = await _child.ainvoke({"log": ["2"]})
    return {"log": first["log"] + second["log"]}


calls_twice = _one(twice)


async def counts(state: State) -> State:
    return {"log": ["seen"]}


_keeping = _one(counts, checkpointer=True)


async def remembers(state: State) -> State:
    kept = await _keeping.ainvoke({})
    return {"text": str(len(kept["log"]))}


keeps_subgraph = _one(remembers)


async def reads_history(state: State, config: RunnableConfig) -> State:
    configurable = {"thread_id": config["configurable"]["thread_id"]}
    saver = config["configurable"]["__pregel_checkpointer"]
    found = [item async for item in saver.alist({"configurable": configurable})]
    return {"text": str(len(found))}


history = _one(reads_history)


async def who(state: State, runtime: Runtime[Any], config: RunnableConfig) -> State:
    user = runtime.server_info.user if runtime.server_info else None
    configured = config["configurable"]["langgraph_auth_user"]
    return {"text": f"{user and user.identity} {configured['role']} {configured.permissions}"}


user = _one(who)


def _extend(state: Any, writes: Any) -> Any:
    return list(state or []) + [item for write in writes for item in write]


class Delta(TypedDict, total=False):
    items: Annotated[list[int], DeltaChannel(_extend, list, snapshot_frequency=3)]


async def grow(state: Delta) -> Delta:
    return {"items": [len(state.get("items", []))]}


_delta = StateGraph(Delta)
for _number in range(4):
    _delta.add_node(f"grow{_number}", grow)
    _delta.add_edge(START if _number == 0 else f"grow{_number - 1}", f"grow{_number}")
delta = _delta.compile()
