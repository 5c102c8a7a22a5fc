"""What no scenario can say, for information: a server without descriptors, a client's old port."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import struct
import sys
from contextlib import ExitStack, suppress
from itertools import chain
from typing import NamedTuple

from loadmux.language.meaning.servers import Url
from loadmux.probing.bench import Bench
from loadmux.probing.known import Known
from loadmux.running.servers import proc
from loadmux.running.servers.watching import pause

CLIENTS, SPARE = 12, 4
LOOKED_AT = 1.0
SPINS = 0.8
RESETS = struct.pack("ii", 1, 0)


class Told(NamedTuple):
    """What was seen, or why it could not be tried."""

    supported: bool
    text: str


def emfile(bench: Bench, known: Known) -> Told:
    """Twelve clients come to a server that may open four descriptors more."""
    if sys.platform != "linux" or bench.process is None:
        return Told(False, "needs a server that loadmux has started, on Linux")
    pid = bench.process.process.pid
    try:
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError as error:  # its user is another one
        return Told(False, f"needs a server whose limits may be set: {error.strerror}")
    with ExitStack() as stack:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + SPARE, limits[1]))
        try:
            for _ in range(CLIENTS):
                with suppress(OSError):
                    stack.enter_context(connected(bench.url, known.timeout))
            before = spent(pid)
            pause(LOOKED_AT)
            share = (spent(pid) - before) / LOOKED_AT
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    died = bench.died()
    if died is not None:
        return Told(True, f"without descriptors the server died: {died.text}")
    rests = "a core is busy while they last" if share > SPINS else "it waits at rest"
    fault = bench.ask(known.waiting(CLIENTS))
    after = "serves again" if fault is None else f"serves nobody: {fault.message}"
    return Told(True, f"without descriptors {rests}; afterwards it {after}")


def spent(pid: int) -> float:
    """Seconds of CPU that a process and its children have had, or could have had."""
    threads = [proc.thread_times(one.pid).values() for one in proc.family([pid])]
    return sum(map(sum, chain.from_iterable(threads))) / 1e9


def connected(url: Url, timeout: float) -> socket.socket:
    """A connection on which nothing was said. Raises OSError."""
    if url.scheme != "unix":
        return socket.create_connection((url.host, url.port), timeout)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(url.path)
    except OSError:
        sock.close()
        raise
    return sock


def same_port(bench: Bench, known: Known) -> Told:
    """Three connections from one port, each reset after its reply."""
    if bench.url.scheme == "unix":
        return Told(False, "a Unix socket has no ports")
    if known.socket.on_connect:
        return Told(False, "needs a server that is spoken to without a preparation")
    port = 0
    for number in range(3):
        try:
            port = asked_from(port, bench, known)
        except OSError as error:
            text = error.strerror or str(error)
            return Told(True, f"connection {number + 1} of 3 from port {port} failed: {text}")
    return Told(True, "three connections from one port, each reset, are served")


def asked_from(port: int, bench: Bench, known: Known) -> int:
    """One exchange from this port, or one that the kernel chooses; the port. Raises OSError."""
    family = socket.AF_INET6 if ":" in bench.url.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
        sock.settimeout(known.waiting(CLIENTS).timeout)
        sock.bind(("", port))
        sock.connect((bench.url.host, bench.url.port))
        port = int(sock.getsockname()[1])
        if not known.tls:
            exchanged(sock, known)
            return port
        with unverified().wrap_socket(sock) as secure:
            exchanged(secure, known)
        return port


def exchanged(sock: socket.socket, known: Known) -> None:
    """Send the request and take in as many bytes as answer it. Raises OSError."""
    sock.sendall(known.sent)
    left = len(known.came)
    while left > 0:
        data = sock.recv(left)
        if not data:
            raise ConnectionError("the server closed the connection instead of replying")
        left -= len(data)


def unverified() -> ssl.SSLContext:
    """The certificate was looked at by the known exchange."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
