"""What `/metrics` tells of the queue, the workers and the runs."""

from support.server import Server


async def figure(http, line: str) -> float:
    """The value of the one line that begins with `line`."""
    text = (await http.get("/metrics")).raise_for_status().text
    (value,) = [found.rsplit(" ", 1)[1] for found in text.splitlines() if found.startswith(line + " ")]
    return float(value)


async def test_the_queue_and_the_workers_are_shown_as_they_stand(start_server, client_of, gate):
    server: Server = start_server({"AGENT_SERVER_WORKERS": "1", "N_JOBS_PER_WORKER": "2"})
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    first = await client.runs.create(thread, "waiting", input=gate.input())
    visitor = await gate.visitor()
    await client.runs.create(thread, "simple", input={"foo": "x"}, multitask_strategy="enqueue")

    shown = (await http.get("/metrics", params={"format": "json"})).json()
    queue = shown["queue"]
    wait = queue["pending_runs_wait_time_max_secs"]
    assert wait > 0
    assert queue == {
        "n_pending": 1,
        "n_running": 1,
        "pending_runs_wait_time_max_secs": wait,
        "pending_runs_wait_time_med_secs": wait,
        # It waits for the run before it, not for a worker.
        "pending_unblocked_runs_wait_time_max_secs": None,
    }
    assert shown["workers"] == {"max": 2, "active": 1, "available": 1}
    assert set(shown) == {"queue", "api", "workers"}
    assert await figure(http, "lg_api_num_running_runs") == 1
    assert await figure(http, 'lg_api_worker_memory_bytes{worker="0"}') > 10e6

    visitor.let_in()
    await client.runs.join(thread, first["run_id"])
    for run in await client.runs.list(thread):
        await client.runs.join(thread, run["run_id"])
    ended = 'lg_api_run_execution_latency_count{graph_id="%s",status="success"}'
    assert await figure(http, ended % "waiting") == 1
    assert await figure(http, ended % "simple") == 1
    assert await figure(http, "lg_api_run_queue_wait_time_1st_attempt_count") == 2
    assert await figure(http, "lg_api_num_pending_runs") == 0


async def test_a_run_that_is_taken_up_again_is_counted(start_server, client_of, gate):
    server: Server = start_server()
    client, http = client_of(server)
    thread = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread, "waiting", input=gate.input())
    (await gate.visitor()).let_in("die")
    (await gate.visitor()).let_in()
    await client.runs.join(thread, run["run_id"])
    assert await figure(http, 'lg_api_lease_repairs_total{cause="attempt"}') == 1
    assert await figure(http, 'lg_api_run_attempt_started_counter{graph_id="waiting"}') == 2


async def test_names_begin_as_the_operator_wants(start_server, client_of):
    server: Server = start_server({"METRIC_PREFIX": "mine_"})
    _, http = client_of(server)
    assert await figure(http, "mine_num_pending_runs") == 0
    assert "lg_api_" not in (await http.get("/metrics")).text
