"""Graphs of many supersteps, each of which notes in a file that it was done."""

import asyncio
import os
import time
from operator import add
from typing import Annotated

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    notes: str
    steps: int
    seconds: float
    done: Annotated[list[int], add]


def note(state: State, config: RunnableConfig) -> State:
    """A line for the superstep that is done; lines of several processes do not mix."""
    step = len(state.get("done", []))
    file = os.open(state["notes"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{config['configurable']['run_id']} {config['metadata']['run_attempt']} {step}\n".encode())
    os.close(file)
    return {"done": [step]}


async def walk(state: State, config: RunnableConfig) -> State:
    await asyncio.sleep(state["seconds"])
    return note(state, config)


def block(state: State, config: RunnableConfig) -> State:
    time.sleep(state["seconds"])
    return note(state, config)


async def talk(state: State, config: RunnableConfig) -> State:
    writer = get_stream_writer()
    for word in range(5):
        await asyncio.sleep(state["seconds"] / 5)
        writer({"word": word})
    return note(state, config)


def repeated(node):
    name = node.__name__
    builder = StateGraph(State).add_node(node).add_edge(START, name)
    return builder.add_conditional_edges(name, lambda state: name if len(state["done"]) < state["steps"] else END, [name, END]).compile()


walks, blocks, talks = repeated(walk), repeated(block), repeated(talk)
