"""Runs that share a worker with one that kills it, or that does not let go of it: they go on and nobody charges them."""

import asyncio

import pytest
from langgraph_sdk import get_client

NEIGHBOURS = [f"neighbour {number}" for number in range(9)]


def statuses(events: list) -> list[str]:
    return [name for name, _ in events]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_run_that_kills_its_workers_takes_no_neighbour_with_it(start_server, gate, workers):
    server = start_server({"AGENT_SERVER_WORKERS": str(workers), "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"})
    async with get_client(url=server.url, api_key=None) as client:
        threads = {name: (await client.threads.create())["thread_id"] for name in ["killer", *NEIGHBOURS]}
        waiting = {
            name: asyncio.create_task(
                client.runs.wait(thread, "waiting", input=gate.input(name), raise_error=name != "killer")
            )
            for name, thread in threads.items()
        }
        visitors = [await gate.visitor() for _ in threads]
        (killer,) = [visitor for visitor in visitors if visitor.name == "killer"]
        stays = [visitor for visitor in visitors if visitor.pid != killer.pid]
        killer.let_in("die")
        attempts = []
        while "killer" in waiting:
            # Whoever comes is alone in its worker.
            arriving = asyncio.create_task(gate.visitor())
            await asyncio.wait({arriving, waiting["killer"]}, return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                arriving.cancel()
                break
            visitor = arriving.result()
            if visitor.name == "killer":
                attempts.append(visitor.attempt)
                visitor.let_in("die")
            else:
                assert visitor.attempt == 1
                visitor.let_in()
        error = (await waiting.pop("killer"))["__error__"]
        assert error["error"] == "RuntimeError" and "exceeded max attempts (3)" in error["message"]
        # The time in company was not charged.
        assert attempts == [1, 2, 3]
        for visitor in stays:
            visitor.let_in()
        come = asyncio.create_task(let_everybody_in(gate))
        for name, task in waiting.items():
            assert (await task)["log"] == [f"{name} arrives", f"{name} passed"]
            (run,) = await client.runs.list(threads[name])
            assert run["status"] == "success"
        come.cancel()
        (run,) = await client.runs.list(threads["killer"])
        assert run["status"] == "error"


async def let_everybody_in(gate) -> None:
    while True:
        (await gate.visitor(60)).let_in()


async def test_runs_that_may_have_company_go_on_beside_those_that_may_not(start_server, gate):
    server = start_server({"AGENT_SERVER_WORKERS": "2", "BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"})
    async with get_client(url=server.url, api_key=None) as client:
        waiting = [
            asyncio.create_task(client.runs.wait(None, "waiting", input=gate.input(name))) for name in NEIGHBOURS[:4]
        ]
        visitors = [await gate.visitor() for _ in waiting]
        victim = visitors[0].pid
        visitors[0].let_in("die")
        for visitor in visitors:
            if visitor.pid != victim:
                visitor.let_in()
        # All that lost their worker want one of their own, and one after the other gets it as long as there are two.
        lost = sum(visitor.pid == victim for visitor in visitors)
        alone = await gate.visitor()
        for _ in range(3):
            assert (await client.runs.wait(None, "simple", input={"foo": "x"}))["log"] == ["a", "b"]
        assert gate.empty
        alone.let_in()
        for _ in range(lost - 1):
            (await gate.visitor()).let_in()
        for state in await asyncio.gather(*waiting):
            assert state["log"][1].endswith("passed")


async def test_a_recovered_stream_shows_no_error_and_one_end(start_server, record, gate):
    server = start_server({"AGENT_SERVER_WORKERS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        threads = [(await client.threads.create())["thread_id"] for _ in range(2)]
        streams = [
            client.runs.stream(thread, "waiting", input=gate.input(thread), stream_mode="updates", durability="sync")
            for thread in threads
        ]
        reading = [asyncio.create_task(record(stream)) for stream in streams]
        visitors = [await gate.visitor() for _ in threads]
        visitors[0].let_in("die")
        for _ in threads:
            (await gate.visitor()).let_in()
        for events in await asyncio.gather(*reading):
            assert statuses(events) == ["metadata", "updates", "metadata", "updates"]
            assert [data["attempt"] for name, data in events if name == "metadata"] == [1, 1]


async def test_a_failure_of_the_graph_is_not_tried_again(start_server, record, gate):
    server = start_server({"AGENT_SERVER_WORKERS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
        reading = asyncio.create_task(record(stream))
        # What its worker did does not change that.
        (await gate.visitor()).let_in("die")
        (await gate.visitor()).refuse()
        assert statuses(await reading) == ["metadata", "updates", "metadata", "error"]
        assert gate.empty
        (run,) = await client.runs.list(thread)
        assert run["status"] == "error"


async def test_neighbours_of_a_run_that_cannot_be_stopped_move_to_another_worker(start_server, record, gate):
    """Between two supersteps, and with a limit of one attempt: a move is none."""
    server = start_server({"AGENT_SERVER_WORKERS": "1", "AGENT_SERVER_MAX_ATTEMPTS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread, "steps", input=gate.input(steps=3), stream_mode="updates")
        reading = asyncio.create_task(record(stream))
        neighbour = await gate.visitor()
        other = (await client.threads.create())["thread_id"]
        stuck = (await client.runs.create(other, "holding", input=gate.input()))["run_id"]
        holder = await gate.visitor()
        assert holder.pid == neighbour.pid
        await client.runs.cancel(other, stuck)
        # Another worker is there when the old one is given up; only then can this succeed.
        for _ in range(200):
            if "is given up" in server.tail():
                break
            await asyncio.sleep(0.1)
        neighbour.let_in("in the old one")
        heir = await gate.visitor(30)
        assert (heir.step, heir.attempt) == (1, 1)
        assert heir.pid != neighbour.pid
        await holder.gone(30)
        heir.let_in("in the new one")
        (await gate.visitor()).let_in("there, too")
        log = ["step 0: in the old one", "step 1: in the new one", "step 2: there, too"]
        events = await reading
        assert statuses(events) == ["metadata", "updates", "metadata", "updates", "updates"]
        after = await client.threads.get(thread)
        assert (after["status"], after["values"]["log"]) == ("idle", log)
        assert (await client.runs.get(other, stuck))["status"] == "interrupted"
