"""Graphs with fake chat models, which stream their answers and need no network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph


class Words(BaseChatModel):
    """Streams given chunks; the last one is marked as such."""

    chunks: list[AIMessageChunk]

    @property
    def _llm_type(self) -> str:
        return "words"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        whole = sum(self.chunks[1:], self.chunks[0])
        message = AIMessage(whole.content, id=whole.id, tool_calls=whole.tool_calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for index, message in enumerate(self.chunks):
            message = message.model_copy()
            if index == len(self.chunks) - 1:
                message.chunk_position = "last"
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


async def call(state: MessagesState) -> dict[str, Any]:
    turn = 1 + sum(message.type == "ai" for message in state["messages"])
    words = state["messages"][-1].content.split() or ["silence"]
    # Without an id of its own a message is named after its run.
    id = None if "anonymous" in words else f"ai-{turn}"
    model = Words(chunks=[AIMessageChunk(f"{word} ", id=id) for word in words])
    return {"messages": [await model.with_config(tags=["spoken"]).ainvoke(state["messages"])]}


chat = StateGraph(MessagesState).add_node(call).add_edge(START, "call").add_edge("call", END).compile()


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def tool_call(name: str | None, args: str, id: str | None) -> AIMessageChunk:
    part = {"name": name, "args": args, "id": id, "index": 0, "type": "tool_call_chunk"}
    return AIMessageChunk("", id="question", tool_call_chunks=[part])


async def model(state: MessagesState) -> dict[str, Any]:
    if isinstance(state["messages"][-1], ToolMessage):
        chunks = [AIMessageChunk(text, id="answer") for text in ("the sum", " is ", state["messages"][-1].content)]
    else:
        chunks = [tool_call("add", "", "call-1"), tool_call(None, '{"a": 1,', None), tool_call(None, ' "b": 2}', None)]
    return {"messages": [await Words(chunks=chunks).ainvoke(state["messages"])]}


async def tools(state: MessagesState) -> dict[str, Any]:
    call = state["messages"][-1].tool_calls[0]
    return {"messages": [ToolMessage(str(add.invoke(call["args"])), name="add", tool_call_id=call["id"], id="result")]}


def route(state: MessagesState) -> str:
    return "tools" if state["messages"][-1].tool_calls else END


agent = (
    StateGraph(MessagesState)
    .add_node(model)
    .add_node(tools)
    .add_edge(START, "model")
    .add_conditional_edges("model", route, ["tools", END])
    .add_edge("tools", "model")
    .compile()
)
