"""Graphs that are made on each use, a builder that nobody compiled, and a graph with a name of its own."""

from contextlib import asynccontextmanager
from operator import add
from typing import Annotated

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class State(TypedDict):
    log: Annotated[list[str], add]


def made(node: str, text: str) -> StateGraph:
    return StateGraph(State).add_node(node, lambda state: {"log": [text]}).add_edge(START, node).add_edge(node, END)


def make(config: RunnableConfig):
    return made("work", f"sync {config['configurable'].get('word')}").compile()


async def make_async(config: RunnableConfig):
    return made("work", f"async {config['configurable'].get('word')}").compile()


@asynccontextmanager
async def make_in_manager(config: RunnableConfig):
    resource = {"open": True}
    graph = StateGraph(State).add_node("work", lambda state: {"log": [f"manager, open: {resource['open']}"]})
    try:
        yield graph.add_edge(START, "work").add_edge("work", END).compile()
    finally:
        resource["open"] = False


def make_with_runtime(runtime: ServerRuntime):
    return made("work", f"made for {runtime.access_context}").compile()


builder = made("work", "built")

named = made("work", "named").compile(name="A Name Of Its Own")
