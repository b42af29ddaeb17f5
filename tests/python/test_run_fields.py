"""Fields of run creations that the server keeps without acting on them."""

import pytest


@pytest.fixture
async def thread(client) -> str:
    return (await client.threads.create())["thread_id"]


async def test_a_webhook_is_kept(client, thread):
    run = await client.runs.create(thread, "simple", input={"foo": "x"}, webhook="https://example.com/hook")
    assert run["kwargs"]["webhook"] == "https://example.com/hook"
    await client.runs.join(thread, run["run_id"])
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"


@pytest.mark.parametrize("route", ["/runs", "/runs/wait", "/runs/stream"])
@pytest.mark.parametrize("stateless", [True, False])
async def test_a_webhook_to_this_machine_is_refused(http, thread, route, stateless):
    path = route if stateless else f"/threads/{thread}{route}"
    answer = await http.post(path, json={"assistant_id": "simple", "webhook": "http://127.0.0.1/x"})
    assert (answer.status_code, answer.json()) == (422, {"detail": "Webhook host blocked: loopback IP range"})


async def test_a_tracer_is_in_the_configurable_of_this_run_alone(client, http, thread):
    tracer = {"project_name": "p", "example_id": "e"}
    body = {"assistant_id": "simple", "input": {"foo": "x"}, "langsmith_tracer": tracer}
    run = (await http.post(f"/threads/{thread}/runs", json=body)).json()
    configurable = run["kwargs"]["config"]["configurable"]
    assert (configurable["__langsmith_project__"], configurable["__langsmith_example_id__"]) == ("p", "e")
    assert (await client.runs.join(thread, run["run_id"]))["log"] == ["a", "b"]
    after = await client.runs.create(thread, "simple", input={"foo": "x"})
    assert "__langsmith_project__" not in after["kwargs"]["config"]["configurable"]


async def test_a_tracer_is_made_of_strings(http, thread):
    body = {"assistant_id": "simple", "langsmith_tracer": {"project_name": 5}}
    answer = await http.post(f"/threads/{thread}/runs", json=body)
    assert answer.status_code == 422
    assert "project_name" in answer.json()["detail"]
