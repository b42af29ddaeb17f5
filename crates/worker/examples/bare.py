"""What the library alone does: the numbers to compare ``examples/cost.rs`` with.

``python examples/bare.py [processes]``, in crates/worker.
"""

import asyncio
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/graphs"))


def run(barrier, results) -> None:
    import basic
    import chat
    import orjson
    from langgraph.checkpoint.memory import InMemorySaver

    def dump(value):
        return orjson.dumps(value, default=lambda other: other.model_dump())

    async def main() -> None:
        numbers = 0

        def graph(of):
            return of.copy(update={"checkpointer": InMemorySaver()})

        def config():
            nonlocal numbers
            numbers += 1
            return {"configurable": {"thread_id": str(numbers)}}

        simple, counter, tokens = graph(basic.simple), graph(basic.counter), graph(chat.tokens)
        for _ in range(4):
            barrier.wait()
            start = time.perf_counter()
            for _ in range(300):
                await simple.ainvoke({"foo": "x"}, config())
            two = (time.perf_counter() - start) / 0.3
            barrier.wait()
            start = time.perf_counter()
            for _ in range(3):
                await counter.ainvoke({"until": 100}, config())
            hundred = (time.perf_counter() - start) / 0.003
            barrier.wait()

            async def stream() -> int:
                count = 0
                async for chunk in tokens.astream({"count": 500}, config(), stream_mode="messages"):
                    dump(chunk)
                    count += 1
                return count

            start = time.perf_counter()
            counts = await asyncio.gather(*(stream() for _ in range(16 // barrier.parties)))
            events = sum(counts) / (time.perf_counter() - start)
            results.put((two, hundred, events))

    asyncio.run(main())


def measure() -> None:
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    barrier, results = multiprocessing.Barrier(processes), multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=run, args=(barrier, results)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in range(4):
        found = [results.get() for _ in workers]
        two = sum(each[0] for each in found) / processes
        hundred = sum(each[1] for each in found) / processes
        print(f"{two:.3f} ms per two-node run, {1000 * processes / two:.0f} runs/s")
        print(
            f"{hundred:.1f} ms per 100 supersteps, {sum(each[2] for each in found):.0f} token events/s"
        )
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    measure()
