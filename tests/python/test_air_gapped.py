"""On a machine without a network everything works, and nothing even tries to get out.

Needs strace and unshare (Debian: strace, util-linux); `.ci/run` installs what is missing.
"""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.air_gap import traced

SECONDS = 300
TESTS = Path(__file__).parent
CALL = re.compile(r"^\s*(?P<pid>\d+)\s+(?P<call>connect|sendto|sendmsg|sendmmsg)\((?P<what>.*)")
FAMILY = re.compile(r"sa_family=AF_(\w+)")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
PORT = re.compile(r"(?:sin_port|sin6_port)=htons\((\d+)\)")
LOCAL = {"UNIX", "NETLINK", "UNSPEC"}
"""Families that do not leave the machine: sockets in the file system, the kernel, and nobody."""
NAME_SERVER = 53
"""Looking a name up is an attempt to get out, even where the resolver listens on this machine."""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")


@pytest.fixture(autouse=True, scope="module")
def tools() -> None:
    for tool in ("strace", "unshare"):
        assert shutil.which(tool), f"{tool} is not installed; on Debian: apt-get install strace util-linux"


def without_network() -> list[str]:
    """What comes before a command so that it has a network of its own with nothing in it."""
    more = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--net", *more]


def calls(trace: str) -> list[tuple[str, str, list[str], list[int]]]:
    """What was said to whom: call, family, addresses, ports. Sends on sockets that are connected name nobody."""
    found = []
    for line in trace.splitlines():
        if (match := CALL.match(line)) and (family := FAMILY.search(match["what"])):
            addresses = [a or b for a, b in ADDRESS.findall(match["what"])]
            found.append((match["call"], family[1], addresses, [int(port) for port in PORT.findall(match["what"])]))
    return found


def outside(trace: str) -> list[tuple]:
    """Calls that try to leave the machine."""
    return [
        call
        for call in calls(trace)
        if call[1] not in LOCAL
        and (NAME_SERVER in call[3] or not call[2] or not all(ipaddress.ip_address(a).is_loopback for a in call[2]))
    ]


def run(command: list[str], **more) -> subprocess.CompletedProcess:
    # Nothing has to be switched off for it: tracing of LangChain is off unless it is asked for.
    tracing = ("LANGSMITH", "LANGCHAIN", "LANGGRAPH")
    env = {name: value for name, value in os.environ.items() if not name.startswith(tracing)}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=TESTS, env=env, **more)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 443), 1)",
        "socket.create_connection(('2001:db8::1', 443), 1)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.1', 9))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.53', 53))",
    ],
)
def test_an_attempt_would_be_seen(tmp_path, attempt):
    trace = tmp_path / "trace"
    code = f"import socket\ntry:\n {attempt}\nexcept OSError: pass"
    # Without -D: the end of strace is the end of the trace.
    watched = [word for word in traced(trace) if word != "-D"]
    done = run([*without_network(), *watched, sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    assert len(outside(trace.read_text())) == 1, trace.read_text()


def test_nothing_tries_to_get_out(tmp_path):
    done = run([*without_network(), sys.executable, "-m", "support.air_gap", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    trace = (tmp_path / "trace").read_text()
    # The workers were watched as well: they are other processes, and connect to the server.
    families = [family for _, family, _, _ in calls(trace)]
    pids = {line.split()[0] for line in trace.splitlines() if CALL.match(line)}
    assert "UNIX" in families and len(pids) >= 2, trace
    assert outside(trace) == []
