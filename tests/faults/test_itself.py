"""A socket that the kernel connected to itself is nobody's server: `refused`, on every poller."""

from __future__ import annotations

import socket

import needs
import pytest
from driving import POLLERS, Driven, drive_scenario, scenario_for

from loadmux.driver.endpoint import ephemeral_ports
from loadmux.running.generators.worker import Worker

TEXT = """
steps: [{name: talk, send: "hello", expect: reply}]
load: {users: 1, iterations: 1}
"""

pollers = pytest.mark.parametrize("poller", POLLERS)


def to_itself(scheme: str, host: str, poller: str) -> tuple[Driven, int]:
    """Run against a port where nobody listens, each socket bound to that port before it connects.

    That is the port that the kernel chooses once in 28,000 times; here it has no choice.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    assert port in ephemeral_ports()

    def bound(family: int, kind: int) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        return sock

    def prepare(worker: Worker) -> None:
        worker.loop.socket = bound

    shown = f"[{host}]" if ":" in host else host
    scenario = scenario_for(TEXT, f"{scheme}://{shown}:{port}", "echo")
    urls = {name: one.url for name, one in scenario.servers.items() if one.url is not None}
    return drive_scenario(scenario, urls, poller, prepare), port


@pollers
@pytest.mark.parametrize("scheme", ["tcp", "udp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_to_itself_is_refused(scheme: str, host: str, poller: str) -> None:
    if host == "::1":
        needs.ipv6()
    driven, _ = to_itself(scheme, host, poller)
    assert set(driven.kinds) == {"refused"}
    assert driven.stats.steps["talk"].right == 0
    assert "to itself" in driven.faults[0].message
    assert driven.unreachable is not None


def test_the_port_is_free_for_a_server_at_once() -> None:
    _, port = to_itself("tcp", "127.0.0.1", "epoll")
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
