"""Ports of this machine: one that is free, and who listens where.

Who listens is read from /proc, where there is one: a connection made to find out would be the first
client of a server that serves but one.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from loadmux.errors import UsageError
from loadmux.language.meaning.servers import Url
from loadmux.running.servers import diag

LOCAL = "127.0.0.1"
PORTS = range(15000, 32000)
"""Below those that the kernel hands out by itself, to clients as well."""
LISTENING = {"tcp": "0A", "udp": "07"}
ESTABLISHED, CLOSE_WAIT = "01", "08"
ACCEPTS = 0x10000
"""__SO_ACCEPTCON among the flags of /proc/net/unix."""


class Listener(NamedTuple):
    """A socket that awaits clients: its address and the number of its inode."""

    address: str
    inode: int


class End(NamedTuple):
    """A socket of a server: its state is that of /proc/net, "" for a Unix one that listens.

    `unread`: bytes that have come and that the server has not read; connections that wait to be
    accepted, if it listens.
    """

    address: str
    inode: int
    state: str
    unread: int


def free_port() -> int:
    """A port that nobody has now, for TCP or UDP. Raises UsageError where there is none."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if _is_free(port):
            return port
    raise UsageError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with closing(socket.socket(socket.AF_INET, kind)) as sock:
            try:
                # Without SO_REUSEADDR, as of a server that does not set it: TIME_WAIT is not free.
                sock.bind(("", port))
            except OSError:
                return False
    return True


def listeners(url: Url) -> list[Listener] | None:
    """Who awaits clients where the URL says, whatever its host; None where nobody can tell."""
    if not Path("/proc/net/tcp").exists():
        return None
    awaits = "" if url.scheme == "unix" else LISTENING["udp" if url.scheme == "udp" else "tcp"]
    return [Listener(one.address, one.inode) for one in ends(url) if one.state == awaits]


def ends(url: Url) -> list[End]:
    """All sockets of this machine at the server's side of a URL, whatever its host."""
    return list(_of_path(url.path) if url.scheme == "unix" else _of_port(url))


def _of_port(url: Url) -> Iterator[End]:
    kind = "udp" if url.scheme == "udp" else "tcp"
    if kind == "tcp" and (found := _diagnosed(url.port)) is not None:
        for one in found:
            yield End(str(ip_address(one.address)), one.inode, f"{one.state:02X}", one.unread)
        return
    for table in (kind, f"{kind}6"):
        for fields in _rows(table, having=f":{url.port:04X} "):
            address, _, port = fields[1].partition(":")
            if int(port, 16) == url.port:
                unread = int(fields[4].partition(":")[2], 16)
                yield End(_address(address), int(fields[9]), fields[3], unread)


def tcp_inodes() -> set[int]:
    """Of all TCP sockets of this machine that listen, or are an end of a connection."""
    if (found := _diagnosed()) is not None:
        return {one.inode for one in found}
    return {int(fields[9]) for table in ("tcp", "tcp6") for fields in _rows(table, ":")}


def _diagnosed(port: int = 0) -> list[diag.Found] | None:
    """None where the kernel has no sock_diag, or does not let us ask."""
    try:
        return list(diag.tcp(port))
    except OSError:
        return None


def _of_path(path: str) -> Iterator[End]:
    for fields in _rows("unix", having=path):
        if fields[7:8] == [path]:
            state = "" if int(fields[3], 16) & ACCEPTS else fields[5]
            yield End(path, int(fields[6]), state, 0)


def _rows(table: str, having: str) -> Iterator[list[str]]:
    """The fields of rows with these characters: of thousands of sockets few are at a port."""
    with suppress(OSError):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            if having in line:
                yield line.split()


def _address(digits: str) -> str:
    """An address as /proc shows it: words of four bytes, in this machine's order."""
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ip_address(b"".join(words)))


def connects(url: Url) -> bool:
    """Whether somebody accepts there; not for UDP."""
    family = socket.AF_UNIX if url.scheme == "unix" else socket.AF_INET
    if ":" in url.host:
        family = socket.AF_INET6
    with closing(socket.socket(family)) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(url.path if url.scheme == "unix" else (url.host, url.port))
        except OSError:
            return False
    return True
