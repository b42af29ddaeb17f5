"""Runs in a network namespace without a route: the server under strace, and clients that ask it for everything.

Started by test_air_gapped.py as `unshare --net python -m support.air_gap FOLDER`; leaves FOLDER/trace behind.
"""

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import struct
import sys
from pathlib import Path

import httpx
from langgraph_sdk import get_client

from support.server import Server, wait_until

TRACED = "trace=connect,sendto,sendmsg,sendmmsg"
SECONDS = 60


def traced(trace: Path) -> list[str]:
    """What comes before a command so that whom it and its children talk to is written down. The command stays the child."""
    return ["strace", "-D", "-f", "-q", "-s", "0", "-e", TRACED, "-e", "signal=none", "-o", str(trace)]


def raise_loopback() -> None:
    """Switches the only device of a new namespace on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up = struct.pack("16sh14x", b"lo", 1)
        fcntl.ioctl(any_socket, 0x8914, up)


class TracedServer(Server):
    """`agent-server serve` under strace."""

    def command(self) -> list[str]:
        program, _, *flags = super().command()
        flags = [flag for flag in flags if flag not in ("--no-reload", "--offline")]
        return [*traced(self.data.parent / "trace"), program, "serve", *flags]


async def ask(server: Server) -> None:
    """Runs, streams, threads, the store, crons, and the pages that people look at."""
    async with (
        get_client(url=server.url, api_key=None) as client,
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=SECONDS) as http,
    ):
        thread = (await client.threads.create())["thread_id"]
        assert await client.runs.wait(thread, "simple", input={"foo": "x"}) == {"foo": "A", "log": ["a", "b"]}
        talk = {"messages": [{"role": "user", "content": "hello"}]}
        parts = [part async for part in client.runs.stream(None, "chat", input=talk, stream_mode=["messages-tuple", "values"])]
        assert {part.event for part in parts} >= {"metadata", "messages", "values"}, parts
        assert len(await client.threads.get_history(thread)) == 4
        await client.store.put_item(["a"], "k", {"text": "abc"})
        assert [item["key"] for item in (await client.store.search_items(["a"]))["items"]] == ["k"]
        cron = await client.crons.create_for_thread(thread, "simple", schedule="* * * * * *", input={"foo": "x"})
        async with asyncio.timeout(SECONDS):
            while len(await client.runs.list(thread)) < 2:
                await asyncio.sleep(0.1)
        await client.crons.delete(cron["cron_id"])
        for path in ("/ok", "/info", "/metrics", "/docs", "/openapi.json"):
            answer = await http.get(path)
            assert answer.status_code == 200, path
            assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", answer.text), f"{path} sends browsers elsewhere"


def main(folder: Path) -> None:
    raise_loopback()
    devices = json.dumps(sorted(name for _, name in socket.if_nameindex()))
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    assert routes == [], f"there is a way out over {devices}: {routes}"
    server = TracedServer(folder)
    server.start()
    try:
        asyncio.run(ask(server))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == 0
        ended = f"{server.process.pid} +++ exited with 0 +++"
        wait_until(lambda: ended in " ".join((folder / "trace").read_text().split()), "the trace is whole", SECONDS)
    except BaseException:
        sys.stderr.write(server.tail())
        raise
    finally:
        server.stop()


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main(Path(sys.argv[1]))
