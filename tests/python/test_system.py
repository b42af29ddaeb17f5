"""Health, information, documentation."""

from importlib.metadata import version


async def test_the_server_says_that_it_is_well(http):
    for path in ("/ok", "/", "/ok?check_db=1"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["ok"]) == (200, True)


async def test_the_server_tells_its_versions(http):
    info = (await http.get("/info")).json()
    assert info["version"] == "0.16.7"
    assert info["langgraph_py_version"] == version("langgraph")
    assert info["flags"]["assistants"] is True


async def test_the_api_is_documented(http):
    document = (await http.get("/openapi.json")).json()
    assert "/threads/{thread_id}/runs/{run_id}" in document["paths"]
    docs = await http.get("/docs")
    assert docs.status_code == 200 and docs.headers["content-type"].startswith("text/html")


async def test_any_read_answers_head_too(http, client):
    thread = (await client.threads.create())["thread_id"]
    answer = await http.head(f"/threads/{thread}")
    assert (answer.status_code, answer.content) == (200, b"")
