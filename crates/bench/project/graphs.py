"""The graphs that the bench runs: on the server, on its peer, and bare."""

from __future__ import annotations

import operator
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import PutOp
from typing_extensions import TypedDict

TOKENS = 200


class Simple(TypedDict):
    foo: str
    log: Annotated[list, operator.add]


async def a(state: Simple) -> dict[str, Any]:
    return {"log": ["a"]}


async def b(state: Simple) -> dict[str, Any]:
    return {"log": ["b"]}


simple = StateGraph(Simple).add_node(a).add_node(b).add_edge(START, "a").add_edge("a", "b").add_edge("b", END).compile()


class Steps(TypedDict):
    n: int


async def step(state: Steps) -> dict[str, Any]:
    return {"n": state["n"] + 1}


steps = (
    StateGraph(Steps)
    .add_node(step)
    .add_edge(START, "step")
    .add_conditional_edges("step", lambda state: END if state["n"] >= 100 else "step", ["step", END])
    .compile()
)


class Tokens(BaseChatModel):
    """Streams a fixed number of tokens as fast as it is read."""

    @property
    def _llm_type(self) -> str:
        return "tokens"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = " ".join(f"t{i}" for i in range(TOKENS))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for i in range(TOKENS):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=f"t{i} "))
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


async def call(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await Tokens().ainvoke(state["messages"])]}


async def answer(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(content=f"You have sent {len(state['messages'])} messages, all of them read.")]}


turn = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").add_edge("answer", END).compile()


def block(state: Simple) -> dict[str, Any]:
    time.sleep(5)
    return {"log": ["blocked a thread"]}


async def hold(state: Simple) -> dict[str, Any]:
    time.sleep(5)
    return {"log": ["blocked the loop"]}


blocking = StateGraph(Simple).add_node(block).add_edge(START, "block").add_edge("block", END).compile()
holding = StateGraph(Simple).add_node(hold).add_edge(START, "hold").add_edge("hold", END).compile()

chat = StateGraph(MessagesState).add_node(call).add_edge(START, "call").add_edge("call", END).compile()


class Fill(TypedDict):
    items: int
    each: int


async def fill_store(state: Fill, runtime: Runtime) -> dict[str, Any]:
    assert runtime.store is not None
    each = state["each"]
    for number in range(state["items"] // each):
        await runtime.store.abatch(
            [
                PutOp(
                    ("filled", f"n{number}"),
                    f"k{key}",
                    {"text": "what a user once said", "kind": key % 10, "n": key},
                )
                for key in range(each)
            ]
        )
    return {}


fill = (
    StateGraph(Fill).add_node("fill", fill_store).add_edge(START, "fill").add_edge("fill", END).compile()
)
