"""A graph that takes as long to load as the test wants: until the gate is opened."""

import os
import socket

from graphs import walks as graph  # noqa: F401

if gate := os.environ.get("LOADING_GATE"):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(gate)
        connection.sendall(b'{"pid": 0, "run_id": "", "attempt": 0, "name": "loading", "step": 0}\n')
        connection.recv(100)
