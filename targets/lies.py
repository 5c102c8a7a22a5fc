"""Faults on purpose: with `--fault` a `Liar` takes the place of the reply rule.

So every model can lie, and none knows how: `service.answers` gives it a liar in place of a rule.
Two faults are not the reply's but its way out, and `Service` has them: `drip` and `no_eof`. One is
no lie at all: `slow` makes each reply cost more of the CPU.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from rules import Rule
from sockets import reset_on_close

FAULTS = {
    "short_send": "of every reply only the first half is sent, as if the kernel had taken no more",
    "lost_wakeup": "every other chunk is noticed only when the next one comes, at the end never",
    "drip": "the replies are right, but sent one byte at a time",
    "no_eof": "a client that ends its sending gets all it is owed, but no end in return",
    "slow": "the replies are right, but each costs so much more CPU: slow:100us, slow:5ms",
    "flip": "one bit of the middle byte of reply N is wrong",
    "duplicate": "reply N is sent twice",
    "swap": "reply N waits for reply N of another client, each then gets the other's",
    "truncate": "half of reply N is sent, then nothing any more",
    "early_close": "half of reply N is sent, then the server closes in order",
    "reset": "instead of reply N the connection is reset (over a Unix socket: closed)",
    "silence": "reply N and all after it are not sent",
    "extra": "after reply N come bytes that nobody asked for",
}
UNNUMBERED_FAULTS = ("short_send", "lost_wakeup", "drip", "no_eof")
UNASKED = b"unasked"


class Fault(NamedTuple):
    """A lie by name; `at` is the number of the reply it strikes, from 1, on each connection.

    `seconds` is what `slow` adds to each reply.
    """

    name: str
    at: int = 1
    seconds: float = 0.0


def burn(seconds: float) -> None:
    """Keep the CPU busy for so long, as work would; a sleep is neither so short nor so exact."""
    due = time.thread_time() + seconds
    while time.thread_time() < due:
        pass


class Mailbox:
    """Where clients' replies cross over, for all threads and processes of a server.

    The kernel holds one datagram in a socket pair: a reply with the connection it belongs to
    (unix(7), SCM_RIGHTS), or an empty one. Whoever takes it puts one back, so that taking it is
    also the lock.
    """

    SIZE = 512 * 1024
    PATIENCE = 100
    """Milliseconds that an owner who does not read may keep us."""

    def __init__(self) -> None:
        self.outside, self.inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.SIZE)
        self.outside.send(b"")

    def exchange(self, reply: bytes, sock: socket.socket) -> bytes:
        """The reply that was held, whose owner is sent `reply`; or empty, and `reply` is held."""
        held, fds, _, _ = socket.recv_fds(self.inside, self.SIZE, 1)  # blocks: it is the lock
        if not fds:
            socket.send_fds(self.outside, [reply], [sock.fileno()])
            return b""
        self.outside.send(b"")
        with socket.socket(fileno=fds[0]) as owner, contextlib.suppress(OSError):
            writable = select.poll()
            writable.register(owner, select.POLLOUT)
            while reply and writable.poll(self.PATIENCE):
                reply = reply[owner.send(reply, socket.MSG_DONTWAIT) :]
        return held


class Liar:
    """The reply rule of one connection, made wrong by the fault that was asked for."""

    def __init__(
        self,
        fault: Fault,
        rule: Rule,
        mailbox: Mailbox,
        sock: socket.socket,
        end: Callable[[], None],
    ) -> None:
        """`end` is called for an early close: what is owed is sent, then the server closes."""
        self.fault = fault
        self.rule = rule
        self.mailbox = mailbox
        self.sock = sock
        self.end = end
        self.count = 0
        self.unnoticed: bytes | None = None

    def __call__(self, chunk: bytes) -> bytes:
        """The reply to `chunk`, or what the fault makes of it."""
        self.count += 1
        name = self.fault.name
        if name == "lost_wakeup":
            return self._late(chunk)
        reply = self.rule(chunk)
        if name == "slow":
            burn(self.fault.seconds)
            return reply
        if name == "short_send":
            return reply[: (len(reply) + 1) // 2]
        if self.count == self.fault.at:
            return self._strike(name, reply)
        if self.count > self.fault.at and name in ("truncate", "silence"):
            return b""
        return reply

    def _late(self, chunk: bytes) -> bytes:
        if self.unnoticed is None:
            self.unnoticed = chunk
            return b""
        chunk, self.unnoticed = self.unnoticed + chunk, None
        return self.rule(chunk)

    def _strike(self, name: str, reply: bytes) -> bytes:
        half = len(reply) // 2
        match name:
            case "flip" if reply:
                return reply[:half] + bytes([reply[half] ^ 1]) + reply[half + 1 :]
            case "duplicate":
                return reply + reply
            case "extra":
                return reply + UNASKED
            case "silence":
                return b""
            case "truncate":
                return reply[:half]
            case "early_close":
                self.end()
                return reply[:half]
            case "reset":
                reset_on_close(self.sock)
                raise ConnectionResetError("as the fault asks")
            case "swap" if reply:
                return self.mailbox.exchange(reply, self.sock)
        return reply
