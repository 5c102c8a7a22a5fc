"""What all target servers share: arguments, the ready line, signals, reply rules, faults.

Each `<model>_server.py` holds its IO model, that is who waits where and who is woken, and
leaves the rest to this module:

- `run(MODEL, serve)` reads the arguments, listens, prints `listening URL` as the only line on
  standard output, and calls `serve(service)`. Exit codes: 0 ended by SIGINT or SIGTERM, 1 cannot
  listen or cannot run here, 2 bad arguments; errors are one line on standard error.
- `Service` is what a model serves from: the listener, the arguments, the wish to stop. The first
  SIGINT or SIGTERM makes `service.stop` readable (the self-pipe trick: a wait on descriptors
  cannot miss the signal); the second one kills. A stopping server accepts and answers no more,
  sends what it owes, shuts down its sending side, and gives the clients `GRACE` seconds to close.
- A reply rule turns each chunk that was read into the bytes to send. With `--fault` a `Liar`
  takes the rule's place, so that every model can lie and none knows how.

When descriptors run out (accept(2): EMFILE, ENFILE) a server must neither stop nor spin: one
descriptor is kept in reserve, and lent to accept and reset the client there is no room for.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import resource
import select
import selectors
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from types import FrameType
from typing import Any, NoReturn, Protocol

from secured import Secured, server_context

GRACE = 0.5
"""Seconds that a stopping server gives its clients to take what is owed and to close."""
ACCEPT_BATCH = 64
"""Clients accepted in a row before those already connected get their turn."""
RETRY_ACCEPT = 0.05
"""Seconds until the next try when there is neither a descriptor nor a reserve."""
LARGEST_READ = 16 * 1024 * 1024
"""Bytes that a single read may ask for."""
FD_SETSIZE = 1024
"""select(2) cannot watch a descriptor of this number or above; CPython raises ValueError."""

Rule = Callable[[bytes], bytes]
RULES: dict[str, Rule] = {
    "echo": lambda chunk: chunk,
    "upper": lambda chunk: chunk.upper(),
    "ok": lambda chunk: b"ok",
    "received": lambda chunk: b"Server received " + repr(chunk).encode(),
    "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    "hello": lambda chunk: b"Hello Client!",
    "sink": lambda chunk: b"",
}

FAULTS = {
    "short_send": "of every reply only the first half is sent, as if the kernel had taken no more",
    "lost_wakeup": "every other chunk is noticed only when the next one comes, at the end never",
    "drip": "the replies are right, but sent one byte at a time",
    "no_eof": "a client that ends its sending gets all it is owed, but no end in return",
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


@dataclasses.dataclass(frozen=True)
class Fault:
    """A lie by name; `at` is the number of the reply it strikes, from 1, on each connection."""

    name: str
    at: int


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
        held, fds, _, _ = socket.recv_fds(self.inside, self.SIZE, 1)
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

    def __init__(self, service: Service, sock: socket.socket, end: Callable[[], None]) -> None:
        """`end` is called for an early close: what is owed is sent, then the server closes."""
        assert service.settings.fault is not None
        self.fault = service.settings.fault
        self.rule = RULES[service.settings.reply]
        self.mailbox = service.mailbox
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


@dataclasses.dataclass(frozen=True)
class Model:
    """What a server file says about its IO model, in words for people."""

    name: str
    summary: str
    waits: str
    limit: str
    platforms: str = "Linux, BSD, macOS"
    at_once: int | None = None
    """How many clients it can serve at once; None where only descriptors and memory limit them."""
    pool: int | None = None
    """Where each client holds one of `--workers`: how many workers are sensible at most."""
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Options beyond the common ones, as argparse's add_argument takes them."""
    tls: bool = True
    """Whether it can speak TLS: models whose sockets are not plain ones cannot."""
    datagrams: bool = False
    """Whether it is served by UDP."""
    faults: Collection[str] = tuple(FAULTS)
    """The faults that it can be told to have."""
    unavailable: Callable[[], str | None] = lambda: None
    """Why the model cannot run on this machine, or None."""

    def describe(self) -> str:
        """One line of JSON."""
        reason = self.unavailable()
        return json.dumps(
            {
                "model": self.name,
                "summary": self.summary,
                "waits": self.waits,
                "limit": self.limit,
                "platforms": self.platforms,
                "at_once": self.at_once,
                "pool": self.pool,
                "tls": self.tls,
                "available": reason is None,
                "reason": reason,
                "options": list(self.options),
            }
        )


@dataclasses.dataclass(frozen=True)
class Settings:
    """The command line, checked."""

    host: str
    port: int
    unix: str | None
    reply: str
    backlog: int
    read_size: int
    fault: Fault | None
    describe: bool
    tls: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    context: ssl.SSLContext | None = None
    workers: int = 1
    selector: type[selectors.BaseSelector] = selectors.DefaultSelector
    pause: float = 0.0


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
        self.listener = listen(settings, model.datagrams)
        self.path_id = os.stat(settings.unix) if settings.unix else None
        self.conversations: set[Endable] = set()
        self.deadline: float | None = None
        self.stop_requested = False
        self.in_child = False
        self.mailbox = Mailbox()
        self.unended: list[socket.socket] = []
        self._lifeline, self._parent_end = os.pipe()
        self._reserve_lock = threading.Lock()
        self._reserve: int | None = None
        self._fill_reserve()
        self._logged: set[str] = set()
        self._hear_signals()
        # Whoever started us may have blocked them until now: an interrupt in the middle of an
        # import would print a traceback.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

    @property
    def url(self) -> str:
        """Where to connect to, as loadmux writes it."""
        if self.settings.unix:
            return f"unix://{os.path.abspath(self.settings.unix)}"
        host, port = self.listener.getsockname()[:2]
        scheme = "udp" if self.model.datagrams else "tls" if self.settings.tls else "tcp"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def log(self, text: str) -> None:
        """One line on standard error, once for each text: nobody may be reading it."""
        if text not in self._logged:
            self._logged.add(text)
            print(f"{self.model.name}: {text}", file=sys.stderr, flush=True)

    # Connections: how they come and how they go.

    def accept(self) -> socket.socket | None:
        """The next client. None if nobody waits, or if a blocking server has been stopped."""
        while True:
            try:
                sock = self._take()
            except BlockingIOError:
                return None
            except OSError as error:
                if self.deadline is not None:
                    return None
                if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                    raise
                continue  # accept(2) reports what befell the client before it was accepted
            if sock is None:
                continue
            if self.deadline is not None:
                sock.close()
                self._interrupt_accept()
                return None
            send_at_once(sock)
            return sock

    def _take(self) -> socket.socket | None:
        """accept(2). None if it took a client there was no descriptor for: it has been reset."""
        try:
            return self.listener.accept()[0]
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
        with self._reserve_lock:
            reserve, self._reserve = self._reserve, None
        try:
            if reserve is None:
                raise OSError(errno.EMFILE, "another thread has the reserve")
            os.close(reserve)
            sock = self.listener.accept()[0]  # may block until somebody comes, or there is room
        except BlockingIOError:
            self._fill_reserve()
            raise
        except OSError:
            time.sleep(RETRY_ACCEPT)
            self._fill_reserve()
            if self.listener.gettimeout() == 0:
                raise BlockingIOError from None
            raise
        self._fill_reserve()
        if self._reserve is not None:
            return sock
        self.refuse(sock, "no descriptor is free")
        self._fill_reserve()
        return None

    def _fill_reserve(self) -> None:
        with self._reserve_lock, contextlib.suppress(OSError):
            if self._reserve is None:
                self._reserve = os.open(os.devnull, os.O_RDONLY)

    def secured(self, sock: socket.socket) -> socket.socket:
        """The same connection, with TLS under it if that was asked for."""
        context = self.settings.context
        return sock if context is None else Secured(sock, context)

    def arrivals(self) -> Iterator[socket.socket]:
        """Clients that wait to be accepted, at most `ACCEPT_BATCH`."""
        for _ in range(ACCEPT_BATCH):
            sock = self.accept()
            if sock is None:
                return
            yield sock

    def refuse(self, sock: socket.socket, reason: str) -> None:
        """Reset a client that cannot be served, so that it learns so at once."""
        self.log(f"refused a client: {reason}")
        reset_on_close(sock)
        sock.close()

    def close(self, sock: socket.socket) -> None:
        """End a connection in order. (With the fault no_eof it stays open until we exit.)"""
        if self.withholds_end:
            self.unended.append(sock)
            return
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        sock.close()

    @property
    def withholds_end(self) -> bool:
        """Whether connections are left open when they should be closed."""
        fault = self.settings.fault
        return fault is not None and fault.name == "no_eof" and self.deadline is None

    def answers(self, sock: socket.socket, end: Callable[[], None]) -> Rule:
        """What turns a chunk of this connection into its reply; `end` as for `Liar`."""
        if self.settings.fault is None:
            return RULES[self.settings.reply]
        return Liar(self, sock, end)

    @property
    def stride(self) -> int | None:
        """Most bytes to pass to one send(), or None for all."""
        fault = self.settings.fault
        return 1 if fault is not None and fault.name == "drip" else None

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
        self.unlink()
        self.listener.close()

    def unlink(self) -> None:
        """Remove the Unix socket's path, if it is still the one that we made."""
        path, made = self.settings.unix, self.path_id
        self.path_id = None
        if path is None or made is None:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path), made):
                os.unlink(path)

    # Stopping, for servers that block.

    def stop_in_thread(self) -> threading.Thread:
        """Start the thread that waits for the signal and then wakes whoever blocks.

        It ends when every conversation has, or after `GRACE`; then the process may end.
        """
        thread = threading.Thread(target=self._stop_blocked, daemon=True)
        thread.start()
        return thread

    def _stop_blocked(self) -> None:
        self.wait_for_stop()
        self.deadline = time.monotonic() + GRACE
        self.unlink()
        if not self.in_child:  # other processes go on accepting
            self._interrupt_accept()
        for conversation in list(self.conversations):
            conversation.finish()
        while self.busy(self.conversations):
            time.sleep(0.01)
        for conversation in list(self.conversations):
            conversation.abort()
        if self.in_child:
            os._exit(0)

    def wait_for_stop(self) -> None:
        """Block until a signal has come, or, in a child, until the parent is gone."""
        waiting = select.poll()
        waiting.register(self.stop, select.POLLIN)
        waiting.register(self._lifeline, select.POLLIN)
        waiting.poll()

    def _interrupt_accept(self) -> None:
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # Linux: a blocked accept() fails at once
        except OSError:  # elsewhere: be the client that it waits for
            with contextlib.suppress(OSError), socket.socket(self.listener.family) as client:
                client.connect(self.listener.getsockname())

    # Processes.

    def fork(self) -> int:
        """os.fork(). The child has its own `stop`, and stops too when its parent is gone.

        The child ignores SIGINT: the terminal sends it to all, and the parent passes on SIGTERM.
        """
        stops = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        try:
            pid = os.fork()
            if pid == 0:
                self._become_child()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
        return pid

    def _become_child(self) -> None:
        self.in_child = True
        self.path_id = None
        os.close(self._parent_end)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self.stop.close()
        self._signals.close()
        self._hear_signals()  # there is room: two descriptors have just been closed
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @contextlib.contextmanager
    def child_exit(self) -> Iterator[None]:
        """End the child with its block: never return to the parent's code."""
        status = 1
        try:
            yield
            if self.unended:
                self.wait_for_stop()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)

    def end_children(self, children: set[int]) -> None:
        """Stop every child, kill those that outlast `GRACE`, and reap them all."""
        signal_all(children, signal.SIGTERM)
        deadline = time.monotonic() + GRACE + 0.1
        while reap(children) and time.monotonic() < deadline:
            time.sleep(0.01)
        signal_all(children, signal.SIGKILL)
        while children:
            children.discard(os.waitpid(-1, 0)[0])

    # Signals.

    def _hear_signals(self) -> None:
        self.stop, self._signals = socket.socketpair()
        self._signals.setblocking(False)
        signal.set_wakeup_fd(self._signals.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop_signal)

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True
        for each in (signal.SIGINT, signal.SIGTERM):  # the second one ends the process
            signal.signal(each, signal.SIG_DFL)

    def hear_children(self) -> None:
        """Make `stop` readable also when a child ends (SIGCHLD)."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def signals(self) -> set[int]:
        """The numbers of the signals that came since `stop` became readable."""
        return set(self.stop.recv(4096))


def signal_all(children: Collection[int], number: int) -> None:
    """Send a signal to all of our children."""
    for pid in children:
        os.kill(pid, number)


def reap(children: set[int]) -> set[int]:
    """Wait for those children that have ended (no zombie stays) and return the others."""
    while children:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        children.discard(pid)
    return children


def pieces(reply: bytes, stride: int | None) -> Iterator[bytes]:
    """The reply, cut every `stride` bytes, or whole; nothing if it is empty."""
    step = stride or max(len(reply), 1)
    for at in range(0, len(reply), step):
        yield reply[at : at + step]


def send_at_once(sock: socket.socket) -> None:
    """Never hold back small replies (tcp(7), TCP_NODELAY)."""
    if sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # the client may have gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset_on_close(sock: socket.socket) -> None:
    """Let close() send RST and forget what is unsent (socket(7), SO_LINGER of zero)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def listen(settings: Settings, datagrams: bool) -> socket.socket:
    """A listening socket that does not block. OSError if the address cannot be had."""
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    if settings.unix:
        sock = socket.socket(socket.AF_UNIX)
        address: str | tuple[str, int] = settings.unix
    else:
        found = socket.getaddrinfo(settings.host, settings.port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, resolved = found[0]
        sock = socket.socket(family, kind)
        if not datagrams:  # two UDP sockets could share the port, and its datagrams
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = resolved[:2]  # type: ignore[assignment]  # (host, port) for both families
    try:
        sock.bind(address)
        if not datagrams:
            sock.listen(settings.backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def parse_fault(text: str) -> Fault:
    """`NAME` or `NAME:N` as a Fault."""
    name, colon, number = text.partition(":")
    if name not in FAULTS:
        raise argparse.ArgumentTypeError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    if colon and name in UNNUMBERED_FAULTS:
        raise argparse.ArgumentTypeError(f"{name} takes no number")
    return Fault(name, positive(number) if colon else 1)


def positive(text: str) -> int:
    """A whole number from 1, small enough for the C library."""
    if not text.isdecimal() or not 1 <= int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"not a whole number from 1: {text!r}")
    return int(text)


def read_size(text: str) -> int:
    """A size of a buffer that every connection can have."""
    if positive(text) > LARGEST_READ:
        raise argparse.ArgumentTypeError(f"more than {LARGEST_READ} bytes: {text}")
    return int(text)


def path(text: str) -> str:
    """A path; an empty one is most likely a variable that was not set."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return text


def port(text: str) -> int:
    """A TCP port; 0 lets the kernel choose."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"not a port: {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A duration in seconds, not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"not a number of seconds from 0 to 60: {text!r}")
    return value


class Parser(argparse.ArgumentParser):
    """Argument errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(model: Model, documentation: str | None) -> Settings:
    """The command line of a model's server. Exits on errors and for --help."""
    faults = "".join(
        f"  {name if name in UNNUMBERED_FAULTS else name + '[:N]':<16}{meaning}\n"
        for name, meaning in FAULTS.items()
        if name in model.faults
    )
    parser = Parser(
        description=documentation,
        epilog=f"faults (N counts the replies of each connection, default 1):\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=port, default=0, help="default: one that is free")
    where.add_argument("--unix", type=path, metavar="PATH", help="listen on a Unix socket instead")
    add("--reply", choices=RULES, default="echo", metavar="RULE", help=", ".join(RULES))
    add("--backlog", type=positive, default=65535, help="the kernel lowers it to its own maximum")
    add("--read-size", type=read_size, default=65536, help="most bytes to read at once")
    add("--fault", type=parse_fault, metavar="NAME[:N]", help="answer wrongly, see below")
    add("--describe", action="store_true", help="print a line of JSON about the model and exit")
    if model.tls:
        add("--tls", action="store_true", help="speak TLS, with a certificate for testing")
        add("--tls-cert", type=path, metavar="FILE", help="with this certificate instead (PEM)")
        add("--tls-key", type=path, metavar="FILE", help="its key; default: in the same file")
    for name, how in model.options.items():
        add(f"--{name}", **how)
    given, unknown = parser.parse_known_args()
    if not model.tls and any(word.startswith("--tls") for word in unknown):
        parser.error(f"argument --tls: the model {model.name} does not speak TLS")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    settings = Settings(**vars(given))
    if settings.fault is not None and settings.fault.name not in model.faults:
        parser.error(f"argument --fault: there is no {settings.fault.name} in {model.name}")
    if model.datagrams and settings.unix:
        parser.error("argument --unix: datagrams are served by UDP only")
    return with_tls(settings, parser)


def with_tls(settings: Settings, parser: Parser) -> Settings:
    """The settings with what all TLS connections share, where TLS was asked for."""
    if not settings.tls:
        if settings.tls_cert or settings.tls_key:
            parser.error("argument --tls-cert: needs --tls")
        return settings
    if settings.unix:
        parser.error("argument --tls: not over a Unix socket")
    if settings.fault is not None and settings.fault.name == "swap":
        parser.error("argument --fault: swap crosses bytes below TLS, where nobody could read them")
    try:
        context = server_context(settings.tls_cert, settings.tls_key)
    except OSError as error:
        parser.error(f"argument --tls: no use of certificate and key: {error.strerror or error}")
    return dataclasses.replace(settings, context=context)


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
        service.unlink()


def announce(model: Model, service: Service) -> None:
    """Print the ready line; exit code 1 where nobody could read it."""
    try:
        print(f"listening {service.url}", flush=True)
    except OSError as error:
        sys.exit(f"{model.name}: cannot print the ready line: {error.strerror}")
