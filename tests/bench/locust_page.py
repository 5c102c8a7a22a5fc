"""Runs Locust with its web page, and has it start users as the page does: for `locust_compare.py`.

`--processes 1` is how `loadmux web` runs it: one process has the page, its child the users. Without
it one process has both. All of them run on the clients' core (`peers.py`), as `loadmux run` does
with its worker. They are a process group of their own, which is told to end (SIGTERM) and killed if
it does not. A rate is `served_rate`, redis' own count by its own clock from when all users are
connected, so that neither start-up nor Locust's reporting every few seconds is in it.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import peers
from peers import GRACE, HERE, HOST, Monitor, PeerError

SCENARIO = ("locust_scenario.py", "Ping")
GEVENT = ("locust_peer.py", "PingUser")
POLL_EVERY = 0.1

Users = tuple[str, str]
"""A locustfile beside this file, and a class of it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Locust's page at `base`; `users` is the process that has the users."""

    process: subprocess.Popen[str]
    base: str
    users: int

    def get(self, path: str) -> Any:
        with urlopen(self.base + path, timeout=GRACE) as answer:
            return json.load(answer)

    def post(self, path: str, **form: object) -> None:
        request = Request(self.base + path, urlencode(form).encode(), method="POST")
        with urlopen(request, timeout=GRACE) as answer:
            told = json.load(answer)
        if not told["success"]:
            raise PeerError(f"locust refused {path}: {told['message']}")

    def swarm(self, count: int) -> None:
        self.post("/swarm", user_count=count, spawn_rate=count)

    def stop(self, count: int) -> None:
        """End the test. Raises PeerError unless `count` users did something, and that right."""
        due = monotonic() + GRACE
        while (told := self.get("/stats/requests"))["user_count"] != count or not asked(told):
            if monotonic() > due:
                raise PeerError(
                    f"locust tells of {told['user_count']} users instead of {count}, and of"
                    f" {asked(told)} requests"
                )
            sleep(POLL_EVERY)
        self.post("/stop")
        if failures := self.get("/stats/requests")["stats"][-1]["num_failures"]:
            raise PeerError(f"locust met {failures} failures in {asked(told)} requests")


def asked(told: Any) -> int:
    """The requests in an answer of `/stats/requests`, whose last row is the total."""
    count: int = told["stats"][-1]["num_requests"]
    return count


def command(port: int, page: int, users: Users, *, processes: bool) -> list[str]:
    file, name = users
    words = ["-f", str(HERE / file), name, "--host", f"tcp://{HOST}:{port}", "--skip-log"]
    words += ["--web-host", HOST, "--web-port", str(page)]
    if processes:
        between = str(peers.free_port())
        words += ["--processes", "1", "--master-bind-host", HOST, "--master-host", HOST]
        words += ["--master-bind-port", between, "--master-port", between]
    return [sys.executable, "-m", "locust", *words]


@contextmanager
def locust_page(port: int, users: Users, *, processes: bool) -> Iterator[Page]:
    """Locust against the redis at `port`, ready to start users."""
    web = peers.free_port()
    with subprocess.Popen(
        command(port, web, users, processes=processes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=peers.pinned(1),
    ) as process:
        try:
            base = f"http://{HOST}:{web}"
            await_page(process, base, int(processes))
            worker = peers.children(process.pid)[0] if processes else process.pid
            yield Page(process, base, worker)
            process.terminate()
            process.wait(GRACE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def await_page(process: subprocess.Popen[str], base: str, workers: int) -> None:
    """Until the page answers and has its worker."""
    due = monotonic() + GRACE
    while monotonic() < due:
        if process.poll() is not None:
            peers.output(process, 0, ())
        with suppress(URLError), urlopen(base + "/stats/requests", timeout=GRACE) as answer:
            if len(json.load(answer).get("workers", [])) == workers:
                return
        sleep(0.05)
    raise PeerError(f"locust's page was not there within {GRACE:.0f} s")


@contextmanager
def swarm(
    port: int, users: Users, count: int, *, processes: bool = True
) -> Iterator[tuple[Page, Monitor, float]]:
    """Users that all are connected; yields also how long (seconds) that took from the start on."""
    with locust_page(port, users, processes=processes) as page, Monitor(port) as monitor:
        began = monotonic()
        page.swarm(count)
        monitor.await_clients(count, page.process)
        took = monotonic() - began
        sleep(peers.SETTLE)
        yield page, monitor, took
        page.stop(count)


def rate(port: int, users: Users, seconds: int, *, processes: bool) -> float:
    """Right exchanges a second of 50 users."""
    with swarm(port, users, peers.USERS, processes=processes) as (_, monitor, _):
        return monitor.served_rate(seconds)


def cpu_rate(port: int, users: Users, seconds: int) -> float:
    """Right exchanges of 50 users for each CPU second of the process that has them."""
    with swarm(port, users, peers.USERS) as (page, monitor, _):
        return monitor.served_a_cpu_second(seconds, page.users)


def spawn_time(port: int, count: int, *, processes: bool) -> float:
    """Milliseconds from the start in the page until redis has all the connections."""
    with swarm(port, SCENARIO, count, processes=processes) as (_, _, took):
        return took * 1000


def memory(port: int, users: Users, count: int) -> float:
    """Resident memory (bytes) of the process with the users, a while after all connected."""
    with swarm(port, users, count) as (page, _, _):
        sleep(1)
        return peers.resident(page.users)


def page_latency(port: int, seconds: int, *, processes: bool) -> float:
    """p95 (milliseconds) of `GET /stats/requests`, asked again and again in `seconds`."""
    with swarm(port, SCENARIO, peers.USERS, processes=processes) as (page, _, _):
        took = []
        until = monotonic() + seconds
        while monotonic() < until:
            began = monotonic()
            page.get("/stats/requests")
            took.append((monotonic() - began) * 1000)
            sleep(POLL_EVERY)
        return statistics.quantiles(took, n=20)[-1]
