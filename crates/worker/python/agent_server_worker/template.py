"""A process that has loaded everything and forks workers, which then share its memory and start at once.

Forking is safe only while nothing but the main thread exists and nothing is connected anywhere; :func:`may_fork`
looks.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from typing import Any

from agent_server_worker import frames


def may_fork(own: int) -> bool:
    """Whether loading the graphs left neither threads (native ones count) nor connections nor event loops.

    ``own`` is the connection to the server.
    """
    try:
        if len(os.listdir("/proc/self/task")) != 1:
            return False
        for name in os.listdir("/proc/self/fd"):
            if int(name) == own:
                continue
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                # The directory that is being listed.
                continue
            if target.startswith(("socket:", "anon_inode:")):
                return False
    except OSError:
        return False
    return True


def serve(sock: socket.socket) -> str | None:
    """Forks a worker whenever the server asks for one.

    Returns the path to connect to in each worker, and ``None`` in the template itself when the server has gone.
    """
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: set[int] = set()
    while True:
        waiting: list[Any] = [sock, ended]
        ready, _, _ = select.select(waiting, [], [])
        if ended in ready:
            os.read(ended, 64)
            _reap(sock, children)
        if sock not in ready:
            continue
        try:
            kind, header, _ = frames.receive(sock)
        except (EOFError, OSError):
            return None
        fields: dict[str, Any] = json.loads(header)
        if kind == frames.KILL and fields["pid"] in children:
            # Not reaped yet, so the number is still this child's.
            os.kill(fields["pid"], signal.SIGKILL)
        elif kind == frames.FORK:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (ended, wake):
                    os.close(descriptor)
                sock.close()
                return fields["path"]
            children.add(pid)


def _reap(sock: socket.socket, children: set[int]) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            header = json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)})
            sock.sendall(b"".join(frames.pack(frames.EXITED, header.encode())))


def redirect_output(path: str) -> None:
    """Gives a forked worker output of its own: what it prints is told apart from its siblings'."""
    output = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    output.connect(path)
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
