"""Crons with the official clients: what they look like, when they fire, and that each slot makes one run."""

import asyncio
import re
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError
from support.names import NOBODY
from support.server import assistant

EVERY_SECOND = "* * * * * *"
NEVER_SOON = "0 0 1 1 *"
DONE = {"foo": "A", "log": ["a", "b"]}


@pytest.fixture
async def crons(client):
    """Makes crons and deletes them again: one that fires would go on beside other tests."""
    made = []

    def keep(cron: dict) -> dict:
        made.append(cron["cron_id"])
        return cron

    yield keep
    for cron_id in made:
        try:
            await client.crons.delete(cron_id)
        except NotFoundError:
            pass


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def runs_of(client, thread: str, count: int) -> list[dict]:
    """The runs of a thread, oldest first, once there are `count` that have ended well."""
    async with asyncio.timeout(30):
        while True:
            runs = await client.runs.list(thread, limit=100)
            if sum(run["status"] == "success" for run in runs) >= count:
                return runs[::-1]
            for run in runs:
                if run["status"] in ("pending", "running"):
                    await client.runs.join(thread, run["run_id"])
            await asyncio.sleep(0.05)


def slot(run: dict) -> str:
    """The second in which a run was made."""
    return run["created_at"][:19]


async def test_a_cron_has_every_field(client, crons, names, thread):
    cron = crons(
        await client.crons.create_for_thread(
            thread,
            "simple",
            schedule="*/3 * * * *",
            input={"foo": "x", "log": []},
            metadata={"m": 1},
            multitask_strategy="enqueue",
        )
    )
    minute = datetime.fromisoformat(cron["next_run_date"])
    assert minute.minute % 3 == minute.second == 0
    assert timedelta(0) < minute - datetime.now(timezone.utc) <= timedelta(minutes=3)
    id = cron["cron_id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", id)
    payload = cron.pop("payload")
    assert payload.pop("config") == {"configurable": {"cron_id": id}}
    assert {key: value for key, value in payload.items() if value is not None} == {
        "schedule": "*/3 * * * *",
        "input": {"foo": "x", "log": []},
        "metadata": {"m": 1},
        "assistant_id": assistant("simple"),
        "multitask_strategy": "enqueue",
    }
    assert names(cron | {"cron_id": "", "thread_id": "", "created_at": "", "updated_at": "", "next_run_date": ""}) == {
        "cron_id": "",
        "assistant_id": "<assistant simple>",
        "thread_id": "",
        "user_id": "",
        "end_time": None,
        "schedule": "*/3 * * * *",
        "timezone": None,
        "next_run_date": "",
        "metadata": {"m": 1},
        "on_run_completed": None,
        "enabled": True,
        "created_at": "",
        "updated_at": "",
    }
    assert cron["thread_id"] == thread
    assert await client.http.get(f"/runs/crons/{id}") == cron | {"payload": payload | {"config": {"configurable": {"cron_id": id}}}}


async def test_a_cron_of_a_thread_fires_every_second(client, crons, thread, names):
    cron = crons(
        await client.crons.create_for_thread(
            thread, "simple", schedule=EVERY_SECOND, input={"foo": "x", "log": []}, metadata={"m": 1}
        )
    )
    runs = await runs_of(client, thread, 3)
    await client.crons.delete(cron["cron_id"])
    assert len({slot(run) for run in runs}) == len(runs)
    run = runs[0]
    assert run["metadata"] == {"created_by": "system", "graph_id": "simple", "assistant_id": assistant("simple"), "m": 1}
    configurable = run["kwargs"]["config"]["configurable"]
    assert configurable["cron_id"] == cron["cron_id"]
    assert configurable["langgraph_request_id"] is None
    assert run["kwargs"]["context"] == {}
    assert run["multitask_strategy"] == "enqueue"
    assert run["kwargs"]["input"] == {"foo": "x", "log": []}
    state = await client.threads.get_state(thread)
    assert state["values"]["foo"] == "A"


async def test_everything_that_a_run_can_be_given_is_applied(client, crons, thread):
    cron = crons(
        await client.crons.create_for_thread(
            thread,
            "simple",
            schedule=EVERY_SECOND,
            input={"foo": "x", "log": []},
            config={"tags": ["t"], "recursion_limit": 9},
            context={"z": 5},
            interrupt_before=["b"],
            webhook="https://example.com/hook",
            multitask_strategy="interrupt",
            stream_resumable=True,
            durability="exit",
        )
    )
    [run, *_] = await runs_of(client, thread, 1)
    await client.crons.delete(cron["cron_id"])
    kwargs = run["kwargs"]
    assert kwargs["context"] == {"z": 5}
    assert {key: kwargs["config"]["configurable"][key] for key in ("z", "cron_id")} == {"z": 5, "cron_id": cron["cron_id"]}
    assert (kwargs["config"]["tags"], kwargs["config"]["recursion_limit"]) == (["t"], 9)
    assert (kwargs["interrupt_before"], kwargs["webhook"]) == (["b"], "https://example.com/hook")
    assert (kwargs["resumable"], kwargs["durability"], run["multitask_strategy"]) == (True, "exit", "interrupt")
    assert (await client.threads.get_state(thread))["next"] == ["b"]


async def kept_threads(client, mark: str, count: int) -> list[dict]:
    async with asyncio.timeout(30):
        while True:
            threads = await client.threads.search(metadata={"mark": mark}, status="idle", limit=100)
            if len(threads) >= count:
                return threads
            await asyncio.sleep(0.05)


async def test_a_cron_without_thread_makes_one_for_each_run(client, crons):
    cron = crons(
        await client.crons.create(
            "simple",
            schedule=EVERY_SECOND,
            input={"foo": "x", "log": []},
            metadata={"mark": "kept"},
            on_run_completed="keep",
        )
    )
    assert (cron["thread_id"], cron["on_run_completed"]) == (None, "keep")
    threads = await kept_threads(client, "kept", 2)
    await client.crons.delete(cron["cron_id"])
    assert threads[0]["metadata"] == {"graph_id": "simple", "assistant_id": assistant("simple"), "mark": "kept"}
    assert threads[0]["values"] == DONE
    [run] = await client.runs.list(threads[0]["thread_id"])
    assert run["kwargs"]["config"]["configurable"]["cron_id"] == cron["cron_id"]


async def test_the_thread_goes_away_with_the_run_unless_it_is_kept(client, http, crons, gate):
    cron = crons(
        await client.crons.create(
            "waiting", schedule=EVERY_SECOND, input=gate.input("run"), metadata={"mark": "gone"}
        )
    )
    assert cron["on_run_completed"] == "delete"
    visitor = await gate.visitor()
    await client.crons.delete(cron["cron_id"])
    threads = await client.threads.search(metadata={"mark": "gone"})
    assert [thread["status"] for thread in threads] == ["busy"] * len(threads)
    visitor.let_in("done")
    for _ in threads[1:]:
        (await gate.visitor()).let_in("done")
    # The end of a run and of its thread are one: there is nothing left that could be joined.
    async with asyncio.timeout(30):
        while await client.threads.search(metadata={"mark": "gone"}):
            await asyncio.sleep(0.05)


async def test_a_cron_that_is_switched_off_does_not_fire(client, crons, thread):
    cron = crons(await client.crons.create_for_thread(thread, "simple", schedule=EVERY_SECOND, enabled=False, input={}))
    other = (await client.threads.create())["thread_id"]
    beside = crons(await client.crons.create_for_thread(other, "simple", schedule=EVERY_SECOND, input={}))
    await runs_of(client, other, 2)
    assert await client.runs.list(thread) == []
    on = await client.crons.update(cron["cron_id"], enabled=True)
    assert on["next_run_date"] == cron["next_run_date"], "it keeps the slot, and fires for it at once"
    await client.crons.delete(beside["cron_id"])
    await runs_of(client, thread, 1)


async def test_a_cron_ends(client, crons, thread):
    end = datetime.now(timezone.utc) - timedelta(seconds=1)
    other = (await client.threads.create())["thread_id"]
    over = crons(await client.crons.create_for_thread(thread, "simple", schedule=EVERY_SECOND, input={}, end_time=end))
    assert datetime.fromisoformat(over["end_time"]) == end
    crons(await client.crons.create_for_thread(other, "simple", schedule=EVERY_SECOND, input={}))
    await runs_of(client, other, 2)
    assert await client.runs.list(thread) == []
    await client.http.patch(f"/runs/crons/{over['cron_id']}", json={"end_time": None})
    await runs_of(client, thread, 1)


async def test_a_patch_changes_what_it_names(client, http, crons):
    cron = crons(
        await client.crons.create(
            "simple",
            schedule=NEVER_SOON,
            timezone="Europe/Paris",
            end_time=datetime(2090, 1, 1, tzinfo=timezone.utc),
            input={"a": 1, "b": 2},
            metadata={"a": 1, "b": {"c": 2}},
            config={"tags": ["t"]},
        )
    )
    place = f"/runs/crons/{cron['cron_id']}"
    marked = {"configurable": {"cron_id": cron["cron_id"]}}

    async def patch(**body) -> dict:
        answer = await http.patch(place, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    same = {key: cron[key] for key in ("cron_id", "assistant_id", "user_id", "created_at", "enabled")}
    changed = await patch(metadata={"b": {"d": 3}})
    assert changed["metadata"] == {"a": 1, "b": {"d": 3}}
    assert changed["payload"] == cron["payload"] | {"metadata": {"b": {"d": 3}}}
    assert changed["next_run_date"] == cron["next_run_date"]
    assert changed["updated_at"] > cron["updated_at"]
    changed = await patch(config={"recursion_limit": 5}, input={"c": 3}, assistant_id=NOBODY, unknown=[1])
    assert changed["payload"]["config"] == {"recursion_limit": 5} | marked
    assert (changed["payload"]["input"], changed["payload"]["unknown"]) == ({"c": 3}, [1])
    assert changed["payload"]["assistant_id"] == assistant("simple")
    assert changed["end_time"] == "2090-01-01T00:00:00+00:00"
    assert (await patch(end_time=None))["end_time"] is None
    changed = await patch(timezone="Asia/Tokyo")
    assert changed["next_run_date"].endswith("-12-31T15:00:00+00:00")
    changed = await patch(schedule="0 3 2 1 *", on_run_completed="keep", enabled=False)
    assert changed["next_run_date"].endswith("-01-01T18:00:00+00:00")
    assert (changed["on_run_completed"], changed["enabled"]) == ("keep", False)
    assert {key: changed[key] for key in same} == same | {"enabled": False}
    assert await client.http.get(place) == changed


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 422, r'"assistant_id" is a required property\n\nFailed validating "required" in schema\n\nOn instance:\n    \{\}'),
        ({"assistant_id": "simple"}, 422, r'"schedule" is a required property\n\nFailed validating "required" in schema.*'),
        ({"assistant_id": "nope", "schedule": "* * * * *"}, 404, "Assistant 'nope' not found"),
        ({"assistant_id": NOBODY, "schedule": "* * * * *"}, 404, f"Assistant '{NOBODY}' not found"),
        ({"schedule": "bogus"}, 422, r"Invalid cron schedule: 'bogus'\. Reason: .*"),
        ({"schedule": "H * * * *"}, 422, r"Invalid cron schedule: 'H \* \* \* \*'\. Reason: .*"),
        ({"schedule": "0 0 30 2 *"}, 400, "failed to find next date"),
        ({"timezone": "Mars/Base"}, 422, r"Invalid timezone: 'Mars/Base'\. .*"),
        ({"timezone": None}, 422, r'null is not of type "string".*'),
        ({"end_time": None}, 422, r'null is not of type "string".*'),
        ({"end_time": "soon"}, 422, r"Invalid end_time: 'soon'\. .*"),
        ({"webhook": "http://localhost/"}, 422, "Webhook host blocked: localhost address"),
        ({"on_run_completed": "burn"}, 422, r'"burn" is not one of .*'),
    ],
)
async def test_what_is_no_cron_is_refused(http, body, status, detail):
    if body and "assistant_id" not in body:
        body = {"assistant_id": "simple", "schedule": "* * * * *"} | body
    answer = await http.post("/runs/crons", json=body)
    assert answer.status_code == status
    assert re.fullmatch(detail, answer.json()["detail"], re.DOTALL), answer.text


async def test_what_is_not_there_is_not_found(client, http, crons):
    body = {"assistant_id": "simple", "schedule": NEVER_SOON}
    answer = await http.post(f"/threads/{NOBODY}/runs/crons", json=body)
    assert (answer.status_code, answer.json()["detail"][:59]) == (404, f"Thread with ID '{NOBODY}' not found."[:59])
    place = f"/runs/crons/{NOBODY}"
    answer = await http.get(place)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await http.delete(place)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await http.patch(place, json={"enabled": True})
    assert (answer.status_code, answer.json()) == (404, {"detail": f"Cron '{NOBODY}' not found"})
    answer = await http.patch(place, json={})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Request body cannot be empty"})
    answer = await http.get("/runs/crons/x")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid cron ID: must be a UUID"})
    for path in ("search", "count"):
        for field in ("assistant_id", "thread_id"):
            answer = await http.post(f"/runs/crons/{path}", json={field: "simple"})
            detail = f"Invalid {field.removesuffix('_id')} ID: must be a UUID"
            assert (answer.status_code, answer.json()) == (422, {"detail": detail})


async def test_crons_are_searched_and_counted(client, http, crons, thread):
    mark = {"mark": "searched"}
    first = crons(await client.crons.create("simple", schedule=NEVER_SOON, input={}, metadata=mark | {"n": 1}))
    second = crons(await client.crons.create_for_thread(thread, "simple", schedule="@daily", input={}, metadata=mark))
    third = crons(await client.crons.create("counter", schedule="@monthly", input={}, metadata=mark, enabled=False))

    async def found(**body) -> list[str]:
        crons = (await http.post("/runs/crons/search", json={"metadata": mark} | body)).json()
        return [[first, second, third].index(cron) for cron in crons]

    assert await found() == [2, 1, 0]
    assert await found(sort_by="created_at", sort_order="asc") == [0, 1, 2]
    assert await found(sort_by="next_run_date", sort_order="asc") == [1, 2, 0]
    assert await found(sort_by="thread_id", sort_order="desc") == [1, 2, 0]
    assert await found(enabled=False) == [2]
    assert await found(thread_id=thread) == [1]
    assert await found(assistant_id=assistant("counter")) == [2]
    assert await found(metadata={"n": 1}) == [0]
    answer = await http.post("/runs/crons/search", json={"metadata": mark, "limit": 2, "select": ["cron_id", "timezone"]})
    assert answer.json() == [{"cron_id": cron["cron_id"], "timezone": None} for cron in (third, second)]
    assert (answer.headers["x-pagination-next"], answer.headers["x-pagination-total"]) == ("2", "3")
    answer = await http.post("/runs/crons/search", json={"metadata": mark, "offset": 2})
    assert answer.json() == [first]
    assert ("x-pagination-next" in answer.headers, answer.headers["x-pagination-total"]) == (False, "3")
    assert await client.crons.count(metadata=mark) == 3
    assert await client.crons.count(metadata=mark, assistant_id=assistant("simple")) == 2
    assert await client.crons.count(metadata=mark, thread_id=thread) == 1


async def test_crons_go_away_with_their_thread_and_their_assistant(client, http, crons, thread):
    mine = await client.assistants.create("simple")
    of_thread = await client.crons.create_for_thread(thread, "simple", schedule=NEVER_SOON, input={})
    of_assistant = await client.crons.create(mine["assistant_id"], schedule=NEVER_SOON, input={})
    await client.threads.delete(thread)
    await client.assistants.delete(mine["assistant_id"])
    for cron in (of_thread, of_assistant):
        assert (await http.get(f"/runs/crons/{cron['cron_id']}")).status_code == 404


def test_the_synchronous_client_does_the_same(url):
    with get_sync_client(url=url, api_key=None) as sync:
        thread = sync.threads.create()["thread_id"]
        cron = sync.crons.create_for_thread(thread, "simple", schedule=NEVER_SOON, input={}, metadata={"mark": "sync"})
        stateless = sync.crons.create("simple", schedule=NEVER_SOON, input={}, metadata={"mark": "sync"})
        assert sync.crons.search(thread_id=thread) == [cron]
        assert sync.crons.count(metadata={"mark": "sync"}) == 2
        changed = sync.crons.update(stateless["cron_id"], schedule="@daily", timezone="Asia/Tokyo")
        assert changed["next_run_date"][10:] == "T15:00:00+00:00"
        sync.crons.delete(cron["cron_id"])
        sync.crons.delete(stateless["cron_id"])
        assert sync.crons.count(metadata={"mark": "sync"}) == 0
        with pytest.raises(UnprocessableEntityError, match="Invalid cron schedule"):
            sync.crons.create("simple", schedule="bogus", input={})


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_no_slot_makes_two_runs_over_a_restart(start_server, client_of, end):
    server = start_server()
    client, _ = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    cron = await client.crons.create_for_thread(thread, "simple", schedule=EVERY_SECOND, input={"foo": "x", "log": []})
    before = await runs_of(client, thread, 2)
    getattr(server, end)()
    await asyncio.to_thread(server.start)
    client, http = client_of(server)
    await runs_of(client, thread, len(before) + 2)
    await client.crons.update(cron["cron_id"], enabled=False)
    async with asyncio.timeout(30):
        while (await client.threads.get(thread))["status"] == "busy":
            await asyncio.sleep(0.05)
    runs = (await client.runs.list(thread, limit=100))[::-1]
    assert [run["status"] for run in runs] == ["success"] * len(runs)
    assert [run["run_id"] for run in runs[: len(before)]] == [run["run_id"] for run in before]
    # A run that makes up for the slots that were missed may come in the second of the one after it.
    slots = Counter(slot(run) for run in runs)
    assert sum(count - 1 for count in slots.values()) <= 1, slots
    after = await client.http.get(f"/runs/crons/{cron['cron_id']}")
    assert after["next_run_date"] > runs[-1]["created_at"][:19]
