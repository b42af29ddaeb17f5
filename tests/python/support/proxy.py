"""A proxy that loses connections, as a real network does."""

import asyncio
from urllib.parse import urlsplit


class Proxy:
    """Hands bytes to the server and back until it is told to cut."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname, address.port
        self.writers: set[asyncio.StreamWriter] = set()
        self.connections: set[asyncio.Task] = set()
        self.answered = asyncio.Event()
        """Set when bytes came from the server; the test clears it, and so does a cut."""

    async def __aenter__(self) -> "Proxy":
        self.server = await asyncio.start_server(self.connect, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.cut()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        self.writers |= {writer, far_writer}
        await asyncio.gather(self.pump(reader, far_writer, False), self.pump(far_reader, writer, True))
        self.writers -= {writer, far_writer}

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                if answers:
                    self.answered.set()
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self) -> None:
        """Breaks every open connection, without a farewell."""
        self.answered.clear()
        for writer in list(self.writers):
            writer.transport.abort()
