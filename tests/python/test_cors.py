"""Which pages of other origins may call, as a browser asks: by default, with a list, with a pattern."""

import json
import subprocess

import httpx
import pytest

from support.server import PROJECT, binary

APP = "https://app.example.com"
OTHER = "https://other.example"


def preflight(url: str, origin: str, method: str = "POST", headers: str | None = None) -> httpx.Response:
    ask = {"origin": origin, "access-control-request-method": method}
    if headers:
        ask["access-control-request-headers"] = headers
    return httpx.options(f"{url}/threads", headers=ask, trust_env=False)


def call(url: str, origin: str) -> httpx.Response:
    return httpx.get(f"{url}/info", headers={"origin": origin}, trust_env=False)


def said(answer: httpx.Response) -> dict[str, str]:
    """What an answer says about origins, without the prefix that all of these headers have."""
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)}


async def test_everybody_may_call_by_default_without_credentials(url):
    answer = preflight(url, OTHER, "DELETE", "x-api-key,x-what-ever")
    assert answer.status_code == 200
    assert said(answer) == {
        "allow-origin": "*",
        "allow-methods": "GET,POST,PUT,PATCH,DELETE,OPTIONS,HEAD",
        "allow-headers": "x-api-key,x-what-ever",
        "max-age": "600",
    }
    assert said(call(url, OTHER)) == {
        "allow-origin": "*",
        "expose-headers": "x-pagination-total,x-pagination-next,content-location,location,retry-after",
    }


def test_an_object_says_it_all(start_server):
    cors = {
        "allow_origins": [APP],
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["x-api-key"],
        "allow_credentials": True,
        "allow_origin_regex": r"https://[a-z]+\.preview\.example\.com",
        "expose_headers": ["content-location"],
        "max_age": 5,
    }
    url = start_server({"CORS_CONFIG": json.dumps(cors)}).url
    for origin in (APP, "https://blue.preview.example.com"):
        answer = preflight(url, origin, "POST", "Content-Type, X-Api-Key")
        assert answer.status_code == 200
        assert said(answer) == {
            "allow-origin": origin,
            "allow-credentials": "true",
            "allow-methods": "GET,POST",
            "allow-headers": "accept,accept-language,content-language,content-type,x-api-key",
            "max-age": "5",
        }
        assert said(call(url, origin)) == {
            "allow-origin": origin,
            "allow-credentials": "true",
            "expose-headers": "content-location",
        }
    for origin, method, headers, text in [
        (OTHER, "POST", None, "origin"),
        ("https://blue.preview.example.com.evil.net", "POST", None, "origin"),
        ("https://app.example.com:8443", "POST", None, "origin"),
        ("null", "POST", None, "origin"),
        (APP, "DELETE", None, "method"),
        (APP, "POST", "x-api-key, x-other", "headers"),
        (OTHER, "PUT", "x-other", "origin, method, headers"),
    ]:
        answer = preflight(url, origin, method, headers)
        assert (answer.status_code, answer.text) == (400, f"Disallowed CORS {text}")
        assert said(answer) == {}
    # A browser sends such a call and then keeps the answer from the page.
    answer = call(url, OTHER)
    assert (answer.status_code, said(answer)) == (200, {"expose-headers": "content-location"})


def test_a_list_of_origins_keeps_everything_else(start_server):
    url = start_server({"CORS_ALLOW_ORIGINS": f"{APP}, https://second.example"}).url
    assert said(call(url, APP)) == {
        "allow-origin": APP,
        "allow-credentials": "true",
        "expose-headers": "x-pagination-total,x-pagination-next,content-location,location,retry-after",
    }
    assert preflight(url, "https://second.example", "DELETE", "x-anything").status_code == 200
    assert preflight(url, OTHER).text == "Disallowed CORS origin"


@pytest.mark.parametrize(
    ("cors", "cause"),
    [
        ({"allow_credentials": True}, "allow_credentials needs origins that are listed in allow_origins"),
        ({"allow_credentials": True, "allow_origins": ["*"]}, "allow_credentials needs origins that are listed"),
        ({"allow_origins": [f"{APP}/"]}, f"allow_origins: '{APP}/' is no origin such as"),
        ({"allow_orgins": [APP]}, "unknown key 'allow_orgins', did you mean 'allow_origins'?"),
    ],
)
def test_what_would_let_everybody_in_by_mistake_is_refused(tmp_path, cors, cause):
    project = json.loads((PROJECT / "langgraph.json").read_text()) | {"http": {"cors": cors}}
    config = tmp_path / "langgraph.json"
    config.write_text(json.dumps(project))
    command = [str(binary()), "serve", "--config", str(config), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"error: http.cors of langgraph.json: {cause}" in ended.stderr
