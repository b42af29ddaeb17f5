"""A model that asks for a tool, a person who approves, the tool, and the model's answer."""

from collections.abc import Iterator

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt


class Adder(BaseChatModel):
    """Asks for `add(1, 2)`; once it has the result, says it."""

    @property
    def _llm_type(self) -> str:
        return "adder"

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        if isinstance(messages[-1], ToolMessage):
            chunks = [AIMessageChunk(text, id="answer") for text in ("the sum", " is ", messages[-1].content)]
        else:
            parts = [("add", "", "call-1"), (None, '{"a": 1,', None), (None, ' "b": 2}', None)]
            chunks = [
                AIMessageChunk(
                    "",
                    id="question",
                    tool_call_chunks=[{"name": name, "args": args, "id": id, "index": 0, "type": "tool_call_chunk"}],
                )
                for name, args, id in parts
            ]
        chunks[-1].chunk_position = "last"
        for message in chunks:
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(message.content, chunk=chunk)
            yield chunk

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        chunks = list(self._stream(messages))
        whole = chunks[0].message
        for chunk in chunks[1:]:
            whole = whole + chunk.message
        message = AIMessage(whole.content, id=whole.id, tool_calls=whole.tool_calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def model(state: MessagesState) -> Command:
    answer = Adder().invoke(state["messages"])
    return Command(update={"messages": [answer]}, goto="approve" if answer.tool_calls else END)


def approve(state: MessagesState) -> Command:
    call = state["messages"][-1].tool_calls[0]
    if interrupt({"tool": call["name"], "args": call["args"]}):
        return Command(goto="tools")
    return Command(update={"messages": [HumanMessage("do not", id="refusal")]}, goto=END)


graph = (
    StateGraph(MessagesState)
    .add_node("model", model, destinations=("approve", END))
    .add_node("approve", approve, destinations=("tools", END))
    .add_node("tools", ToolNode([add]))
    .add_edge(START, "model")
    .add_edge("tools", "model")
    .compile()
)
