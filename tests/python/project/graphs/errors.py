"""A node that raises what it is told to."""

from operator import add
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class Boom(Exception):
    """A class that no library knows."""


ERRORS = {
    "value": (ValueError, "bad value"),
    "key": (KeyError, "bad key"),
    "connection": (ConnectionError, "secret host"),
    "boom": (Boom, "secret text"),
}


class State(TypedDict):
    kind: str
    log: Annotated[list[str], add]


def before(state: State) -> dict:
    return {"log": ["before"]}


def fail(state: State) -> dict:
    if state["kind"] == "none":
        return {"log": ["passed"]}
    error, text = ERRORS[state["kind"]]
    raise error(text)


graph = (
    StateGraph(State)
    .add_node("before", before)
    .add_node("fail", fail)
    .add_edge(START, "before")
    .add_edge("before", "fail")
    .add_edge("fail", END)
    .compile()
)
