"""What a crash, a block or a flood must not do. Each test has a server of its own, whatever `--url` says."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from support.server import Server, descendants, wait_until

DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def own(start_server):
    """A server of this test's own and a client for it."""
    # No time for runs to end at a stop: nobody waits for those that a test leaves behind.
    server = start_server({"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"})
    async with get_client(url=server.url, api_key=None) as client:
        yield server, client


async def new_thread(client) -> str:
    return (await client.threads.create())["thread_id"]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


# A worker dies.


async def test_a_run_whose_worker_dies_goes_on_in_another(own, record, gate):
    server, client = own
    thread = await new_thread(client)
    stream = client.runs.stream(thread, "steps", input=gate.input(steps=2), stream_mode="updates", durability="sync")
    reading = asyncio.create_task(record(stream))
    (await gate.visitor()).let_in("first try")
    victim = await gate.visitor()
    assert (victim.step, victim.attempt) == (1, 1)
    assert victim.pid in descendants(server.process.pid)
    kill(victim.pid)

    heir = await gate.visitor()
    assert (heir.step, heir.attempt, heir.run_id) == (1, 2, victim.run_id)
    assert heir.pid != victim.pid
    heir.let_in("second try")
    assert await reading == [
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("updates", {"one_step": {"step": 1, "log": ["step 0: first try"]}}),
        ("metadata", {"run_id": "<run 1>", "attempt": 2}),
        ("updates", {"one_step": {"step": 2, "log": ["step 1: second try"]}}),
    ]
    (run,) = await client.runs.list(thread)
    assert (run["run_id"], run["status"]) == (victim.run_id, "success")
    after = await client.threads.get(thread)
    assert (after["status"], after["values"]["log"]) == ("idle", ["step 0: first try", "step 1: second try"])


async def test_the_neighbours_of_a_run_whose_worker_dies_go_on_too(own, gate):
    server, client = own
    threads = [await new_thread(client) for _ in range(6)]
    waiting = [asyncio.create_task(client.runs.wait(thread, "waiting", input=gate.input(thread))) for thread in threads]
    visitors = [await gate.visitor() for _ in threads]
    victim = visitors[0].pid
    kill(victim)
    for visitor in visitors:
        if visitor.pid != victim:
            visitor.let_in()
    # One after the other: any of them may have been the reason.
    for visitor in visitors:
        if visitor.pid == victim:
            again = await gate.visitor()
            assert again.attempt == 1
            again.let_in()
    for thread, state in zip(threads, await asyncio.gather(*waiting), strict=True):
        assert state["log"] == [f"{thread} arrives", f"{thread} passed"]
    assert gate.empty


async def test_a_run_that_kills_every_worker_ends_in_an_error(own, gate):
    server, client = own
    thread = await new_thread(client)
    waiting = asyncio.create_task(client.runs.wait(thread, "waiting", input=gate.input(), raise_error=False))
    for attempt in (1, 2, 3):
        visitor = await gate.visitor()
        assert visitor.attempt == attempt
        kill(visitor.pid)
    error = (await waiting)["__error__"]
    assert error["error"] == "RuntimeError" and "exceeded max attempts (3)" in error["message"]
    assert (await client.threads.get(thread))["status"] == "error"
    # The workers that it took down are replaced.
    assert await client.runs.wait(None, "simple", input={"foo": "x"}) == DONE


async def test_a_cancelled_run_stays_cancelled_when_its_worker_dies(own, gate):
    server, client = own
    thread = await new_thread(client)
    run = (await client.runs.create(thread, "holding", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    await client.runs.cancel(thread, run)
    kill(visitor.pid)
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    assert await client.runs.wait(thread, "counter", input={"count": 0, "limit": 1}) == {"count": 1, "limit": 1}
    assert gate.empty


# The server dies.


async def test_every_accepted_run_finishes_after_the_server_was_killed(own):
    server, client = own
    accepted: dict[str, str] = {}
    enough = asyncio.Event()

    async def create() -> None:
        """Creates runs without end."""
        while True:
            thread = await new_thread(client)
            for word in ("one", "two"):
                run = await client.runs.create(thread, "simple", input={"foo": word})
                accepted[run["run_id"]] = thread
            if len(accepted) >= 60:
                enough.set()

    clients = [asyncio.create_task(create()) for _ in range(4)]
    await enough.wait()
    server.kill()
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    server.start()

    for run, thread in accepted.items():
        await client.runs.join(thread, run)
        assert (await client.runs.get(thread, run))["status"] == "success"
    for thread in set(accepted.values()):
        runs = len(await client.runs.list(thread))
        after = await client.threads.get(thread)
        assert (after["status"], after["values"]) == ("idle", {"foo": "A", "log": ["a", "b"] * runs})


async def test_a_run_goes_on_from_its_last_checkpoint_after_the_server_was_killed(own, gate):
    server, client = own
    thread = await new_thread(client)
    input = gate.input(steps=2)
    run = await client.runs.create(thread, "steps", input=input, durability="sync")
    (await gate.visitor()).let_in("before")
    victim = await gate.visitor()
    pending = await client.runs.create(thread, "steps", input=gate.input("pending", steps=1, step=0))
    server.kill()
    await victim.gone()
    server.start()

    heir = await gate.visitor()
    assert (heir.run_id, heir.step) == (run["run_id"], 1)
    heir.let_in("after")
    (await gate.visitor()).let_in("at last")
    state = await client.runs.join(thread, pending["run_id"])
    assert state["log"] == ["step 0: before", "step 1: after", "step 0: at last"]
    assert [each["status"] for each in await client.runs.list(thread)] == ["success", "success"]


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
async def test_a_client_that_waits_does_not_notice_a_restart(own, gate, end):
    """The official client reconnects by itself, to the addresses that the server gave it."""
    server, client = own
    thread = await new_thread(client)
    # The graph begins while the answer is still on its way; a client without an address has nowhere to come back to.
    answered = asyncio.Event()
    waiting = asyncio.create_task(
        client.runs.wait(
            thread, "waiting", input=gate.input(), on_run_created=lambda _: answered.set()
        )
    )
    await gate.visitor()
    await answered.wait()
    with pytest.warns(UserWarning, match="attempting reconnect"):
        end(server)
        server.start()
        (await gate.visitor()).let_in()
        assert (await waiting)["log"] == ["run arrives", "run passed"]


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
async def test_a_resumable_stream_goes_on_after_a_restart(own, record, names, gate, end):
    server, client = own
    thread = await new_thread(client)
    stream = client.runs.stream(
        thread,
        "steps",
        input=gate.input(steps=2),
        stream_mode="updates",
        stream_resumable=True,
        durability="sync",
    )
    assert names((await anext(stream)).data) == {"run_id": "<run 1>", "attempt": 1}
    (await gate.visitor()).let_in("before")
    assert (await anext(stream)).data == {"one_step": {"step": 1, "log": ["step 0: before"]}}
    reading = asyncio.create_task(record(stream))
    await gate.visitor()
    end(server)
    server.start()
    (await gate.visitor()).let_in("after")
    assert await reading == [
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("updates", {"one_step": {"step": 2, "log": ["step 1: after"]}}),
    ]


EVERYTHING = ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug", "events"]


async def replay(client, thread: str, run: str, after: str = "-1") -> list:
    return [part async for part in client.runs.join_stream(thread, run, last_event_id=after)]


@pytest.mark.parametrize(
    ("graph", "input"),
    [("nested", {"foo": "x"}), ("errors", {"kind": "value"}), ("approval", {"foo": "x"}), ("progress", {"foo": "x"})],
)
async def test_the_events_of_an_ended_run_are_there_after_the_server_was_killed(own, graph, input):
    server, client = own
    thread = await new_thread(client)
    stream = client.runs.stream(
        thread, graph, input=input, stream_mode=EVERYTHING, stream_subgraphs=True, stream_resumable=True
    )
    parts = [part async for part in stream]
    run = parts[0].data["run_id"]
    server.kill()
    server.start()
    assert await replay(client, thread, run) == parts
    middle = len(parts) // 2
    assert await replay(client, thread, run, parts[middle].id) == parts[middle + 1 :]
    assert await replay(client, thread, run, parts[-1].id) == []
    # Ids of the thread go on behind those of the earlier process.
    later = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_resumable=True)
    assert tuple(map(int, (await anext(later)).id.split("-"))) > tuple(map(int, parts[-1].id.split("-")))


async def test_a_run_that_spans_a_restart_is_replayed_from_its_first_attempt(own, names, gate):
    server, client = own
    thread = await new_thread(client)
    run = await client.runs.create(
        thread, "steps", input=gate.input(steps=2), stream_mode="updates", stream_resumable=True, durability="sync"
    )
    (await gate.visitor()).let_in("before")
    await gate.visitor()
    # Events are saved some milliseconds after they were sent, at the latest when somebody asks for those of the thread.
    stored = await client.threads.join_stream(thread, last_event_id="-")
    assert [(await anext(stored)).event for _ in range(2)] == ["metadata", "updates"]
    await stored.aclose()
    server.kill()
    server.start()
    heir = await gate.visitor()
    joining = asyncio.create_task(replay(client, thread, run["run_id"]))
    heir.let_in("after")
    parts = await joining
    assert [(part.event, names(part.data)) for part in parts] == [
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("updates", {"one_step": {"step": 1, "log": ["step 0: before"]}}),
        ("metadata", {"run_id": "<run 1>", "attempt": 1}),
        ("updates", {"one_step": {"step": 2, "log": ["step 1: after"]}}),
    ]
    ids = [tuple(map(int, part.id.split("-"))) for part in parts]
    assert ids == sorted(set(ids))
    assert await replay(client, thread, run["run_id"]) == parts


async def test_events_are_forgotten_when_their_time_is_over(start_server):
    server = start_server({"AGENT_SERVER_REPLAY_SECONDS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = await new_thread(client)
        stream = client.runs.stream(thread, "simple", input={"foo": "x"}, stream_resumable=True)
        parts = [part async for part in stream]
        run = parts[0].data["run_id"]
        deadline = time.monotonic() + 10
        while await replay(client, thread, run):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_no_worker_outlives_the_server(own, gate):
    server, client = own
    await client.runs.create(await new_thread(client), "holding", input=gate.input())
    await gate.visitor()
    workers = descendants(server.process.pid)
    assert workers
    server.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers), "the workers have ended")


async def test_a_server_that_is_told_to_stop_hands_its_runs_to_the_next(start_server, gate):
    server = start_server({"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "waiting", input=gate.input())
        await gate.visitor()
        server.process.send_signal(signal.SIGTERM)
        # The run is let go on only after the stop, so the server cannot just wait for it.
        await asyncio.to_thread(server.process.wait, 30)
        assert server.process.returncode == 0, server.tail()
        server.start()
        (await gate.visitor()).let_in()
        assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run passed"]


async def test_an_orderly_restart_is_no_attempt(start_server, gate):
    server = start_server({"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "0", "AGENT_SERVER_MAX_ATTEMPTS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "waiting", input=gate.input())
        await gate.visitor()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, 30)
        server.start()
        joining = asyncio.create_task(client.runs.join(thread, run["run_id"]))
        arriving = asyncio.create_task(gate.visitor())
        await asyncio.wait({joining, arriving}, return_when=asyncio.FIRST_COMPLETED)
        if not arriving.done():
            arriving.cancel()
            pytest.fail(f"the run did not go on: {joining.result()}")
        assert arriving.result().attempt == 1
        arriving.result().let_in()
        assert (await joining)["log"] == ["run arrives", "run passed"]


async def test_a_crash_is_no_attempt(start_server, gate):
    server = start_server({"AGENT_SERVER_MAX_ATTEMPTS": "1"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = await new_thread(client)
        run = await client.runs.create(thread, "waiting", input=gate.input())
        for _ in range(2):
            assert (await gate.visitor()).attempt == 1
            server.kill()
            server.start()
        (await gate.visitor()).let_in()
        assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run passed"]


async def test_a_server_that_is_told_to_stop_lets_its_runs_end(start_server, record, gate):
    server = start_server({"BG_JOB_SHUTDOWN_GRACE_PERIOD_SECS": "60"})
    async with get_client(url=server.url, api_key=None) as client:
        thread = await new_thread(client)
        stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="updates")
        reading = asyncio.create_task(record(stream))
        visitor = await gate.visitor()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: "get 60 s to end" in server.tail(), "the server knows")
        # Accepted, for the next start.
        later = await client.runs.create(thread, "simple", input={"foo": "x"}, multitask_strategy="enqueue")
        visitor.let_in()
        assert [name for name, _ in await reading] == ["metadata", "updates", "updates"]
        await asyncio.to_thread(server.process.wait, 30)
        assert server.process.returncode == 0, server.tail()
        server.start()
        assert (await client.runs.join(thread, later["run_id"]))["log"][-2:] == ["a", "b"]
        runs = await client.runs.list(thread)
        assert [run["status"] for run in runs] == ["success", "success"]
        assert gate.empty


async def test_everything_is_there_after_a_restart(own):
    server, client = own
    thread = await new_thread(client)
    await client.runs.wait(thread, "approval", input={"foo": "x"}, metadata={"m": 1})
    made = await client.assistants.create("simple", metadata={"mine": 1}, name="Mine")

    async def view() -> dict:
        return {
            "thread": await client.threads.get(thread),
            "state": await client.threads.get_state(thread),
            "history": await client.threads.get_history(thread),
            "runs": await client.runs.list(thread),
            "assistant": await client.assistants.get(made["assistant_id"]),
            "assistants": await client.assistants.search(limit=100, sort_by="assistant_id"),
        }

    before = await view()
    server.kill()
    server.start()
    assert await view() == before
    state = await client.runs.wait(thread, "approval", command={"resume": "yes"})
    assert state == {"foo": "x", "log": ["before", "answer: 'yes'"]}


async def test_a_second_server_on_the_same_data_is_refused(own, tmp_path):
    server, client = own
    second = Server(tmp_path / "second")
    second.data = server.data
    ended = subprocess.run(second.command(), capture_output=True, text=True, timeout=30)
    assert ended.returncode not in (0, None)
    assert str(server.process.pid) in ended.stderr and str(server.data) in ended.stderr
    assert await client.runs.wait(None, "simple", input={"foo": "x"}) == DONE


# A graph blocks.


async def slowest_answer(http: httpx.AsyncClient, count: int = 100) -> float:
    slowest = 0.0
    for _ in range(count):
        before = time.monotonic()
        assert (await http.get("/ok")).status_code == 200
        slowest = max(slowest, time.monotonic() - before)
    return slowest


@pytest.mark.parametrize("graph", ["blocking", "holding"])
async def test_a_graph_that_blocks_freezes_neither_the_server_nor_other_runs(own, gate, graph):
    server, client = own
    thread = await new_thread(client)
    run = await client.runs.create(thread, graph, input=gate.input())
    visitor = await gate.visitor()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        # Far more than it should take, far less than for ever.
        assert await slowest_answer(http) < 1
    for _ in range(10):
        async with asyncio.timeout(20):
            assert await client.runs.wait(None, "simple", input={"foo": "x"}) == DONE
    visitor.let_in()
    assert (await client.runs.join(thread, run["run_id"]))["log"] == ["run arrives", "run passed"]


async def test_a_graph_that_blocks_can_be_cancelled(own, gate):
    server, client = own
    thread = await new_thread(client)
    run = (await client.runs.create(thread, "blocking", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    await client.runs.cancel(thread, run)
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    await visitor.gone(seconds=30)
    assert await client.runs.wait(thread, "counter", input={"count": 0, "limit": 1}) == {"count": 1, "limit": 1}


# A flood.


@pytest.mark.parametrize("variable", ["AGENT_SERVER_MAX_BODY_BYTES", "HTTP_MAX_REQUEST_BODY_BYTES"])
async def test_a_body_over_the_limit_is_refused(start_server, variable):
    server = start_server({variable: "1000"})
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:

        async def sized(size: int, **options) -> httpx.Response:
            frame = '{"metadata":{"text":""}}'
            return await http.post("/threads", content=frame[:-3] + "x" * (size - len(frame)) + frame[-3:], **options)

        assert (await sized(1000)).status_code == 200
        refused = await sized(1001)
        assert (refused.status_code, refused.json()) == (
            413,
            {"detail": "Request body too large (limit: 1000 bytes)"},
        )

        async def chunks():
            for _ in range(200):
                yield b"x" * 1000

        refused = await http.post("/threads", content=chunks())
        assert refused.status_code == 413
        assert (await http.get("/ok")).json()["ok"] is True
