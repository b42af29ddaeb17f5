"""What users may do: the events of each operation, what handlers may answer, and what becomes of values."""

from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.errors import NotFoundError
from support.auth import SIMPLE

TURN = {"assistant_id": "simple", "input": {"n": 1}}


def uuid(id: str) -> str:
    """How the log shows an id that handlers know as a UUID."""
    return f"UUID:{id}"


@pytest.fixture
async def thread(alice) -> str:
    """A thread of alice with a state."""
    thread = (await alice.threads.create())["thread_id"]
    await alice.runs.wait(thread, "simple", input={"n": 1})
    return thread


@pytest.fixture
async def mine(alice) -> str:
    """An assistant of alice."""
    return (await alice.assistants.create("simple"))["assistant_id"]


@pytest.fixture
async def http(auth):
    async with auth.http("alice") as http:
        yield http


async def test_events_of_threads(auth, http: httpx.AsyncClient, thread):
    auth.calls()
    id = uuid(thread)
    read = ("threads:read", {"thread_id": id})
    checkpoint = (await http.get(f"/threads/{thread}/state")).json()["checkpoint"]["checkpoint_id"]
    assert auth.calls.asked() == [read]
    for method, path, body in [
        ("GET", "", None),
        ("GET", f"/state/{checkpoint}", None),
        ("POST", "/state/checkpoint", {"checkpoint": {"checkpoint_id": checkpoint}}),
        ("GET", "/history", None),
        ("POST", "/history", {}),
        ("GET", "/storage", None),
    ]:
        answer = await http.request(method, f"/threads/{thread}{path}", json=body)
        assert answer.status_code == 200, path
        assert auth.calls.asked() == [read], path

    await http.patch(f"/threads/{thread}", json={"metadata": {"a": 1}})
    assert auth.calls.asked() == [("threads:update", {"thread_id": id, "metadata": {"a": 1}})]
    await http.post(f"/threads/{thread}/state", json={"values": {"n": 5}})
    assert auth.calls.asked() == [("threads:update", {"thread_id": id}), read]
    copy = (await http.post(f"/threads/{thread}/copy")).json()["thread_id"]
    assert auth.calls.asked() == [read, ("threads:create", {"thread_id": uuid(copy)})]
    await http.post("/threads/search", json={"metadata": {"a": 1}, "status": "idle", "limit": 3})
    await http.post("/threads/count", json={"values": {"n": 1}})
    searched = {"metadata": {"a": 1}, "values": None, "status": "idle", "limit": 3, "offset": 0}
    counted = {"metadata": None, "values": {"n": 1}, "status": None, "limit": 0, "offset": 0}
    assert auth.calls.asked() == [("threads:search", searched), ("threads:search", counted)]
    pruned = await http.post("/threads/prune", json={"thread_ids": [copy]})
    assert pruned.json() == {"pruned_count": 1}
    assert auth.calls.asked() == [
        ("threads:delete", {"thread_ids": [copy]}),
        ("threads:delete", {"thread_id": uuid(copy)}),
    ]
    await http.delete(f"/threads/{thread}")
    assert auth.calls.asked() == [("threads:delete", {"thread_id": id})]
    created = await http.post("/threads", json={"thread_id": thread, "if_exists": "do_nothing", "metadata": {"b": 1}})
    assert created.json()["metadata"] == {"b": 1, "owner": "alice"}
    value = {"thread_id": id, "metadata": {"b": 1}, "if_exists": "do_nothing"}
    assert auth.calls.asked() == [("threads:create", value)]


def run_value(run: str, thread: str | None, **more) -> dict:
    """The value of a run's creation."""
    kwargs = {
        "input": {"n": 1},
        "command": None,
        "config": {},
        "context": {},
        "stream_mode": ["values"],
        "interrupt_before": None,
        "interrupt_after": None,
        "webhook": None,
    }
    return {
        "thread_id": thread and uuid(thread),
        "assistant_id": uuid(SIMPLE),
        "run_id": uuid(run),
        "status": "pending",
        "metadata": {},
        "prevent_insert_if_inflight": False,
        "multitask_strategy": "enqueue",
        "if_not_exists": "reject",
        "after_seconds": 0,
        "kwargs": kwargs,
    } | more


async def test_events_of_runs(auth, http: httpx.AsyncClient, thread):
    auth.calls()
    read = ("threads:read", {"thread_id": uuid(thread)})
    runs = f"/threads/{thread}/runs"
    run = (await http.post(runs, json=TURN | {"multitask_strategy": "reject"})).json()
    id = run["run_id"]
    rejecting = {"multitask_strategy": "reject", "prevent_insert_if_inflight": True}
    assert auth.calls.asked() == [("threads:create_run", run_value(id, thread, **rejecting))]
    assert run["metadata"]["owner"] == "alice"

    for path in (f"{runs}/{id}", f"{runs}/{id}/join", f"{runs}/{id}/stream"):
        assert (await http.get(path)).status_code == 200
        assert auth.calls.asked() == [read], path
    assert (await http.get(runs)).status_code == 200
    assert auth.calls.asked() == [read, ("threads:search", {"thread_id": uuid(thread), "metadata": {}})]
    await http.post(f"{runs}/{id}/cancel")
    assert auth.calls.asked() == [
        (
            "threads:update",
            {"thread_id": uuid(thread), "action": "interrupt", "metadata": {"run_ids": [id], "status": None}},
        )
    ]
    await http.post("/runs/cancel", params={"action": "rollback"}, json={"status": "pending"})
    cancelled = {"thread_id": None, "action": "rollback", "metadata": {"run_ids": None, "status": "pending"}}
    assert auth.calls.asked() == [("threads:update", cancelled)]
    await http.delete(f"{runs}/{id}")
    assert auth.calls.asked() == [("threads:delete", {"run_id": uuid(id), "thread_id": uuid(thread)})]
    for way in ("wait", "stream"):
        answer = await http.post(f"{runs}/{way}", json=TURN)
        id = answer.headers["content-location"].rpartition("/")[2]
        assert auth.calls.asked() == [("threads:create_run", run_value(id, thread)), read]


async def test_events_of_stateless_runs(auth, http: httpx.AsyncClient, mine):
    auth.calls()
    run = (await http.post("/runs", json=TURN)).json()["run_id"]
    assert auth.calls.asked() == [("threads:create_run", run_value(run, None))]
    answer = await http.post("/runs/wait", json=TURN | {"assistant_id": mine})
    run = answer.headers["content-location"].rpartition("/")[2]
    assert auth.calls.asked() == [
        ("threads:create_run", run_value(run, None, assistant_id=uuid(mine))),
        ("assistants:read", {"assistant_id": uuid(mine)}),
        ("threads:read", {"thread_id": None}),
    ]
    batch = (await http.post("/runs/batch", json=[TURN, TURN])).json()
    assert auth.calls.asked() == [("threads:create_run", run_value(run["run_id"], None)) for run in batch]


async def test_events_of_assistants(auth, http: httpx.AsyncClient):
    auth.calls()
    created = await http.post("/assistants", json={"graph_id": "simple", "metadata": {"owner": "bob"}, "name": "n"})
    assistant = created.json()
    # What a handler stamps wins over what a client says.
    assert assistant["metadata"] == {"owner": "alice"}
    id, path = uuid(assistant["assistant_id"]), f"/assistants/{assistant['assistant_id']}"
    made = {"assistant_id": id, "graph_id": "simple", "config": {}, "context": {}, "name": "n"}
    assert auth.calls.asked() == [("assistants:create", made | {"metadata": {"owner": "bob"}})]
    read = ("assistants:read", {"assistant_id": id})
    for part in ("", "/graph", "/schemas"):
        assert (await http.get(path + part)).status_code == 200
        assert auth.calls.asked() == [read], part
    await http.patch(path, json={"metadata": {"x": 1}, "name": "m"})
    patch = {"assistant_id": id, "graph_id": None, "config": None, "context": None, "name": "m", "metadata": {"x": 1}}
    assert auth.calls.asked() == [("assistants:update", patch)]
    await http.post("/assistants/search", json={"graph_id": "simple", "limit": 2})
    await http.post("/assistants/count", json={})
    searched = {"graph_id": "simple", "metadata": None, "limit": 2, "offset": 0}
    counted = {"graph_id": None, "metadata": None, "limit": 0, "offset": 0}
    assert auth.calls.asked() == [("assistants:search", searched), ("assistants:search", counted)]
    assert (await http.delete(path)).status_code == 204
    stopped = {"thread_id": None, "action": "interrupt", "metadata": {"run_ids": None, "status": None}}
    assert auth.calls.asked() == [("assistants:delete", {"assistant_id": id}), ("threads:update", stopped)]


@pytest.mark.parametrize(
    "user, status, body",
    [
        (
            "seven",
            500,
            "Auth handler returned invalid result. Expected filter dict, None, or boolean. "
            "Got <class 'int'> instead.",
        ),
        ("conflict", 409, "later"),
        ("not-you", 403, "not you"),
        ("assert", 403, "not you either"),
        ("bad-value", 400, "bad value"),
        ("ne", 500, "Auth handler returned an invalid filter: unknown operator '$ne' for 'owner'"),
        ("one-branch", 500, "Auth handler returned an invalid filter: '$or' needs a list of at least two filters"),
        ("error", 500, None),
    ],
)
async def test_what_a_handler_answers(auth, user, status, body):
    async with auth.http(user) as http:
        answer = await http.post("/assistants/search", json={})
        assert answer.status_code == status
        if body is None:
            assert answer.text == "Internal Server Error"
        else:
            assert answer.json()["detail"].startswith(body)
        if user == "conflict":
            assert answer.headers["x-foo"] == "bar"


async def test_false_is_forbidden(auth, thread):
    async with auth.http("denied") as http:
        for answer in [
            await http.get(f"/threads/{thread}"),
            await http.post("/threads", json={}),
            await http.post("/runs/stream", json=TURN),
            await http.post(f"/threads/{thread}/runs", json=TURN),
        ]:
            assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})


async def test_bodies_are_checked_before_handlers_are_asked(auth, http: httpx.AsyncClient):
    auth.calls()
    assert (await http.post("/threads", json={"metadata": 7})).status_code == 422
    assert auth.calls.asked() == []


async def test_what_a_handler_spoils_is_not_used(auth):
    async with auth.http("spoil") as http:
        # Nobody reads what a handler made of a search.
        assert (await http.post("/assistants/search", json={})).status_code == 200


async def test_without_a_filter_everything_is_seen(auth, alice, bob, thread):
    async with auth.client("root") as root:
        assert (await root.threads.get(thread))["metadata"]["owner"] == "alice"


async def test_a_filter_with_branches(auth, alice, bob):
    mark = str(uuid4())
    owners = [(await user.assistants.create("simple", metadata={"mark": mark}))["assistant_id"] for user in (alice, bob)]
    async with auth.client("carol") as carol, auth.client("either") as either:
        await carol.assistants.create("simple", metadata={"mark": mark})
        found = await either.assistants.search(metadata={"mark": mark})
        assert {assistant["assistant_id"] for assistant in found} == set(owners)


async def test_owners_are_stamped_on_what_runs_make(auth, alice):
    id = str(uuid4())
    run = await alice.runs.create(id, "simple", input={}, if_not_exists="create", metadata={"owner": "bob"})
    assert run["metadata"]["owner"] == "alice"
    assert (await alice.threads.get(id))["metadata"]["owner"] == "alice"
    await alice.threads.update(id, metadata={"owner": "bob", "x": 1})
    shown = (await alice.threads.get(id))["metadata"]
    assert (shown["owner"], shown["x"]) == ("alice", 1)
    copy = await alice.threads.copy(id)
    assert copy["metadata"]["owner"] == "alice"


async def test_what_a_graph_sees_of_its_user(alice, auth):
    seen = (await alice.runs.wait(None, "user", input={"seen": {}}))["seen"]
    expected = {
        "identity": "alice",
        "org": "acme",
        "plan": "free",
        "is_authenticated": True,
        "display_name": "alice",
        "keys": ["display_name", "identity", "is_authenticated", "org", "permissions", "team"],
        "as_dict": True,
        "id": "alice",
        "permissions": ["read", "write"],
        "user_id": "alice",
        "server_info": "alice",
    }
    assert seen == expected
    forged = {"langgraph_auth_user": {"identity": "bob"}, "langgraph_auth_user_id": "bob", "user_id": "mine"}
    config = {"configurable": forged | {"langgraph_auth_permissions": ["all"]}}
    seen = (await alice.runs.wait(None, "user", input={"seen": {}}, config=config))["seen"]
    assert seen == expected | {"user_id": "mine"}


async def test_the_users_of_an_assistant_are_not_its_maker(alice, bob, auth, mine):
    """Who runs is told, whoever ran on the thread or made the assistant before."""
    async with auth.client("root") as root:
        thread = (await alice.threads.create())["thread_id"]
        await alice.runs.wait(thread, mine, input={})
        run = await root.runs.create(thread, mine, input={})
        configurable = run["kwargs"]["config"]["configurable"]
        assert (configurable["langgraph_auth_user_id"], configurable["user_id"]) == ("root", "root")


async def test_the_servers_own_assistants_are_run_by_everybody_and_seen_by_nobody(alice, bob):
    for user in (alice, bob):
        assert (await user.runs.wait(None, "simple", input={}))["n"] == 1
        assert (await user.runs.wait(None, SIMPLE, input={}))["n"] == 1
        with pytest.raises(NotFoundError):
            await user.assistants.get(SIMPLE)
        found = await user.assistants.search(limit=100)
        assert all(assistant["metadata"]["owner"] for assistant in found)


async def test_who_says_that_the_server_made_an_assistant_makes_it_nobody_elses(auth, alice):
    pretended = await alice.assistants.create("simple", metadata={"created_by": "system"})
    async with auth.http("bob") as bob:
        answer = await bob.post("/runs/wait", json=TURN | {"assistant_id": pretended["assistant_id"]})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Thread or assistant not found."})


async def test_a_graph_is_made_for_its_user(alice, auth):
    assistant = (await alice.assistants.create("made"))["assistant_id"]
    drawn = await alice.assistants.get_graph(assistant)
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "alice", "__end__"]
    thread = (await alice.threads.create(graph_id="made"))["thread_id"]
    updated = await alice.threads.update_state(thread, {"n": 1}, as_node="alice")
    assert set(updated["checkpoint"]) <= {"thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map"}
    state = await alice.threads.get_state(thread, subgraphs=True)
    assert state["values"] == {"n": 1}
    assert not any("auth" in key for key in state["metadata"])
    async with auth.http("root") as root:
        drawn = (await root.get(f"/assistants/{assistant}/graph")).json()
        assert [node["id"] for node in drawn["nodes"]] == ["__start__", "root", "__end__"]


async def test_what_nobody_can_read_nobody_can_decide_about(auth):
    """Numbers that are too large and halves of surrogate pairs are JSON, and no values."""
    bodies = [
        ("POST", "/runs", '{"assistant_id": "simple", "input": %s}'),
        ("POST", "/runs/wait", '{"assistant_id": "simple", "command": {"resume": %s}}'),
        ("POST", "/runs/crons", '{"assistant_id": "simple", "schedule": "0 0 1 1 *", "input": %s}'),
        ("PATCH", "/runs/crons/00000000-0000-4000-8000-000000000000", '{"input": %s}'),
    ]
    async with auth.http("alice") as http:
        for method, path, body in bodies:
            for odd in ('{"n": 1e999}', r'{"s": "\ud800"}'):
                answer = await http.request(method, path, content=body % odd)
                assert answer.status_code == 422, (path, odd, answer.text)
                assert answer.json()["detail"].startswith("Invalid"), answer.text
