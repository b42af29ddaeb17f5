"""The demo graph of the server's binary once more, in Python: both must look the same from outside."""

import asyncio
import uuid

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt


async def reply(state: MessagesState) -> dict:
    """Repeats what the user says; `ask …` stops for an answer, `sleep N` waits N milliseconds, `fail` fails."""
    said = state["messages"][-1].content
    word, _, rest = said.partition(" ")
    if word == "ask" and rest:
        answer = f"You answered: {interrupt({'question': rest})}"
    elif word == "sleep" and rest:
        await asyncio.sleep(int(rest) / 1000)
        answer = f"I slept {rest} ms."
    elif said == "fail":
        raise ValueError("You asked for it.")
    else:
        answer = f"You said: {said}"
    return {"messages": [AIMessage(answer, id=f"run-{uuid.uuid4()}")]}


builder = StateGraph(MessagesState)
builder.add_node("reply", reply)
builder.add_edge(START, "reply")
builder.add_edge("reply", END)
graph = builder.compile()
