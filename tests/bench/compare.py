"""Sets loadmux beside other clients of one server: `python tests/bench/compare.py [NAME...]`.

Each comparison runs the peer and loadmux in turn (A B A B ...), because on a shared machine only
neighbours in time can be compared: read the ratios pair by pair and the median over them, not the
rates of one run. Every client does the same exchange (Redis' inline `PING` unless it says
otherwise) with its statistics on, on a core of its own; the server has another (`peers.py`).
loadmux, the C client, Locust and the plain socket compare every byte of the replies, or what `web`
says; redis-benchmark only parses them. A ratio of 2 means that loadmux did twice as many exchanges
a second as the peer; in the last column, that each took half of the peer's CPU time, which says
more where the server is what limits, or others use the cores. `memory` is no ratio: it is the
memory of a worker with many users less that of one with a single user, for each of them.

The floor is what loadmux is meant to reach on two idle cores. It is printed, never judged: being
slower changes nothing in the exit code. What needs a program that is not installed is left out, and
a line names it. 0: all the rest was measured; 1: a measurement could not be made, and the others
went on; 2: the command line is wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

import peers
import web

CROWD = 10_000
KIB = 1024
INSTALL = {
    "redis-server": "Debian: apt install redis-server",
    "redis-benchmark": "Debian: apt install redis-tools",
    "cc": "Debian: apt install gcc libc6-dev",
    "locust": "pip install -e '.[dev]'",
    "nginx": "Debian: apt install nginx-light",
    "wrk": "Debian: apt install wrk",
    "h2load": "Debian: apt install nghttp2-client",
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement is given.

    For how many seconds to measure, how many connections a crowd has, and a folder for what is
    compiled.
    """

    seconds: int
    crowd: int
    folder: Path

    @property
    def c_client(self) -> Path:
        return peers.compile_c_client(self.folder)


Measure = Callable[[Bench, int], float]
"""Measures against the server at a port."""


def ratio(peer: float, ours: float, _: Bench) -> float:
    return ours / peer


def kib_a_user(one: float, all_users: float, bench: Bench) -> float:
    return (all_users - one) / (bench.crowd - 1) / KIB


@dataclass(frozen=True, slots=True)
class Comparison:
    """`figure` makes one number of a pair of measurements; `floor` says what it is meant to be.

    Against a redis-server of its own, if it is to be `redis`; else both make their server.
    """

    name: str
    about: str
    needs: tuple[str, ...]
    peer: Measure
    ours: Measure
    floor: str
    labels: tuple[str, str]
    unit: str = "/s"
    figure: Callable[[float, float, Bench], float] = ratio
    redis: bool = True


COMPARISONS = (
    Comparison(
        name="redis-benchmark",
        about="50 connections, beside redis-benchmark -t ping_inline -P 1 -c 50",
        needs=("redis-server", "redis-benchmark"),
        peer=lambda b, port: peers.redis_benchmark(port, b.seconds, keep_alive=True),
        ours=lambda b, port: peers.loadmux("ping.yaml", port, b.seconds),
        floor=">= 1.15",
        labels=("redis-benchmark", "loadmux"),
    ),
    Comparison(
        name="c-client",
        about="50 connections, beside a minimal C epoll client (epoll_client.c): the limit",
        needs=("redis-server", "cc"),
        peer=lambda b, port: peers.c_client(b.c_client, port, b.seconds),
        ours=lambda b, port: peers.loadmux("ping.yaml", port, b.seconds),
        floor=">= 0.70",
        labels=("C client", "loadmux"),
    ),
    Comparison(
        name="locust",
        about="50 users, beside a Locust User on gevent sockets, one exchange a task",
        needs=("redis-server", "locust"),
        peer=lambda b, port: peers.locust(port, b.seconds, "PingUser"),
        ours=lambda b, port: peers.loadmux("ping.yaml", port, b.seconds),
        floor=">= 2.5",
        labels=("Locust", "loadmux"),
    ),
    Comparison(
        name="locust-batched",
        about="the same with 100 exchanges a task, so that Locust's scheduling hardly counts",
        needs=("redis-server", "locust"),
        peer=lambda b, port: peers.locust(port, b.seconds, "BatchUser"),
        ours=lambda b, port: peers.loadmux("ping.yaml", port, b.seconds),
        floor="none",
        labels=("Locust", "loadmux"),
    ),
    Comparison(
        name="churn",
        about="a connection for each exchange, 50 at once, beside redis-benchmark -k 0",
        needs=("redis-server", "redis-benchmark"),
        peer=lambda b, port: peers.redis_benchmark(port, b.seconds, keep_alive=False),
        ours=lambda b, port: peers.loadmux("churn.yaml", port, b.seconds),
        floor=">= 2",
        labels=("redis-benchmark -k 0", "loadmux"),
    ),
    Comparison(
        name="churn-c-client",
        about="the same beside the C client: what the kernel's share leaves to be reached",
        needs=("redis-server", "cc"),
        peer=lambda b, port: peers.c_client(b.c_client, port, b.seconds, "churn"),
        ours=lambda b, port: peers.loadmux("churn.yaml", port, b.seconds),
        floor="none",
        labels=("C client", "loadmux"),
    ),
    Comparison(
        name="crowd",
        about="10,000 connections at once, beside the C client; counted by redis once all are open",
        needs=("redis-server", "cc"),
        peer=lambda b, port: peers.crowd_rate_of_c_client(b.c_client, port, b.crowd, b.seconds),
        ours=lambda b, port: peers.crowd_rate_of_loadmux(port, b.crowd, b.seconds),
        floor=">= 0.60",
        labels=("C client", "loadmux"),
    ),
    Comparison(
        name="wrk",
        about="a small file of nginx over 50 connections, beside wrk -t1 -c50",
        needs=("nginx", "wrk"),
        peer=lambda b, _: web.wrk(b.seconds),
        ours=lambda b, _: web.loadmux_http(b.seconds),
        floor=">= 0.85",
        labels=("wrk", "loadmux"),
        redis=False,
    ),
    Comparison(
        name="h2load",
        about="the same beside h2load --h1 -t1 -c50",
        needs=("nginx", "h2load"),
        peer=lambda b, _: web.h2load(b.seconds),
        ours=lambda b, _: web.loadmux_http(b.seconds),
        floor="none",
        labels=("h2load", "loadmux"),
        redis=False,
    ),
    Comparison(
        name="socket-64KiB",
        about="one connection, the same 64 KiB again and again, beside a plain Python socket",
        needs=(),
        peer=lambda b, _: web.plain(64 * KIB, b.seconds),
        ours=lambda b, _: web.loadmux_echo(64 * KIB, b.seconds),
        floor="none",
        labels=("Python", "loadmux"),
        redis=False,
    ),
    Comparison(
        name="socket-1MiB",
        about="the same with 1 MiB",
        needs=(),
        peer=lambda b, _: web.plain(KIB * KIB, b.seconds),
        ours=lambda b, _: web.loadmux_echo(KIB * KIB, b.seconds),
        floor="none",
        labels=("Python", "loadmux"),
        redis=False,
    ),
    Comparison(
        name="memory",
        about="KiB of the worker's resident memory for each of 10,000 connected one-socket users",
        needs=("redis-server",),
        peer=lambda b, port: peers.loadmux_memory(port, 1, 1),
        ours=lambda b, port: peers.loadmux_memory(port, b.crowd, 1),
        floor="<= 6 KiB",
        labels=("1 user", "all users"),
        unit=" B",
        figure=kib_a_user,
    ),
)


def missing(needs: Sequence[str]) -> list[str]:
    """The programs that are not installed; Locust is run by this interpreter."""
    return [
        name
        for name in needs
        if not (importlib.util.find_spec(name) if name == "locust" else shutil.which(name))
    ]


def measured_apart(measure: Measure, bench: Bench, redis: bool) -> float:
    """Against a server of its own: ports in TIME_WAIT are then no other measurement's burden."""
    if not redis:
        return measure(bench, 0)
    with peers.redis_server() as port:
        return measure(bench, port)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all pairs: by the clock, and by CPU where both clients' is known."""

    clock: list[float]
    cpu: list[float]


def compare(comparison: Comparison, bench: Bench, rounds: int) -> Figures:
    """Measure the pairs, print each as it is known, and give their figures."""
    print(f"\n{comparison.name}: {comparison.about}", flush=True)
    figures, by_cpu = list[float](), list[float]()
    for number in range(1, rounds + 1):
        peer = measured_apart(comparison.peer, bench, comparison.redis)
        ours = measured_apart(comparison.ours, bench, comparison.redis)
        figures.append(comparison.figure(peer, ours, bench))
        less = cpu_ratio(peer, ours)
        by_cpu += [] if isnan(less) else [less]
        shown = zip(comparison.labels, (peer, ours), strict=True)
        pair = "   ".join(f"{label} {value:>10,.0f}{comparison.unit}" for label, value in shown)
        also = "" if isnan(less) else f"   by CPU {less:.2f}"
        print(f"  {number}:  {pair}   {figures[-1]:.2f}{also}", flush=True)
    return Figures(figures, by_cpu)


def cpu_ratio(peer: float, ours: float) -> float:
    """How often ours fits into the CPU time of the peer's exchange; NaN where one is not known."""
    if isinstance(peer, peers.Rate) and isinstance(ours, peers.Rate):
        return peer.cpu / ours.cpu
    return nan


def table(measured: dict[Comparison, Figures]) -> str:
    row = "{:<16} {:>5} {:>8} {:>15}   {:<10} {}".format
    lines = [row("name", "pairs", "median", "range", "floor", "by CPU")]
    for comparison, figures in measured.items():
        clock, cpu = spread(figures.clock), " ".join(spread(figures.cpu))
        lines.append(row(comparison.name, len(figures.clock), *clock, comparison.floor, cpu))
    return "\n".join(lines)


def spread(figures: list[float]) -> tuple[str, str]:
    """The median, and the range."""
    if not figures:
        return "", ""
    return f"{statistics.median(figures):.2f}", f"{min(figures):.2f} .. {max(figures):.2f}"


def arguments(comparisons: Sequence[Comparison], about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about)
    names = [comparison.name for comparison in comparisons]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--list", action="store_true", help="say what is compared, measure nothing")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="pairs (default 5)")
    parser.add_argument(
        "--seconds", type=positive, default=3, metavar="S", help="of each measurement (default 3)"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return given


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def crowd_size() -> int:
    """How many connections of a crowd the descriptor limit allows to the client and the server."""
    limit = peers.raise_descriptor_limit()
    size = min(CROWD, limit - 2 * peers.SPARE_DESCRIPTORS)
    if size < CROWD:
        print(
            f"{size:,} connections instead of {CROWD:,}, as the hard limit is {limit:,} descriptors"
        )
    return size


def measure_all(chosen: Sequence[Comparison], bench: Bench, rounds: int) -> int:
    """Print every comparison that can be made and the table of them; the exit code."""
    code, measured = 0, {}
    for comparison in chosen:
        if lacking := missing(comparison.needs):
            told = "; ".join(f"{name} is not installed ({INSTALL[name]})" for name in lacking)
            print(f"\n{comparison.name}: not measured: {told}", file=sys.stderr)
            continue
        try:
            measured[comparison] = compare(comparison, bench, rounds)
        except peers.PeerError as error:
            print(f"\n{comparison.name}: not measured: {error}", file=sys.stderr)
            code = code or 1
    if measured:
        print("\n" + table(measured))
    return code


def main(comparisons: Sequence[Comparison], about: str) -> int:
    """The exit code for what the command line asks of the comparisons."""
    given = arguments(comparisons, about)
    chosen = [one for one in comparisons if not given.names or one.name in given.names]
    if given.list:
        print("\n".join(f"{one.name:<16} {one.floor:<9} {one.about}" for one in chosen))
        return 0
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: server and client share it, which flatters neither")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given.seconds, crowd_size(), Path(folder))
        return measure_all(chosen, bench, given.rounds)


if __name__ == "__main__":
    try:
        sys.exit(main(COMPARISONS, "Sets loadmux beside other clients of one server."))
    except KeyboardInterrupt:
        sys.exit(130)
