"""Graphs that ask more than once: twice in one node, in several subgraphs at once, and two graphs down."""

from operator import add
from typing import Annotated

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict


class Notes(TypedDict):
    notes: Annotated[list[str], add]


def both(state: Notes) -> dict:
    first = interrupt("first?")
    second = interrupt({"after": first})
    return {"notes": [f"{first!r}, {second!r}"]}


sequence = StateGraph(Notes).add_node("both", both).add_edge(START, "both").add_edge("both", END).compile()
"""One node with two questions, the second of which repeats the answer to the first."""


class Person(Notes):
    name: str


async def prepare(person: Person) -> dict:
    return {"notes": [f"{person['name']} is prepared"]}


async def consult(person: Person) -> dict:
    return {"notes": [f"{person['name']} says {interrupt(person['name'] + '?')}"]}


expert = (
    StateGraph(Person, output_schema=Notes)
    .add_node("prepare", prepare)
    .add_node("consult", consult)
    .add_edge(START, "prepare")
    .add_edge("prepare", "consult")
    .add_edge("consult", END)
    .compile()
)


class Experts(Notes):
    names: list[str]


def invite(state: Experts) -> list[Send]:
    return [Send("expert", {"name": name}) for name in state["names"]]


experts = StateGraph(Experts).add_node("expert", expert).add_conditional_edges(START, invite, ["expert"]).compile()
"""One subgraph for each name, and each asks."""


class Deep(TypedDict, total=False):
    foo: str
    found: str


async def dig(state: Deep) -> dict:
    get_stream_writer()({"depth": 2})
    return {"found": interrupt("deep?") if state["foo"] == "ask" else "a stone"}


bottom = StateGraph(Deep).add_node("dig", dig).add_edge(START, "dig").add_edge("dig", END).compile()
middle = StateGraph(Deep).add_node("bottom", bottom).add_edge(START, "bottom").add_edge("bottom", END).compile()
deep = StateGraph(Deep).add_node("middle", middle).add_edge(START, "middle").add_edge("middle", END).compile()
"""A graph in a graph in a graph."""
