"""Servers that speak TLS or UDP and say what a test wants said, and certificates for the former."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import needs
from driving import Handler, Server

Address = tuple[str, int]
Replies = Callable[[bytes, int], list[bytes]]
"""The datagrams that answer a datagram; the number counts those of each sender from 0."""
Route = Callable[[bytes, Address], list[tuple[bytes, Address]]]


class Authority:
    """A CA that nobody but the test trusts; `path` is its certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = needs.package("trustme").CA()
        self.path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.path)

    def server(self, *names: str, expired: bool = False, clients: bool = False) -> ssl.SSLContext:
        """A server's side for these names; `clients` asks them for certificates of this CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        now = datetime.now(UTC)
        issued = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1", "::1")),
            not_before=now - timedelta(days=9),
            not_after=now + timedelta(days=-3 if expired else 3),
        )
        issued.configure_cert(context)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context

    def client(self, name: str) -> tuple[Path, Path]:
        """The files of a client's certificate and key."""
        issued = self._ca.issue_cert(name)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(cert)
        issued.private_key_pem.write_to_path(key)
        return cert, key


class TlsServer(Server):
    """A `Server` whose handlers get TLS connections."""

    def __init__(
        self, handler: Handler, context: ssl.SSLContext, host: str = "127.0.0.1", name: str = ""
    ) -> None:
        super().__init__(handler, host)
        self._context = context
        port = self.url.rsplit(":", 1)[1]
        self.url = f"tls://{name}:{port}" if name else self.url.replace("tcp:", "tls:")

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            secured = self._context.wrap_socket(
                connection,
                server_side=True,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
            self._connections[number] = secured
            secured.do_handshake()
            self._handler(secured, number)
            self._end(number)


class StartTlsServer(Server):
    """Speaks in lines, and TLS after the line `STARTTLS`; every other line is answered by `250`.

    `early` is what it says in plain text behind the agreement, `go` the agreement itself.
    """

    def __init__(
        self, context: ssl.SSLContext, early: bytes = b"", go: bytes = b"220 go ahead\n"
    ) -> None:
        super().__init__(self._talk)
        self._context = context
        self._go = go + early

    def _talk(self, connection: socket.socket, number: int) -> None:
        connection.sendall(b"220 ready\n")
        buffer = b""
        while chunk := connection.recv(65536):
            buffer += chunk
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                if line == b"STARTTLS":
                    connection.sendall(self._go)
                    if self._go:
                        connection = self._context.wrap_socket(connection, server_side=True)
                        self._connections[number] = connection
                else:
                    connection.sendall(b"250 " + line + b"\n")


class UnixServer(Server):
    """A `Server` on a Unix socket at `path`."""

    def __init__(self, handler: Handler, path: Path) -> None:
        super().__init__(handler)
        self._listener.close()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1024)
        self.url = f"unix://{path}"


def server_of(scheme: str, handler: Handler, folder: Path) -> tuple[Server, str]:
    """A server for `tcp`, `unix` or `tls`, and what a socket's options in a scenario must be."""
    if scheme == "unix":
        return UnixServer(handler, folder / "socket"), "{}"
    if scheme == "tls":
        authority = Authority(folder)
        return TlsServer(handler, authority.server()), f"{{tls: {{ca: {authority.path}}}}}"
    return Server(handler), "{}"


class Gone(Exception):
    """Raised by a `Replies`: the server closes its socket, as if it had died."""


class UdpServer:
    """Answers datagrams on a free port of 127.0.0.1, or of `host`, in a thread.

    `route` answers instead with datagrams to whom it likes.
    """

    def __init__(
        self, replies: Replies, host: str = "127.0.0.1", route: Route | None = None
    ) -> None:
        self._replies = replies
        self._route = route or self._back
        self._counts: dict[Address, int] = {}
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.bind((host, 0))
        self._address = self._sock.getsockname()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.senders: list[str] = []
        """The IP addresses that datagrams came from, in the order of the first of each port."""
        shown = f"[{host}]" if ":" in host else host
        self.url = f"udp://{shown}:{self._address[1]}"

    def __enter__(self) -> UdpServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        with socket.socket(self._sock.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._address)
        self._thread.join()
        self._sock.close()

    def _back(self, datagram: bytes, sender: Address) -> list[tuple[bytes, Address]]:
        number = self._counts.get(sender, 0)
        self._counts[sender] = number + 1
        if not number:
            self.senders.append(sender[0])
        return [(reply, sender) for reply in self._replies(datagram, number)]

    def _serve(self) -> None:
        while True:
            datagram, sender = self._sock.recvfrom(65536)
            if self._stopping.is_set():
                return
            try:
                for reply, to in self._route(datagram, sender):
                    self._sock.sendto(reply, to)
            except Gone:
                self._sock.close()
                return


def free_udp_port() -> int:
    """A port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
