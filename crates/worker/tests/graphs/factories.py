"""Graphs for the worker's tests: every form of factory."""

from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph_sdk.runtime import ServerRuntime
from typing_extensions import TypedDict


class Said(TypedDict, total=False):
    said: str


def _saying(text: str) -> StateGraph:
    return StateGraph(Said).add_node("say", lambda state: {"said": text}).add_edge(START, "say")


def nothing() -> StateGraph:
    return _saying("nothing")


def config(config: RunnableConfig) -> Any:
    return _saying(f"config {config['configurable'].get('style')}").compile()


def runtime(runtime: ServerRuntime) -> Any:
    return _saying(f"runtime {runtime.access_context}").compile()


async def both(config: RunnableConfig, runtime: "ServerRuntime[dict]") -> Any:
    style = config["configurable"].get("style")
    return _saying(f"both {style} {runtime.access_context}").compile()


@asynccontextmanager
async def opened() -> Any:
    print("opened")
    yield _saying("opened").compile()
    print("closed")


@contextmanager
def sync_opened() -> Any:
    yield _saying("sync opened").compile()


def wrong() -> Any:
    return 42


def raising() -> Any:
    raise ValueError("no factory today")


not_a_graph = 42
