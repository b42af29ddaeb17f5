"""Graphs that stop and ask."""

from operator import add
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict):
    foo: str
    log: Annotated[list[str], add]


def before(state: State) -> dict:
    return {"log": ["before"]}


def ask(state: State) -> dict:
    return {"log": [f"answer: {interrupt({'question': 'ok?'})!r}"]}


graph = (
    StateGraph(State)
    .add_node("before", before)
    .add_node("ask", ask)
    .add_edge(START, "before")
    .add_edge("before", "ask")
    .add_edge("ask", END)
    .compile()
)


async def left(state: State) -> dict:
    return {"log": [f"left: {interrupt('left?')}"]}


async def right(state: State) -> dict:
    return {"log": [f"right: {interrupt('right?')}"]}


two = (
    StateGraph(State)
    .add_node("left", left)
    .add_node("right", right)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .compile()
)
