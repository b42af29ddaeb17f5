"""Graphs for the worker's tests: control flow."""

import asyncio
import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    foo: str
    log: Annotated[list[str], operator.add]


async def a(state: State) -> State:
    return {"foo": "A", "log": ["a"]}


async def b(state: State) -> State:
    return {"log": ["b"]}


def _chain(*nodes: Any) -> StateGraph:
    builder = StateGraph(State)
    last = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(last, node.__name__)
        last = node.__name__
    builder.add_edge(last, END)
    return builder


simple = _chain(a, b).compile(name="simple")
builder = _chain(a)


# START -> z and b side by side, then join. Added in this order, so that states show z first.
async def z(state: State) -> State:
    return {"log": ["z"]}


async def join(state: State) -> State:
    return {"foo": "joined"}


_parallel = StateGraph(State)
_parallel.add_node("z", z)
_parallel.add_node("b", b)
_parallel.add_node("join", join)
_parallel.add_edge(START, "z")
_parallel.add_edge(START, "b")
_parallel.add_edge(["z", "b"], "join")
_parallel.add_edge("join", END)
parallel = _parallel.compile()


# One of two tasks asks, the other finishes.
async def ask(state: State) -> State:
    answer = interrupt({"q": "ok?"})
    return {"foo": f"got {answer}"}


async def sibling(state: State) -> State:
    return {"log": ["sibling"]}


async def after(state: State) -> State:
    return {"log": ["after"]}


_asking = StateGraph(State)
_asking.add_node("ask", ask)
_asking.add_node("sibling", sibling)
_asking.add_node("after", after)
_asking.add_edge(START, "ask")
_asking.add_edge(START, "sibling")
_asking.add_edge(["ask", "sibling"], "after")
_asking.add_edge("after", END)
asking = _asking.compile()


async def boom(state: State) -> State:
    raise ValueError("boom!")


class Secret(Exception):
    """Its text is not to be shown."""


async def secret(state: State) -> State:
    raise Secret("password")


failing = _chain(a, boom).compile()
masked = _chain(secret).compile()


async def inner(state: State) -> State:
    return {"log": ["inner"]}


async def inner_ask(state: State) -> State:
    return {"log": [f"inner {interrupt('inner?')}"]}


_nested = StateGraph(State)
_nested.add_node("pre", a)
_nested.add_node("child", _chain(inner).compile())
_nested.add_node("post", b)
_nested.add_edge(START, "pre")
_nested.add_edge("pre", "child")
_nested.add_edge("child", "post")
_nested.add_edge("post", END)
nested = _nested.compile()

_nested_ask = StateGraph(State)
_nested_ask.add_node("child", _chain(inner_ask).compile())
_nested_ask.add_edge(START, "child")
_nested_ask.add_edge("child", END)
nested_ask = _nested_ask.compile()


class Fan(TypedDict, total=False):
    items: list[int]
    results: Annotated[list[int], operator.add]


async def work(state: Any) -> Fan:
    return {"results": [state["item"] * 2]}


def fan_out(state: Fan) -> list[Send]:
    return [Send("work", {"item": item}) for item in state["items"]]


_fan = StateGraph(Fan)
_fan.add_node("plan", lambda state: {})
_fan.add_node("work", work)
_fan.add_edge(START, "plan")
_fan.add_conditional_edges("plan", fan_out, ["work"])
fan = _fan.compile()


class Counter(TypedDict, total=False):
    n: int
    until: int


async def count(state: Counter) -> Command[Any]:
    n = state.get("n", 0) + 1
    return Command(update={"n": n}, goto=END if n >= state.get("until", 0) else "count")


_counter = StateGraph(Counter)
_counter.add_node("count", count)
_counter.add_edge(START, "count")
counter = _counter.compile()


async def slow(state: State) -> State:
    await asyncio.sleep(60)
    return {"foo": "late"}


async def quick(state: State) -> State:
    return {"log": ["quick"]}


_waiting = StateGraph(State)
_waiting.add_node("slow", slow)
_waiting.add_node("quick", quick)
_waiting.add_edge(START, "slow")
_waiting.add_edge(START, "quick")
waiting = _waiting.compile()
