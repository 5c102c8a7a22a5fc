"""What is unread of a socket's bytes, where both ends are here, and where they are not."""

from __future__ import annotations

import socket
import sys

import pytest

from loadmux.driver.queues import Left, Queues, diagnosed
from loadmux.measuring.unread import Unread

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net is Linux's")


@linux
@pytest.mark.parametrize("by", ["sock_diag", "tables"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "mapped"])
def test_what_the_peer_has_not_read_and_who_has_not_accepted(by: str, host: str) -> None:
    def look() -> Left | None:
        queues = Queues()
        queues._diagnoses = by == "sock_diag"
        return queues.left(client, secured=False)

    family = socket.AF_INET if host == "127.0.0.1" else socket.AF_INET6
    listening = socket.create_server(
        ("::" if host == "mapped" else host, 0), family=family, dualstack_ipv6=host == "mapped"
    )
    to = "127.0.0.1" if host == "mapped" else host
    sort = socket.AF_INET if host == "mapped" else family
    with listening as listener, socket.socket(sort) as client:
        client.connect((to, listener.getsockname()[1]))
        own, peer = client.getsockname()[:2], client.getpeername()[:2]
        if by == "sock_diag" and diagnosed(sort, own, peer) is None:
            pytest.skip("this kernel has no sock_diag(7) for TCP")
        client.sendall(bytes(1000))
        left = look()
        assert left is not None
        assert (left.size, left.accepted) == (1000, False)
        server, _ = listener.accept()
        with server:
            server.recv(600)
            left = look()
            assert left is not None
            assert (left.size, left.accepted) == (400, True)
            client.shutdown(socket.SHUT_WR)  # a FIN is no byte
            left = look()
            assert left is not None
            assert left.size == 400


@linux
def test_a_peer_that_is_not_here_is_not_known() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("192.0.2.1", 9))  # nothing is sent
        assert Queues().left(client, secured=False) is None


def test_what_is_remarked() -> None:
    found = Unread()
    assert found.told("it") is None
    found.add(Unread(unknown=2, untold=1234))
    told = found.told("it")
    assert told is not None
    assert told.startswith("nothing shows that it has read what it was sent: 1,234 bytes on 2 con")
    assert not found.doubtful
    found.add(Unread(stuck=1, mostly=1, sent=10, left=10))
    assert found.doubtful
    found.add(Unread(drained=1))
    assert not found.doubtful
    assert found.told("it") is None
