"""Two nodes in a row, and one node that reports its progress."""

from operator import add
from typing import Annotated

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict):
    foo: str
    log: Annotated[list[str], add]


def a(state: State) -> dict:
    return {"foo": "A", "log": ["a"]}


def b(state: State) -> dict:
    return {"log": ["b"]}


graph = (
    StateGraph(State)
    .add_node("a", a)
    .add_node("b", b)
    .add_edge(START, "a")
    .add_edge("a", "b")
    .add_edge("b", END)
    .compile()
)


def report(state: State) -> dict:
    write = get_stream_writer()
    write({"progress": 1})
    write("half way, äöü €")
    write([1, 2])
    return {"log": ["reported"]}


progress = StateGraph(State).add_node("report", report).add_edge(START, "report").add_edge("report", END).compile()
