"""People who look at a stopped graph, change what they see and let it go on."""

import pytest


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_the_state_is_edited_before_the_answer(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    await client.threads.update_state(thread, {"foo": "edited"})
    assert (await client.threads.get(thread))["status"] == "interrupted"
    # The tasks are prepared anew by the edit, so the node asks again.
    asked = await client.runs.wait(thread, "approval", input=None)
    assert (asked["foo"], len(asked["__interrupt__"])) == ("edited", 1)
    state = await client.runs.wait(thread, "approval", command={"resume": 1})
    assert state == {"foo": "edited", "log": ["before", "answer: 1"]}


async def test_the_state_is_edited_at_a_breakpoint(client, thread):
    await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_before=["b"])
    await client.threads.update_state(thread, {"log": ["edited"]})
    assert (await client.threads.get_state(thread))["next"] == ["b"]
    state = await client.runs.wait(thread, "simple", input=None)
    assert state == {"foo": "A", "log": ["a", "edited", "b"]}
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_an_edit_in_the_name_of_the_node_that_asks_takes_its_place(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    await client.threads.update_state(thread, {"log": ["by hand"]}, as_node="ask")
    after = await client.threads.get(thread)
    assert (after["status"], after["interrupts"]) == ("idle", {})
    state = await client.runs.wait(thread, "approval", input=None)
    assert state == {"foo": "x", "log": ["before", "by hand"]}


async def test_static_breakpoints_are_passed_one_by_one(client, thread):
    seen = [await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_before="*")]
    for _ in range(2):
        seen.append(await client.runs.wait(thread, "simple", input=None, interrupt_before="*"))
    assert [state["log"] for state in seen] == [[], ["a"], ["a", "b"]]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_unknown_nodes_are_no_breakpoints(client, thread):
    state = await client.runs.wait(thread, "simple", input={"foo": "x"}, interrupt_before=["nope"], interrupt_after=[])
    assert state == {"foo": "A", "log": ["a", "b"]}


async def test_all_questions_are_answered_with_one_map(client, thread):
    asked = (await client.runs.wait(thread, "two_approvals", input={"foo": "x"}))["__interrupt__"]
    answers = {each["id"]: each["value"].upper() for each in asked}
    state = await client.runs.wait(thread, "two_approvals", command={"resume": answers})
    assert state == {"foo": "x", "log": ["left: LEFT?", "right: RIGHT?"]}


async def test_questions_have_the_same_ids_everywhere(client, thread):
    asked = (await client.runs.wait(thread, "two_approvals", input={"foo": "x"}))["__interrupt__"]
    ids = {each["id"] for each in asked}
    row = await client.threads.get(thread)
    assert {each["id"] for task in row["interrupts"].values() for each in task} == ids
    state = await client.threads.get_state(thread)
    assert {each["id"] for each in state["interrupts"]} == ids
    again = (await client.runs.wait(thread, "two_approvals", input=None))["__interrupt__"]
    assert {each["id"] for each in again} == ids


async def test_a_question_in_a_subgraph_is_seen_from_outside(client, thread):
    asked = await client.runs.wait(thread, "nested", input={"foo": "ask"})
    assert [each["value"] for each in asked["__interrupt__"]] == ["inside?"]
    row = await client.threads.get(thread)
    ((task, (question,)),) = row["interrupts"].items()
    assert question == {"id": asked["__interrupt__"][0]["id"], "value": "inside?"}
    state = await client.threads.get_state(thread, subgraphs=True)
    assert (state["next"], state["tasks"][0]["id"]) == (["child"], task)
    assert state["tasks"][0]["state"]["next"] == ["inner"]


@pytest.mark.parametrize("subgraphs", [True, False])
async def test_a_question_in_a_subgraph_is_answered_by_its_id(client, thread, subgraphs):
    asked = await client.runs.wait(thread, "nested", input={"foo": "ask"})
    answer = {asked["__interrupt__"][0]["id"]: "by id"}
    stream = client.runs.stream(
        thread, "nested", command={"resume": answer}, stream_mode="values", stream_subgraphs=subgraphs
    )
    names = {part.event.partition("|")[0] for part in [part async for part in stream]}
    assert names == {"metadata", "values"}
    row = await client.threads.get(thread)
    assert (row["status"], row["interrupts"]) == ("idle", {})
    assert row["values"]["log"][-2:] == ["inner: sub speaks, answer: by id", "post"]


async def test_questions_of_subgraphs_are_at_the_root_when_subgraphs_are_streamed(client, thread):
    """The row of the thread is the root's, whatever was streamed."""
    stream = client.runs.stream(thread, "nested", input={"foo": "ask"}, stream_mode="values", stream_subgraphs=True)
    async for _ in stream:
        pass
    row = await client.threads.get(thread)
    assert row["values"] == {"foo": "ask", "log": ["pre"]}
    (task,) = row["interrupts"]
    assert task == (await client.threads.get_state(thread))["tasks"][0]["id"]


async def test_an_answer_to_nothing_changes_nothing(client, thread):
    before = await client.runs.wait(thread, "simple", input={"foo": "x"})
    assert await client.runs.wait(thread, "simple", command={"resume": "?"}) == before
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_null_is_no_answer(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    # The official client leaves null out; a plain one may send it.
    body = {"assistant_id": "approval", "command": {"resume": None}}
    answer = await client.http.post(f"/threads/{thread}/runs/wait", json=body)
    assert answer["__error__"]["error"] == "EmptyInputError"


async def test_an_answer_stays_with_its_checkpoint(client, thread):
    """So the library has it: who goes back to the question finds it answered."""
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    asked = (await client.threads.get_state(thread))["checkpoint"]["checkpoint_id"]
    await client.runs.wait(thread, "approval", command={"resume": "first"})
    state = await client.runs.wait(thread, "approval", command={"resume": "second"}, checkpoint_id=asked)
    assert state["log"] == ["before", "answer: 'first'"]


async def test_a_fork_before_the_question_asks_again(client, thread):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    asked = (await client.threads.get_state(thread))["checkpoint"]
    await client.runs.wait(thread, "approval", command={"resume": "first"})
    await client.threads.update_state(thread, {"foo": "fork"}, checkpoint=asked)
    assert "__interrupt__" in await client.runs.wait(thread, "approval", input=None)
    state = await client.runs.wait(thread, "approval", command={"resume": "second"})
    assert state == {"foo": "fork", "log": ["before", "answer: 'second'"]}


async def test_a_cancelled_run_leaves_no_stale_question(client, thread, gate):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    stream = client.runs.stream(thread, "waiting", input=gate.input(), stream_mode="values")
    async for part in stream:
        # What is shown here is what the cancel keeps.
        if part.event == "metadata":
            run = part.data["run_id"]
        elif part.data["log"][-1] == "run arrives":
            break
    await gate.visitor()
    await client.runs.cancel(thread, run, wait=True)
    row = await client.threads.get(thread)
    # The head of the thread is the cancelled run's now, whose task asks nothing.
    assert (row["status"], row["interrupts"]) == ("interrupted", {})


@pytest.mark.parametrize("how", ["rollback", "delete"])
async def test_the_question_is_back_when_the_run_after_it_is_undone(client, thread, gate, how):
    await client.runs.wait(thread, "approval", input={"foo": "x"})
    before = await client.threads.get(thread)
    run = (await client.runs.create(thread, "waiting", input=gate.input()))["run_id"]
    visitor = await gate.visitor()
    if how == "delete":
        await client.runs.delete(thread, run)
    else:
        await client.runs.cancel(thread, run, action="rollback", wait=True)
    await visitor.gone()
    row = await client.threads.get(thread)
    assert [row[key] for key in ("status", "values", "interrupts")] == [
        before[key] for key in ("status", "values", "interrupts")
    ]
    state = await client.runs.wait(thread, "approval", command={"resume": 1})
    assert state["log"] == ["before", "answer: 1"]
