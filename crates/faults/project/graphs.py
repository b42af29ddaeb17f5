"""Graphs whose final state tells whether every superstep was applied once, and in order.

The input of a run has a tag, and every node appends `<tag> <what>` to the list `log`. The same words go into a journal, a
file that survives the server: what a node did is known even where the thread is gone.
"""

import asyncio
import operator
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

TOKENS = 20


class State(TypedDict):
    tag: str
    steps: int
    """How many supersteps the run has, where that is not always the same."""
    pause: float
    """How long each node takes, seconds."""
    done: int
    answer: str
    log: Annotated[list[str], operator.add]


def say(tag: str, what: str) -> str:
    """Writes into the journal what a node is about to return."""
    line = f"{tag} {what}"
    if path := os.environ.get("FAULTS_JOURNAL"):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)
    return line


def sleeping_node(what: str):
    async def node(state: State) -> dict[str, Any]:
        await asyncio.sleep(state["pause"])
        return {"log": [say(state["tag"], what)]}

    return node


def blocking_node(what: str):
    def node(state: State) -> dict[str, Any]:
        time.sleep(state["pause"])
        return {"log": [say(state["tag"], what)]}

    return node


def quick_node(what: str):
    async def node(state: State) -> dict[str, Any]:
        return {"log": [say(state["tag"], what)]}

    return node


def two(make):
    graph = StateGraph(State).add_node("a", make("a")).add_node("b", make("b"))
    return graph.add_edge(START, "a").add_edge("a", "b").add_edge("b", END).compile()


simple = two(quick_node)
blocking = two(blocking_node)
sleeping = two(sleeping_node)


async def step(state: State) -> dict[str, Any]:
    await asyncio.sleep(state["pause"] / 4)
    number = state["done"] + 1
    get_stream_writer()({"step": number})
    return {"done": number, "log": [say(state["tag"], f"step-{number}")]}


steps = (
    StateGraph(State)
    .add_node(step)
    .add_edge(START, "step")
    .add_conditional_edges("step", lambda state: END if state["done"] >= state["steps"] else "step", ["step", END])
    .compile()
)


class Model(BaseChatModel):
    """Streams a fixed number of tokens, some milliseconds apart."""

    @property
    def _llm_type(self) -> str:
        return "tokens"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs: Any) -> ChatResult:
        text = "".join(f"t{i} " for i in range(TOKENS))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(
        self, messages, stop=None, run_manager=None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for i in range(TOKENS):
            await asyncio.sleep(0.005)
            chunk = ChatGenerationChunk(message=AIMessageChunk(f"t{i} "))
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


async def talk(state: State) -> dict[str, Any]:
    answer = await Model().ainvoke("hi")
    return {"log": [say(state["tag"], f"words-{len(answer.text.split())}")]}


tokens = StateGraph(State).add_node(talk).add_edge(START, "talk").add_edge("talk", END).compile()


class Notes(TypedDict):
    tag: str
    pause: float
    notes: Annotated[list[str], operator.add]


def note(what: str):
    async def node(state: Notes) -> dict[str, Any]:
        await asyncio.sleep(state["pause"])
        return {"notes": [say(state["tag"], what)]}

    return node


inner = (
    StateGraph(Notes)
    .add_node("x", note("inner-x"))
    .add_node("y", note("inner-y"))
    .add_edge(START, "x")
    .add_edge("x", "y")
    .compile()
)


async def outer(state: State) -> dict[str, Any]:
    found = await inner.ainvoke({"tag": state["tag"], "pause": state["pause"], "notes": []})
    return {"log": [*found["notes"], say(state["tag"], "outer")]}


nested = StateGraph(State).add_node(outer).add_edge(START, "outer").add_edge("outer", END).compile()


class Part(TypedDict):
    tag: str
    pause: float
    number: int


async def work(part: Part) -> dict[str, Any]:
    # The last begun is the first done: the order of the log must not follow from that.
    await asyncio.sleep(part["pause"] * (4 - part["number"]) / 4)
    return {"log": [say(part["tag"], f"part-{part['number']}")]}


def parts(state: State) -> list[Send]:
    common = {"tag": state["tag"], "pause": state["pause"]}
    return [Send("work", {**common, "number": number}) for number in range(4)]


fan = (
    StateGraph(State)
    .add_node(work)
    .add_node("join", quick_node("join"))
    .add_conditional_edges(START, parts, ["work"])
    .add_edge("work", "join")
    .add_edge("join", END)
    .compile()
)


async def ask(state: State) -> dict[str, Any]:
    answer = interrupt("May it go on?")
    return {"answer": answer, "log": [say(answer, "resumed")]}


async def after(state: State) -> dict[str, Any]:
    await asyncio.sleep(state["pause"])
    return {"log": [say(state["answer"], "after")]}


approval = (
    StateGraph(State)
    .add_node("before", sleeping_node("before"))
    .add_node(ask)
    .add_node(after)
    .add_edge(START, "before")
    .add_edge("before", "ask")
    .add_edge("ask", "after")
    .add_edge("after", END)
    .compile()
)
