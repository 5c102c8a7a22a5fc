"""More servers with one classic bug each, of which no two share a loop: see `buggy`.

They are written as their authors would, each for itself; what differs stands beside `mended`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Serve = Callable[[socket.socket, bool], object]
GONE = (ConnectionError, TimeoutError)


def upper(data: bytearray) -> bytes:
    """The answers to the whole lines in `data`, which are taken out of it."""
    end = data.rfind(b"\n") + 1
    answer = bytes(data[:end]).upper()
    del data[:end]
    return answer


def thread_each(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """A thread for each connection; `serve` closes it."""

    def guarded(connection: socket.socket) -> None:
        with contextlib.suppress(*GONE):
            serve(connection)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=guarded, args=(connection,), daemon=True).start()


# --- threads ------------------------------------------------------------------------------------


def shut_not_closed(listener: socket.socket, mended: bool) -> None:
    """shutdown() at the end, and no close(): the connection is gone, its descriptor is not."""
    kept: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        try:
            while chunk := connection.recv(4096):
                data += chunk
                connection.sendall(upper(data))
            connection.shutdown(socket.SHUT_RDWR)
        finally:
            if mended:
                connection.close()
            else:
                kept.append(connection)

    thread_each(listener, serve)


def places_lost(listener: socket.socket, mended: bool) -> None:
    """At most fifty clients; the place of one that is reset is never given back."""
    places = threading.Semaphore(4000 if mended else 50)

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            try:
                while chunk := connection.recv(4096):
                    data += chunk
                    connection.sendall(upper(data))
            except OSError:
                if not mended:
                    return
        places.release()

    while True:
        places.acquire()
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def lock_while_sending(listener: socket.socket, mended: bool) -> None:
    """One lock for all is held while a reply is sent: who does not read stops everybody."""
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            while chunk := connection.recv(4096):
                data += chunk
                with lock:
                    answer = upper(data)
                    if not mended:
                        connection.sendall(answer)
                if mended:
                    connection.sendall(answer)

    thread_each(listener, serve)


def lock_while_reading(listener: socket.socket, mended: bool) -> None:
    """One lock for all is held while the rest of a request is read."""
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            while chunk := connection.recv(4096):
                data += chunk
                with contextlib.nullcontext() if mended else lock:
                    while not data.endswith(b"\n"):
                        if not (chunk := connection.recv(4096)):
                            return
                        data += chunk
                connection.sendall(upper(data))

    thread_each(listener, serve)


def hoarding_queue(listener: socket.socket, mended: bool) -> None:
    """A thread that reads, one that writes, and a queue between them that has no end."""

    def write(connection: socket.socket, replies: queue.Queue[bytes]) -> None:
        with contextlib.suppress(OSError), connection:
            while answer := replies.get():
                connection.sendall(answer)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        while replies.get():
            pass

    def serve(connection: socket.socket) -> None:
        replies: queue.Queue[bytes] = queue.Queue(8 if mended else 0)
        other = connection.dup()
        threading.Thread(target=write, args=(other, replies), daemon=True).start()
        data = bytearray()
        with connection:
            with contextlib.suppress(*GONE):
                while chunk := connection.recv(4096):
                    data += chunk
                    if answer := upper(data):
                        replies.put(answer)
            replies.put(b"")
            replies.put(b"")

    thread_each(listener, serve)


def writer_stays(listener: socket.socket, mended: bool) -> None:
    """A thread writes what its queue brings; nobody tells it that its client has gone."""

    def write(connection: socket.socket, replies: queue.Queue[bytes]) -> None:
        gone = False
        while answer := replies.get():
            try:
                if not gone:
                    connection.sendall(answer)
            except OSError:
                gone = True
            replies.task_done()

    def serve(connection: socket.socket) -> None:
        replies: queue.Queue[bytes] = queue.Queue(8)
        threading.Thread(target=write, args=(connection, replies), daemon=True).start()
        data = bytearray()
        try:
            while chunk := connection.recv(4096):
                data += chunk
                if answer := upper(data):
                    replies.put(answer)
        finally:
            replies.join()
            connection.close()
            if mended:
                replies.put(b"")

    thread_each(listener, serve)


def pipe_stays(listener: socket.socket, mended: bool) -> None:
    """A pipe by which others could wake a connection's thread; one of its ends is never closed."""

    def serve(connection: socket.socket) -> None:
        woken, wake = os.pipe()
        data = bytearray()
        with contextlib.suppress(*GONE), connection:
            while chunk := connection.recv(4096):
                data += chunk
                connection.sendall(upper(data))
        os.close(woken)
        if mended:
            os.close(wake)

    thread_each(listener, serve)


def mixed_writes(listener: socket.socket, mended: bool) -> None:
    """Each request has a thread, which writes its reply in two calls: others write in between."""

    def answer(connection: socket.socket, line: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(line[:2])
            if not mended:
                time.sleep(0.02)
            connection.sendall(line[2:])

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            while chunk := connection.recv(4096):
                data += chunk
                lines = upper(data).splitlines(keepends=True)
                if mended or len(lines) == 1:
                    for line in lines:
                        answer(connection, line)
                    continue
                tasks = [threading.Thread(target=answer, args=(connection, one)) for one in lines]
                for task in tasks:
                    task.start()
                for task in tasks:
                    task.join()

    thread_each(listener, serve)


def four_at_once(listener: socket.socket, mended: bool) -> None:
    """A pool of four threads, each of which is a client's for as long as it stays."""

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with contextlib.suppress(*GONE), connection:
            while chunk := connection.recv(4096):
                data += chunk
                connection.sendall(upper(data))

    with ThreadPoolExecutor(2000 if mended else 4) as pool:
        while True:
            pool.submit(serve, listener.accept()[0])


def impatient(listener: socket.socket, mended: bool) -> None:
    """A time-out of 0.1 s on each recv(), meant for the dead, ends those that are slow."""

    def serve(connection: socket.socket) -> None:
        connection.settimeout(60 if mended else 0.1)
        data = bytearray()
        with connection:
            while chunk := connection.recv(4096):
                data += chunk
                connection.sendall(upper(data))

    thread_each(listener, serve)


# --- one after the other, and fork --------------------------------------------------------------


def loop_ends(listener: socket.socket, mended: bool) -> None:
    """The `try` stands around the accept loop: the first reset ends it, and the process stays."""

    def serve(connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            try:
                while chunk := connection.recv(4096):
                    data += chunk
                    connection.sendall(upper(data))
            except OSError:
                stopped.set()

    stopped = threading.Event()
    while mended or not stopped.is_set():
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
    threading.Event().wait()


def parent_keeps(listener: socket.socket, mended: bool) -> None:
    """A process for each connection; the parent does not close its own descriptor of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    kept: list[socket.socket] = []
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            data = bytearray()
            with contextlib.suppress(OSError):
                while chunk := connection.recv(4096):
                    data += chunk
                    connection.sendall(upper(data))
            os._exit(0)
        if mended:
            connection.close()
        else:
            kept.append(connection)


# --- select and poll ----------------------------------------------------------------------------


class Selected:
    """A select() loop that reads no more from who has not read what is there."""

    def __init__(self, listener: socket.socket, mended: bool) -> None:
        self.listener, self.mended = listener, mended
        listener.setblocking(False)
        self.clients: list[socket.socket] = []
        self.data: dict[socket.socket, bytearray] = {}
        self.unsent: dict[socket.socket, list[bytes]] = {}

    def serve(self) -> None:
        while True:
            writes = [one for one in self.clients if self.unsent.get(one)]
            reads = [one for one in self.clients if one not in writes]
            ready = select.select([self.listener, *reads], writes, [])
            for one in ready[0]:
                if one is self.listener:
                    self.accept()
                else:
                    self.read(one)
            for one in ready[1]:
                self.write(one)

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            one, _ = self.listener.accept()
            if one.fileno() >= 1024:
                one.close()
                return
            one.setblocking(False)
            self.clients.append(one)
            self.data[one], self.unsent[one] = bytearray(), []

    def read(self, one: socket.socket) -> None:
        try:
            chunk = one.recv(4096)
        except OSError:
            chunk = b""
        if chunk:
            self.data[one] += chunk
            self.unsent[one] += self.replies(upper(self.data[one]))
            self.write(one)
        else:
            self.ended(one)

    def replies(self, answer: bytes) -> list[bytes]:
        return [answer] if answer else []

    def write(self, one: socket.socket) -> None:
        queued = self.unsent[one]
        try:
            while queued:
                if rest := queued[0][one.send(queued[0]) :]:
                    queued[0] = rest
                else:
                    del queued[0]
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(one, error)

    def failed(self, one: socket.socket, error: OSError) -> None:
        self.ended(one)

    def ended(self, one: socket.socket) -> None:
        del self.data[one], self.unsent[one]
        one.close()
        self.clients.remove(one)


class ClosedInList(Selected):
    """A connection that has ended is closed, and stays in select()'s list: -1 is no descriptor."""

    def ended(self, one: socket.socket) -> None:
        super().ended(one)
        if not self.mended:
            self.clients.append(one)


class NameAtTheEnd(Selected):
    """getpeername() for the log when a client has gone: after a reset it raises ENOTCONN."""

    def ended(self, one: socket.socket) -> None:
        if not self.mended:
            one.getpeername()
        super().ended(one)


class TwoWrites(Selected):
    """A reply is written in two calls; the second one to a client that is gone raises EPIPE."""

    def replies(self, answer: bytes) -> list[bytes]:
        lines = answer.splitlines()
        return [part for line in lines for part in (line, b"\n")]

    def failed(self, one: socket.socket, error: OSError) -> None:
        if not self.mended:
            raise error
        super().failed(one, error)


def sigpipe(listener: socket.socket, mended: bool) -> None:
    """As `TwoWrites`, as in C: SIGPIPE ends the process."""
    if not mended:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    TwoWrites(listener, True).serve()


def waits_for_room(listener: socket.socket, mended: bool) -> None:
    """Sockets do not block, and what send() does not take is tried again and again at once."""
    unsent: dict[int, tuple[socket.socket, bytearray]] = {}
    buffers: dict[int, tuple[socket.socket, bytearray]] = {}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    listener.setblocking(False)

    def drop(fd: int) -> None:
        poll.unregister(fd)
        del unsent[fd]
        buffers.pop(fd)[0].close()

    def write(fd: int) -> None:
        one, queued = unsent[fd]
        while queued:
            try:
                del queued[: one.send(queued)]
            except BlockingIOError:
                if mended:
                    break
            except OSError:
                drop(fd)
                return
        poll.modify(fd, select.POLLOUT if queued else select.POLLIN)

    while True:
        for fd, event in poll.poll():
            if fd == listener.fileno():
                with contextlib.suppress(BlockingIOError):
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    unsent[connection.fileno()] = connection, bytearray()
                    buffers[connection.fileno()] = connection, bytearray()
                    poll.register(connection, select.POLLIN)
                continue
            if event & select.POLLIN or event & (select.POLLHUP | select.POLLERR):
                one, data = buffers[fd]
                try:
                    chunk = one.recv(65536)
                except OSError:
                    chunk = b""
                if not chunk:
                    drop(fd)
                    continue
                data += chunk
                unsent[fd][1].extend(upper(data))
            write(fd)


# --- epoll --------------------------------------------------------------------------------------


class Epolled:
    """A small level-triggered epoll server, buffers by descriptor."""

    def __init__(self, listener: socket.socket, mended: bool) -> None:
        self.listener, self.mended = listener, mended
        listener.setblocking(False)
        self.epoll = select.epoll()
        self.clients: dict[int, socket.socket] = {}
        self.data: dict[int, bytearray] = {}
        self.unsent: dict[int, bytearray] = {}
        self.register(listener.fileno())

    def register(self, fd: int) -> None:
        self.epoll.register(fd, select.EPOLLIN)

    def serve(self) -> None:
        while True:
            for fd, event in self.epoll.poll():
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.clients:
                    self.happened(fd, event)

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            fd = connection.fileno()
            self.clients[fd] = connection
            self.opened(fd)
            self.register(fd)

    def opened(self, fd: int) -> None:
        self.data[fd], self.unsent[fd] = bytearray(), bytearray()

    def happened(self, fd: int, event: int) -> None:
        if event & ~select.EPOLLOUT and not self.read(fd):
            return
        self.write(fd)

    def read(self, fd: int) -> bool:
        """Whether the connection goes on."""
        try:
            chunk = self.clients[fd].recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            chunk = b""
        if not chunk:
            self.drop(fd)
            return False
        self.data[fd] += chunk
        self.unsent[fd] += upper(self.data[fd])
        return True

    def write(self, fd: int) -> None:
        queued = self.unsent[fd]
        try:
            del queued[: self.clients[fd].send(queued)]
        except BlockingIOError:
            pass
        except OSError:
            self.drop(fd)
            return
        self.interest(fd)

    def interest(self, fd: int) -> None:
        self.epoll.modify(fd, select.EPOLLOUT if self.unsent[fd] else select.EPOLLIN)

    def drop(self, fd: int) -> None:
        self.epoll.unregister(fd)
        self.clients.pop(fd).close()
        self.forget(fd)

    def forget(self, fd: int) -> None:
        del self.data[fd], self.unsent[fd]


class OldBuffers(Epolled):
    """Buffers are found by descriptor and never forgotten: the next client goes on with them."""

    def opened(self, fd: int) -> None:
        if self.mended or fd not in self.data:
            super().opened(fd)

    def forget(self, fd: int) -> None:
        if self.mended:
            super().forget(fd)


class AlwaysWrites(Epolled):
    """EPOLLOUT is always asked for, and always there."""

    def register(self, fd: int) -> None:
        writes = not self.mended and fd != self.listener.fileno()
        self.epoll.register(fd, select.EPOLLIN | (select.EPOLLOUT if writes else 0))

    def interest(self, fd: int) -> None:
        if self.mended:
            super().interest(fd)
            return
        reads = 0 if self.unsent[fd] else select.EPOLLIN
        self.epoll.modify(fd, select.EPOLLOUT | reads)


class AcceptsOnce(Epolled):
    """The listener is edge-triggered, and one connection is accepted for each edge."""

    def register(self, fd: int) -> None:
        edge = not self.mended and fd == self.listener.fileno()
        self.epoll.register(fd, select.EPOLLIN | (select.EPOLLET if edge else 0))

    def accept(self) -> None:
        if self.mended:
            super().accept()
            return
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        fd = connection.fileno()
        self.clients[fd] = connection
        self.opened(fd)
        self.register(fd)


class NotArmed(Epolled):
    """One-shot, and armed again only after a reply: who sends half a line is never read again."""

    def register(self, fd: int) -> None:
        once = fd != self.listener.fileno()
        self.epoll.register(fd, select.EPOLLIN | (select.EPOLLONESHOT if once else 0))

    def happened(self, fd: int, event: int) -> None:
        if event & ~select.EPOLLOUT and not self.read(fd):
            return
        if self.mended or self.unsent[fd]:
            self.write(fd)

    def interest(self, fd: int) -> None:
        wanted = select.EPOLLOUT if self.unsent[fd] else select.EPOLLIN
        self.epoll.modify(fd, wanted | select.EPOLLONESHOT)


class HangsUp(Epolled):
    """EPOLLRDHUP is taken for the end of everything: what came before it is not read."""

    def register(self, fd: int) -> None:
        self.epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP)

    def interest(self, fd: int) -> None:
        wanted = select.EPOLLOUT if self.unsent[fd] else select.EPOLLIN
        self.epoll.modify(fd, wanted | (0 if self.mended else select.EPOLLRDHUP))

    def happened(self, fd: int, event: int) -> None:
        if event & select.EPOLLRDHUP and not self.mended:
            self.drop(fd)
            return
        super().happened(fd, event)


class SendsAgain(Epolled):
    """What send() took of a reply is not taken off when it did not take all: it is sent again."""

    def write(self, fd: int) -> None:
        if self.mended:
            super().write(fd)
            return
        queued = self.unsent[fd]
        try:
            if self.clients[fd].send(queued) == len(queued):
                queued.clear()
        except BlockingIOError:
            pass
        except OSError:
            self.drop(fd)
            return
        self.interest(fd)


# --- selectors ----------------------------------------------------------------------------------


def still_registered(listener: socket.socket, mended: bool) -> None:
    """Closed and not unregistered: the next connection with that number cannot be registered."""
    selector, reads = selectors.DefaultSelector(), selectors.EVENT_READ
    listener.setblocking(False)
    selector.register(listener, reads)

    def serve(one: socket.socket, data: bytearray, unsent: bytearray) -> None:
        try:
            if not unsent:
                chunk = one.recv(4096)
                data += chunk
                unsent += upper(data)
            if unsent:
                del unsent[: one.send(unsent)]
            elif not chunk:
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            if mended:
                selector.unregister(one)
            one.close()
            return
        selector.modify(one, selectors.EVENT_WRITE if unsent else reads, (data, unsent))

    while True:
        for key, _ in selector.select():
            one = key.fileobj
            assert isinstance(one, socket.socket)
            if one is not listener:
                serve(one, *key.data)
                continue
            with contextlib.suppress(BlockingIOError):
                connection, _ = listener.accept()
                connection.setblocking(False)
                selector.register(connection, reads, (bytearray(), bytearray()))


# --- asyncio ------------------------------------------------------------------------------------


class Lines(asyncio.Protocol):
    """A protocol, right as it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.transport.write(upper(self.data))

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class ChunkIsMessage(Lines):
    """What data_received() brings is taken for a message."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.strip().upper() + b"\n")


class MarkInChunk(Lines):
    """The end of a line is looked for in each piece by itself: b"o\\n" is, b"\\n" alone is not."""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if len(data) > 1 or data != b"\n":
            self.transport.write(upper(self.data))


class LaterReply(Lines):
    """The reply takes a moment; asyncio closes after the client's FIN unless told not to."""

    mended = False

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(0.005, self.answer, data)

    def answer(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)

    def eof_received(self) -> bool:
        if self.mended:
            asyncio.get_running_loop().call_later(0.02, self.transport.close)
        return self.mended


class MendedLater(LaterReply):
    mended = True


class NeverPauses(Lines):
    """write() takes whatever it is given, and nobody stops reading."""

    def pause_writing(self) -> None:
        """Not heard."""

    def resume_writing(self) -> None:
        """Not heard."""


def protocol(wrong: type[Lines], right: type[Lines] = Lines) -> Serve:
    def serve(listener: socket.socket, mended: bool) -> None:
        async def main() -> None:
            loop, made = asyncio.get_running_loop(), right if mended else wrong
            async with await loop.create_server(made, sock=listener, backlog=4096) as server:
                await server.serve_forever()

        asyncio.run(main())

    return serve


def one_for_all(listener: socket.socket, mended: bool) -> None:
    """The client in hand stands in a global variable while something is awaited."""
    shared: dict[str, asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                shared["client"] = writer
                await asyncio.sleep(0.002)
                to = writer if mended else shared["client"]
                if line.endswith(b"\n"):
                    to.write(line.upper())
                    await to.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, sock=listener, backlog=4096) as server:
            await server.serve_forever()

    asyncio.run(main())


def epolled(kind: type[Epolled]) -> Serve:
    return lambda listener, mended: kind(listener, mended).serve()


BUGS: dict[str, Serve] = {
    "shut-not-closed": shut_not_closed,
    "places-lost": places_lost,
    "lock-while-sending": lock_while_sending,
    "lock-while-reading": lock_while_reading,
    "hoarding-queue": hoarding_queue,
    "writer-stays": writer_stays,
    "pipe-stays": pipe_stays,
    "mixed-writes": mixed_writes,
    "four-at-once": four_at_once,
    "impatient": impatient,
    "loop-ends": loop_ends,
    "parent-keeps": parent_keeps,
    "closed-in-list": lambda one, mended: ClosedInList(one, mended).serve(),
    "name-at-the-end": lambda one, mended: NameAtTheEnd(one, mended).serve(),
    "two-writes": lambda one, mended: TwoWrites(one, mended).serve(),
    "sigpipe": sigpipe,
    "waits-for-room": waits_for_room,
    "old-buffers": epolled(OldBuffers),
    "always-writes": epolled(AlwaysWrites),
    "accepts-once": epolled(AcceptsOnce),
    "not-armed": epolled(NotArmed),
    "hangs-up": epolled(HangsUp),
    "sends-again": epolled(SendsAgain),
    "still-registered": still_registered,
    "chunk-is-data": protocol(ChunkIsMessage),
    "mark-in-chunk": protocol(MarkInChunk),
    "later-reply": protocol(LaterReply, MendedLater),
    "never-pauses": protocol(NeverPauses),
    "one-for-all": one_for_all,
}
FOUND = {
    "chunk-is-data": ("split", ""),
    "mark-in-chunk": ("split/5", ""),
    "not-armed": ("split", "timeout"),
    "mixed-writes": ("coalesced/2", ""),
    "lock-while-reading": ("slow-writer", "timeout"),
    "impatient": ("reuse", ""),
    "four-at-once": ("idle", "timeout"),
    "accepts-once": ("idle", "timeout"),
    "always-writes": ("idle", "spinning"),
    "shut-not-closed": ("abort/close", "leaked_descriptors"),
    "closed-in-list": ("control", "died"),
    "still-registered": ("control", "died"),
    "old-buffers": ("abort/close", ""),
    "name-at-the-end": ("abort/reset", "died"),
    "places-lost": ("abort/reset", "timeout"),
    "loop-ends": ("abort/reset", "timeout"),
    "two-writes": ("abort/reply", "died"),
    "sigpipe": ("abort/reply", "died"),
    "writer-stays": ("leaks", "leaked_threads"),
    "pipe-stays": ("leaks", "leaked_descriptors"),
    "sends-again": ("slow-reader", ""),
    "lock-while-sending": ("stalled-reader", "timeout"),
    "waits-for-room": ("stalled-reader", "timeout"),
    "hoarding-queue": ("stalled-reader", "memory_growth"),
    "never-pauses": ("stalled-reader", "memory_growth"),
    "hangs-up": ("half-close", ""),
    "later-reply": ("half-close", ""),
    "parent-keeps": ("half-close", "timeout"),
    "one-for-all": ("at-once", ""),
}
"""The case that is for each, as `buggy` has it."""
