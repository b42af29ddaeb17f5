"""Several stateless runs with one request."""

import asyncio

import pytest
from support.names import NOBODY

ONE = {"assistant_id": "simple", "input": {"foo": "x"}, "on_completion": "keep"}


async def test_runs_are_returned_in_order_and_all_run(client, http):
    bodies = [ONE | {"metadata": {"n": n}} for n in range(5)]
    answer = await http.post("/runs/batch", json=bodies)
    assert answer.status_code == 200
    assert {"location", "content-location"} & set(answer.headers) == set()
    runs = answer.json()
    assert [run["metadata"]["n"] for run in runs] == list(range(5))
    assert {run["status"] for run in runs} == {"pending"}
    assert len({run["thread_id"] for run in runs}) == 5
    results = await asyncio.gather(*(client.runs.join(run["thread_id"], run["run_id"]) for run in runs))
    assert results == [{"foo": "A", "log": ["a", "b"]}] * 5


async def test_the_official_client_starts_a_batch(client):
    runs = await client.runs.create_batch([{"assistant_id": "simple", "input": {"foo": "x"}}] * 2)
    assert [run["kwargs"]["temporary"] for run in runs] == [True, True]


@pytest.mark.parametrize(
    ("bad", "status", "detail"),
    [
        ({"assistant_id": NOBODY}, 404, "Thread or assistant not found."),
        ({"assistant_id": "nope"}, 422, "Invalid assistant: 'nope'."),
        ({"assistant_id": "simple", "command": {"resume": 1}}, 400, "You must provide a thread_id when resuming."),
        ({"assistant_id": "simple", "webhook": "http://localhost/"}, 422, "Webhook host blocked: localhost address"),
        ({"assistant_id": 5}, 422, "5 is not "),
    ],
)
async def test_one_bad_member_leaves_nothing_behind(client, http, bad, status, detail):
    mark = {"batch": f"{status} {detail}"}
    answer = await http.post("/runs/batch", json=[ONE | {"metadata": mark}, bad])
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)
    assert await client.threads.search(metadata=mark) == []


async def test_a_batch_holds_something(http):
    assert (await http.post("/runs/batch", json=[])).status_code == 422
