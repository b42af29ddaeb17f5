"""Dependencies of FastAPI as parameters of the handler that says who asks."""

import pytest
from support.auth import AuthServer

ROOT = {"authorization": "Bearer root"}


@pytest.fixture(scope="module")
def depending(tmp_path_factory):
    auth = AuthServer(tmp_path_factory.mktemp("depends"), "depends.json", headers=ROOT)
    auth.server.start()
    yield auth
    auth.server.stop()


async def test_parameters_are_what_dependencies_give(depending):
    """Annotated and as default; synchronous, asynchronous, generators, classes, security schemes and their scopes."""
    async with depending.http() as http:
        headers = {"authorization": "Bearer ann", "x-tenant": "7"}
        depending.calls()
        created = await http.post("/threads?a=1&a=2", json={}, headers=headers)
        assert created.status_code == 200, created.text
        assert created.json()["metadata"]["user"] == {
            "permissions": ["read"],
            "fields": {
                "identity": "ann",
                "is_authenticated": True,
                "display_name": "ann",
                "permissions": ["read"],
                "seen": {
                    "method": "POST",
                    "session": "session",
                    "unknown": 1,
                    "path": "/threads",
                    "path_params": {},
                    "tenant": 7,
                    "a": ["1", "2"],
                },
            },
        }
        # Generators end behind the handler.
        assert [call["what"] for call in depending.calls()] == ["opened", "authenticate", "closed"]


async def test_what_dependencies_refuse_is_refused(depending):
    async with depending.http() as http:

        async def refused(**headers: str):
            answer = await http.get("/threads/x", headers={name.replace("_", "-"): text for name, text in headers.items()})
            return answer, answer.status_code

        answer, status = await refused()
        assert (status, answer.json()) == (401, {"detail": "Who are you?"})
        assert answer.headers["www-authenticate"] == "Bearer"
        answer, status = await refused(authorization="Bearer bad")
        assert (status, answer.json()) == (400, {"detail": "no such token"})
        answer, status = await refused(authorization="Bearer crash")
        assert (status, answer.text) == (500, "Internal Server Error")
        answer, status = await refused(authorization="Bearer ann", x_tenant="seven")
        assert status == 422
        assert "x-tenant" in answer.json()["detail"]


async def test_users_are_remembered_by_everything_that_dependencies_may_look_at(depending):
    async with depending.http() as http:
        depending.calls()
        for user, path in [("warm", "/threads/x"), ("warm", "/threads/x"), ("warm", "/threads/y"), ("other", "/threads/y")]:
            answer = await http.get(path, headers={"authorization": f"Bearer {user}"})
            assert answer.status_code == 422
        users = [call["user"] for call in depending.calls() if call["what"] == "authenticate"]
        assert users == ["warm", "warm", "other"]
