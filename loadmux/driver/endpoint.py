"""Where and how to connect, and what this machine may refuse: addresses, ports, limits."""

from __future__ import annotations

import errno
import resource
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Protocol

from loadmux.checking.framing import Framing
from loadmux.checking.headed import AnyJudge
from loadmux.checking.verifying import Verifier
from loadmux.driver.loop import Task
from loadmux.driver.sources import Sources
from loadmux.errors import DriverFault

Greeting = Callable[[Random], tuple[bytes, Verifier]]
UnaskedJudge = Callable[[bytes, bool], tuple[bytes, bytes, str, int]]

LOCAL_LIMITS = {
    errno.EMFILE: "this process may open no more descriptors (limit {limit}): raise it with"
    " `ulimit -n`, use fewer users, or more --workers",
    errno.ENFILE: "the whole system may open no more descriptors: raise fs.file-max",
    errno.ENOBUFS: "the kernel has no buffers left for sockets",
    errno.ENOMEM: "the kernel has no memory left for sockets",
    errno.EADDRNOTAVAIL: "no free port is left for this target: too many connections are open, or"
    " were closed faster than TIME_WAIT ends; widen net.ipv4.ip_local_port_range, give more"
    " addresses as `source` (127.0.1.0/24), or slow down",
}


class Pace(Protocol):
    """How a slow reader reads: `size` bytes at a time at most, the next `gap` seconds later."""

    @property
    def size(self) -> int: ...

    @property
    def gap(self) -> float: ...


@dataclass(frozen=True, slots=True)
class AnyTime:
    """What may come on a socket at any time.

    `framing` finds it in a stream; None where a datagram is the whole of it. `judges` make the
    judges of the moment for a user and the socket's name, always the same ones where they are
    `constant`. `taken` is told which of them has taken a frame and what it gives a name to, and
    says what is to be sent for it.
    """

    framing: Framing | None
    judges: Callable[[Task, str], Sequence[AnyJudge]]
    taken: Callable[[Task, str, int, Mapping[str, bytes]], bytes]
    constant: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to connect: `address` as the socket's family takes it, buffers in bytes.

    `tls` makes it a TLS connection to `server_name`. `datagrams`: UDP, which other code drives.
    `greeting` makes what a new connection begins with: bytes to send, and the verifier of their
    answer. `unasked` judges what comes between replies (and whether any is awaited): what to send
    for it, what is left of it,
    why the server has ended the conversation (empty: it has not), and how many messages are to be
    counted; `begun` whether what is left is the beginning of more. `any_time` is what the scenario
    says of frames that come unasked. `may_end`: the server may end the connection in order while
    nothing is owed. `pace` is how a slow reader reads. `requests` tells apart the messages that are
    answered one by one in what is sent, where the protocol says so (`Framing.requests`). `framing`
    is the socket's, for those who explain a fault. `learns`: what is spoken will be known when the
    scenario's code asks for a reply, see `learn`. `listens`: some step takes what comes without a
    message of its own; `guessed`: or some may, of code that has not been seen to its end yet.
    """

    family: int
    address: tuple[str, int] | tuple[str, int, int, int] | str
    url: str
    nodelay: bool = True
    receive_buffer: int | None = None
    send_buffer: int | None = None
    source: Sources | None = None
    linger: float | None = None
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    datagrams: bool = False
    greeting: Greeting | None = None
    unasked: UnaskedJudge | None = None
    begun: Callable[[bytes], bool] | None = None
    any_time: AnyTime | None = None
    may_end: bool = False
    pace: Pace | None = None
    requests: Callable[[bytes], tuple[list[bytes], bytes]] | None = None
    framing: Framing | None = None
    learns: bool = False
    listens: bool = False
    guessed: bool = False
    may_meet_itself: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        port = 0 if isinstance(self.address, str) else self.address[1]
        object.__setattr__(self, "may_meet_itself", port in ephemeral_ports())

    def listen(self) -> None:
        """From now on a step may take what comes here without a message of its own."""
        object.__setattr__(self, "listens", True)
        object.__setattr__(self, "guessed", False)

    def walked(self) -> None:
        """Code has been through a whole iteration: where it has not listened, it does not."""
        object.__setattr__(self, "guessed", False)

    def learn(self, other: Endpoint) -> None:
        """From now on what is spoken here is what is spoken on the `other`."""
        for name in ("unasked", "begun", "requests", "framing", "learns"):
            object.__setattr__(self, name, getattr(other, name))


def bind(sock: socket.socket, source: str) -> None:
    """Bind to a source address, the port left to connect(): it may serve several targets, ip(7).

    Raises DriverFault where it is not to be had.
    """
    option: int | None = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_IP, option, 1)
    try:
        sock.bind((source, 0))
    except OSError as error:
        sock.close()
        raise DriverFault(
            f"cannot bind to source address {source}: {error.strerror}; it must be an address of"
            " this machine, of the target's family"
        ) from None


@cache
def ephemeral_ports() -> range:
    """The ports that connect() chooses from, ip(7); where nobody tells, all that it ever may."""
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return range(1024, 65536)
    return range(int(first), int(last) + 1)


def met_itself(sock: socket.socket, endpoint: Endpoint) -> bool:
    """Whether connect() found nobody but this socket, which then hears whatever it says.

    Where nobody listens on a port of this machine, the port that the kernel chooses for our end may
    be that very one: the SYN comes back to its sender, which is a simultaneous open, and TCP allows
    it (RFC 9293, 3.5). Once in 28,000 connects a server that is down would be a right echo server.
    """
    own = sock.getsockname()
    if own[1] != endpoint.address[1]:
        return False
    try:
        return bool(own[:2] == sock.getpeername()[:2])
    except OSError:
        return False  # the server has reset it already: whoever uses it will be told


def local_limit(error: OSError) -> DriverFault:
    """A limit of this machine, told with its remedy; the target is not to blame."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    text = LOCAL_LIMITS.get(error.errno or 0, str(error.strerror))
    return DriverFault(f"cannot open a socket: {text.format(limit=limit)}")
