"""Graphs without models and without people: what they do depends on their input alone."""

from __future__ import annotations

import asyncio
import operator
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send
from typing_extensions import TypedDict


class Log(TypedDict):
    foo: str
    log: Annotated[list, operator.add]


async def a(state: Log) -> dict[str, Any]:
    return {"log": ["a"], "foo": state["foo"].upper()}


async def b(state: Log) -> dict[str, Any]:
    return {"log": ["b"]}


def row(schema: type, *nodes: Any, **options: Any) -> StateGraph:
    """A graph whose nodes run one after the other."""
    return StateGraph(schema, **options).add_sequence(nodes).add_edge(START, nodes[0].__name__)


simple = row(Log, a, b).compile()
named = row(Log, a, b).compile(name="My Named Graph")


class Reduced(TypedDict, total=False):
    number: Annotated[int, operator.add]
    items: Annotated[list, operator.add]
    merged: Annotated[dict, operator.or_]
    last: Any


async def reduce(state: Reduced) -> dict[str, Any]:
    return {"number": 1, "items": ["node"], "merged": {"node": True}, "last": {"nested": [1, None, "ü"]}}


reducers = row(Reduced, reduce).compile()


class Slow(Log):
    seconds: float


async def first(state: Slow) -> dict[str, Any]:
    return {"log": ["first"]}


async def wait(state: Slow) -> dict[str, Any]:
    await asyncio.sleep(state["seconds"])
    return {"log": ["wait"]}


async def last(state: Slow) -> dict[str, Any]:
    return {"log": ["last"]}


slow = row(Slow, first, wait, last).compile()


class Boom(Exception):
    """A class that no library knows."""


ERRORS: dict[str, tuple[type[Exception], Any]] = {
    "value": (ValueError, "bad value"),
    "key": (KeyError, "bad key"),
    "type": (TypeError, "bad type"),
    "runtime": (RuntimeError, "bad runtime"),
    "timeout": (TimeoutError, "too late"),
    "connection": (ConnectionError, "secret host"),
    "boom": (Boom, "secret text"),
}


class Failing(TypedDict):
    kind: str
    log: Annotated[list, operator.add]


async def before(state: Failing) -> dict[str, Any]:
    return {"log": ["before"]}


async def fail(state: Failing) -> dict[str, Any]:
    if state["kind"] in ERRORS:
        kind, text = ERRORS[state["kind"]]
        raise kind(text)
    return {"log": ["passed"]}


failing = row(Failing, before, fail).compile()


class Fan(TypedDict):
    items: list
    log: Annotated[list, operator.add]


async def work(item: dict[str, Any]) -> dict[str, Any]:
    # One after the other, so that there is an order to compare.
    await asyncio.sleep(0.05 * item["index"])
    return {"log": [f"w{item['index']}"]}


async def join(state: Fan) -> dict[str, Any]:
    return {"log": [f"joined {len(state['log'])}"]}


fan = (
    StateGraph(Fan)
    .add_node(work)
    .add_node(join)
    .add_conditional_edges(
        START, lambda state: [Send("work", {"index": index}) for index in range(len(state["items"]))], ["work"]
    )
    .add_edge("work", "join")
    .add_edge("join", END)
    .compile()
)


async def report(state: Log) -> dict[str, Any]:
    write = get_stream_writer()
    for part in ({"progress": 1}, "plain string", [1, 2], None, 3.5):
        write(part)
    return {"log": ["reported"]}


async def nothing(state: Log) -> None:
    return None


progress = row(Log, report, nothing).compile()


async def choose(state: Log) -> Command:
    return Command(update={"log": ["choose"]}, goto=state["foo"])


async def left(state: Log) -> dict[str, Any]:
    return {"log": ["left"]}


async def right(state: Log) -> dict[str, Any]:
    return {"log": ["right"]}


jump = (
    StateGraph(Log)
    .add_node(choose, destinations=("left", "right"))
    .add_node(left, metadata={"icon": "arrow"})
    .add_node(right)
    .add_edge(START, "choose")
    .compile()
)


class Question(TypedDict):
    question: str


class Answer(TypedDict):
    answer: str


class Both(Question, Answer):
    scratch: str


async def think(state: Question) -> dict[str, Any]:
    return {"scratch": "thinking", "answer": f"{state['question']}!"}


shapes = row(Both, think, input_schema=Question, output_schema=Answer).compile()


@dataclass
class Context:
    model: str = "none"
    style: str = "plain"


class Seen(TypedDict, total=False):
    seen: dict[str, Any]


HIDDEN = ("__", "langgraph_", "checkpoint")


async def look(state: Seen, config: RunnableConfig, runtime: Runtime[Context]) -> dict[str, Any]:
    context = runtime.context
    return {
        "seen": {
            "configurable": {
                key: value for key, value in config["configurable"].items() if not key.startswith(HIDDEN)
            },
            "context": {"model": context.model, "style": context.style} if context else None,
            "metadata": {
                key: value for key, value in config["metadata"].items() if not key.startswith(HIDDEN)
            },
            "tags": config.get("tags"),
            "recursion_limit": config.get("recursion_limit"),
        }
    }


configured = row(Seen, look, context_schema=Context).compile()


@task
async def double(n: int) -> int:
    return 2 * n


@entrypoint()
async def functional(n: int) -> dict[str, int]:
    return {"doubled": await double(n)}
