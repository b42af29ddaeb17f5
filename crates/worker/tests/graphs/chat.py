"""Graphs for the worker's tests: messages, custom events, the functional API, context and store."""

from dataclasses import dataclass
from typing import Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_store, get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


async def call(state: MessagesState) -> dict[str, Any]:
    model = GenericFakeChatModel(messages=iter([AIMessage("hello big world", id="ai-1")]))
    return {"messages": [await model.ainvoke(state["messages"])]}


async def echo(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage("bye", id="ai-2")]}


_chat = StateGraph(MessagesState)
_chat.add_node("call", call)
_chat.add_node("echo", echo)
_chat.add_edge(START, "call")
_chat.add_edge("call", "echo")
chat = _chat.compile()


class Text(TypedDict, total=False):
    text: str


async def progress(state: Text) -> Text:
    writer = get_stream_writer()
    writer({"progress": 1})
    writer("plain")
    return {"text": "done"}


custom = StateGraph(Text).add_node("progress", progress).add_edge(START, "progress").compile()


@task
async def double(number: int) -> int:
    return number * 2


@entrypoint()
async def functional(number: int, *, previous: Any = None) -> dict[str, Any]:
    return {"n": await double(number), "previous": previous}


@dataclass
class Ctx:
    model: str = "m"
    temp: float = 0.1


async def show(state: Text, runtime: Runtime[Ctx]) -> Text:
    return {"text": f"{runtime.context.model} {runtime.context.temp}"}


context = (
    StateGraph(Text, context_schema=Ctx).add_node("show", show).add_edge(START, "show").compile()
)


async def remember(state: Text) -> Text:
    store = get_store()
    namespace = ("notes", "own")
    before = await store.aget(namespace, "k")
    await store.aput(namespace, "k", {"text": state["text"], "n": 1})
    found = await store.asearch(("notes",), filter={"n": 1})
    listed = await store.alist_namespaces(prefix=("notes",))
    item = await store.aget(namespace, "k")
    assert item is not None
    return {"text": f"{before} {item.value} {[i.key for i in found]} {listed}"}


remembering = StateGraph(Text).add_node("remember", remember).add_edge(START, "remember").compile()


class Tokens(TypedDict, total=False):
    count: int


async def stream(state: Tokens) -> Tokens:
    words = " ".join(f"w{i}" for i in range(state["count"]))
    model = GenericFakeChatModel(messages=iter([AIMessage(words)]))
    async for _ in model.astream([HumanMessage("go")]):
        pass
    return {"count": 0}


tokens = StateGraph(Tokens).add_node("stream", stream).add_edge(START, "stream").compile()
