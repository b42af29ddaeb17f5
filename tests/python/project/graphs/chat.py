"""One call of a chat model that streams its answer word by word."""

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph


def call(state: MessagesState) -> dict:
    turn = 1 + sum(message.type == "ai" for message in state["messages"])
    model = GenericFakeChatModel(messages=iter([AIMessage("hello big world", id=f"ai-{turn}")]))
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState).add_node("call", call).add_edge(START, "call").add_edge("call", END).compile()
