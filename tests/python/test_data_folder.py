"""The data folder: full, read-only, damaged, looked over, and empty of what was deleted."""

import asyncio
import random
import resource
import sqlite3
import subprocess
from datetime import UTC, datetime
from uuid import UUID

from langgraph_sdk import get_client

from support.server import STORE_PROJECT, Server, binary, wait_until

CANARY_BYTES = 24


def doctor(server: Server) -> subprocess.CompletedProcess:
    command = [str(binary()), "doctor", "--data-dir", str(server.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def canary(seed: int) -> str:
    """Letters that no compressor can shorten much."""
    noise = random.Random(seed)
    return "".join(chr(noise.randrange(0x4E00, 0x9000)) for _ in range(4000))


def holds(server: Server, text: str) -> list[str]:
    """Files of the data folder in which some part of the text can be read."""
    whole = text.encode()
    parts = [whole[at : at + CANARY_BYTES] for at in range(300, len(whole) - CANARY_BYTES, 500)]
    found = []
    for file in server.data.iterdir():
        if file.is_file():
            content = file.read_bytes()
            if any(part in content for part in parts):
                found.append(file.name)
    return found


async def test_a_folder_with_work_in_it_is_sound(start_server, gate):
    server = start_server()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, "approval", input={"foo": "x"})
        await client.runs.wait(None, "simple", input={"foo": "x"})
        run = await client.runs.create(thread, "waiting", input=gate.input())
        visitor = await gate.visitor()
        # While the server works, after its death, and after an orderly end.
        assert (doctor(server).stdout, doctor(server).returncode) == (f"{server.data}: sound\n", 0)
        server.kill()
        assert doctor(server).stdout == f"{server.data}: sound\n"
        await visitor.gone()
        server.start()
        (await gate.visitor()).let_in()
        await client.runs.join(thread, run["run_id"])
    server.stop()
    assert doctor(server).stdout == f"{server.data}: sound\n"


async def test_what_is_wrong_is_listed(start_server):
    server = start_server()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, "simple", input={"foo": "x"})
    server.stop()
    with sqlite3.connect(server.data / "agent-server.db") as database:
        database.execute("UPDATE thread SET status = 'busy'")
        database.execute("UPDATE run SET status = 'odd'")
        head = database.execute("SELECT max(checkpoint_id) FROM checkpoint").fetchone()[0]
        database.execute("UPDATE checkpoint SET small = x'09ff' WHERE checkpoint_id = ?", [head])
    database.close()
    found = doctor(server)
    run = found.stdout.split("run ")[2].split(" ")[0]
    assert found.stdout.splitlines() == [
        f"thread {thread} is busy without a run in flight",
        f"run {run} has the unknown status odd",
        f"thread {thread}: checkpoint {head} (''): storage is damaged or of another version: "
        f"table checkpoint, row {head}, column small: unknown compression",
    ]
    assert (found.stderr, found.returncode) == (f"error: {server.data}: 3 inconsistencies\n", 1)


async def test_slots_of_crons_are_looked_at(start_server):
    server = start_server()
    async with get_client(url=server.url, api_key=None) as client:
        thread = (await client.threads.create())["thread_id"]
        other = (await client.threads.create())["thread_id"]
        cron = (await client.crons.create_for_thread(thread, "simple", schedule="* * * * * *", input={}))["cron_id"]
        async with asyncio.timeout(60):
            while len(await client.runs.list(thread)) < 3:
                await asyncio.sleep(0.1)
        await client.crons.update(cron, enabled=False)
        first = (await client.runs.list(thread))[-1]["run_id"]
        await client.runs.join(thread, first)
        # A slot outlives its run.
        await client.runs.delete(thread, first)
    server.stop()
    assert doctor(server).stdout == f"{server.data}: sound\n"
    with sqlite3.connect(server.data / "agent-server.db") as database:
        slots = [slot for (slot,) in database.execute("SELECT slot FROM cron_slot ORDER BY slot")]
        [run] = database.execute("SELECT run_id FROM cron_slot WHERE slot = ?", [slots[1]]).fetchone()
        database.execute("UPDATE cron_slot SET run_id = x'07' WHERE slot = ?", [slots[0]])
        database.execute("UPDATE cron_slot SET run_id = ? WHERE slot > ?", [run, slots[1]])
        database.execute("UPDATE run SET thread_id = ?, temporary = 1 WHERE run_id = ?", [UUID(other).bytes, run])
    database.close()
    found = doctor(server).stdout.splitlines()
    at, run = datetime.fromtimestamp(slots[0] // 10**6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), UUID(bytes=run)
    wrong = f"cron {cron} of thread {thread} has fired with run {run} of thread {other}"
    gone = f"run {run} of cron {cron} goes away with its thread, which is the cron's"
    assert [line for line in found if "cron" in line] == [
        f"cron {cron} has fired for {at}, but it is not said with which run",
        f"run {run} is the one of {len(slots) - 1} slots of crons",
        *[wrong] * (len(slots) - 1),
        *[gone] * (len(slots) - 1),
    ]
    with sqlite3.connect(server.data / "agent-server.db") as database:
        database.execute("UPDATE cron_slot SET cron_id = zeroblob(16)")
    database.close()
    assert doctor(server).stdout.splitlines() == ["table cron_slot: a row without its parent"] * len(slots)


def test_no_data_is_no_sound_data(tmp_path):
    found = doctor(Server(tmp_path))
    assert found.returncode == 1 and f"there is no {tmp_path}/data/agent-server.db" in found.stderr


async def test_a_damaged_page_is_told_and_nobody_waits_for_ever(start_server, client_of):
    server = start_server()
    async with get_client(url=server.url, api_key=None) as client:
        for _ in range(20):
            thread = (await client.threads.create())["thread_id"]
            await client.runs.wait(thread, "simple", input={"foo": "x"})
    server.stop()
    file = server.data / "agent-server.db"
    content = bytearray(file.read_bytes())
    content[-4096:] = b"\xa5" * 4096
    file.write_bytes(content)
    found = doctor(server)
    assert found.returncode == 1 and f"page {len(content) // 4096}" in found.stdout
    # Nobody waits for ever: what does not need the page is served, and what does says so.
    server.start()
    client, http = client_of(server)
    answer = await http.post("/runs/wait", json={"assistant_id": "simple", "input": {"foo": "x"}})
    text = "The end of the run could not be saved: the server's storage is damaged."
    assert answer.status_code == 500 or answer.json() in (
        {"foo": "A", "log": ["a", "b"]},
        {"__error__": {"error": "StorageError", "message": text}},
    )
    assert (await http.get("/ok")).status_code == 200


async def test_a_full_disk_is_a_503_and_leaves_nothing_half_done(start_server, client_of):
    server = start_server()
    client, http = client_of(server)
    before = await client.threads.create(metadata={"mark": "before"})
    size = (server.data / "agent-server.db").stat().st_size
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
    statuses = set()
    for number in range(40):
        body = {"metadata": {"mark": "during", "text": canary(number)}}
        answer = await http.post("/threads", json=body)
        statuses.add(answer.status_code)
        if answer.status_code == 503:
            assert "full" in answer.json()["detail"] or "disk" in answer.json()["detail"], answer.text
            break
    assert 503 in statuses and statuses <= {200, 503}
    stored = await client.threads.count(metadata={"mark": "during"})
    assert stored == number
    assert (await http.get("/ok")).status_code == 200
    assert (await client.threads.get(before["thread_id"]))["metadata"] == {"mark": "before"}
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    thread = (await client.threads.create())["thread_id"]
    assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == {"foo": "A", "log": ["a", "b"]}
    assert doctor(server).stdout == f"{server.data}: sound\n"


async def test_a_thread_that_is_deleted_at_work_leaves_no_byte(start_server, gate, client_of):
    server = start_server()
    client, http = client_of(server)
    thread = (await client.threads.create(metadata={"text": canary(1)}))["thread_id"]
    await client.runs.wait(thread, "simple", input={"foo": canary(2)})
    input = gate.input(canary(3))
    stream = client.runs.stream(thread, "waiting", input=input, stream_resumable=True, durability="sync")
    assert (await anext(stream)).event == "metadata"
    visitor = await gate.visitor()
    waits = asyncio.create_task(anext(stream, None))
    found = [name for seed in (1, 2, 3) for name in holds(server, canary(seed))]
    assert found, "the search finds nothing even while it is there"
    await client.threads.delete(thread)
    await visitor.gone()
    await waits
    await stream.aclose()
    assert (await http.get(f"/threads/{thread}")).status_code == 404
    wait_until(
        lambda: not any(holds(server, canary(seed)) for seed in (1, 2, 3)),
        "no file holds a byte of the thread",
        30,
    )
    assert doctor(server).stdout == f"{server.data}: sound\n"


async def test_items_that_are_deleted_or_over_leave_no_byte(start_server, client_of):
    server = start_server(config=STORE_PROJECT / "langgraph.json", graph="memory")
    client, _ = client_of(server)
    await client.store.put_item(["a"], "deleted", {"text": canary(1)})
    await client.store.put_item(["a", canary(2)], canary(3), {"text": "abc"})
    await client.store.put_item(["a"], "over", {"text": canary(4)}, index=False, ttl=0.05)
    assert any(holds(server, canary(seed)) for seed in (1, 2, 3, 4)), "the search finds nothing even while it is there"
    with sqlite3.connect(server.data / "agent-server.db") as database:
        vectors = [row[0] for row in database.execute("SELECT vector FROM item_vector")]
    database.close()
    assert len(vectors) == 2
    await client.store.delete_item(["a"], "deleted")
    await client.store.delete_item(["a", canary(2)], canary(3))
    with sqlite3.connect(server.data / "agent-server.db") as database:
        count = lambda table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        wait_until(lambda: count("item") == 0, "the item whose time is over is swept")
        assert count("item_vector") == 0
    database.close()
    # The numbers of a vector are rare enough to be looked for by their bytes.
    files = lambda: [file.read_bytes() for file in server.data.iterdir() if file.is_file()]
    wait_until(
        lambda: not any(holds(server, canary(seed)) for seed in (1, 2, 3, 4)) and not any(vectors[1] in file for file in files()),
        "no file holds a byte of them",
        30,
    )
    assert doctor(server).stdout == f"{server.data}: sound\n"
