"""A chat model that needs no network: it decides by simple rules and streams word by word.

Replace it with any real chat model (``ChatOpenAI(...).bind_tools(tools)``); nothing else of the agent changes.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

WEATHER = re.compile(r"weather\s+(?:in|for)\s+([\w \-]+)", re.IGNORECASE)
SEND = re.compile(r"(?:tell|message|send)\s+(\w+)\s+(?:that\s+)?(.+)", re.IGNORECASE)


class RuleModel(BaseChatModel):
    """Answers the last message: a tool call if a rule matches, text otherwise."""

    @property
    def _llm_type(self) -> str:
        return "rule-model"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = _decide(messages)
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(_decide(messages)):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(_decide(messages)):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _decide(messages: list[BaseMessage]) -> AIMessage:
    last = messages[-1] if messages else HumanMessage("")
    if isinstance(last, ToolMessage):
        return AIMessage(last.text)
    text = last.text.strip()
    # The same conversation gives the same call id, so that runs can be compared.
    call_id = f"call_{len(messages)}"
    if match := WEATHER.search(text):
        args = {"city": match[1].strip().title()}
        return AIMessage("", tool_calls=[{"name": "get_weather", "args": args, "id": call_id}])
    if match := SEND.search(text):
        args = {"to": match[1].title(), "text": match[2].strip()}
        return AIMessage("", tool_calls=[{"name": "send_message", "args": args, "id": call_id}])
    return AIMessage(
        f"You said: {text}. Ask me for the weather in a city, or to tell somebody something."
    )


def _chunks(reply: AIMessage) -> Iterator[ChatGenerationChunk]:
    for index, call in enumerate(reply.tool_calls):
        part = {
            "type": "tool_call_chunk",
            "name": call["name"],
            "args": json.dumps(call["args"]),
            "id": call["id"],
            "index": index,
        }
        yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[part]))
    for word in re.findall(r"\S+\s*", reply.text):
        yield ChatGenerationChunk(message=AIMessageChunk(word))
