"""What is known of the sockets at a port, by sock_diag(7) and by /proc."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack

import pytest

from loadmux.language.meaning.urls import parse_url
from loadmux.running.servers import diag, ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="both are Linux's")
HOSTS = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


@pytest.fixture(params=["sock_diag", "/proc"])
def _source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "/proc":
        monkeypatch.setattr(diag, "NETLINK_SOCK_DIAG", 31)  # no protocol has that number
        assert ports._diagnosed() is None


@pytest.mark.usefixtures("_source")
@pytest.mark.parametrize("host", HOSTS)
def test_who_listens_who_waits_and_what_is_unread(host: str) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, 0), family=HOSTS[host]))
        address = listener.getsockname()
        clients = [stack.enter_context(socket.create_connection(address[:2])) for _ in range(3)]
        accepted = stack.enter_context(listener.accept()[0])
        clients[0].sendall(b"hello")
        accepted.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
        url = parse_url(
            f"tcp://[{host}]:{address[1]}" if ":" in host else f"tcp://{host}:{address[1]}"
        )
        found = {one.inode: one for one in ports.ends(url)}
        inode = inode_of(listener)
        assert found[inode] == ports.End(host, inode, ports.LISTENING["tcp"], 2)
        inode = inode_of(accepted)
        assert found[inode] == ports.End(host, inode, ports.ESTABLISHED, 5)
        assert ports.listeners(url) == [ports.Listener(host, inode_of(listener))]
        assert {inode_of(one) for one in (listener, accepted, *clients)} <= ports.tcp_inodes()


def inode_of(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino
