"""A collector of traces: takes OTLP over HTTP and keeps what comes."""

import asyncio
import gzip
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """A span as it was sent."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    state: str
    attributes: dict
    failed: bool
    begin: int
    end: int


@dataclass
class Collector:
    """Answers 200 to whatever comes."""

    spans: list[Span] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> "Collector":
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in lines if line)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.take(line.split()[1], headers, body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert headers["content-type"] == "application/x-protobuf"
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.paths.add(path)
        self.headers.append(headers)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of_resource = attributes(resource.resource)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Span(
                            of_resource["service.name"],
                            span.name,
                            span.kind,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.trace_state,
                            attributes(span),
                            span.status.code == 2,
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                        )
                    )
        self.arrived.set()

    async def span(self, name: str | None = None, seconds: float = 60, **wanted: str) -> Span:
        """The span of that name, or with these members, once it has come."""

        def found() -> list[Span]:
            return [
                span
                for span in self.spans
                if name in (None, span.name) and all(getattr(span, key) == value for key, value in wanted.items())
            ]

        try:
            async with asyncio.timeout(seconds):
                while not (spans := found()):
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            raise AssertionError(f"no span {name!r} {wanted} within {seconds} s, only {self.spans}") from None
        return spans[0]


def attributes(carrier) -> dict:
    return {each.key: each.value.string_value or each.value.int_value for each in carrier.attributes}
