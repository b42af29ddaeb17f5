"""Answers that come before the request's body was read: the client gets them, and may go on with its connection."""

import json
from uuid import uuid4

import pytest
from support.raw import Raw

BODY = json.dumps({"metadata": {"text": "x" * 20_000}}).encode()
THREAD = str(uuid4())
REFUSED = {
    "an address that is none": ("PATCH /threads/nothing", 422),
    "a wrong query": (f"POST /threads/{THREAD}/runs/x/cancel?wait=1", 422),
    "a path that is not there": ("POST /nothing", 404),
    "a method that is not there": ("PUT /threads/search", 405),
    "a body that nobody reads": (f"GET /threads/{THREAD}", 404),
    "a body that nobody reads, of a good request": ("GET /info", 200),
}


def is_alive(raw: Raw) -> bool:
    raw.send("GET /ok")
    return raw.answer()[0] == 200


@pytest.mark.parametrize(("head", "status"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_the_connection_goes_on(url, head, status, coding):
    with Raw(url) as raw:
        for _ in range(2):
            if coding == "length":
                raw.send(head, BODY, (f"content-length: {len(BODY)}",))
            else:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
                raw.send(head, body, ("transfer-encoding: chunked",))
            found, headers, _ = raw.answer()
            assert (found, headers.get("connection")) == (status, None)
        assert is_alive(raw)


def test_the_answer_comes_while_the_body_is_still_sent(url):
    with Raw(url) as raw:
        raw.send("PATCH /threads/nothing", BODY[:100], (f"content-length: {len(BODY)}",))
        assert raw.answer()[0] == 422
        raw.socket.sendall(BODY[100:])
        assert is_alive(raw)


def test_of_a_long_body_some_is_read_and_the_connection_ends(url):
    length = 64 << 20
    with Raw(url) as raw:
        raw.send("PATCH /threads/nothing", b" " * (512 << 10), (f"content-length: {length}",))
        status, headers, _ = raw.answer()
        assert (status, headers["connection"]) == (422, "close")
        # What is sent until the client has seen that is taken.
        raw.socket.sendall(b" " * (256 << 10))


def test_who_waits_for_leave_to_send_is_answered_instead(url):
    headers = (f"content-length: {len(BODY)}", "expect: 100-continue")
    with Raw(url) as raw:
        raw.send("PATCH /threads/nothing", b"", headers)
        status, headers, _ = raw.answer()
        assert (status, headers["connection"]) == (422, "close")
        assert raw.rest() == b""


def test_too_large_a_body_is_refused_before_it_is_sent(start_server):
    server = start_server(env={"AGENT_SERVER_MAX_BODY_BYTES": "1000"})
    with Raw(server.url) as raw:
        raw.send("POST /threads", BODY, (f"content-length: {len(BODY)}",))
        status, headers, _ = raw.answer()
        assert (status, headers.get("connection")) == (413, None)
        assert is_alive(raw), "it was not so large after all"
    with Raw(server.url) as raw:
        raw.send("POST /threads", b"{", (f"content-length: {400 << 20}",))
        status, headers, _ = raw.answer()
        assert (status, headers["connection"]) == (413, "close")


async def test_strangers_are_refused_on_a_connection_that_goes_on(auth):
    with Raw(auth.server.url) as raw:
        for _ in range(2):
            raw.send("POST /threads", BODY, (f"content-length: {len(BODY)}",))
            assert raw.answer()[0] == 401
        assert is_alive(raw)


async def test_a_state_in_the_name_of_a_node_that_cannot_be(client, url):
    thread = (await client.threads.create())["thread_id"]
    body = json.dumps({"values": {"text": "x" * 20_000}, "as_node": -1}).encode()
    with Raw(url) as raw:
        raw.send(f"POST /threads/{thread}/state", body, (f"content-length: {len(body)}",))
        assert raw.answer()[0] == 422
        assert is_alive(raw)
