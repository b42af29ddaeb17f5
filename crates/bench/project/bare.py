"""The bare library: what one Python process does without any server. Prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from uuid import uuid4

import orjson
from graphs import chat, simple, steps, turn
from langgraph.checkpoint.memory import InMemorySaver


def config() -> dict:
    return {"configurable": {"thread_id": str(uuid4())}}


async def median_ms(graph, value: dict, rounds: int) -> float:
    graph = graph.copy(update={"checkpointer": InMemorySaver()})
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        await graph.ainvoke(value, config())
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


async def first_token_ms(rounds: int) -> float:
    graph = chat.copy(update={"checkpointer": InMemorySaver()})
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        stream = graph.astream({"messages": [("user", "hi")]}, config(), stream_mode="messages")
        await anext(stream)
        times.append((time.perf_counter() - begin) * 1e3)
        await stream.aclose()
    return statistics.median(times)


async def turn_ms(messages: int, rounds: int) -> float:
    """One more turn of a thread with so many messages, and its state."""
    graph, where = turn.copy(update={"checkpointer": InMemorySaver()}), config()
    words = "when every node has told what it found the graph answers in a long thread today "
    message = ("user", words + words)
    await graph.ainvoke({"messages": [message] * messages}, where)
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        await graph.ainvoke({"messages": [message]}, where)
        await graph.aget_state(where)
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def encode(chunk) -> bytes:
    return orjson.dumps(chunk, default=lambda value: value.model_dump())


def tokens_of_process(streams: int) -> tuple[int, float]:
    """Events and seconds of `streams` concurrent streams, each event encoded."""

    async def one() -> int:
        graph = chat.copy(update={"checkpointer": InMemorySaver()})
        count = 0
        async for chunk in graph.astream({"messages": [("user", "hi")]}, config(), stream_mode="messages"):
            encode(chunk)
            count += 1
        return count

    async def main() -> tuple[int, float]:
        await one()
        begin = time.perf_counter()
        counts = [await asyncio.gather(*(one() for _ in range(streams))) for _ in range(3)]
        return sum(map(sum, counts)), time.perf_counter() - begin

    return asyncio.run(main())


def runs_of_process(seconds: float) -> float:
    """Trivial runs per second, eight at a time."""

    async def main() -> float:
        graph = simple.copy(update={"checkpointer": InMemorySaver()})
        done = 0
        begin = time.perf_counter()

        async def client() -> None:
            nonlocal done
            while time.perf_counter() - begin < seconds:
                await graph.ainvoke({"foo": "x", "log": []}, config())
                done += 1

        await asyncio.gather(*(client() for _ in range(8)))
        return done / (time.perf_counter() - begin)

    return asyncio.run(main())


def main() -> None:
    result = {
        "run_ms": asyncio.run(median_ms(simple, {"foo": "x", "log": []}, 200)),
        "steps_ms": asyncio.run(median_ms(steps, {"n": 0}, 15)),
        "first_token_ms": asyncio.run(first_token_ms(50)),
        "short_ms": asyncio.run(turn_ms(10, 30)),
        "long_ms": asyncio.run(turn_ms(1000, 30)),
    }
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(tokens_of_process, [1, 1]))
        result["token_events_per_s"] = sum(n / s for n, s in pool.map(tokens_of_process, [8, 8]))
        result["runs_per_s"] = sum(pool.map(runs_of_process, [4.0, 4.0]))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
