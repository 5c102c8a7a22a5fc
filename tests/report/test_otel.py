"""What a collector of OpenTelemetry is told, decoded by the official protobuf; and who is not."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
from collector import Collector, key
from commands import loadmux
from samples import measured, report

from loadmux.errors import Evidence, Kind, UsageError
from loadmux.measuring.thresholds import Threshold
from loadmux.report.reporters import Listening, chosen

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ASK = {"step": "ask", "kind": "exchange"}
SCENARIO = """
target: {bundled: epoll, reply: echo}
load: {users: 4, iterations: 200, pacing: 10ms}
steps: [{name: ask, send: hello, expect: hello}]
thresholds: ["p(99) < 9s"]
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as found:
        monkeypatch.setenv(ENDPOINT, found.url)
        yield found


def reporter() -> Any:
    needs.package("opentelemetry.exporter.otlp.proto.http", "loadmux[otel]")
    (made,) = chosen(["otel"])
    assert isinstance(made, Listening)
    return made


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


def test_all_that_is_told_at_the_end(collector: Collector) -> None:
    one = reporter()
    stats = measured({"ask": [0.001, 0.002, 30.0]}, connects=[0.004])
    stats.row("ask").volume.received, stats.row("ask").volume.sent = 30, 9
    stats.dropped, stats.iterations = 2, 3
    stats.record_fault(Evidence(Kind.CORRUPT, "byte 2", step="ask"))
    one.hear("a", 0.5, stats, 7, {"a"}, 0.25)
    one.hear("b", 0.5, measured({"ask": [0.001]}), 4, {"a", "b"}, 0.5)
    thresholds = [Threshold("p(99) < 1s", None, "p", "<", 1.0, 0.99)]
    one.deliver(report(stats, thresholds), print)
    points = collector.points()
    latencies = points[key("loadmux.step.duration", **ASK)]
    assert (latencies.count, latencies.min, latencies.max) == (4, 0.001, 30.0)
    assert latencies.sum == pytest.approx(30.004)
    within = zip(latencies.explicit_bounds, latencies.bucket_counts, strict=False)
    assert {bound: count for bound, count in within if count} == pytest.approx(
        {0.0015: 2, 0.003: 1, 30.0: 1}
    )
    assert points[key("loadmux.step.duration", step="connect", kind="connect")].count == 1
    moved = {"receive": 30, "transmit": 9}
    for way, count in moved.items():
        about = {**ASK, "network.io.direction": way}
        assert points[key("loadmux.step.bytes", **about)].as_int == count
    assert points[key("loadmux.faults", kind="corrupt", step="ask")].as_int == 1
    assert points[key("loadmux.dropped")].as_int == 2
    assert points[key("loadmux.iterations")].as_int == 3
    assert points[key("loadmux.generator.late")].as_double == 0.5
    assert points[key("loadmux.threshold.met", threshold="p(99) < 1s")].as_int == 0
    assert points[key("loadmux.threshold.measured", threshold="p(99) < 1s")].as_double == 30.0
    assert {name for name, _ in points} >= {"loadmux.verdict", "loadmux.users"}
    assert collector.resource["service.name"] == "loadmux"


@pytest.mark.parametrize("preference", ["cumulative", "delta"])
def test_what_a_collector_did_not_take_is_in_the_next_message(
    preference: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
    one = reporter()
    one.hear(0, 0.5, measured({"ask": [0.1, 0.2]}), 1, {0})
    while not collector.messages:
        pass
    collector.status = 400
    one.hear(0, 1.0, measured({"ask": [0.1]}), 1, {0})
    collector.status = 200
    one.deliver(report(measured({"ask": [0.1] * 3})), print)
    told = [collector.points(number) for number in range(len(collector.messages))]
    found = [one[key("loadmux.step.duration", **ASK)].count for one in told if ASK_KEY in one]
    assert (sum(found) if preference == "delta" else found[-1]) == 3


ASK_KEY = key("loadmux.step.duration", **ASK)


def test_a_collector_that_is_away_costs_nothing_but_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    one = reporter()
    one.hear(0, 0.5, measured({"ask": [0.1]}), 1, {0})
    one.deliver(report(measured({"ask": [0.1]})), print)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert ENDPOINT in told.err


def test_runs_one_after_the_other_are_told_apart(collector: Collector) -> None:
    one = reporter()
    one.hear(0, 0.5, measured({"ask": [0.1] * 5}), 1, {0})
    one.renew()
    one.hear(0, 0.5, measured({"ask": [0.1]}), 1, {0})
    one.deliver(report(measured({"ask": [0.1]})), print)

    def told() -> set[int]:
        numbers = range(len(collector.messages))
        return {collector.points(number)[ASK_KEY].count for number in numbers}

    collector.until(lambda: len(told()) > 1)  # the first run's last message is awaited by nobody
    assert told() == {5, 1}


def test_nothing_is_sent_where_the_sdk_is_switched_off(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    one = reporter()
    one.hear(0, 0.5, measured({"ask": [0.1]}), 1, {0})
    one.deliver(report(measured({"ask": [0.1]})), print)
    assert not collector.messages


@pytest.mark.parametrize(
    ("word", "name", "value", "told"),
    [
        ("otel=file", "", "", "OTEL_EXPORTER_OTLP_ENDPOINT says where"),
        ("otel", "OTEL_METRIC_EXPORT_INTERVAL", "soon", "no number of milliseconds"),
        ("otel", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is spoken"),
    ],
)
def test_mistakes_are_told_before_the_run(
    word: str, name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter()
    if name:
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=told):
        chosen([word])


def test_a_missing_extra_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics.export", None)
    for name in ("otel", "otelmetrics"):
        monkeypatch.delitem(sys.modules, f"loadmux.report.{name}", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'loadmux\[otel\]'"):
        chosen(["otel"])


def test_a_run_with_workers_by_the_standard_variables(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reporter()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "smoke")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=ci")
    file = tmp_path / "ask.yaml"
    file.write_text(SCENARIO)
    done = loadmux("run", file, "--workers", "2", "--report", "otel", "--quiet")
    assert done.code == 0, done.err
    points = collector.points()
    assert points[ASK_KEY].count == 800
    about = {**ASK, "network.io.direction": "receive"}
    assert points[key("loadmux.step.bytes", **about)].as_int == 800 * len("hello")
    assert points[key("loadmux.threshold.met", threshold="p(99) < 9s")].as_int == 1
    assert points[key("loadmux.users")].as_int == 0
    most = [collector.points(n).get(key("loadmux.users")) for n in range(len(collector.messages))]
    assert max(one.as_int for one in most if one is not None) == 4
    assert collector.resource["service.name"] == "smoke"
    assert collector.resource["deployment.environment"] == "ci"
    assert collector.headers[-1]["api-key"] == "secret"
