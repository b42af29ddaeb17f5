"""History of a thread: filters, pages and namespaces."""

import pytest
from langgraph_sdk.errors import NotFoundError
from support.names import NOBODY


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


@pytest.fixture
async def runs(client, thread) -> list[str]:
    """Three runs of simple on the thread, oldest first."""
    for word in ("one", "two", "three"):
        await client.runs.wait(thread, "simple", input={"foo": word}, metadata={"word": word, "odd": word != "two"})
    return [run["run_id"] for run in reversed(await client.runs.list(thread))]


async def steps(client, thread: str, **filter) -> list[int]:
    return [state["metadata"]["step"] for state in await client.threads.get_history(thread, **filter)]


async def test_ten_checkpoints_come_unless_a_limit_is_given(client, thread, runs):
    assert await steps(client, thread) == list(range(10, 0, -1))
    assert await steps(client, thread, limit=1) == [10]
    assert await steps(client, thread, limit=12) == list(range(10, -2, -1))
    assert await steps(client, thread, limit=1000) == list(range(10, -2, -1))


def flat(state: dict) -> dict:
    return state["checkpoint"]


def config(state: dict) -> dict:
    return {"configurable": state["checkpoint"]}


def id_alone(state: dict) -> dict:
    return {"configurable": {"checkpoint_id": state["checkpoint_id"]}}


def text(state: dict) -> str:
    return state["checkpoint_id"]


@pytest.mark.deviates("the reference server understands only some of these")
@pytest.mark.parametrize("form", [flat, config, id_alone, text])
async def test_the_whole_history_is_read_page_by_page(client, thread, runs, form):
    whole = await client.threads.get_history(thread, limit=100)
    pages, before = [], {}
    while page := await client.threads.get_history(thread, limit=5, **before):
        pages.append(page)
        before = {"before": form(page[-1])}
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [state for page in pages for state in page] == whole


async def test_a_plain_read_pages_by_the_id_alone(client, http, thread, runs):
    whole = await client.threads.get_history(thread, limit=100)
    path, params, found = f"/threads/{thread}/history", {"limit": 5}, []
    while page := (await http.get(path, params=params)).json():
        found += page
        params = {"limit": 5, "before": page[-1]["checkpoint_id"]}
    assert found == whole
    assert (await http.get(path, params={"limit": 0})).json() == []


async def test_limits_that_are_refused(http, thread):
    path = f"/threads/{thread}/history"
    answer = await http.get(path, params={"limit": "abc"})
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid limit abc"})
    for limit in (0, 1001, "3"):
        assert (await http.post(path, json={"limit": limit})).status_code == 422


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"source": "input"}, [7, 3, -1]),
        ({"source": "loop", "step": 5}, [5]),
        ({"source": "update"}, []),
        ({"word": "two"}, [6, 5, 4, 3]),
        ({"odd": True, "source": "input"}, [7, -1]),
        ({"graph_id": "simple", "step": -1}, [-1]),
        ({"parents": {}}, list(range(10, -2, -1))),
        ({"step": "5"}, []),
    ],
)
async def test_checkpoints_are_found_by_their_metadata(client, thread, runs, metadata, found):
    assert await steps(client, thread, metadata=metadata, limit=100) == found


async def test_checkpoints_are_found_by_their_run(client, thread, runs):
    assert await steps(client, thread, metadata={"run_id": runs[1]}) == [6, 5, 4, 3]
    assert await steps(client, thread, metadata={"run_id": NOBODY}) == []


async def test_filters_are_combined(client, thread, runs):
    newest = (await client.threads.get_history(thread, limit=1))[0]
    middle = (await client.threads.get_history(thread, metadata={"step": 5}))[0]
    assert await steps(client, thread, metadata={"source": "input"}, before=flat(middle)) == [3, -1]
    assert await steps(client, thread, metadata={"source": "input"}, before=flat(middle), limit=1) == [3]
    assert await steps(client, thread, checkpoint={"checkpoint_id": middle["checkpoint_id"]}) == [5]
    place = {"checkpoint_id": newest["checkpoint_id"], "checkpoint_ns": ""}
    assert await steps(client, thread, checkpoint=place, metadata={"source": "input"}) == []
    assert await steps(client, thread, checkpoint={"checkpoint_ns": ""}, limit=2) == [10, 9]


async def test_nothing_is_before_the_first_and_everything_before_a_later_one(client, thread, runs):
    whole = await client.threads.get_history(thread, limit=100)
    assert await client.threads.get_history(thread, before=flat(whole[-1])) == []
    later = {"checkpoint_id": "ffffffff-ffff-6fff-bfff-ffffffffffff"}
    assert await client.threads.get_history(thread, before=later, limit=100) == whole


async def test_a_subgraph_has_a_history_of_its_own(client, thread):
    await client.runs.wait(thread, "deep", input={"foo": "ask"})
    await client.runs.wait(thread, "deep", command={"resume": "gold"})
    root = await client.threads.get_history(thread)
    assert [(state["next"], state["values"]) for state in root] == [
        ([], {"foo": "ask", "found": "gold"}),
        (["middle"], {"foo": "ask"}),
        (["__start__"], {}),
    ]
    middle = root[1]["tasks"][0]["checkpoint"]
    assert middle == {"thread_id": thread, "checkpoint_ns": f"middle:{root[1]['tasks'][0]['id']}"}
    inside = await client.threads.get_history(thread, checkpoint=middle)
    assert [(state["next"], state["values"]) for state in inside] == [
        ([], {"foo": "ask", "found": "gold"}),
        (["bottom"], {"foo": "ask"}),
        (["__start__"], {}),
    ]
    assert {state["checkpoint"]["checkpoint_ns"] for state in inside} == {middle["checkpoint_ns"]}
    assert inside[1]["metadata"]["parents"] == {"": root[1]["checkpoint_id"]}

    bottom = inside[1]["tasks"][0]["checkpoint"]
    deepest = await client.threads.get_history(thread, checkpoint=bottom, limit=2)
    assert [state["next"] for state in deepest] == [[], ["dig"]]
    assert deepest[0]["metadata"]["parents"] == {
        "": root[1]["checkpoint_id"],
        middle["checkpoint_ns"]: inside[1]["checkpoint_id"],
    }
    before = await client.threads.get_history(thread, checkpoint=bottom, before=deepest[1]["checkpoint"])
    assert [state["next"] for state in before] == [["__start__"]]


async def test_a_namespace_that_is_none_has_no_history(client, thread, runs):
    assert await client.threads.get_history(thread, checkpoint={"checkpoint_ns": f"child:{NOBODY}"}) == []


async def test_the_tasks_of_the_past_show_what_they_wrote(client, thread):
    await client.runs.wait(thread, "two_approvals", input={"foo": "x"})
    asked = (await client.threads.get_state(thread))["interrupts"]
    await client.runs.wait(thread, "two_approvals", command={"resume": {each["id"]: "yes" for each in asked}})
    stopped = (await client.threads.get_history(thread))[1]
    assert stopped["next"] == ["left", "right"]
    assert [(task["name"], task["result"]) for task in stopped["tasks"]] == [
        ("left", {"log": ["left: yes"]}),
        ("right", {"log": ["right: yes"]}),
    ]


async def test_a_missing_thread_has_no_history(client):
    with pytest.raises(NotFoundError) as refusal:
        await client.threads.get_history(NOBODY)
    assert refusal.value.body == {"detail": f"Thread with ID {NOBODY} not found"}


async def test_a_selection_of_fields_which_newer_clients_send_changes_nothing(client, thread, runs):
    """The document has none for states; what it does not know is ignored."""
    select = ["values.log", "next"]
    assert await client.threads.get_state(thread, select=select) == await client.threads.get_state(thread)
    whole = await client.threads.get_history(thread)
    assert await client.threads.get_history(thread, select=select) == whole
    place = whole[3]["checkpoint"]
    read = await client.threads.get_state(thread, checkpoint=place)
    assert await client.threads.get_state(thread, checkpoint=place, select=select) == read
