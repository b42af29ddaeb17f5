"""Connections without a client: what is on the wire, byte for byte."""

import socket
from urllib.parse import urlsplit

SECONDS = 60
"""Only a failure takes so long."""


class Raw:
    """One connection."""

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        address = urlsplit(url)
        self.host = address.netloc
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if receive_buffer:
            # Before the connection: its window follows.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((address.hostname, address.port))
        self.read = b""

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, head: str, body: bytes = b"", headers: tuple[str, ...] = ()) -> None:
        """Sends the head of a request, such as `GET /ok`, and whatever there is of its body."""
        lines = [f"{head} HTTP/1.1", f"host: {self.host}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def more(self) -> bool:
        """Receives something; whether there was anything before the end."""
        piece = self.socket.recv(1 << 16)
        self.read += piece
        return piece != b""

    def until(self, what: bytes) -> bytes:
        """What comes up to and with `what`."""
        while what not in self.read:
            assert self.more(), f"the connection ended: {self.read!r}"
        end = self.read.index(what) + len(what)
        taken, self.read = self.read[:end], self.read[end:]
        return taken

    def exactly(self, count: int) -> bytes:
        while len(self.read) < count:
            assert self.more(), f"the connection ended: {self.read!r}"
        taken, self.read = self.read[:count], self.read[count:]
        return taken

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer whose length is known."""
        first, *lines = self.until(b"\r\n\r\n").decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, self.exactly(int(headers["content-length"]))

    def rest(self) -> bytes:
        """What comes up to an orderly end."""
        while self.more():
            pass
        return self.read


def frame(payload: bytes, kind: int = 1) -> bytes:
    """A frame of a client, whose mask changes nothing."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | kind]) + length + bytes(4) + payload


def upgraded(url: str, path: str, **options) -> Raw:
    """A connection that has become a WebSocket."""
    raw = Raw(url, **options)
    key = ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13")
    raw.send(f"GET {path}", headers=("upgrade: websocket", "connection: upgrade", *key))
    assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return raw
