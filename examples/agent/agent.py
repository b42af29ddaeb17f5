"""A tool-calling agent: the model decides, tools act, and a human approves what cannot be undone."""

from typing import Literal

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from model import RuleModel


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    degrees = 10 + sum(city.encode()) % 15
    return f"It is {degrees} °C and sunny in {city}."


@tool
def send_message(to: str, text: str) -> str:
    """Send a message to somebody, after a human has approved it."""
    answer = interrupt({"question": f"Send this to {to}?", "text": text})
    if answer not in (True, "yes", "approve"):
        return f"I did not send the message to {to}."
    return f"I told {to}: {text}"


TOOLS = {tool.name: tool for tool in (get_weather, send_message)}
MODEL = RuleModel()


async def call_model(state: MessagesState) -> dict:
    """Let the model answer the conversation so far."""
    return {"messages": [await MODEL.ainvoke(state["messages"])]}


async def call_tools(state: MessagesState) -> dict:
    """Execute the tools that the model asked for."""
    results = []
    for call in state["messages"][-1].tool_calls:
        content = await TOOLS[call["name"]].ainvoke(call["args"])
        results.append(ToolMessage(content, name=call["name"], tool_call_id=call["id"]))
    return {"messages": results}


def after_model(state: MessagesState) -> Literal["tools", "__end__"]:
    """Go to the tools if the model asked for some."""
    return "tools" if state["messages"][-1].tool_calls else END


builder = StateGraph(MessagesState)
builder.add_node("model", call_model)
builder.add_node("tools", call_tools)
builder.add_edge(START, "model")
builder.add_conditional_edges("model", after_model)
builder.add_edge("tools", "model")
graph = builder.compile(name="agent")
