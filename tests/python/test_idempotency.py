"""Idempotency-Key: a creation that is sent again creates nothing."""

import asyncio
import json
from uuid import uuid4

import pytest

SIMPLE = {"assistant_id": "simple", "input": {"foo": "x", "log": []}}
OTHER_BODY = (
    "This Idempotency-Key was used with another request body. Send the same body again, or choose another key."
)
GONE = (
    "The run that was created with this Idempotency-Key is gone: it has been deleted, or it was stateless and has ended. "
    "Choose another key to create a new one."
)


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


def events(text: str) -> list[str]:
    return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]


async def runs_of(client, thread: str) -> list[str]:
    return [run["run_id"] for run in await client.runs.list(thread)]


async def test_the_same_key_and_body_are_the_same_run(client, http, thread, key):
    path = f"/threads/{thread}/runs"
    first = (await http.post(path, json=SIMPLE, headers=key)).json()
    await client.runs.join(thread, first["run_id"])
    again = await http.post(path, json=SIMPLE, headers=key)
    assert again.status_code == 200
    assert again.json() == await client.runs.get(thread, first["run_id"])
    assert again.headers["content-location"] == f"{path}/{first['run_id']}"
    assert await runs_of(client, thread) == [first["run_id"]]


async def test_another_body_is_refused_and_another_key_is_another_run(client, http, thread, key):
    path = f"/threads/{thread}/runs"
    first = (await http.post(path, json=SIMPLE, headers=key)).json()
    other = await http.post(path, json=SIMPLE | {"metadata": {"a": 1}}, headers=key)
    assert (other.status_code, other.json()) == (422, {"detail": OTHER_BODY})
    second = (await http.post(path, json=SIMPLE, headers={"Idempotency-Key": "another " + uuid4().hex})).json()
    assert set(await runs_of(client, thread)) == {first["run_id"], second["run_id"]}


async def test_a_key_counts_for_its_route(client, http, thread, key):
    there = (await client.threads.create())["thread_id"]
    first = (await http.post(f"/threads/{thread}/runs", json=SIMPLE, headers=key)).json()
    second = (await http.post(f"/threads/{there}/runs", json=SIMPLE, headers=key)).json()
    assert first["run_id"] != second["run_id"]


async def test_requests_at_the_same_time_create_one_run(client, http, thread, key):
    posts = [http.post(f"/threads/{thread}/runs", json=SIMPLE, headers=key) for _ in range(10)]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["run_id"] for answer in answers} == set(await runs_of(client, thread))
    assert len(await runs_of(client, thread)) == 1


async def test_a_repeated_run_does_not_interrupt_itself(client, http, thread, key, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "multitask_strategy": "interrupt"}
    posts = [http.post(f"/threads/{thread}/runs", json=body, headers=key) for _ in range(4)]
    answers = await asyncio.gather(*posts)
    (run_id,) = {answer.json()["run_id"] for answer in answers}
    (await gate.visitor()).let_in()
    await client.runs.join(thread, run_id)
    assert (await client.runs.get(thread, run_id))["status"] == "success" and gate.empty


async def test_wait_joins_the_run(client, http, thread, key, gate):
    body = {"assistant_id": "waiting", "input": gate.input()}
    posts = [http.post(f"/threads/{thread}/runs/wait", json=body, headers=key) for _ in range(2)]
    waiting = [asyncio.create_task(post) for post in posts]
    (await gate.visitor()).let_in()
    one, two = await asyncio.gather(*waiting)
    assert one.json() == two.json() and one.json()["log"] == ["run arrives", "run passed"]
    again = await http.post(f"/threads/{thread}/runs/wait", json=body, headers=key)
    assert again.json() == one.json() and gate.empty
    assert len(await runs_of(client, thread)) == 1


async def test_stream_joins_the_run(client, http, thread, key, gate):
    body = {"assistant_id": "waiting", "input": gate.input(), "stream_mode": "updates", "stream_resumable": True}
    path = f"/threads/{thread}/runs/stream"
    everything = ["metadata", "updates", "updates"]
    async with (
        http.stream("POST", path, json=body, headers=key) as first,
        http.stream("POST", path, json=body, headers=key) as second,
    ):
        # Both have joined: they are answered before the run ends.
        (await gate.visitor()).let_in()
        for stream in (first, second):
            await stream.aread()
            assert events(stream.text) == everything
        assert first.headers["content-location"] == second.headers["content-location"]
    late = await http.post(path, json=body, headers=key)
    assert events(late.text) == everything and gate.empty


async def test_stateless_runs_and_batches_count_once(client, http, key, gate):
    body = {"assistant_id": "waiting", "input": gate.input()}
    first = (await http.post("/runs", json=body, headers=key)).json()
    visitor = await gate.visitor()
    again = (await http.post("/runs", json=body, headers=key)).json()
    assert again["run_id"] == first["run_id"] and gate.empty
    visitor.let_in()
    await http.get(f"/runs/{first['run_id']}/stream")
    kept = SIMPLE | {"on_completion": "keep"}
    batch = (await http.post("/runs/batch", json=[kept, kept], headers=key)).json()
    repeated = (await http.post("/runs/batch", json=[kept, kept], headers=key)).json()
    assert [run["run_id"] for run in repeated] == [run["run_id"] for run in batch]
    assert len({run["run_id"] for run in batch}) == 2


async def test_a_run_that_is_gone_is_not_made_again(client, http, thread, key):
    answer = await http.post("/runs/wait", json=SIMPLE, headers=key)
    assert answer.json() == {"foo": "A", "log": ["a", "b"]}
    again = await http.post("/runs/wait", json=SIMPLE, headers=key)
    assert (again.status_code, again.json()) == (409, {"detail": GONE})
    run = (await http.post(f"/threads/{thread}/runs", json=SIMPLE, headers=key)).json()
    await client.runs.join(thread, run["run_id"])
    await client.runs.delete(thread, run["run_id"])
    again = await http.post(f"/threads/{thread}/runs", json=SIMPLE, headers=key)
    assert (again.status_code, again.json()) == (409, {"detail": GONE})


async def test_a_creation_that_is_refused_leaves_the_key_free(client, http, thread, key):
    refused = await http.post(f"/threads/{thread}/runs", json={"assistant_id": str(uuid4())}, headers=key)
    assert refused.status_code == 404
    assert (await http.post(f"/threads/{thread}/runs", json=SIMPLE, headers=key)).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
async def test_keys_that_are_none_are_refused(http, key):
    answer = await http.post("/runs", json=SIMPLE, headers={"Idempotency-Key": key.encode()})
    detail = "Invalid Idempotency-Key: must be 1 to 255 visible ASCII characters"
    assert (answer.status_code, answer.json()) == (422, {"detail": detail})


async def test_a_key_counts_over_a_crash(start_server, client_of):
    server = start_server()
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    key, path = {"Idempotency-Key": "k"}, f"/threads/{thread}/runs"
    first = (await http.post(path, content=json.dumps(SIMPLE), headers=key)).json()
    server.kill()
    server.start()
    client, http = client_of(server)
    again = (await http.post(path, content=json.dumps(SIMPLE), headers=key)).json()
    assert again["run_id"] == first["run_id"]
    await client.runs.join(thread, first["run_id"])
    assert await runs_of(client, thread) == [first["run_id"]]
