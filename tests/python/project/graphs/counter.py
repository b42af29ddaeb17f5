"""Counts in a loop until the limit, one superstep for each number."""

from operator import add
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict):
    count: Annotated[int, add]
    limit: int


async def increment(state: State) -> dict:
    return {"count": 1}


def more(state: State) -> str:
    return "increment" if state["count"] < state["limit"] else END


graph = (
    StateGraph(State)
    .add_node("increment", increment)
    .add_edge(START, "increment")
    .add_conditional_edges("increment", more, ["increment", END])
    .compile()
)
