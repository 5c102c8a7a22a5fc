"""Servers with one classic bug each: `python buggy.py BUG PORT [--mended]`.

Each answers a line with the same in upper case, and does so well as long as clients are kind. With
`--mended` it is as it should be. A bug is a function of the listener, and says what tutorials and
old servers do; the models are threads, fork, select, poll, epoll (level- and edge-triggered),
selectors and asyncio.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import queue
import resource
import select
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import buggy_others

if TYPE_CHECKING:
    from loadmux.probing import ProbeReport

Serve = Callable[[socket.socket, bool], object]
LINE = b"\n"
READ = 65536
MOST_UNSENT = 1 << 18
"""Bytes that wait for a reader before no more is read from it."""


def answers(data: bytearray) -> Iterator[bytes]:
    """The replies to the whole lines in `data`, which are taken out of it."""
    while (end := data.find(LINE) + 1) > 0:
        line = bytes(data[:end])
        del data[:end]
        yield line.upper()


def lines(data: bytearray) -> bytes:
    """The same, joined."""
    return b"".join(answers(data))


# --- threads ------------------------------------------------------------------------------------


def threaded(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """A thread for each connection."""

    def guarded(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=guarded, args=(connection,), daemon=True).start()


def chunk_is_message(listener: socket.socket, mended: bool) -> None:
    """What one recv() returns is taken for a whole message."""

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        while chunk := connection.recv(READ):
            data += chunk
            if mended:
                connection.sendall(lines(data))
            else:
                connection.sendall(chunk.strip().upper() + LINE)

    threaded(listener, serve)


def no_end(listener: socket.socket, mended: bool) -> None:
    """A client that has ended is left alone, its connection stays open."""
    left: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        while chunk := connection.recv(READ):
            data += chunk
            connection.sendall(lines(data))
        if not mended:
            left.append(connection.dup())

    threaded(listener, serve)


def answers_the_end(listener: socket.socket, mended: bool) -> None:
    """recv() == b"" is answered, again and again, until the client is gone."""

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        while (chunk := connection.recv(READ)) or not mended:
            data += chunk
            connection.sendall(lines(data) if chunk else LINE)

    threaded(listener, serve)


def shared_buffer(listener: socket.socket, mended: bool) -> None:
    """All connections share a buffer for what has come of a line."""
    common = bytearray()

    def serve(connection: socket.socket) -> None:
        data = bytearray() if mended else common
        while chunk := connection.recv(READ):
            data += chunk
            connection.sendall(lines(data))

    threaded(listener, serve)


# --- fork ---------------------------------------------------------------------------------------


def zombies(listener: socket.socket, mended: bool) -> None:
    """A process for each connection, and nobody waits for it when it has ended."""
    if mended:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            data = bytearray()
            with contextlib.suppress(OSError):
                while chunk := connection.recv(READ):
                    data += chunk
                    connection.sendall(lines(data))
            os._exit(0)
        connection.close()


# --- select -------------------------------------------------------------------------------------


class Selecting:
    """A select() loop; what is wrong with one is what a class of it does otherwise."""

    def __init__(self, listener: socket.socket, mended: bool) -> None:
        self.listener, self.mended = listener, mended
        self.data: dict[socket.socket, bytearray] = {}
        self.unsent: dict[socket.socket, bytearray] = {}

    def run(self) -> None:
        self.listener.setblocking(False)
        while True:
            reads = [one for one in self.data if len(self.unsent[one]) < MOST_UNSENT]
            writes = [one for one in self.data if self.unsent[one]]
            self.turn([self.listener, *reads], writes)

    def turn(self, reads: list[socket.socket], writes: list[socket.socket]) -> None:
        readable, writable, _ = select.select(reads, writes, [])
        for one in readable:
            if one is self.listener:
                self.accept()
            elif one in self.data:
                self.read(one)
        for one in writable:
            if one in self.data:
                self.write(one)

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.admit(self.listener.accept()[0])

    def admit(self, connection: socket.socket) -> None:
        if connection.fileno() >= 1024:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            return
        connection.setblocking(False)
        self.data[connection], self.unsent[connection] = bytearray(), bytearray()

    def read(self, one: socket.socket) -> None:
        try:
            chunk = one.recv(READ)
        except OSError:
            self.drop(one)
            return
        self.took(one, chunk)

    def took(self, one: socket.socket, chunk: bytes) -> None:
        if not chunk:
            self.ended(one)
            return
        self.data[one] += chunk
        self.unsent[one] += lines(self.data[one])
        self.write(one)

    def ended(self, one: socket.socket) -> None:
        if self.unsent[one]:
            one.setblocking(True)
            with contextlib.suppress(OSError):
                one.settimeout(5.0)
                one.sendall(self.unsent[one])
        self.drop(one)

    def write(self, one: socket.socket) -> None:
        try:
            del self.unsent[one][: one.send(self.unsent[one])]
        except BlockingIOError:
            return
        except OSError:
            self.drop(one)

    def drop(self, one: socket.socket) -> None:
        del self.data[one], self.unsent[one]
        one.close()


class EndUnnoticed(Selecting):
    """recv() == b"" is taken for nothing to read: the loop spins, the connection stays."""

    def ended(self, one: socket.socket) -> None:
        if self.mended:
            super().ended(one)


class ResetKills(Selecting):
    """recv() raises ConnectionResetError, and nobody catches it."""

    def read(self, one: socket.socket) -> None:
        if not self.mended:
            one.recv(1, socket.MSG_PEEK)
        super().read(one)


class PeernameKills(Selecting):
    """getpeername() of a connection that was reset before it was accepted raises ENOTCONN."""

    def admit(self, connection: socket.socket) -> None:
        if not self.mended:
            connection.getpeername()
        super().admit(connection)


class Over1024(Selecting):
    """The descriptor 1024 goes to select(), which refuses it, for all."""

    def admit(self, connection: socket.socket) -> None:
        if self.mended:
            super().admit(connection)
            return
        connection.setblocking(False)
        self.data[connection], self.unsent[connection] = bytearray(), bytearray()


class UrgentIsError(Selecting):
    """What select() calls exceptional, an urgent byte, is taken for an error."""

    def turn(self, reads: list[socket.socket], writes: list[socket.socket]) -> None:
        if not self.mended:
            for one in select.select(reads, writes, list(self.data))[2]:
                self.drop(one)
            reads = [one for one in reads if one is self.listener or one in self.data]
            writes = [one for one in writes if one in self.data]
        super().turn(reads, writes)


class BlockingSend(Selecting):
    """sendall() on a blocking socket: whoever does not read stops everybody."""

    def write(self, one: socket.socket) -> None:
        if self.mended:
            super().write(one)
            return
        try:
            one.setblocking(True)
            one.sendall(self.unsent[one])
            one.setblocking(False)
            self.unsent[one].clear()
        except OSError:
            self.drop(one)


class EmptyQueue(Selecting):
    """A queue of replies for each connection, from which get() waits when there is none."""

    def __init__(self, listener: socket.socket, mended: bool) -> None:
        super().__init__(listener, mended)
        self.replies: queue.Queue[bytes] = queue.Queue()

    def write(self, one: socket.socket) -> None:
        if not self.mended:
            if self.unsent[one]:
                self.replies.put(b"")
            self.replies.get()
        super().write(one)


# --- poll ---------------------------------------------------------------------------------------


class Polling(Selecting):
    """The same with poll()."""

    def turn(self, reads: list[socket.socket], writes: list[socket.socket]) -> None:
        poll, known = select.poll(), {one.fileno(): one for one in {*reads, *writes}}
        for fd, one in known.items():
            wanted = (select.POLLIN if one in reads else 0) | (
                select.POLLOUT if one in writes else 0
            )
            poll.register(fd, wanted)
        for fd, event in poll.poll():
            one = known[fd]
            if one is self.listener:
                self.accept()
                continue
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR) and one in self.data:
                self.read(one)
            if event & select.POLLOUT and one in self.data:
                self.write(one)

    def admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.data[connection], self.unsent[connection] = bytearray(), bytearray()


class SendKills(Polling):
    """Replies go out in the next turn; send() to a client that is gone by then raises, and nobody
    catches it.
    """

    def turn(self, reads: list[socket.socket], writes: list[socket.socket]) -> None:
        for one in () if self.mended else writes:
            with contextlib.suppress(BlockingIOError):
                del self.unsent[one][: one.send(self.unsent[one])]
        super().turn(reads, writes)

    def write(self, one: socket.socket) -> None:
        if self.mended:
            super().write(one)


class LeakOnReset(Polling):
    """What a reset ends is forgotten, and never closed."""

    def __init__(self, listener: socket.socket, mended: bool) -> None:
        super().__init__(listener, mended)
        self.left: list[socket.socket] = []

    def read(self, one: socket.socket) -> None:
        try:
            one.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            if not self.mended:
                self.left.append(one.dup())
        super().read(one)


# --- epoll --------------------------------------------------------------------------------------


class Edged(Polling):
    """Level-triggered epoll; `edge` makes it edge-triggered, and then all is read that is there."""

    edge = False

    def run(self) -> None:
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.known: dict[int, socket.socket] = {self.listener.fileno(): self.listener}
        while True:
            for fd, event in self.epoll.poll():
                self.happened(self.known[fd], event)

    def happened(self, one: socket.socket, event: int) -> None:
        if one is self.listener:
            self.accept()
            return
        if event & ~select.EPOLLOUT and one in self.data:
            self.read(one)
        if event & select.EPOLLOUT and one in self.data:
            self.write(one)
        if one in self.data:
            self.interest(one)

    def interest(self, one: socket.socket) -> None:
        unsent = len(self.unsent[one])
        wanted = (select.EPOLLIN if unsent < MOST_UNSENT else 0) | (
            select.EPOLLOUT if unsent else 0
        )
        self.epoll.modify(one, wanted | (select.EPOLLET if self.edge else 0))

    def admit(self, connection: socket.socket) -> None:
        super().admit(connection)
        self.known[connection.fileno()] = connection
        self.epoll.register(connection, select.EPOLLIN | (select.EPOLLET if self.edge else 0))

    def drop(self, one: socket.socket) -> None:
        self.epoll.unregister(one)
        super().drop(one)


class PartialSend(Edged):
    """send() takes a part of the reply; the rest is thrown away."""

    def write(self, one: socket.socket) -> None:
        super().write(one)
        if not self.mended and one in self.data:
            self.unsent[one].clear()


class ReadsAtAccept(Edged):
    """The first bytes are read as soon as a connection is there: who says nothing stops all."""

    def admit(self, connection: socket.socket) -> None:
        if not self.mended:
            with contextlib.suppress(OSError):
                connection.recv(1, socket.MSG_PEEK)
        super().admit(connection)


class ReadsOnce(Edged):
    """Edge-triggered, and one read() for each edge: what is left is found at the next one."""

    @property
    def edge(self) -> bool:  # type: ignore[override]
        return not self.mended

    def read(self, one: socket.socket) -> None:
        if self.mended:
            super().read(one)
            return
        try:
            chunk = one.recv(50)
        except BlockingIOError:
            return
        except OSError:
            self.drop(one)
            return
        self.took(one, chunk)

    def interest(self, one: socket.socket) -> None:
        if self.mended or self.unsent[one]:
            super().interest(one)


class FullTableKills(Edged):
    """accept() raises EMFILE when there are too many connections, and nobody catches it."""

    def run(self) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if self.mended else 300
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        super().run()


# --- selectors ----------------------------------------------------------------------------------


class Selectors(Polling):
    """The same with the selectors module."""

    def turn(self, reads: list[socket.socket], writes: list[socket.socket]) -> None:
        with selectors.DefaultSelector() as selector:
            for one in {*reads, *writes}:
                wanted = (selectors.EVENT_READ if one in reads else 0) | (
                    selectors.EVENT_WRITE if one in writes else 0
                )
                selector.register(one, wanted)
            ready = [(key.fileobj, event) for key, event in selector.select()]
        for found, event in ready:
            assert isinstance(found, socket.socket)
            if found is self.listener:
                self.accept()
                continue
            if event & selectors.EVENT_READ and found in self.data:
                self.read(found)
            if event & selectors.EVENT_WRITE and found in self.data:
                self.write(found)


class WaitsForLine(Selectors):
    """The sockets block, and a line is read to its end: who sends half of one stops everybody."""

    def read(self, one: socket.socket) -> None:
        if self.mended:
            super().read(one)
            return
        one.setblocking(True)
        try:
            line = bytearray()
            while not line.endswith(LINE) and (chunk := one.recv(READ)):
                line += chunk
            one.setblocking(False)
        except OSError:
            self.drop(one)
            return
        if not line.endswith(LINE):
            self.ended(one)
            return
        self.unsent[one] += lines(line)
        self.write(one)


class FullBufferKills(Selectors):
    """send() raises BlockingIOError when the client reads too slowly, and nobody catches it."""

    def write(self, one: socket.socket) -> None:
        if self.mended or not self.unsent[one]:
            super().write(one)
            return
        try:
            while self.unsent[one]:
                del self.unsent[one][: one.send(self.unsent[one])]
        except ConnectionError:
            self.drop(one)


# --- asyncio ------------------------------------------------------------------------------------

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


def streamed(listener: socket.socket, serve: Handler) -> None:
    """asyncio's streams."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)  # type: ignore[misc]
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(guarded, sock=listener, backlog=4096) as server:
            await server.serve_forever()

    asyncio.run(main())


def one_line_a_read(listener: socket.socket, mended: bool) -> None:
    """What comes behind the first line of a read is thrown away."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = bytearray()
        while chunk := await reader.read(READ):
            data += chunk
            if LINE in data and not mended:
                del data[data.find(LINE) + 1 :]
            writer.write(lines(data))
            await writer.drain()

    streamed(listener, serve)


def end_drops_reply(listener: socket.socket, mended: bool) -> None:
    """The reply takes a moment; a client that has ended by then does not get it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if not line.endswith(LINE):
                return
            await asyncio.sleep(0.002)
            if not mended and reader.at_eof():
                writer.transport.abort()
                return
            writer.write(line.upper())
            await writer.drain()

    streamed(listener, serve)


def never_drains(listener: socket.socket, mended: bool) -> None:
    """Replies are queued without limit for a client that does not read them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = bytearray()
        while chunk := await reader.read(READ):
            data += chunk
            writer.write(lines(data))
            if mended:
                await writer.drain()

    streamed(listener, serve)


def drops_the_idle(listener: socket.socket, mended: bool) -> None:
    """A connection that says nothing for half a second is ended without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await asyncio.wait_for(reader.readline(), 30 if mended else 0.5):
            writer.write(line.upper() if line.endswith(LINE) else b"")
            await writer.drain()

    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            await serve(reader, writer)

    streamed(listener, ends)


BUGS: dict[str, Serve] = {
    "chunk-is-message": chunk_is_message,
    "no-end": no_end,
    "answers-the-end": answers_the_end,
    "shared-buffer": shared_buffer,
    "zombies": zombies,
    "end-unnoticed": lambda one, mended: EndUnnoticed(one, mended).run(),
    "reset-kills": lambda one, mended: ResetKills(one, mended).run(),
    "peername-kills": lambda one, mended: PeernameKills(one, mended).run(),
    "over-1024": lambda one, mended: Over1024(one, mended).run(),
    "urgent-is-error": lambda one, mended: UrgentIsError(one, mended).run(),
    "blocking-send": lambda one, mended: BlockingSend(one, mended).run(),
    "empty-queue": lambda one, mended: EmptyQueue(one, mended).run(),
    "send-kills": lambda one, mended: SendKills(one, mended).run(),
    "leak-on-reset": lambda one, mended: LeakOnReset(one, mended).run(),
    "partial-send": lambda one, mended: PartialSend(one, mended).run(),
    "reads-at-accept": lambda one, mended: ReadsAtAccept(one, mended).run(),
    "reads-once": lambda one, mended: ReadsOnce(one, mended).run(),
    "full-table-kills": lambda one, mended: FullTableKills(one, mended).run(),
    "waits-for-line": lambda one, mended: WaitsForLine(one, mended).run(),
    "full-buffer-kills": lambda one, mended: FullBufferKills(one, mended).run(),
    "one-line-a-read": one_line_a_read,
    "end-drops-reply": end_drops_reply,
    "never-drains": never_drains,
    "drops-the-idle": drops_the_idle,
    **buggy_others.BUGS,
}


FOUND = {
    "chunk-is-message": ("split/3", "truncated"),
    "shared-buffer": ("split", ""),
    "empty-queue": ("split/3", ""),
    "one-line-a-read": ("coalesced/2", ""),
    "reads-once": ("coalesced/16", ""),
    "waits-for-line": ("slow-writer", ""),
    "reads-at-accept": ("idle", ""),
    "zombies": ("abort/close/3", "zombies"),
    "reset-kills": ("abort/reset", "died"),
    "peername-kills": ("abort/accept", "died"),
    "partial-send": ("slow-reader", ""),
    "blocking-send": ("stalled-reader", ""),
    "full-buffer-kills": ("stalled-reader", "died"),
    "never-drains": ("stalled-reader", "memory_growth"),
    "over-1024": ("fd-1024", "died"),
    "full-table-kills": ("fd-1024", "died"),
    "no-end": ("half-close", "timeout"),
    "answers-the-end": ("half-close", "surplus"),
    "end-unnoticed": ("half-close", "timeout"),
    "end-drops-reply": ("half-close", ""),
    "drops-the-idle": ("reuse", ""),
    "urgent-is-error": ("urgent", "reset"),
    "send-kills": ("abort/reply", "died"),
    "leak-on-reset": ("abort/reset/many", "leaked_descriptors"),
    **buggy_others.FOUND,
}
"""The case that is for a bug, and the kind of its fault where there is but one that it can be."""

LINE_SENT = "hello\n"
PATIENCE = 0.5
"""Seconds for an answer that takes less than one in a thousand: most of these bugs are silent."""


def probed(bug: str, case: str, *words: str) -> ProbeReport:
    """The server under one case, or under all of them (""), as its test and bench probe it."""
    from loadmux.language.loading import load
    from loadmux.probing import Settings, probe

    steps = [{"send": LINE_SENT, "expect": LINE_SENT.upper()}]
    target = {"command": [sys.executable, __file__, bug, "{port}", *words]}
    scenario = load("known.yaml", text=json.dumps({"target": target, "steps": steps}))
    cases = (case,) if case else ()
    return probe(scenario, Settings(cases, strict=True, patience=PATIENCE))


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("bug", choices=BUGS)
    words.add_argument("port", type=int)
    words.add_argument("--mended", action="store_true")
    given = words.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with socket.create_server(("127.0.0.1", given.port), backlog=4096) as listener:
        print(f"listening tcp://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        BUGS[given.bug](listener, given.mended)


if __name__ == "__main__":
    main()
