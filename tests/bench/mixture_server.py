"""The server of a mixture: right however it cuts what it says, or with one lie at one reply.

It runs in a thread of this process, so that what it heard and did is known when the run is over. A
`Talk` says where a request ends and what answers it; how that is written is drawn here: whole, byte
by byte, in pieces with pauses. A `Lie` names the reply, counted from 1 over all connections, of
which it makes something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

TARGETS = Path(__file__).parents[2] / "targets"
MODES = ("whole", "whole", "bytes", "pieces", "mixed")
LATE = 60.0
LOGGED = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the server: a reply, which may be made a lie of, or what comes by itself.

    `flip` is the byte in which a bit may be changed so that the message is still well-formed;
    `word` says which step it answers (`w12`, or `w12.USER.ITERATION.SOCKET`). `last`: the
    connection ends behind it, or is reset in its place (`resets`). `secured`: it is followed by a
    TLS handshake. `again`: it may come twice, as nothing forbids.
    """

    data: bytes
    word: str = ""
    flip: int = 0
    reply: bool = True
    last: bool = False
    secured: bool = False
    resets: bool = False
    again: bool = False


class Talk(Protocol):
    """The server's side of a protocol."""

    junk: bytes
    """A message that nobody asked for."""

    def greeting(self) -> list[Answer]: ...

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        """The first whole request, and what is behind it."""

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]: ...

    def counts(self, request: bytes) -> bool:
        """Whether it is one of a step's, and no login or answer to the server."""


@dataclass(frozen=True, slots=True)
class Lie:
    what: str
    at: int


@dataclass(frozen=True, slots=True)
class Told:
    """A lie that was told: what the reply should have been."""

    lie: str
    answer: Answer
    said: bytes


@dataclass(slots=True)
class Manner:
    """How the server speaks: `mode` one of MODES; `think` seconds it may take at most."""

    seed: int
    mode: str = "whole"
    think: float = 0.0
    scheme: str = "tcp"
    lie: Lie | None = None


@dataclass(slots=True)
class Record:
    """What happened: requests heard, replies given, the lie, and the last lines of the log."""

    requests: int = 0
    replies: int = 0
    told: Told | None = None
    broke: str = ""
    log: list[str] = field(default_factory=list)

    def add(self, number: int, what: str, data: bytes) -> None:
        self.log.append(f"#{number} {what} {data[:200]!r}{'...' if len(data) > 200 else ''}")
        del self.log[:-LOGGED]


class Ended(Exception):
    """The server ends this connection."""


def resets(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Server:
    """Serves in a thread for the `with` block; `url` is where."""

    def __init__(self, talk: Talk, manner: Manner, folder: Path, port: int = 0) -> None:
        self.record = Record()
        self.url = ""
        self._talk, self._manner, self._port = talk, manner, port
        self._path = folder / "socket"
        self._chance = random.Random(manner.seed)
        self._count = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def __enter__(self) -> Server:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda loop, context: self._broke(context))
        scheme, tls = self._manner.scheme, self._tls()
        options: dict[str, Any] = {"ssl": tls} if scheme == "tls" else {}
        if scheme == "udp":
            transport, _ = await self._loop.create_datagram_endpoint(
                lambda: Datagrams(self), ("127.0.0.1", self._port)
            )
            self.url = f"udp://127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        elif scheme == "unix":
            await asyncio.start_unix_server(self._serve, str(self._path))
            self.url = f"unix://{self._path}"
        else:
            listener = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, backlog=500, **options
            )
            self.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()

    def _broke(self, context: dict[str, Any]) -> None:
        """Something else than the end of a connection is a mistake of ours."""
        expected = OSError | ssl.SSLError | asyncio.CancelledError | None
        if not isinstance(context.get("exception"), expected):
            self.record.broke = repr(context)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TARGETS / "localhost-testing.pem")
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self._count = self._count, self._count + 1
        try:
            await self._say(self._talk.greeting(), writer, number)
            heard = b""
            while data := await reader.read(self._chance.choice((65536, 65536, 100))):
                self.record.add(number, "heard", data)
                heard += data
                while (cut := self._talk.hears(heard)) is not None:
                    request, heard = cut
                    await self._answer(request, writer, number)
        except (ConnectionError, ssl.SSLError, Ended):
            pass
        finally:
            with contextlib.suppress(Exception):
                writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter, number: int) -> None:
        answers = self.heard(request)
        if self._manner.think and self._chance.random() < 0.3:
            await asyncio.sleep(self._chance.random() * self._manner.think)
        await self._say(answers, writer, number)

    def cut(self, datagram: bytes) -> bytes | None:
        """The request that a datagram is."""
        found = self._talk.hears(datagram)
        return None if found is None or found[1] else found[0]

    def heard(self, request: bytes) -> list[Answer]:
        self.record.requests += self._talk.counts(request)
        return self._talk.answers(request, self._chance)

    async def _say(self, answers: list[Answer], writer: asyncio.StreamWriter, number: int) -> None:
        waiting = b""
        for answer in answers:
            lie = self.lie(answer)
            said = answer.data if lie is None else self.made(answer, lie)
            waiting += said
            if answer.secured or answer.last:
                # What comes now is TLS's, and no stream's; or it is not read before the end.
                cast(asyncio.Transport, writer.transport).pause_reading()
            if lie in ("close", "cut", "reset", "late") or answer.last or answer.secured:
                await self._write(waiting, writer, number)
                waiting = b""
            if lie == "late":
                await asyncio.sleep(LATE)
            if answer.resets:
                lie = "reset"
                await self._write(waiting, writer, number)
            if lie == "reset":
                resets(writer.get_extra_info("socket"))
                writer.transport.abort()
            if lie in ("close", "cut", "reset") or answer.last:
                self.record.add(number, "ends", b"")
                raise Ended
            if answer.secured:
                await writer.start_tls(self._tls())
        await self._write(waiting, writer, number)

    def lie(self, answer: Answer) -> str | None:
        if not answer.reply:
            return None
        self.record.replies += 1
        lie = self._manner.lie
        return lie.what if lie is not None and self.record.replies == lie.at else None

    def made(self, answer: Answer, lie: str) -> bytes:
        """What is said in place of an answer."""
        said = lied(answer, lie, self._talk.junk)
        self.record.told = Told(lie, answer, said)
        return said

    async def _write(self, data: bytes, writer: asyncio.StreamWriter, number: int) -> None:
        if not data:
            return
        self.record.add(number, "says", data)
        mode = self._manner.mode
        if mode == "mixed":
            mode = self._chance.choice(MODES[:-1])
        at, most = 0, {"whole": len(data), "bytes": 1}.get(mode, max(1, len(data) // 2))
        while at < len(data):
            size = most if mode != "pieces" else self._chance.randint(1, most)
            writer.write(data[at : at + size])
            at += size
            if mode != "whole":
                await asyncio.sleep(self._chance.random() * 0.003 if mode == "pieces" else 0)
        await writer.drain()


LIES: dict[str, Callable[[Answer, bytes], bytes]] = {
    "flip": lambda one, junk: flipped(one.data, one.flip),
    "drop": lambda one, junk: b"",
    "late": lambda one, junk: b"",
    "dup": lambda one, junk: one.data * 2,
    "junk": lambda one, junk: one.data + junk,
    "stray": lambda one, junk: one.data + b"\x7f",
    "close": lambda one, junk: b"",
    "reset": lambda one, junk: b"",
    "cut": lambda one, junk: one.data[: max(1, len(one.data) - 2)] if len(one.data) > 1 else b"",
}


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b"?"


def lied(answer: Answer, lie: str, junk: bytes) -> bytes:
    return LIES[lie](answer, junk)


class Datagrams(asyncio.DatagramProtocol):
    """The server over UDP: each answer is a datagram."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        server, number = self._server, addr[1]
        server.record.add(number, "heard", data)
        cut = server.cut(data)
        for answer in server.heard(cut) if cut is not None else []:
            lie = server.lie(answer)
            for said in self._datagrams(answer, lie):
                server.record.add(number, "says", said)
                self._transport.sendto(said, addr)

    def _datagrams(self, answer: Answer, lie: str | None) -> list[bytes]:
        if lie is None:
            return [answer.data]
        said = self._server.made(answer, lie)
        if lie in ("drop", "late"):
            return []
        if lie == "dup":
            return [answer.data, answer.data]
        return [answer.data, said[len(answer.data) :]] if lie in ("junk", "stray") else [said]
