"""Health, information, documentation."""

import re
from importlib.metadata import version
from urllib.parse import urljoin


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


async def test_the_reference_page_and_all_that_it_names_come_from_the_server(http):
    page = (await http.get("/docs")).text
    named = re.findall(r'(?:src|href|url)(?:=|: )"([^"]*)"', page)
    assert named == ["data:,", "docs/swagger-ui.css", "openapi.json", "docs/swagger-ui-bundle.js", "openapi.json"]
    parts = {}
    for name in set(named) - {"data:,"}:
        answer = await http.get(urljoin("/docs", name))
        assert answer.status_code == 200, name
        parts[name] = (answer.headers["content-type"], answer.text)
    (style_type, style), (script_type, script) = parts["docs/swagger-ui.css"], parts["docs/swagger-ui-bundle.js"]
    assert (style_type, script_type) == ("text/css", "text/javascript")
    assert ".swagger-ui" in style and "SwaggerUIBundle" in script
    # Nothing is loaded from elsewhere: not by the page, not by the style sheet, and the validator is off.
    assert "//" not in re.sub(r"^//.*$", "", page, flags=re.MULTILINE)
    assert not re.findall(r"url\((?![\"']?data:)", style) and "@import" not in style
    assert "validatorUrl: null" in page


async def test_any_read_answers_head_too(http, client):
    thread = (await client.threads.create())["thread_id"]
    answer = await http.head(f"/threads/{thread}")
    assert (answer.status_code, answer.content) == (200, b"")
