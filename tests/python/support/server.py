"""The server under test: starts the real binary, waits for it, ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid5

import httpx

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ROOT / "tests/python/project"
STORE_PROJECT = ROOT / "tests/python/store_project"
START_SECONDS = 60
"""A loaded machine may be slow; a healthy start takes a second or two."""
LOG = "server.log"
"""What a server writes, in the folder that it is given."""


def assistant(graph_id: str) -> str:
    """The id of the assistant that the server makes for a graph."""
    return str(uuid5(UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8"), graph_id))


def binary() -> Path:
    """The program to test: AGENT_SERVER_BIN, else the debug build."""
    path = Path(os.environ.get("AGENT_SERVER_BIN", ROOT / "target/debug/agent-server"))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run `cargo build -p agent-server`, or set AGENT_SERVER_BIN")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, border = set(), {pid}
    while border:
        border = {child for child, parent in parents.items() if parent in border}
        found |= border
    return found


def tail(log: Path, lines: int) -> str:
    """The end of what a server wrote."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(condition, what: str, seconds: float = 15) -> None:
    """Asks again and again until `condition()` is true, for what sends no event that could be awaited."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Server:
    """A server of our own on a data folder of its own; it can be killed and started again on the same folder."""

    def __init__(
        self,
        folder: Path,
        env: dict[str, str] | None = None,
        config: Path | None = None,
        headers: dict[str, str] | None = None,
        more: tuple[str, ...] = (),
        graph: str = "simple",
        prefix: str = "",
        ready: tuple[str, ...] | None = None,
        mode: str = "dev",
        reload: bool = False,
    ) -> None:
        self.config = config or PROJECT / "langgraph.json"
        self.headers = headers
        self.more = more
        self.mode = mode
        self.reload = reload
        self.data = folder / "data"
        self.log = folder / LOG
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        self.ready = ready or ("/ok", f"/assistants/{assistant(graph)}/graph")
        """Paths that answer 200 once the server is ready: it draws a graph."""
        # Two workers, however many cores there are: a test may take one of them away.
        self.env = {"AGENT_SERVER_WORKERS": "2"} | (env or {})
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        return [
            str(binary()),
            self.mode,
            "--config",
            str(self.config),
            "--port",
            str(self.port),
            "--data-dir",
            str(self.data),
            "--python",
            sys.executable,
            *(("--offline",) if self.mode == "dev" else ()),
            *(("--no-reload",) if self.mode == "dev" and not self.reload else ()),
            *self.more,
        ]

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.env,
                start_new_session=True,
                # A file that may not grow is an error of the write, not the end of the process.
                restore_signals=False,
            )
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_ready(self) -> None:
        """Returns when the server answers and has loaded the graphs."""
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=START_SECONDS, headers=self.headers)
        with client as http:

            def answers(path: str) -> bool:
                assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.tail()}"
                try:
                    return http.get(path).status_code == 200
                except httpx.TransportError:
                    return False

            for path in self.ready:
                try:
                    wait_until(lambda path=path: answers(path), f"GET {path} answers 200", START_SECONDS)
                except AssertionError as error:
                    raise AssertionError(f"{error}\n{self.tail()}") from None

    def tail(self, lines: int = 60) -> str:
        """The end of what the server wrote."""
        return tail(self.log, lines)

    def kill(self) -> None:
        """kill -9 of the server process alone, as a crash would; its workers have to notice by themselves."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends the server and whatever it started."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # The session that `start` made: what is left of it belongs to this server.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
