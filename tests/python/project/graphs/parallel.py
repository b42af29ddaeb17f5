"""One task for each item, and a join."""

from operator import add
from typing import Annotated

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict


class State(TypedDict):
    items: list[int]
    log: Annotated[list[str], add]


def spread(state: State) -> list[Send]:
    return [Send("work", {"item": item}) for item in state["items"]]


async def work(task: dict) -> dict:
    return {"log": [f"w{task['item']}"]}


async def join(state: State) -> dict:
    return {"log": [f"joined {len(state['log'])}"]}


graph = (
    StateGraph(State)
    .add_node("work", work)
    .add_node("join", join)
    .add_conditional_edges(START, spread, ["work"])
    .add_edge("work", "join")
    .add_edge("join", END)
    .compile()
)
