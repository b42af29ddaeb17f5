"""Who asks: what is protected, what handlers may answer, and what becomes of refusals."""

import asyncio
import json

import httpx
import pytest
from support.auth import AuthServer
from support.server import ROOT

PLAIN = "text/plain; charset=utf-8"
DOCUMENT = json.loads((ROOT / "openapi.json").read_text())
OPEN = {"/", "/info", "/ok", "/metrics", "/docs", "/openapi.json"}
WHO = {"detail": "Who are you?"}


async def test_every_operation_but_a_few_is_protected(auth):
    """Before the body is read and before anything is looked up."""
    async with auth.http() as http:
        for template, operations in DOCUMENT["paths"].items():
            path = template.replace("{", "").replace("}", "")
            for method in set(operations) - {"parameters", "summary", "description"}:
                if template in OPEN:
                    assert (await http.request(method, path)).status_code != 401, path
                    continue
                answer = await http.request(method, path, content=b"no json")
                assert (answer.status_code, answer.json()) == (401, WHO), (method, path)


@pytest.mark.parametrize("path", ["/nowhere", "/ok/", "/threads/", "/%6Fk", "/.well-known/agent-card.json", "/uiz"])
async def test_strangers_learn_nothing_of_paths(auth, path):
    async with auth.http() as stranger, auth.http("alice") as alice:
        assert (await stranger.get(path)).status_code == 401
        assert (await alice.get(path)).status_code == 404


async def test_preflights_need_no_credentials(auth):
    async with auth.http() as http:
        headers = {"origin": "https://x", "access-control-request-method": "POST"}
        answer = await http.options("/threads", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        refused = await http.post("/threads", json={}, headers={"origin": "https://x"})
        assert refused.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "user, status, body",
    [
        ("forbidden", 403, {"detail": "Forbidden"}),
        ("teapot", 429, {"detail": "slow down"}),
        ("value", 400, {"detail": "no such user"}),
        ("assertion", 500, None),
        ("crash", 500, None),
    ],
)
async def test_what_a_handler_raises(auth, user, status, body):
    async with auth.http(user) as http:
        answer = await http.post("/threads", json={})
        assert answer.status_code == status
        if body is None:
            assert (answer.text, answer.headers["content-type"]) == ("Internal Server Error", PLAIN)
        else:
            assert answer.json() == body


async def test_headers_of_refusals_are_sent(auth):
    async with auth.http() as stranger, auth.http("teapot") as teapot:
        assert (await stranger.get("/threads/x")).headers["www-authenticate"] == "Bearer"
        assert (await teapot.get("/threads/x")).headers["retry-after"] == "7"


async def test_what_is_no_user_is_refused(auth):
    async with auth.http("number") as http:
        answer = await http.get("/threads/x")
        assert answer.status_code == 400
        assert "int" in answer.json()["detail"]


async def test_a_websocket_is_refused_with_403(auth):
    async with auth.http() as http:
        headers = {"upgrade": "websocket", "connection": "upgrade"}
        assert (await http.get("/threads/x/stream/events", headers=headers)).status_code == 403


async def test_a_warm_cache_asks_nobody(auth):
    async with auth.http("warm") as http:
        auth.calls()
        for n in range(5):
            # What differs from request to request does not count.
            answer = await http.post("/assistants/search", json={}, headers={"x-request-id": str(n)})
            assert answer.status_code == 200
        calls = [call["what"] for call in auth.calls()]
        assert calls == ["authenticate"] + ["assistants:search"] * 5


async def test_another_credential_is_asked_about(auth):
    async with auth.http("warm") as http:
        await http.post("/assistants/search", json={})
        auth.calls()
        await http.post("/assistants/search", json={}, headers={"x-user": "warm2"})
        assert auth.calls()[0] == {"what": "authenticate", "user": "warm2"}


async def test_refusals_are_not_remembered(auth):
    async with auth.http("forbidden") as http:
        auth.calls()
        for _ in range(2):
            assert (await http.get("/threads/x")).status_code == 403
        assert len(auth.calls()) == 2


async def test_the_document_says_how_to_authenticate(auth):
    async with auth.http() as http:
        document = (await http.get("/openapi.json")).json()
        assert document["security"] == [{"token": []}]
        assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


async def test_studio_is_nobody_special(auth):
    async with auth.http() as http:
        answer = await http.post("/threads", json={}, headers={"x-auth-scheme": "langsmith"})
        assert (answer.status_code, answer.json()) == (401, WHO)


async def test_studio_may_be_trusted_at_a_workplace(tmp_path):
    auth = AuthServer(tmp_path, more=("--trust-studio",))
    auth.server.start()
    try:
        async with auth.http() as http:
            assert (await http.post("/threads", json={})).status_code == 401
            auth.calls()
            answer = await http.post("/threads", json={}, headers={"x-auth-scheme": "langsmith"})
            assert answer.status_code == 200
            # Handlers know it for what it is: nothing is stamped.
            assert answer.json()["metadata"] == {}
            [(event, _)] = auth.calls.asked()
            assert event == "threads:create"
    finally:
        auth.server.stop()


async def test_without_a_cache_each_request_is_asked_about_and_users_have_every_form(tmp_path):
    """A synchronous handler with every parameter."""
    auth = AuthServer(tmp_path, "forms.json")
    auth.server.start()
    try:
        async with auth.http() as http:

            async def user_of(form: str) -> dict:
                created = await http.post("/threads?a=1&a=2&b=", json={}, headers={"authorization": form})
                assert created.status_code == 200, created.text
                return created.json()["metadata"]["user"]

            auth.calls()
            plain = {"identity": "name", "is_authenticated": True, "display_name": "name"}
            assert await user_of("string") == {"permissions": [], "fields": plain}
            call = auth.calls()[0]
            assert call.pop("port") == auth.server.port
            assert call == {
                "what": "authenticate",
                "method": "POST",
                "path": "/threads",
                "path_params": {},
                "query": [["a", "1"], ["a", "2"], ["b", ""]],
                "headers": "string",
                "request": ["POST", "string"],
                "scope": ["http", "POST", "/threads", "a=1&a=2&b="],
                "user": None,
                "scopes": [],
                "body": "never given",
            }
            assert await user_of("string") == {"permissions": [], "fields": plain}
            assert [call["what"] for call in auth.calls()] == ["authenticate", "threads:create"]
            assert await user_of("tuple") == {"permissions": ["p"], "fields": plain | {"extra": [1]}}
            members = plain | {"permissions": ["p"], "extra": [1]}
            assert await user_of("object") == {"permissions": ["p"], "fields": members}
            named = plain | {"display_name": "Name", "permissions": ["p"], "extra": {"deep": 1}}
            assert await user_of("dict") == {"permissions": ["p"], "fields": named}
            for form in ("none", "no identity", "triple"):
                answer = await http.post("/threads", json={}, headers={"authorization": form})
                assert answer.status_code == 400, form
    finally:
        auth.server.stop()


async def test_a_refusal_reaches_who_is_still_sending(auth):
    async with auth.http() as http:
        for size in (1, 200_000, 5_000_000):
            answer = await http.post("/threads", content=b" " * size)
            assert (answer.status_code, answer.json()) == (401, WHO)


@pytest.mark.parametrize("user", ["hang", "block"])
async def test_a_handler_that_hangs_keeps_nobody_out_for_long(tmp_path, user):
    """In the loop's patience, and blocking its loop."""
    auth = AuthServer(tmp_path, env={"AGENT_SERVER_AUTH_TIMEOUT_SECONDS": "1"})
    auth.server.start()
    try:
        async with auth.http(user) as stuck, auth.http("alice") as alice:
            answer = await stuck.get("/threads/x")
            assert answer.status_code == 503
            assert answer.json() == {"detail": "Authentication is not available at the moment"}

            async def recovered() -> bool:
                return (await alice.post("/threads", json={})).status_code == 200

            async with asyncio.timeout(20):
                while not await recovered():
                    pass
    finally:
        auth.server.stop()


async def test_a_handler_that_kills_its_process_takes_nothing_else_down(tmp_path):
    auth = AuthServer(tmp_path)
    auth.server.start()
    try:
        async with auth.http("die") as deadly, auth.client("alice") as alice:
            answer = await deadly.get("/threads/x")
            assert answer.status_code == 503
            thread = await alice.threads.create()
            assert (await alice.runs.wait(thread["thread_id"], "simple", input={}))["n"] == 1
    finally:
        auth.server.stop()


async def test_strangers_of_a_server_without_authentication_are_as_before(http: httpx.AsyncClient):
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    created = await http.post(f"/threads/{thread}/runs", json={"assistant_id": "simple", "input": {}})
    configurable = created.json()["kwargs"]["config"]["configurable"]
    seen = {key: configurable[key] for key in configurable if "auth" in key or key == "user_id"}
    assert seen == {
        "langgraph_auth_user": None,
        "langgraph_auth_user_id": "",
        "langgraph_auth_permissions": [],
        "user_id": "",
    }


