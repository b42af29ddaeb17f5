"""Bodies of the answers to who waits for a run or joins it: how each end looks, in each mode."""

import pytest
from support.wire import interrupt

DONE = {"foo": "A", "log": ["a", "b"]}
QUESTION = {"question": "ok?"}
BAD = {"__error__": {"error": "ValueError", "message": "bad value"}}
MODES = ["values", "updates", "messages", "messages-tuple", "tasks", "checkpoints", "debug", "events", "custom"]


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
def wait(http, names, thread):
    """Waits for a run on the thread, or for one without: the body of the answer."""

    async def wait(graph: str, stateless: bool = False, **body) -> dict:
        path = "/runs/wait" if stateless else f"/threads/{thread}/runs/wait"
        answer = await http.post(path, json={"assistant_id": graph, **body})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return names(answer.json())

    return wait


@pytest.mark.parametrize("mode", [*MODES, MODES, []])
async def test_success_is_the_last_state_in_every_mode(wait, mode):
    assert await wait("simple", input={"foo": "x"}, stream_mode=mode) == DONE


@pytest.mark.parametrize("mode", MODES)
async def test_without_a_thread_there_are_values_only_if_they_are_streamed(wait, mode):
    state = await wait("simple", stateless=True, input={"foo": "x"}, stream_mode=mode)
    # What `updates` shows is no state either.
    assert state == (DONE if mode == "values" else {})


@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("mode", [*MODES, MODES])
async def test_a_failure_is_an_error_in_every_mode(wait, mode, stateless):
    assert await wait("errors", stateless, input={"kind": "value"}, stream_mode=mode) == BAD


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("values", {"foo": "x", "log": ["before"], "__interrupt__": [interrupt(QUESTION)]}),
        ("updates", {"__interrupt__": [interrupt(QUESTION)]}),
        # From the thread, which does not tell of schemas that are not there.
        ("custom", {"__interrupt__": [{"value": QUESTION, "id": "<interrupt 1>"}]}),
        ("tasks", {"__interrupt__": [{"value": QUESTION, "id": "<interrupt 1>"}]}),
        ("debug", {"__interrupt__": [{"value": QUESTION, "id": "<interrupt 1>"}]}),
    ],
)
async def test_a_question_is_shown_with_what_was_streamed(wait, mode, answer):
    assert await wait("approval", input={"foo": "x"}, stream_mode=mode) == answer


@pytest.mark.parametrize("mode", ["values", "updates"])
async def test_several_questions_are_shown_without_state(wait, mode):
    answer = await wait("two_approvals", input={"foo": "x"}, stream_mode=mode)
    assert answer == {"__interrupt__": [interrupt("left?"), interrupt("right?", "<interrupt 2>")]}


@pytest.mark.deviates("the reference server counts each question of both modes twice")
async def test_several_questions_are_told_once_each(wait):
    answer = await wait("two_approvals", input={"foo": "x"}, stream_mode=["values", "updates"])
    assert answer == {"__interrupt__": [interrupt("left?"), interrupt("right?", "<interrupt 2>")]}


@pytest.mark.parametrize("subgraphs", [True, False])
async def test_a_question_of_a_subgraph_is_told_once(wait, subgraphs):
    answer = await wait("deep", input={"foo": "ask"}, stream_subgraphs=subgraphs)
    assert answer == {"foo": "ask", "__interrupt__": [interrupt("deep?")]}


@pytest.mark.parametrize("subgraphs", [True, False])
async def test_the_state_of_a_subgraph_is_no_result(wait, subgraphs):
    answer = await wait("nested", input={"foo": "x"}, stream_subgraphs=subgraphs, stream_mode=["values", "updates"])
    assert answer["log"][-1] == "post"


async def test_a_breakpoint_shows_plain_state(wait):
    body = {"input": {"foo": "x"}, "interrupt_before": ["b"]}
    assert await wait("simple", **body) == {"foo": "A", "log": ["a"]}
    assert await wait("simple", stateless=True, **body) == {"foo": "A", "log": ["a"]}


async def test_a_joined_run_is_told_from_its_thread_when_it_has_ended(client, names, thread):
    async def join(run: str) -> dict:
        return names(await client.runs.join(thread, run))

    await client.runs.wait(thread, "simple", input={"foo": "x"})
    (done,) = [run["run_id"] for run in await client.runs.list(thread)]
    assert await join(done) == DONE
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    (asks, _) = [run["run_id"] for run in await client.runs.list(thread)]
    # The newest state of the thread, whichever run is joined.
    told = {"__interrupt__": [{"id": "<interrupt 1>", "value": QUESTION}]}
    assert [await join(asks), await join(done)] == [told, told]
    await client.runs.wait(thread, "errors", input={"kind": "value"}, raise_error=False)
    assert await join(done) == BAD
    assert await client.runs.wait(thread, "errors", input={"kind": "none"}) == await join(done)


async def test_a_run_that_did_nothing_shows_an_empty_state(client, http, thread):
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, after_seconds=7200)
    await client.runs.cancel(thread, run["run_id"])
    answer = await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
    assert (answer.status_code, answer.json()) == (200, {})


async def test_a_joined_run_may_end_with_its_listener(client, http, thread, gate):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    for listens in ("0", "false", "1"):
        path = f"/threads/{thread}/runs/{run}/join"
        async with http.stream("GET", path, params={"cancel_on_disconnect": listens}) as answer:
            assert answer.status_code == 200
            assert (await client.runs.get(thread, run))["status"] == "running"
    await visitor.gone()
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"


@pytest.mark.parametrize("word", ["true", "YES", "1"])
async def test_a_cancel_waits_if_told_so_in_any_word(client, http, thread, gate, word):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    await gate.visitor()
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel", params={"wait": word})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (await client.runs.get(thread, run))["status"] == "interrupted"


@pytest.mark.parametrize("query", [{"wait": "false"}, {"wait": "0"}, {"action": "bogus"}, {"action": "interrupt"}])
async def test_a_cancel_interrupts_unless_told_otherwise(client, http, thread, gate, query):
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel", params=query)
    assert (answer.status_code, answer.content) == (202, b"")
    await visitor.gone()
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"


async def test_a_waiting_run_is_cancelled_while_one_waits(client, http, thread):
    run = (await client.runs.create(thread, "simple", input={"foo": "x"}, after_seconds=7200))["run_id"]
    answer = await http.post(f"/threads/{thread}/runs/{run}/cancel", params={"wait": "1"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run}"
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    assert (await client.threads.get(thread))["status"] == "idle"
