"""Fixtures: the server, the official clients, gates, stable names."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

try:
    import httpx
    import langgraph.graph  # noqa: F401  The server runs the project's graphs with this interpreter.
    import langgraph_sdk
except ImportError as error:
    raise pytest.UsageError(f"{error.name} is not installed: run `cargo xtask env`") from None

from support.auth import AuthServer
from support.events import events_server
from support.gate import Gate
from support.names import Names
from support.server import LOG, Server, tail


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--url", help="judge the server at this address, which has to serve tests/python/project")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Adds to a failure what the servers wrote: those that tests share, and those that the test started."""
    report = (yield).get_result()
    if report.failed:
        given = getattr(item, "funcargs", {})
        logs = {value.log for value in given.values() if isinstance(value, Server)}
        if "tmp_path" in given:
            logs |= set(given["tmp_path"].rglob(LOG))
        for log in sorted(logs):
            report.sections.append((f"server log, {log}", tail(log, 60)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Server | None]:
    """The server that most tests share; `None` if another one is judged."""
    if pytestconfig.getoption("--url"):
        yield None
        return
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def url(server: Server | None, pytestconfig: pytest.Config) -> str:
    return pytestconfig.getoption("--url") or server.url


@pytest.fixture(scope="module")
def events_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of the project whose graphs cover all channels of the event protocol."""
    server = events_server(tmp_path_factory.mktemp("events"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
async def events_http(events_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=events_url, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers for one test alone, which may kill them."""
    servers: list[Server] = []

    def start(env: dict[str, str] | None = None, **more: Any) -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, env, **more))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[[Server], tuple]]:
    """Makes an official and a plain client for a server of the test's own."""
    async with AsyncExitStack() as stack:

        def clients(server: Server) -> tuple:
            official = langgraph_sdk.get_client(url=server.url, api_key=None)
            plain = httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30)
            stack.push_async_callback(official.aclose)
            stack.push_async_callback(plain.aclose)
            return official, plain

        yield clients


# Clients live as long as the session: making one reads certificates, which takes longer than most tests.
@pytest.fixture(scope="session")
async def client(url: str) -> AsyncIterator[langgraph_sdk.client.LangGraphClient]:
    """The official asynchronous client."""
    async with langgraph_sdk.get_client(url=url, api_key=None) as client:
        yield client


@pytest.fixture(scope="session")
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client, for what the official one hides."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        yield http


@pytest.fixture
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    """A gate for the graphs of gates.py."""
    # A socket's path may have 107 characters at most.
    async with Gate(tmp_path_factory.mktemp("g") / "s") as gate:
        yield gate


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def record(names: Names) -> Callable[[AsyncIterator], Awaitable[list[tuple[str, Any]]]]:
    """Reads a stream to its end: its events as (name, data), with stable names."""

    async def record(stream: AsyncIterator) -> list[tuple[str, Any]]:
        return [(names(part.event), names(part.data)) async for part in stream]

    return record


@pytest.fixture(scope="session")
def auth(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[AuthServer]:
    """The server of the project with authentication."""
    if pytestconfig.getoption("--url"):
        pytest.skip("needs a server of its own")
    auth = AuthServer(tmp_path_factory.mktemp("auth"))
    auth.server.start()
    yield auth
    auth.server.stop()


@pytest.fixture(scope="session")
async def alice(auth: AuthServer) -> AsyncIterator[langgraph_sdk.client.LangGraphClient]:
    """The official client of alice."""
    async with auth.client("alice") as client:
        yield client


@pytest.fixture(scope="session")
async def bob(auth: AuthServer) -> AsyncIterator[langgraph_sdk.client.LangGraphClient]:
    """The official client of bob."""
    async with auth.client("bob") as client:
        yield client
