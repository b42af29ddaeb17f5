"""Graphs whose events cover all channels of the event protocol."""

import asyncio
import os
from collections.abc import Iterator
from operator import add
from pathlib import Path
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime
from langgraph.stream import StreamChannel, StreamTransformer
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict


class Speaker(BaseChatModel):
    """Streams what it was made with."""

    chunks: list[Any]

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        for message in self.chunks:
            yield ChatGenerationChunk(message=message)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("not streamed"))])


def call_chunk(name: str | None, args: str, id: str | None) -> AIMessageChunk:
    chunk = {"name": name, "args": args, "id": id, "index": 1, "type": "tool_call_chunk"}
    return AIMessageChunk("", tool_call_chunks=[chunk])


def question() -> list[AIMessageChunk]:
    return [
        AIMessageChunk("Let me "),
        AIMessageChunk("add."),
        call_chunk("add", "", "call-1"),
        call_chunk(None, '{"a": 2,', None),
        call_chunk(None, ' "b": 3}', None),
    ]


def answer(result: str) -> list[AIMessageChunk]:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    last = AIMessageChunk(result, usage_metadata=usage, response_metadata={"model_name": "fake-1"})
    return [AIMessageChunk("It is "), last]


@tool
def add_numbers(a: int, b: int, runtime: ToolRuntime) -> str:
    """Adds two numbers."""
    runtime.emit_output_delta("wait")
    return str(a + b)


add_numbers.name = "add"


def speak(state: MessagesState) -> dict:
    last = state["messages"][-1]
    chunks = answer(last.content) if isinstance(last, ToolMessage) else question()
    return {"messages": [Speaker(chunks=chunks).invoke(state["messages"])]}


def goes_on(state: MessagesState) -> str:
    return "tools" if state["messages"][-1].tool_calls else END


speaker = (
    StateGraph(MessagesState)
    .add_node("speak", speak)
    .add_node("tools", ToolNode([add_numbers]))
    .add_edge(START, "speak")
    .add_conditional_edges("speak", goes_on, ["tools", END])
    .add_edge("tools", "speak")
    .compile()
)


class State(TypedDict):
    n: int
    log: Annotated[list[str], add]


class Counter(StreamTransformer):
    """Counts values on a channel of its own."""

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self.channel: StreamChannel = StreamChannel("counter")
        self.count = 0

    def init(self) -> dict:
        return {"counter": self.channel}

    def process(self, event: Any) -> bool:
        if event["method"] == "values":
            self.count += 1
            self.channel.push({"n": self.count})
        return True

    def finalize(self) -> None:
        self.channel.push({"n": "done"})


def step(state: State) -> dict:
    return {"log": ["step"]}


counted = (
    StateGraph(State).add_node("step", step).add_edge(START, "step").add_edge("step", END)
).compile(transformers=[Counter])


class Voice(TypedDict):
    text: str


async def sing(state: Voice) -> dict:
    chunks = [AIMessageChunk(state["text"] + " "), AIMessageChunk("sings")]
    message = await Speaker(chunks=chunks).ainvoke("sing")
    return {"log": [message.text]}


choir = (
    StateGraph(State)
    .add_node("sing", sing)
    .add_conditional_edges(START, lambda state: [Send("sing", {"text": text}) for text in ("alto", "bass")], ["sing"])
    .add_edge("sing", END)
    .compile()
)


async def ask(state: State) -> dict:
    return {"log": [f"answer: {interrupt('really?')}"]}


child = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END).compile()
asking = StateGraph(State).add_node("child", child).add_edge(START, "child").add_edge("child", END).compile()


inner = StateGraph(State).add_node("step", step).add_edge(START, "step").add_edge("step", END).compile()
calm = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END).compile()


async def first(state: State) -> dict:
    return {"log": ["first"]}


async def wait(state: State) -> dict:
    """Waits until somebody makes the file."""
    gate = Path(os.environ["EVENTS_GATE"])
    while not gate.exists():
        await asyncio.sleep(0.02)
    return {"log": ["waited"]}


gated = (
    StateGraph(State)
    .add_node("first", first)
    .add_node("wait", wait)
    .add_edge(START, "first")
    .add_edge("first", "wait")
    .add_edge("wait", END)
    .compile()
)

# Asks while a part of it is still at work.
torn = (
    StateGraph(State)
    .add_node("ask", ask)
    .add_node("wait", wait)
    .add_edge(START, "ask")
    .add_edge(START, "wait")
    .add_edge("ask", END)
    .add_edge("wait", END)
    .compile()
)


async def fail(state: State) -> dict:
    raise ValueError("kaboom")


failing = StateGraph(State).add_node("fail", fail).add_edge(START, "fail").add_edge("fail", END).compile()
