"""What a run needs of this machine: refused before anything is sent where it could only fail."""

from __future__ import annotations

import resource
import socket
from collections.abc import Sequence

from loadmux.driver.endpoint import bind
from loadmux.driver.poller import check_poller
from loadmux.driver.sources import sources
from loadmux.errors import DriverFault, UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.running.servers.starting import connections
from loadmux.running.settings import Settings

SPARE_DESCRIPTORS = 32
"""What a process has open beside its connections: streams, channel, poller, files."""
SELECT_LIMIT = 1024
"""FD_SETSIZE: select(2) takes no descriptor from this number on."""


def check_limits(scenarios: Sequence[Scenario], settings: Settings) -> None:
    """Refuse before anything is sent what could only fail half-way. Raises UsageError."""
    check_poller(settings.poller)
    for source in {one.source for scenario in scenarios for one in scenario.sockets}:
        if source is not None:
            block = sources(source)
            for address in dict.fromkeys((block[0], block[-1])):
                check_source(address)
    bundled = [
        connections(name, scenario)
        for scenario in scenarios
        for name, target in scenario.servers.items()
        if target.bundled is not None
    ]
    check_descriptors("the bundled target", max(bundled, default=0), "use fewer users")
    needed = sum(
        -(-scenario.load.users // settings.workers) * len(scenario.sockets)
        for scenario in scenarios
    )
    check_descriptors("a worker", needed, "use fewer users or more --workers")
    needed += SPARE_DESCRIPTORS
    if settings.poller == "select" and needed > SELECT_LIMIT:
        raise UsageError(
            f"--poller select: {needed} descriptors a worker are more than FD_SETSIZE"
            f" ({SELECT_LIMIT}); use --poller epoll or poll, fewer users, or more --workers"
        )


def check_descriptors(who: str, wanted: int, remedy: str) -> None:
    """Raises UsageError where a process may not open so many connections."""
    needed, limit = wanted + SPARE_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise UsageError(
            f"{wanted} connections: {who} needs {needed} descriptors, the hard limit is {limit}:"
            f" raise it (`ulimit -Hn`), or {remedy}"
        )


def check_source(source: str) -> None:
    """Raises UsageError where sockets cannot be bound to this address."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            bind(sock, source)
        except DriverFault as fault:
            raise UsageError(f"source: {fault}") from None
