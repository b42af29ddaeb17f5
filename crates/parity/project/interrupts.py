"""Graphs that stop and ask: once, twice, at the same time, before a node, inside of a graph in a graph."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Log(TypedDict):
    foo: str
    log: Annotated[list, operator.add]


async def pre(state: Log) -> dict[str, Any]:
    return {"log": ["pre"]}


async def question(state: Log) -> dict[str, Any]:
    return {"log": [f"answer: {interrupt({'question': 'ok?'})!r}"]}


async def post(state: Log) -> dict[str, Any]:
    return {"log": ["post"]}


def row(*nodes: Any) -> StateGraph:
    return StateGraph(Log).add_sequence(nodes).add_edge(START, nodes[0].__name__)


ask = row(pre, question, post).compile()


async def questions(state: Log) -> dict[str, Any]:
    return {"log": [f"first: {interrupt('first?')}", f"second: {interrupt('second?')}"]}


ask_twice = row(questions).compile()


async def left(state: Log) -> dict[str, Any]:
    return {"log": [f"left: {interrupt('left?')}"]}


async def right(state: Log) -> dict[str, Any]:
    return {"log": [f"right: {interrupt('right?')}"]}


ask_both = (
    StateGraph(Log).add_node(left).add_node(right).add_edge(START, "left").add_edge(START, "right").compile()
)

gate = row(pre, post).compile(interrupt_before=["post"])


async def inner(state: Log) -> dict[str, Any]:
    get_stream_writer()({"inside": True})
    answer = interrupt("inside?") if state["foo"] == "ask" else "none"
    return {"log": [f"inner: {answer}"]}


async def after(state: Log) -> dict[str, Any]:
    return {"log": ["after"]}


nested = (
    StateGraph(Log)
    .add_node(pre)
    .add_node("child", row(inner, after).compile())
    .add_node(post)
    .add_edge(START, "pre")
    .add_edge("pre", "child")
    .add_edge("child", "post")
    .compile()
)
