"""What every target server serves from, and how it is run, from the ready line to the exit code.

Each `<model>_server.py` holds its IO model, that is who waits where and who is woken, and
leaves the rest to this module and those beside it:

- `run(MODEL, serve)` reads the arguments, listens, prints `listening URL` as the only line on
  standard output, and calls `serve(service)`. Exit codes: 0 ended by SIGINT or SIGTERM, 1 cannot
  listen or cannot run here, 2 bad arguments; errors are one line on standard error.
- `Service` is what a model serves from: where clients come from (`listening`), the wish to stop
  (`signals`), and what each connection is answered with (`rules`, or `lies` with `--fault`).
- A stopping server accepts and answers no more, sends what it owes, shuts down its sending side,
  and gives the clients `GRACE` seconds to close.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import Protocol

from arguments import Settings, parse
from lies import Liar, Mailbox
from listening import Listener
from model import Model
from rules import RULES, Rule
from signals import StopSignal

GRACE = 0.5
"""Seconds that a stopping server gives its clients to take what is owed and to close."""


class Endable(Protocol):
    """A conversation of a blocking server, as the thread that stops the server sees it."""

    def finish(self) -> None:
        """Answer no more and end in order."""

    def abort(self) -> None:
        """End at once."""


class Service:
    """What a model serves from: listener, settings, and the wish to stop."""

    def __init__(self, model: Model, settings: Settings) -> None:
        """Listen. OSError if that is not possible."""
        self.model = model
        self.settings = settings
        self.read_size = settings.read_size
        self._logged: set[str] = set()
        self.listener = Listener(settings, model.datagrams, self.log)
        self.conversations: set[Endable] = set()
        self.deadline: float | None = None
        self.in_child = False
        self.mailbox = Mailbox()
        self.unended: list[socket.socket] = []
        self.stop = StopSignal()

    @property
    def url(self) -> str:
        """Where to connect to, as loadmux writes it."""
        if self.settings.unix:
            return f"unix://{os.path.abspath(self.settings.unix)}"
        host, port = self.listener.sock.getsockname()[:2]
        scheme = "udp" if self.model.datagrams else "tls" if self.settings.tls else "tcp"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def log(self, text: str) -> None:
        """One line on standard error, once for each text: nobody may be reading it."""
        if text not in self._logged:
            self._logged.add(text)
            print(f"{self.model.name}: {text}", file=sys.stderr, flush=True)

    # What a connection is served with.

    def secured(self, sock: socket.socket) -> socket.socket:
        """The same connection, with TLS under it if that was asked for."""
        context = self.settings.context
        if context is None:
            return sock
        from secured import Secured

        return Secured(sock, context)

    def answers(self, sock: socket.socket, end: Callable[[], None]) -> Rule:
        """What turns a chunk of this connection into its reply; `end` as for `Liar`."""
        rule, fault = RULES[self.settings.reply], self.settings.fault
        return rule if fault is None else Liar(fault, rule, self.mailbox, sock, end)

    @property
    def stride(self) -> int | None:
        """Most bytes to pass to one send(), or None for all."""
        fault = self.settings.fault
        return 1 if fault is not None and fault.name == "drip" else None

    @property
    def withholds_end(self) -> bool:
        """Whether connections are left open when they should be closed."""
        fault = self.settings.fault
        return fault is not None and fault.name == "no_eof" and self.deadline is None

    def close(self, sock: socket.socket) -> None:
        """End a connection in order. (With the fault no_eof it stays open until we exit.)"""
        if self.withholds_end:
            self.unended.append(sock)
            return
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)  # ends it even where a forked child has a copy
        sock.close()

    # Stopping, for servers that wait for descriptors.

    def busy(self, clients: Collection[object]) -> bool:
        """Whether to go on: until stopped, then while clients are left and `GRACE` lasts."""
        if self.deadline is None:
            return True
        return bool(clients) and time.monotonic() < self.deadline

    def patience(self) -> float | None:
        """Seconds to wait at most: for ever, or when stopping until the deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def begin_stop(self) -> None:
        """Accept no more. The model then calls `finish()` for every client."""
        self.deadline = time.monotonic() + GRACE
        self.listener.close()

    # Stopping, for servers that block.

    def stop_in_thread(self) -> threading.Thread:
        """Start the thread that waits for the signal and then wakes whoever blocks.

        It ends when every conversation has, or after `GRACE`; then the process may end.
        """
        thread = threading.Thread(target=self._stop_blocked, daemon=True)
        thread.start()
        return thread

    def _stop_blocked(self) -> None:
        self.stop.wait()
        self.deadline = time.monotonic() + GRACE
        self.listener.leave()
        if not self.in_child:  # shutdown(2) is for all copies, and other processes go on accepting
            self.listener.interrupt()
        for conversation in list(self.conversations):
            conversation.finish()
        while self.busy(self.conversations):
            time.sleep(0.01)
        for conversation in list(self.conversations):
            conversation.abort()
        if self.in_child:
            os._exit(0)  # its main thread may block in accept(), where nothing wakes it


def raise_descriptor_limit() -> None:
    """Allow as many descriptors as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS: "unlimited" is refused
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(model: Model, serve: Callable[[Service], None], documentation: str | None = None) -> None:
    """Run a model's server until a signal ends it, then exit."""
    settings = parse(model, documentation)
    if settings.describe:
        print(model.describe())
        return
    reason = model.unavailable()
    if reason is not None:
        sys.exit(f"{model.name}: cannot run here: {reason}")
    raise_descriptor_limit()
    try:
        service = Service(model, settings)
    except OSError as error:
        place = settings.unix or f"{settings.host}:{settings.port}"
        told = f"{model.name}: cannot listen on {place}: {error.strerror or error}"
        print(told, file=sys.stderr)
        sys.exit(2 if error.errno is None else 1)  # no errno: not even an address, socket(3)
    try:
        announce(model, service)
        serve(service)
    except RuntimeError as error:
        # threading has no word of its own for pthread_create(3)'s EAGAIN; no other error is alike.
        if "start new thread" not in str(error):
            raise
        sys.exit(f"{model.name}: the system allows no more threads: use fewer --workers")
    finally:
        service.listener.unlink()


def announce(model: Model, service: Service) -> None:
    """Print the ready line; exit code 1 where nobody could read it."""
    try:
        print(f"listening {service.url}", flush=True)
    except OSError as error:
        sys.exit(f"{model.name}: cannot print the ready line: {error.strerror}")
