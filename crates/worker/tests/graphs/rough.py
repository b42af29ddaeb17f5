"""Graphs for the worker's tests: what must not hurt others."""

import asyncio
import os
import time
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    seconds: float
    text: str
    steps: int
    step: int


def _one(node: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


def block(state: State) -> State:
    get_stream_writer()("blocks")
    time.sleep(state["seconds"])
    return {"text": "woke up"}


async def block_loop(state: State) -> State:
    time.sleep(state["seconds"])
    return {"text": "woke up"}


async def sleep(state: State) -> State:
    await asyncio.sleep(state["seconds"])
    return {"text": "slept"}


async def die(state: State) -> State:
    os._exit(3)


async def tell_pid(state: State) -> State:
    return {"text": str(os.getpid())}


async def note(state: State) -> State:
    with open(state["text"], "a") as file:
        file.write(f"{os.getpid()}\n")
    return {}


async def call(state: State) -> State:
    try:
        inner = await stepping.ainvoke({"seconds": state["seconds"], "steps": state["steps"]})
    except Exception as error:
        return {"text": f"inner failed: {error!r}"}
    return {"text": f"{inner['step']} steps"}


async def finish(state: State) -> State:
    return {"text": f"{state['text']} in {os.getpid()}"}


async def take_step(state: State) -> State:
    await asyncio.sleep(state["seconds"])
    return {"step": state.get("step", 0) + 1}


def go_on(state: State) -> str:
    return "node" if state["step"] < state["steps"] else END


stepping = (
    StateGraph(State)
    .add_node("node", take_step)
    .add_edge(START, "node")
    .add_conditional_edges("node", go_on, ["node", END])
    .compile()
)
calling = (
    StateGraph(State)
    .add_node("call", call)
    .add_node("finish", finish)
    .add_edge(START, "call")
    .add_edge("call", "finish")
    .compile()
)
blocking = _one(block)
blocking_loop = _one(block_loop)
sleeping = _one(sleep)
dying = _one(die)
whoami = _one(tell_pid)
noting = _one(note)
