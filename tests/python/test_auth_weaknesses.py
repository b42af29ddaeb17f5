"""Weaknesses that servers of this API and the libraries below them had, one by one.

Most are met elsewhere too, among everything else that is tested there. Here each has a name of its own, and its docstring
says what was wrong.
"""

import asyncio
from uuid import uuid4

import pytest

TURN = {"assistant_id": "simple", "input": {}}
# Ends any text that a key could have been pasted into, and goes on as a condition that always holds.
INJECTIONS = ["x') OR '1'='1", 'x") OR 1=1 --', "x' OR 1=1) --", "owner') IS NOT NULL OR ('1", "$.owner", 'a"."owner', "a]b[#-1"]


@pytest.fixture
async def two(auth):
    """Plain clients of alice and bob, and a thread with a run of alice's."""
    async with auth.http("weak-alice") as alice, auth.http("weak-bob") as bob:
        thread = (await alice.post("/threads", json={})).json()["thread_id"]
        answer = await alice.post(f"/threads/{thread}/runs/wait", json=TURN)
        assert answer.status_code == 200, answer.text
        yield alice, bob, thread


async def stored_run(client, thread: str, body: dict, **headers: str) -> dict:
    answer = await client.post(f"/threads/{thread}/runs", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_studio_header_is_no_credential(auth):
    """`x-auth-scheme: langsmith` let everybody in as the Studio user: no credential was looked at."""
    async with auth.http() as http:
        answer = await http.post("/threads/search", json={}, headers={"x-auth-scheme": "langsmith"})
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/noauth/threads/search", "/noauth", "//noauth/threads/search", "/noauth/../threads/search"])
async def test_the_way_of_calls_in_process_cannot_be_asked_for(auth, path):
    """Calls from inside a graph went around authentication by the root path `/noauth`; from outside it must mean nothing."""
    async with auth.http() as stranger:
        assert (await stranger.post(path, json={})).status_code == 401


async def test_an_unknown_operator_of_a_filter_does_not_match_everything(auth):
    """A handler that answered `{"owner": {"$ne": …}}` filtered nothing: unknown operators were passed over."""
    async with auth.http("ne") as http:
        answer = await http.post("/assistants/search", json={})
        assert answer.status_code == 500
        assert "$ne" in answer.json()["detail"]


@pytest.mark.parametrize("place", ["configurable", "context"])
async def test_a_client_cannot_say_who_it_is(two, place):
    """Graphs read their user in `configurable`, which clients fill: what is reserved has to be taken out."""
    alice, _, thread = two
    forged = {
        "langgraph_auth_user": {"identity": "root"},
        "langgraph_auth_user_id": "root",
        "langgraph_auth_permissions": ["everything"],
    }
    body = TURN | ({"context": forged} if place == "context" else {"config": {"configurable": forged}})
    kwargs = (await stored_run(alice, thread, body))["kwargs"]
    known = kwargs["config"]["configurable"]
    assert known["langgraph_auth_user_id"] == known["langgraph_auth_user"]["identity"] == "weak-alice"
    assert known["langgraph_auth_permissions"] == ["read", "write"]
    assert "root" not in str(kwargs)


async def test_an_assistant_cannot_say_who_runs_it(two):
    """What is reserved counts as little in the configuration of an assistant, which others may run."""
    alice, _, thread = two
    config = {"configurable": {"langgraph_auth_user_id": "root", "langgraph_auth_permissions": ["everything"]}}
    made = (await alice.post("/assistants", json={"graph_id": "simple", "config": config})).json()
    assert "root" not in str(made) and "everything" not in str(made)
    run = await stored_run(alice, thread, TURN | {"assistant_id": made["assistant_id"]})
    assert run["kwargs"]["config"]["configurable"]["langgraph_auth_user_id"] == "weak-alice"


async def test_user_id_of_a_client_is_not_the_identity(two):
    """`configurable.user_id` is the caller's own word and wins, as it does elsewhere: the identity stands beside it."""
    alice, _, thread = two
    body = TURN | {"config": {"configurable": {"user_id": "root"}}}
    known = (await stored_run(alice, thread, body))["kwargs"]["config"]["configurable"]
    assert (known["user_id"], known["langgraph_auth_user_id"]) == ("root", "weak-alice")


async def test_metadata_of_a_client_does_not_change_the_owner(two):
    """Who names another owner must be overruled by the handler's stamp, on creation and later."""
    alice, bob, _ = two
    theirs = {"metadata": {"owner": "weak-bob"}}
    made = (await alice.post("/threads", json=theirs)).json()
    assert made["metadata"]["owner"] == "weak-alice"
    changed = await alice.patch(f"/threads/{made['thread_id']}", json=theirs)
    assert changed.json()["metadata"]["owner"] == "weak-alice"
    assert (await bob.get(f"/threads/{made['thread_id']}")).status_code == 404


async def test_credentials_are_not_kept_with_runs(two):
    """Headers were copied into `configurable`, so that stored runs, streams and webhooks held their senders' credentials."""
    alice, _, thread = two
    secrets = {name: f"secret-{name}" for name in ("authorization", "x-api-key", "x-service-key", "x-tenant-id", "cookie")}
    run = await stored_run(alice, thread, TURN, **secrets)
    for path in (f"/threads/{thread}/runs/{run['run_id']}", f"/threads/{thread}/state", f"/threads/{thread}/history"):
        assert "secret-" not in (await alice.get(path)).text, path


async def test_streams_of_checkpoints_do_not_tell_the_user(two):
    """Events of `checkpoints` and `debug` held the user with all that is known of them. The name and the permissions, which
    other servers send too, are in them still."""
    alice, _, thread = two
    body = TURN | {"stream_mode": ["checkpoints", "debug"]}
    answer = await alice.post(f"/threads/{thread}/runs/stream", json=body)
    assert "event: checkpoints" in answer.text
    assert '"langgraph_auth_user":null' in answer.text
    assert "acme" not in answer.text and "is_authenticated" not in answer.text


async def test_crons_do_not_put_their_user_into_the_context(two):
    """`configurable` was mirrored into the context of a cron's runs, the user and the cron's id with it."""
    alice, _, thread = two
    cron = TURN | {"schedule": "* * * * * *", "config": {"configurable": {"model": "m"}}}
    made = (await alice.post(f"/threads/{thread}/runs/crons", json=cron)).json()
    try:
        async with asyncio.timeout(60):
            while not (runs := [run for run in (await alice.get(f"/threads/{thread}/runs")).json() if is_of(made, run)]):
                await asyncio.sleep(0.1)
    finally:
        assert (await alice.delete(f"/runs/crons/{made['cron_id']}")).status_code == 204
    assert runs[0]["kwargs"]["context"] == {"model": "m"}
    assert runs[0]["kwargs"]["config"]["configurable"]["langgraph_auth_user_id"] == "weak-alice"


def is_of(cron: dict, run: dict) -> bool:
    return run["kwargs"]["config"]["configurable"].get("cron_id") == cron["cron_id"]


async def test_a_stream_of_a_hidden_thread_is_refused(two):
    """Authorised only when it had begun: 200 and an error as event, which is not what an unknown thread was answered."""
    _, bob, thread = two
    hidden = await bob.get(f"/threads/{thread}/stream")
    assert hidden.status_code == 404
    unknown = await bob.get(f"/threads/{uuid4()}/stream")
    assert (unknown.status_code, unknown.json().keys()) == (404, hidden.json().keys())


async def test_a_copy_belongs_to_the_owner_of_its_thread(two):
    """The filter of the event that makes the copy means nothing; who may not read the thread must not get one all the same."""
    alice, bob, thread = two
    refused = await bob.post(f"/threads/{thread}/copy")
    unknown = await bob.post(f"/threads/{uuid4()}/copy")
    assert (refused.status_code, unknown.status_code) == (409, 409)
    copy = (await alice.post(f"/threads/{thread}/copy")).json()
    assert copy["metadata"]["owner"] == "weak-alice"
    assert (await bob.get(f"/threads/{copy['thread_id']}")).status_code == 404


@pytest.mark.parametrize("if_exists", ["raise", "do_nothing"])
async def test_an_id_that_is_taken_shows_nothing_of_its_thread(two, if_exists):
    """`do_nothing` means to be given what is there, which must not be somebody else's."""
    _, bob, thread = two
    answer = await bob.post("/threads", json={"thread_id": thread, "if_exists": if_exists})
    assert (answer.status_code, answer.json()) == (409, {"detail": f"Thread with ID {thread} already exists"})


async def test_a_run_is_not_read_through_another_thread(two):
    """Who may read one thread must not reach the runs of another through it, nor a run by its id alone."""
    alice, bob, thread = two
    run = (await alice.get(f"/threads/{thread}/runs")).json()[0]["run_id"]
    own = (await bob.post("/threads", json={})).json()["thread_id"]
    for path in (f"/threads/{own}/runs/{run}", f"/threads/{own}/runs/{run}/join", f"/runs/{run}", f"/runs/{run}/stream"):
        assert (await bob.get(path)).status_code == 404, path


async def test_a_namespace_is_no_prefix_of_a_longer_name(auth):
    """Namespaces compared as text showed `alice2` to whoever searched below `alice`."""
    async with auth.http("weak-al") as short, auth.http("weak-al2") as long:
        item = {"namespace": ["notes"], "key": "k", "value": {"secret": "of the longer"}}
        assert (await long.put("/store/items", json=item)).status_code == 204
        assert (await short.post("/store/items/search", json={"namespace_prefix": []})).json() == {"items": []}
        assert (await short.post("/store/namespaces", json={})).json() == {"namespaces": []}
        assert (await short.post("/store/namespaces", json={"prefix": ["*"]})).json() == {"namespaces": []}


@pytest.mark.parametrize("key", INJECTIONS)
@pytest.mark.parametrize("what", ["threads", "assistants", "runs/crons"])
async def test_keys_of_metadata_are_not_pasted_into_queries(two, what, key):
    """CVE-2025-67644 (GHSA-9rwj-6rc7-p77c): keys of a metadata filter became SQL, so that it matched everything."""
    alice, _, _ = two
    answer = await alice.post(f"/{what}/search", json={"metadata": {key: "nobody has this"}})
    assert (answer.status_code, answer.json()) == (200, []), answer.text


@pytest.mark.parametrize("key", INJECTIONS)
async def test_keys_of_item_filters_are_not_pasted_into_queries(auth, key):
    """CVE-2025-64104: the same in the store. An item with such a key is found by it, and no other is."""
    async with auth.http(f"weak-items-{INJECTIONS.index(key)}") as http:
        for name, value in (("other", {"secret": 1}), ("odd", {key: "here"})):
            item = {"namespace": ["n"], "key": name, "value": value}
            assert (await http.put("/store/items", json=item)).status_code == 204
        for wanted, found in (("here", ["odd"]), ("elsewhere", [])):
            answer = await http.post("/store/items/search", json={"filter": {key: wanted}})
            assert answer.status_code == 200, answer.text
            assert [item["key"] for item in answer.json()["items"]] == found


@pytest.mark.parametrize("kind", ["plain", "lone surrogate"])
async def test_input_is_not_made_into_objects(two, tmp_path, kind):
    """CVE-2025-64439 (GHSA-wwqv-p2pp-99h5): input that named a function was kept in a form that called it when it was read."""
    alice, _, _ = two
    proof = tmp_path / "called"
    call = {"lc": 2, "type": "constructor", "id": ["pathlib", "Path"], "method": "touch", "args": [], "kwargs": {}}
    calls = [call | {"id": ["os", "mkdir"], "method": None, "args": [str(proof)]}, call | {"lc": 1, "args": [str(proof)]}]
    # Half of a pair made the usual form fail, and the other one take its place.
    value = '"\\ud800"' if kind == "lone surrogate" else "null"
    thread = (await alice.post("/threads", json={})).json()["thread_id"]
    for number, called in enumerate(calls):
        text = str(called).replace("'", '"').replace("None", "null")
        body = f'{{"assistant_id": "simple", "input": {{"secret": [{text}, {value}], "n": {number}}}}}'
        answer = await alice.post(
            f"/threads/{thread}/runs/wait", content=body.encode(), headers={"content-type": "application/json"}
        )
        assert answer.status_code in (200, 422), answer.text
        for path in (f"/threads/{thread}/state", f"/threads/{thread}/history"):
            assert (await alice.get(path)).status_code == 200
    again = await alice.post(f"/threads/{thread}/runs/wait", json=TURN)
    assert again.status_code == 200, again.text
    assert not proof.exists()


@pytest.mark.parametrize(
    "url",
    [
        "/threads/search",
        "http://localhost/x",
        "http://127.0.0.1:1/x",
        "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://metadata.google.internal/x",
        "http://0x7f000001/x",
        "http://2130706433/x",
        "ftp://example.com/x",
    ],
)
async def test_a_webhook_reaches_nothing_that_its_sender_could_not(two, url):
    """A run could make the server call itself without authentication, its machine, or the metadata of its cloud."""
    alice, _, thread = two
    answer = await alice.post(f"/threads/{thread}/runs", json=TURN | {"webhook": url})
    assert answer.status_code == 422, answer.text


async def test_a_failure_of_a_handler_tells_nothing(auth):
    """What an exception says is for the log: it may hold secrets of the project."""
    async with auth.http("crash") as stranger, auth.http("error") as known:
        for answer in (await stranger.get("/threads/x"), await known.post("/assistants/search", json={})):
            assert (answer.status_code, answer.text) == (500, "Internal Server Error")


async def test_there_is_no_route_that_empties_the_server(auth):
    """A route for tests deleted everybody's data (`POST /internal/truncate`)."""
    everything = {"runs": True, "threads": True, "assistants": True, "checkpointer": True, "store": True}
    async with auth.http("weak-alice") as alice:
        assert (await alice.post("/internal/truncate", json=everything)).status_code == 404


async def test_strangers_cannot_tell_paths_apart(auth):
    """Whether an operation, an object or a session is there must not be told before it is known who asks."""
    async with auth.http() as http:
        answers = [await http.get(path) for path in ("/threads/x", "/nothing", "/mcp/", "/a2a/x", "/internal/truncate")]
        assert {(answer.status_code, answer.text) for answer in answers} == {(401, '{"detail":"Who are you?"}')}


async def test_the_id_of_a_session_is_no_credential(two):
    """Sessions were found by their id alone: who knew it went on in them with the rights of who had begun them."""
    alice, bob, _ = two
    name = f"tool-{uuid4().hex[:8]}"
    made = await alice.post("/assistants", json={"graph_id": "simple", "name": name})
    assert made.status_code == 200
    headers = {"accept": "application/json, text/event-stream", "mcp-session-id": str(uuid4())}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert name in (await alice.post("/mcp/", json=listing, headers=headers)).text
    theirs = await bob.post("/mcp/", json=listing, headers=headers)
    assert theirs.status_code == 200 and name not in theirs.text
    await bob.delete("/mcp/", headers=headers)
    assert name in (await alice.post("/mcp/", json=listing, headers=headers)).text
