"""loadmux's statistics as Locust's: a row for each step, one for the connects, errors by kind.

What was measured since the last time is poured in at once, `StatsEntry.extend` for each row, which
comes to the same as a `log_request` for each exchange and costs 37 us for 75,000 of them instead
of 130 ms. Response times keep a resolution of three digits in milliseconds: Locust rounds to whole
ones only what goes through its own `log_request`.

Errors are told apart by kind and step, never by bytes or offsets: the page shows 500 at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from locust.stats import RequestStats, StatsEntry, StatsError

from loadmux.errors import Kind
from loadmux.measuring.rows import StepStats
from loadmux.measuring.stats import Stats

MEANINGS = {
    Kind.REFUSED: "the connection was refused",
    Kind.UNREACHABLE: "the target could not be reached",
    Kind.CONNECT_TIMEOUT: "no connection in time",
    Kind.TLS: "the TLS handshake or a record failed",
    Kind.TIMEOUT: "nothing of a reply that was owed arrived in time",
    Kind.CLOSED: "the server closed while it owed something",
    Kind.RESET: "the server reset the connection",
    Kind.SEND_STALLED: "the server stopped reading",
    Kind.TRUNCATED: "part of the reply is missing",
    Kind.CORRUPT: "bytes of the reply were changed",
    Kind.DUPLICATE: "something was sent twice",
    Kind.REORDERED: "the right bytes in another order",
    Kind.CROSSTALK: "bytes that belong to another socket",
    Kind.SURPLUS: "bytes that nobody asked for",
    Kind.MISMATCH: "another reply than the right one",
    Kind.CHECK: "a check in the scenario's code found it wrong",
    Kind.SPINNING: "the server uses CPU although nobody asks anything of it",
    Kind.LEAKED_DESCRIPTORS: "the server keeps descriptors of connections that have ended",
    Kind.LEAKED_THREADS: "the server keeps threads of connections that have ended",
    Kind.MEMORY_GROWTH: "the server's memory grows",
    Kind.NOT_READ: "the server has not read what was sent",
    Kind.NOT_ACCEPTED: "the server leaves connections in its listener's queue",
    Kind.ZOMBIES: "the server leaves children that have ended unreaped",
}


APART = ("receive", "transaction")
"""Kinds of rows that are in no total: one answers nothing, one is made of others.

Of the connects those are that failed: where every exchange is wrong, all of the total is; and where
nobody answers at all, too.
"""


def explained(kind: Kind) -> str:
    """`corrupt: bytes of the reply were changed`."""
    return f"{kind}: {MEANINGS[kind]}" if kind in MEANINGS else str(kind)


def pour(stats: Stats, into: RequestStats, prefix: str = "") -> None:
    """Add what was measured to Locust's statistics; `prefix` begins every row's name."""
    now = time.time()
    for row in rows(stats):
        entry = as_entry(row, into, prefix, now)
        into.entries[(entry.name, entry.method)].extend(entry)
        if row.kind == "connect":
            failed = StepStats(row.name, row.kind, errors=row.errors, late=row.late)
            into.total.extend(as_entry(failed, into, prefix, now))
        elif row.kind not in APART:
            into.total.extend(entry)
    # Also without a sample: the rate is an average up to the total's last time stamp. Not before
    # `extend`, which keeps the response times for the chart when it sees a new second.
    into.total.last_request_timestamp = now
    for group in stats.faults.values():
        row = stats.connects if group.step == "connect" else stats.row(group.step)
        count_errors(into, row.kind, prefix + group.step, explained(group.kind), group.count, now)


def rows(stats: Stats) -> Iterator[StepStats]:
    """The rows with something to tell, connects first."""
    for row in (stats.connects, *stats.steps.values()):
        if row.count or row.errors:
            yield row


def as_entry(row: StepStats, into: RequestStats, prefix: str, now: float) -> StatsEntry:
    """One row as what Locust would have made of its exchanges, all of them at `now`."""
    entry = StatsEntry(into, prefix + row.name, row.kind)
    histogram = row.histogram
    entry.start_time = into.start_time or now
    entry.last_request_timestamp = now
    entry.num_requests = row.count
    entry.num_none_requests = row.count - histogram.count
    entry.num_failures = row.errors
    entry.total_content_length = row.volume.received
    entry.num_reqs_per_sec[int(now)] = row.count
    if row.errors:
        entry.num_fail_per_sec[int(now)] = row.errors
    if histogram.count:
        entry.total_response_time = histogram.total * 1000  # type: ignore[assignment]
        entry.min_response_time = milliseconds(histogram.low)
        entry.max_response_time = milliseconds(histogram.high)
        for seconds, count in histogram.buckets():
            entry.response_times[milliseconds(seconds)] += count
    return entry


def milliseconds(seconds: float) -> int:
    """Milliseconds to three digits: a float, which Locust's annotations do not know."""
    return float(f"{seconds * 1000:.3g}")  # type: ignore[return-value]


def count_errors(
    into: RequestStats, method: str, name: str, error: str, count: int, now: float
) -> None:
    key = StatsError.create_key(method, name, error)
    found = into.errors.get(key)
    if found is None:
        found = into.errors[key] = StatsError(method, name, error, first_seen=now)
    found.occurrences += count
    found.last_seen = now
