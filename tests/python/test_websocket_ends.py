"""How WebSockets end, at the wire: what one side says last, the other answers."""

from uuid import uuid4

import pytest
from support.raw import frame, upgraded
from support.server import Server
from test_custom_app import project

NORMAL = (1000).to_bytes(2, "big") + b"bye"


@pytest.mark.parametrize(("said", "answered"), [(NORMAL, NORMAL), (b"", b"")], ids=["with a reason", "without"])
def test_the_end_of_a_client_is_answered(url, said, answered):
    with upgraded(url, f"/threads/{uuid4()}/stream/events") as raw:
        raw.socket.sendall(frame(said, kind=8))
        assert raw.rest() == bytes([0x88, len(answered)]) + answered


def test_what_a_client_says_behind_its_end_disturbs_nothing(url):
    with upgraded(url, f"/threads/{uuid4()}/stream/events") as raw:
        raw.socket.sendall(frame(NORMAL, kind=8) + frame(b"{}"))
        assert raw.read + raw.exactly(2 + len(NORMAL)) == bytes([0x88, len(NORMAL)]) + NORMAL


def test_the_end_of_a_client_of_the_custom_app_is_answered(tmp_path):
    server = Server(tmp_path, config=project(tmp_path, {"app": "./app.py:app"}))
    server.start()
    try:
        with upgraded(server.url, "/talk") as raw:
            raw.socket.sendall(frame(NORMAL, kind=8))
            assert raw.rest().endswith(bytes([0x88, len(NORMAL)]) + NORMAL)
    finally:
        server.stop()
