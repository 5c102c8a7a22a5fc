"""Connections come from the addresses of a block, as the server sees them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import needs
import pytest
from commands import ROOT, program, run
from driving import POLLERS, Server, drive
from transports import UdpServer

pollers = pytest.mark.parametrize("poller", POLLERS)


class Witness:
    """An echo server that notes where its clients come from."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def __call__(self, connection: socket.socket, number: int) -> None:
        self.peers.append(connection.getpeername()[0])
        while chunk := connection.recv(65536):
            connection.sendall(chunk)


def talk(source: str, users: int, steps: str = "[{send: hello, expect: hello}]") -> str:
    return (
        f"sockets: {{main: {{source: {source}}}}}\nsteps: {steps}\n"
        f"load: {{users: {users}, iterations: 4}}\ntimeout: 2s\n"
    )


@pollers
def test_each_user_has_the_next_address(poller: str) -> None:
    witness = Witness()
    with Server(witness) as server:
        driven = drive(talk("127.0.1.0/29", 16), server.url, poller)
    assert driven.kinds == {}
    assert Counter(witness.peers) == {f"127.0.1.{i}": 2 for i in range(8)}


def test_a_connection_for_each_exchange_goes_through_the_block() -> None:
    witness = Witness()
    steps = "[{send: hello, expect: hello}, {close: main}]"
    with Server(witness) as server:
        driven = drive(talk("127.0.1.0/30", 1, steps), server.url)
    assert driven.kinds == {}
    assert witness.peers == [f"127.0.1.{i}" for i in range(4)]


def test_sockets_that_share_a_block_take_turns() -> None:
    witness = Witness()
    text = (
        "sockets: {a: {source: 127.0.1.0/30}, b: , c: {source: 127.0.1.0/30},"
        " d: {source: 127.0.2.1}}\n"
        "steps: [{on: all, send: hello, expect: hello}]\n"
        "load: {users: 4, iterations: 1}\n"
    )
    with Server(witness) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {}
    assert Counter(witness.peers) == {
        **{f"127.0.1.{i}": 2 for i in range(4)},
        "127.0.0.1": 4,
        "127.0.2.1": 4,
    }


def test_over_udp() -> None:
    with UdpServer(lambda datagram, number: [datagram]) as server:
        driven = drive(talk("127.0.1.0/30", 8), server.url)
    assert driven.kinds == {}
    assert Counter(server.senders) == {f"127.0.1.{i}": 2 for i in range(4)}


def test_one_ipv6_address_is_a_block_too() -> None:
    needs.ipv6()
    witness = Witness()
    with Server(witness, "::1") as server:
        driven = drive(talk("'::1/128'", 2), server.url)
    assert driven.kinds == {}
    assert witness.peers == ["::1"] * 2


FEW_PORTS = """
import fcntl, socket, struct, sys
from collections import Counter
from driving import Server, drive
from test_sources import Witness, talk

with socket.socket() as sock:  # netdevice(7): bring the loopback of this namespace up
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
    ports.write("40000 40009")
witness = Witness()
with Server(witness) as server:
    to = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    taken = []
    while True:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind(("127.0.1.0", 0))
        if sock.connect_ex(to):
            break
        taken.append(sock)
    try:
        driven = drive(talk(sys.argv[1], 4), server.url)
        others = Counter(witness.peers) - Counter({"127.0.1.0": len(taken)})
        print(driven.kinds, sorted(others.elements()))
    except Exception as error:
        print(type(error).__name__, error)
    for sock in taken:
        sock.close()
"""


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ("127.0.1.0/31", "{} ['127.0.1.1', '127.0.1.1', '127.0.1.1', '127.0.1.1']"),
        ("127.0.1.0", "DriverFault cannot open a socket: no free port is left for this target"),
    ],
)
def test_where_an_address_has_no_port_left_the_next_one_is_taken(block: str, told: str) -> None:
    """In a network namespace of its own, where there are ten ports and one address has none."""
    alone = [program("unshare"), "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a network namespace")
    folders = f"{Path(__file__).parent}:{ROOT / 'tests' / 'support'}"
    done = subprocess.run(
        [*alone, sys.executable, "-c", FEW_PORTS, block],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": folders},
        check=False,
    )
    assert told in done.stdout, done.stderr


@pytest.mark.parametrize("block", ["192.0.2.0/24", "192.0.2.1"])
def test_a_block_that_is_not_ours_is_refused_before_anything_is_sent(
    block: str, tmp_path: Path
) -> None:
    scenario = tmp_path / "foreign.yaml"
    scenario.write_text(talk(block, 1))
    witness = Witness()
    with Server(witness) as server:
        done = run(scenario, "--target", server.url, folder=tmp_path)
    assert done.code == 2
    assert "cannot bind to source address 192.0.2.1" in done.err
    assert witness.peers == []


def test_the_addresses_of_several_workers_are_even_too(tmp_path: Path) -> None:
    scenario = tmp_path / "block.yaml"
    scenario.write_text(talk("127.0.1.0/29", 16))
    witness = Witness()
    with Server(witness) as server:
        done = run(scenario, "--target", server.url, "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.out
    assert Counter(witness.peers) == {f"127.0.1.{i}": 2 for i in range(8)}
