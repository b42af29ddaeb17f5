"""What anybody has seen of a thread's events is there again, whatever happens to the server."""

import asyncio
from contextlib import aclosing
from uuid import uuid4

import httpx
import pytest
from support.events import command, ends, events_server, frames, is_root, read, start, times


@pytest.fixture
def server(tmp_path):
    server = events_server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def http(server):
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        yield http


def answer_to(events):
    """The arguments of an answer to the question among the events."""
    question = next(event for event in events if event["method"] == "input.requested")["params"]
    return {"interrupt_id": question["data"]["interrupt_id"], "namespace": question["namespace"], "response": "yes"}


async def test_a_replay_after_a_crash_is_the_same(server, http):
    thread = str(uuid4())
    await start(http, thread, "speaker", {"messages": [{"role": "user", "content": "hi"}]})
    await read(http, thread, ends)
    await start(http, thread, "failing", {"n": 1})
    await read(http, thread, times(2, ends))
    await start(http, thread, "asking", {"n": 1})
    live = await read(http, thread, times(3, ends))
    server.kill()
    server.start()
    assert await read(http, thread, times(3, ends)) == live
    assert (await command(http, thread, "input.respond", **answer_to(live)))["result"] == {}
    events = await read(http, thread, times(4, ends))
    assert events[: len(live)] == live


async def test_a_question_can_be_answered_while_its_run_is_taken_up_again(server, http, tmp_path):
    """Whoever comes back sees the question before the run that the crash broke off has asked it once more."""
    thread = str(uuid4())
    await start(http, thread, "torn", {"n": 1})
    asked = await read(http, thread, lambda event: event["method"] == "input.requested")
    server.kill()
    server.start()
    answer = asyncio.create_task(command(http, thread, "input.respond", **answer_to(asked)))
    run = (await http.get(f"/threads/{thread}/runs")).json()[0]
    assert not answer.done() and run["status"] in ("pending", "running")
    (tmp_path / "gate").touch()
    assert await answer == {"type": "success", "id": 7, "result": {}, "meta": {"applied_through_seq": 0}}
    events = await read(http, thread, times(2, ends))
    values = [event["params"]["data"] for event in events if event["method"] == "values"]
    assert values[-1] == {"n": 1, "log": ["answer: yes", "waited"]}


async def test_nothing_that_was_seen_of_a_run_in_progress_is_lost(server, http, tmp_path):
    """Killed at once after an event: the run goes on in another attempt, behind all that was seen."""
    thread = str(uuid4())
    run = await start(http, thread, "gated", {"n": 1})
    seen = []
    async with aclosing(frames(http, thread)) as stream:
        async for _, _, event in stream:
            seen.append(event)
            if event["method"] == "updates":
                server.kill()
                break
    (tmp_path / "gate").touch()
    server.start()
    events = await read(http, thread, ends)
    assert events[: len(seen)] == seen
    assert await read(http, thread, ends, since=seen[-1]["seq"]) == events[len(seen) :]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["event_id"] for event in events}) == len(events)
    roots = [event["event_id"] for event in events if is_root("running", "completed")(event)]
    assert roots == [f"synth:{run}:lc||running", f"synth:{run}:lc||completed"]
    values = [event["params"]["data"] for event in events if event["method"] == "values"]
    assert values[-1] == {"n": 1, "log": ["first", "waited"]}


async def test_the_end_of_a_run_that_was_cancelled_before_a_crash_is_told(server, http):
    thread = str(uuid4())
    run = await start(http, thread, "gated", {"n": 1})
    await read(http, thread, lambda event: event["method"] == "updates")
    cancelled = http.post(f"/threads/{thread}/runs/{run}/cancel")
    assert (await cancelled).status_code == 202
    server.kill()
    server.start()
    events = await asyncio.wait_for(read(http, thread, ends), 30)
    assert events[-1]["event_id"] == f"synth:{run}:lc||interrupted"


async def test_the_official_client_comes_back_and_misses_nothing(server, http, tmp_path, client_of):
    client, _ = client_of(server)
    async with client.threads.stream(assistant_id="gated") as thread:
        await thread.run.start(input={"n": 1})
        seen = []
        subscription = thread.subscribe(["updates", "lifecycle"])
        async for event in subscription:
            seen.append(event)
            if event["method"] == "updates":
                break
        # What the node returned is told before it is kept; killed in between, the server would execute the node once more.
        while (await http.get(f"/threads/{thread.thread_id}/state")).json()["next"] != ["wait"]:
            await asyncio.sleep(0.02)
        server.kill()
        (tmp_path / "gate").touch()
        server.start()
        async for event in subscription:
            seen.append(event)
        assert await thread.output == {"n": 1, "log": ["first", "waited"]}
    told = [event["params"]["data"] for event in seen]
    lifecycle = [{"event": word, "graph_name": "gated"} for word in ("running", "completed")]
    assert told == [lifecycle[0], {"first": {"log": ["first"]}}, {"wait": {"log": ["waited"]}}, lifecycle[1]]
