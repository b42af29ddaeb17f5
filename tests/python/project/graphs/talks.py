"""Conversations for protocols that know nothing but messages."""

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt


def answer(state: MessagesState) -> dict:
    heard = state["messages"][-1].content
    turn = len(state["messages"])
    if isinstance(heard, str):
        return {"messages": [AIMessage(f"heard: {heard}", id=f"ai-{turn}")]}
    picture = {"type": "image", "base64": "aGk=", "mime_type": "image/png", "extras": {"filename": "hi.png"}}
    kinds = ", ".join(block["type"] for block in heard)
    return {"messages": [AIMessage([{"type": "text", "text": f"heard: {kinds}"}, picture], id=f"ai-{turn}")]}


def question(state: MessagesState) -> dict:
    reply = interrupt({"question": "sure?"})
    return {"messages": [AIMessage(f"told: {reply!r}", id=f"ai-{len(state['messages'])}")]}


def failure(state: MessagesState) -> dict:
    raise ValueError("kaboom")


def of_one(node) -> StateGraph:
    return StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


talk = of_one(answer)
ask = of_one(question)
fail = of_one(failure)
