"""A graph whose middle node is a graph, which calls a model and may ask."""

from operator import add
from typing import Annotated

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict):
    foo: str
    log: Annotated[list[str], add]


async def inner(state: State) -> dict:
    get_stream_writer()({"inside": True})
    answer = interrupt("inside?") if state["foo"] == "ask" else "none"
    model = GenericFakeChatModel(messages=iter([AIMessage("sub speaks", id="ai-sub")]))
    return {"log": [f"inner: {(await model.ainvoke('hi')).content}, answer: {answer}"]}


child = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END).compile()


async def pre(state: State) -> dict:
    return {"log": ["pre"]}


async def post(state: State) -> dict:
    return {"log": ["post"]}


graph = (
    StateGraph(State)
    .add_node("pre", pre)
    .add_node("child", child)
    .add_node("post", post)
    .add_edge(START, "pre")
    .add_edge("pre", "child")
    .add_edge("child", "post")
    .add_edge("post", END)
    .compile()
)
