"""The frame protocol's Python end. Described in ``crates/worker/src/protocol.rs``.

A frame is ``u32 length | u8 kind | u32 header length | header (JSON) | (u32 length | bytes)*``, all little endian; the
first length counts everything after itself.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import cast

_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<IBI")

# From the worker.
JOIN = 1
HELLO = 2
EVENT = 3
PUT = 4
WRITES = 5
BASE = 6
LOAD = 7
STORE = 8
FLUSH = 9
DONE = 10
ANSWER = 11
SETTLED = 12
EXITED = 13
STARTED = 14
PONG = 15
# From the server.
INIT = 32
RUN = 33
REPLY = 34
CANCEL = 35
ASK = 36
FORK = 37
KILL = 38
YIELD = 39
PING = 40
AUTHENTICATE = 41
AUTHORIZE = 42
ENCRYPT = 43
DECRYPT = 44
CONTEXT = 45

Frame = tuple[int, bytes, list[bytes]]


def pack(kind: int, header: bytes, blobs: Sequence[bytes] = ()) -> list[bytes]:
    """The pieces of a frame."""
    length = 5 + len(header)
    if not blobs:
        return [_HEAD.pack(length, kind, len(header)), header]
    pieces = [b"", header]
    for blob in blobs:
        pieces.append(_LENGTH.pack(len(blob)))
        pieces.append(blob)
        length += 4 + len(blob)
    pieces[0] = _HEAD.pack(length, kind, len(header))
    return pieces


def unpack(body: bytes) -> Frame:
    """Takes a frame, without its length, apart."""
    kind = body[0]
    end = 5 + _LENGTH.unpack_from(body, 1)[0]
    header = body[5:end]
    blobs = []
    while end < len(body):
        start = end + 4
        end = start + _LENGTH.unpack_from(body, end)[0]
        blobs.append(body[start:end])
    return kind, header, blobs


def receive(sock: socket.socket) -> Frame:
    """Reads one frame from a blocking socket; used before the event loop runs."""
    return unpack(_receive_exactly(sock, _LENGTH.unpack(_receive_exactly(sock, 4))[0]))


def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError("the server closed the connection")
        data += part
    return bytes(data)


# How long frames that somebody waits for may gather while the loop does not get to run, seconds.
_LAG = 0.001


class Connection(asyncio.Protocol):
    """The connection to the server. Frames that are sent in one tick of the loop leave in one write."""

    def __init__(
        self, on_frame: Callable[[int, bytes, list[bytes]], None], on_lost: Callable[[], None]
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._pieces: list[bytes] = []
        self._written = 0.0
        self._writable = asyncio.Event()
        self._writable.set()

    def send(self, kind: int, header: bytes, blobs: Sequence[bytes] = ()) -> None:
        """Sends a frame, without waiting. Only from the loop's thread."""
        if not self._pieces:
            # Before whatever is started after this frame: a node that blocks the loop or kills the process must not
            # keep back what was done before it.
            self._loop.call_soon(self.flush)
        self._pieces += pack(kind, header, blobs)

    def send_now(self, kind: int, header: bytes, blobs: Sequence[bytes] = ()) -> None:
        """Sends a frame that a person may be waiting for, even if the loop does not get to run soon."""
        self.send(kind, header, blobs)
        if time.perf_counter() - self._written > _LAG:
            self.flush()

    @property
    def is_full(self) -> bool:
        """Whether the server is so far behind that producers should wait for :meth:`writable`."""
        return not self._writable.is_set()

    async def writable(self) -> None:
        """Returns when the server has caught up."""
        await self._writable.wait()

    def flush(self) -> None:
        """Hands everything that was sent to the system."""
        pieces, self._pieces = self._pieces, []
        if self._transport is not None and pieces:
            self._transport.write(b"".join(pieces))
            self._written = time.perf_counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked with isinstance: other loops' transports are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=4 << 20)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        self._on_lost()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        position, end = 0, len(received)
        while end - position >= 4:
            start = position + 4
            stop = start + _LENGTH.unpack_from(received, position)[0]
            if stop > end:
                break
            position = stop
            self._on_frame(*unpack(bytes(received[start:stop])))
        if position:
            del received[:position]
