"""The figures of a run that goes on, for a collector of OpenTelemetry: OTLP over HTTP.

`--report otel`, with the extra `otel`. Where to, how, and as whom the standard variables say:
OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4318), OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES and their like. A message goes once a second (OTEL_METRIC_EXPORT_INTERVAL,
in milliseconds), all that was measured in one: see `otelmetrics`.

A thread sends. A collector that is away or slow holds up nobody and costs no verdict: what it did
not take is in the next message, and at the end it is told.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from threading import Event, Thread
from time import time_ns

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource

from loadmux.errors import UsageError
from loadmux.measuring.stats import Stats
from loadmux.report import otelmetrics
from loadmux.report.model import Report

INTERVAL = 1.0
"""Seconds."""
TIMEOUT = 2.0
"""Seconds that a message may take, unless the standard variables tell."""
TIMEOUTS = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
LAST_WITHIN = 5.0
"""Seconds until the end of the last message, and of the one that is on its way before it."""
ERRNO = re.compile(r"\[Errno \d+\] [\w ]+")
LONGEST = 200
"""Characters of a complaint."""
PROTOCOLS = (
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
)
SPOKEN = "http/protobuf"
EXPORTER = "opentelemetry.exporter.otlp.proto.http.metric_exporter"


class OtelReporter:
    """Hears of everything while the run goes on; writes no file and prints nothing."""

    file: Path | None = None
    prints = False

    def __init__(self) -> None:
        """Raises UsageError where the variables ask for what is not spoken."""
        self._interval = interval()
        check_protocol()
        self._sender: Sender | None = None

    def hear(
        self,
        source: object,
        elapsed: float,
        stats: Stats,
        active: int,
        running: Collection[object],
        late: float = 0.0,
    ) -> None:
        """A source told something. Raises nothing."""
        self._sending(elapsed).hear(source, stats, active, late)

    def deliver(self, report: Report, write: Callable[[str], object]) -> None:
        """Send the rest and what the run came to; tell what was not taken."""
        if disabled():
            return
        lost = self._sending(report.duration).finish(report)
        if lost is not None:
            text = "the collector did not take the last of it (see OTEL_EXPORTER_OTLP_ENDPOINT)"
            print(f"loadmux: --report otel: {text}: {lost}", file=sys.stderr)

    def renew(self) -> None:
        """Another run begins, as where a page starts one test after the other."""
        if self._sender is not None:
            self._sender.leave()
            self._sender = None

    def _sending(self, elapsed: float) -> Sender:
        if self._sender is None:
            self._sender = Sender(self._interval, time_ns() - int(elapsed * 1e9))
        return self._sender


class Sender:
    """Gathers what is heard, and sends it from a thread of its own; `began` is in nanoseconds."""

    def __init__(self, interval: float, began: int) -> None:
        self._interval = interval
        self._began = began
        self._delta = otelmetrics.delta_wanted()
        self._heard: deque[Stats] = deque()
        self._stats = Stats()
        self._active: dict[object, int] = {}
        self._late: dict[object, float] = {}
        self._report: Report | None = None
        self._over = Event()
        self._complaints = Complaints()
        self._taken = True
        self._exporter: OTLPMetricExporter | None = None
        self._thread = Thread(target=self._run, name="loadmux otel", daemon=True)
        if not disabled():
            self._thread.start()

    def hear(self, source: object, stats: Stats, active: int, late: float) -> None:
        self._heard.append(stats)
        self._active[source], self._late[source] = active, late

    def finish(self, report: Report) -> str | None:
        """Send the last message; why the collector did not take it, None where it did."""
        self._report = report
        self._over.set()
        self._thread.join(LAST_WITHIN)
        if self._taken and not self._thread.is_alive():
            return None
        return self._complaints.last or f"no answer within {LAST_WITHIN:g} s"

    def leave(self) -> None:
        """Send what is left, and await nothing."""
        self._active.clear()
        self._over.set()

    def _run(self) -> None:
        with self._complaints:
            try:
                told = any(os.environ.get(one) for one in TIMEOUTS)
                self._exporter = OTLPMetricExporter(timeout=None if told else TIMEOUT)
                who = otelmetrics.resource()
                while not self._over.wait(self._interval):
                    self._send(who)
                self._send(who)
                self._exporter.shutdown()
            except Exception as error:  # of the SDK: no verdict hangs on it
                self._taken, self._complaints.last = False, f"{type(error).__name__}: {error}"

    def _send(self, who: Resource) -> None:
        assert self._exporter is not None
        while self._heard:
            self._stats.merge(self._heard.popleft())
        now, report = time_ns(), self._report
        span = otelmetrics.Span(self._began, now, self._delta)
        users = 0 if report is not None else sum(list(self._active.values()))
        late = max(list(self._late.values()), default=0.0)
        metrics = [*otelmetrics.metrics_of(self._stats, span, users, late)]
        if report is not None:
            metrics += otelmetrics.metrics_at_end(report.verdict, span)
        result = self._exporter.export(otelmetrics.message(who, metrics))
        self._taken = result is MetricExportResult.SUCCESS
        if self._taken and self._delta:
            self._began, self._stats = now, Stats()


class Complaints(logging.Handler):
    """Keeps what the exporter logs from the screen; `last` is the newest line."""

    last = ""

    def __enter__(self) -> Complaints:
        log = logging.getLogger(EXPORTER)
        log.addHandler(self)
        log.propagate = False
        return self

    def __exit__(self, *exc: object) -> None:
        log = logging.getLogger(EXPORTER)
        log.removeHandler(self)
        log.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        known = ERRNO.search(text)
        if known is not None:
            self.last = known.group()
        elif not self.last or "code:" in text:  # that it was given up says less than why
            self.last = text[:LONGEST]


def disabled() -> bool:
    """Whether the standard variables say that nothing is to be sent."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def interval() -> float:
    """Seconds between two messages. Raises UsageError."""
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    text = os.environ.get(name, "").strip()
    if not text:
        return INTERVAL
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--report otel: {name} is {text!r}, and no number of milliseconds")
    return int(text) / 1000


def check_protocol() -> None:
    """Raises UsageError."""
    name = next((one for one in PROTOCOLS if os.environ.get(one, "").strip()), None)
    if name is not None and os.environ[name].strip() != SPOKEN:
        text = f"{name} is {os.environ[name]!r}; only {SPOKEN} is spoken (port 4318)"
        raise UsageError(f"--report otel: {text}")
