"""Sets loadmux under Locust beside Locust's own users and beside `loadmux run`.

`python tests/bench/locust_compare.py [NAME...]` measures in turn and prints as `compare.py` does,
which says how to read it; `locust_page.py` says what runs where. Rates are redis' own count over a
span in which all users are connected, for both sides of a pair. `locust-cpu` and
`run-cpu` count exchanges for each CPU second of the process with the users (`--processes 1`), which
depends less on what else runs on the machine. They do not see time in which that process waits, nor
what the process with the page takes: they stand in for a rate only where the users fill a core.

Three of the figures are no ratios, but what loadmux needs with the page in a process of its own:
- `spawn` is the time from the start in the page until redis has all the connections.
- `memory` is the resident memory of the process with the users: with 10,000 of them, less that with
  one, for each. That is Python's and Locust's share; the sockets are in the kernel.
- `page` is the p95 of `GET /stats/requests`, asked ten times a second while 50 users fill the core
  that it is on, each answer worked out anew.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import locust_page
import peers
from compare import Bench, Comparison, kib_a_user, main
from locust_page import GEVENT, SCENARIO

NEEDS = ("redis-server", "locust")
FEW = 1000


def seconds_of_ours(_peer: float, ours: float, _: Bench) -> float:
    return ours / 1000


def kib_of_few(one: float, all_users: float, bench: Bench) -> float:
    return kib_a_user(one, all_users, replace(bench, crowd=FEW))


def ours_alone(_peer: float, ours: float, _: Bench) -> float:
    return ours


COMPARISONS = (
    Comparison(
        name="locust",
        about="50 users, beside a Locust User on gevent sockets, both with --processes 1",
        needs=NEEDS,
        peer=lambda b, port: locust_page.rate(port, GEVENT, b.seconds, processes=True),
        ours=lambda b, port: locust_page.rate(port, SCENARIO, b.seconds, processes=True),
        floor=">= 2.5",
        labels=("Locust's User", "loadmux"),
    ),
    Comparison(
        name="locust-local",
        about="the same, both in the process that has the page",
        needs=NEEDS,
        peer=lambda b, port: locust_page.rate(port, GEVENT, b.seconds, processes=False),
        ours=lambda b, port: locust_page.rate(port, SCENARIO, b.seconds, processes=False),
        floor=">= 2.5",
        labels=("Locust's User", "loadmux"),
    ),
    Comparison(
        name="run",
        about="50 users, beside `loadmux run`; under Locust with --processes 1",
        needs=NEEDS,
        peer=lambda b, port: peers.crowd_rate_of_loadmux(port, peers.USERS, b.seconds),
        ours=lambda b, port: locust_page.rate(port, SCENARIO, b.seconds, processes=True),
        floor=">= 0.8",
        labels=("loadmux run", "under Locust"),
    ),
    Comparison(
        name="run-local",
        about="the same, under Locust in the process that has the page",
        needs=NEEDS,
        peer=lambda b, port: peers.crowd_rate_of_loadmux(port, peers.USERS, b.seconds),
        ours=lambda b, port: locust_page.rate(port, SCENARIO, b.seconds, processes=False),
        floor=">= 0.8",
        labels=("loadmux run", "under Locust"),
    ),
    Comparison(
        name="locust-cpu",
        about="exchanges a CPU second, beside a Locust User on gevent sockets",
        needs=NEEDS,
        peer=lambda b, port: locust_page.cpu_rate(port, GEVENT, b.seconds),
        ours=lambda b, port: locust_page.cpu_rate(port, SCENARIO, b.seconds),
        floor=">= 2.5",
        labels=("Locust's User", "loadmux"),
    ),
    Comparison(
        name="run-cpu",
        about="exchanges a CPU second, beside `loadmux run`",
        needs=NEEDS,
        peer=lambda b, port: peers.cpu_rate_of_loadmux(port, peers.USERS, b.seconds),
        ours=lambda b, port: locust_page.cpu_rate(port, SCENARIO, b.seconds),
        floor=">= 0.8",
        labels=("loadmux run", "under Locust"),
    ),
    Comparison(
        name="spawn",
        about="seconds until 10,000 users are connected, beside users in the page's process",
        needs=NEEDS,
        peer=lambda b, port: locust_page.spawn_time(port, b.crowd, processes=False),
        ours=lambda b, port: locust_page.spawn_time(port, b.crowd, processes=True),
        floor="<= 2 s",
        labels=("one process", "its own"),
        unit=" ms",
        figure=seconds_of_ours,
    ),
    Comparison(
        name="memory",
        about="KiB for each of 10,000 connected users",
        needs=NEEDS,
        peer=lambda b, port: locust_page.memory(port, SCENARIO, 1),
        ours=lambda b, port: locust_page.memory(port, SCENARIO, b.crowd),
        floor="<= 4 KiB",
        labels=("1 user", "all users"),
        unit=" B",
        figure=kib_a_user,
    ),
    Comparison(
        name="memory-locust",
        about="the same for each of 1,000 of Locust's User",
        needs=NEEDS,
        peer=lambda b, port: locust_page.memory(port, GEVENT, 1),
        ours=lambda b, port: locust_page.memory(port, GEVENT, FEW),
        floor="none",
        labels=("1 user", "all users"),
        unit=" B",
        figure=kib_of_few,
    ),
    Comparison(
        name="page",
        about="p95 of GET /stats/requests in ms, beside users in the process that has the page",
        needs=NEEDS,
        peer=lambda b, port: locust_page.page_latency(port, b.seconds, processes=False),
        ours=lambda b, port: locust_page.page_latency(port, b.seconds, processes=True),
        floor="<= 100 ms",
        labels=("one process", "its own"),
        unit=" ms",
        figure=ours_alone,
    ),
)


if __name__ == "__main__":
    try:
        sys.exit(main(COMPARISONS, "Sets loadmux under Locust beside Locust's own users."))
    except KeyboardInterrupt:
        sys.exit(130)
