"""Nodes that stop at a gate: they knock at a Unix socket of the test and go on when it lets them.

A gate that closes the connection instead makes the node raise, and some words make it do worse. The test sees the connection end when the node is
cancelled or its process dies.
"""

import asyncio
import json
import os
import socket
import time
from operator import add
from typing import Annotated

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    gate: str
    name: str
    steps: int
    step: int
    log: Annotated[list[str], add]


def knock(state: State, config: RunnableConfig) -> bytes:
    visitor = {
        "pid": os.getpid(),
        "run_id": config["configurable"]["run_id"],
        "attempt": config["metadata"].get("run_attempt"),
        "name": state.get("name"),
        "step": state.get("step", 0),
    }
    return json.dumps(visitor).encode() + b"\n"


EATEN = []


def obey(answer: bytes) -> str:
    """The word, or what it demands."""
    if not answer:
        raise ValueError("the gate was closed")
    match answer.decode().split():
        case ["die"]:
            os._exit(3)
        case ["spin", seconds]:
            end = time.monotonic() + float(seconds)
            while time.monotonic() < end:
                pass
        case ["eat", megabytes]:
            EATEN.append(bytearray(os.urandom(1 << 20)) * int(megabytes))
    return answer.decode().strip()


async def wait(state: State, config: RunnableConfig) -> str:
    reader, writer = await asyncio.open_unix_connection(state["gate"])
    try:
        writer.write(knock(state, config))
        answer = await reader.readline()
    finally:
        writer.close()
    return obey(answer)


def wait_blocking(state: State, config: RunnableConfig) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(state["gate"])
        connection.sendall(knock(state, config))
        answer = connection.recv(1000)
    return obey(answer)


async def before(state: State) -> dict:
    return {"log": [f"{state.get('name', '')} arrives"]}


async def async_node(state: State, config: RunnableConfig) -> dict:
    return {"log": [f"{state.get('name', '')} {await wait(state, config)}"]}


def sync_node(state: State, config: RunnableConfig) -> dict:
    return {"log": [f"{state.get('name', '')} {wait_blocking(state, config)}"]}


async def blocking_node(state: State, config: RunnableConfig) -> dict:
    return {"log": [f"{state.get('name', '')} {wait_blocking(state, config)}"]}


def at_gate(node) -> StateGraph:
    return (
        StateGraph(State)
        .add_node("before", before)
        .add_node("gate", node)
        .add_edge(START, "before")
        .add_edge("before", "gate")
        .add_edge("gate", END)
        .compile()
    )


waiting = at_gate(async_node)
"""Awaits: a cancel reaches it."""

holding = at_gate(sync_node)
"""A plain function, so it runs in a thread."""

blocking = at_gate(blocking_node)
"""Blocks the event loop that it runs in."""


async def one_step(state: State, config: RunnableConfig) -> dict:
    answer = await wait(state, config)
    return {"step": state.get("step", 0) + 1, "log": [f"step {state.get('step', 0)}: {answer}"]}


def more(state: State) -> str:
    return "one_step" if state["step"] < state["steps"] else END


steps = (
    StateGraph(State)
    .add_node("one_step", one_step)
    .add_edge(START, "one_step")
    .add_conditional_edges("one_step", more, ["one_step", END])
    .compile()
)
"""A gate in each superstep."""
