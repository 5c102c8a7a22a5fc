"""A collector of OpenTelemetry that keeps what it is sent: OTLP over HTTP, decoded as protobuf."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import needs

Key = tuple[str, frozenset[tuple[str, str]]]
"""A metric's name, and its point's attributes."""


class Collector(ThreadingHTTPServer):
    """On a free port; `status` is what it answers from now on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        name = "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"
        self.decoding = needs.package(name, "opentelemetry-proto").ExportMetricsServiceRequest
        self.messages: list[Any] = []
        self.headers: list[Mapping[str, str]] = []
        self.status = 200
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def keep(self, message: Any, headers: Mapping[str, str]) -> None:
        """A message has come."""
        with self._came:
            self.messages.append(message)
            self.headers.append(headers)
            self._came.notify_all()

    def until(self, seen: Callable[[], bool]) -> None:
        """Wait until the messages that have come show it."""
        with self._came:
            assert self._came.wait_for(seen, 30)

    def points(self, number: int = -1) -> dict[Key, Any]:
        """The points of a message, the last one."""
        return dict(_points(self.messages[number]))

    @property
    def resource(self) -> dict[str, str]:
        (told,) = self.messages[-1].resource_metrics
        return {one.key: one.value.string_value for one in told.resource.attributes}


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.server.status == 200 and self.path == "/v1/metrics":
            self.server.keep(self.server.decoding.FromString(body), dict(self.headers))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing is printed."""


def key(name: str, **attributes: str) -> Key:
    return name, frozenset(attributes.items())


def _points(message: Any) -> Iterator[tuple[Key, Any]]:
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    said = {one.key: one.value.string_value for one in point.attributes}
                    yield key(metric.name, **said), point
