"""What becomes of one connection, once a model has said that its turn has come.

`Client` is one connection of a server that never blocks: the model says when, `Client` makes one
system call, and keeps what the kernel did not take. `Conversation` is one connection of a server
that blocks. Both do the same for a client: every chunk that is read is answered; when the client
has ended its sending (a half-close), all that is owed is sent, then the connection is closed; an
error of the connection, whatever its number, concerns this client only; and a client that does
not take its replies is not read from, so that it cannot fill the memory.

Models whose calls are neither (io_uring, asyncio) have connections of their own kind.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from rules import pieces
from serving import Service

UNSENT_LIMIT = 256 * 1024
"""Bytes a client may leave unread in our memory before we stop reading from it."""


class Client:
    """One connection of a server that never blocks.

    `read` and `write` make at most one system call each and never wait. After each of them the
    model looks at `done`, `wants_read` and `wants_write`. A client that has more than
    `UNSENT_LIMIT` bytes to take is not read from. Errors of the connection, whatever their
    number, mean that it is `done`.
    """

    __slots__ = (
        "answer",
        "ending",
        "fd",
        "input_open",
        "lost",
        "output_open",
        "owed",
        "service",
        "sock",
        "stride",
        "watched",
    )

    def __init__(self, service: Service, sock: socket.socket) -> None:
        sock = service.secured(sock)
        sock.setblocking(False)  # never inherited from the listener on Linux, accept(2)
        self.service = service
        self.sock = sock
        self.fd = sock.fileno()
        self.answer = service.answers(sock, self._end)
        self.stride = service.stride
        self.owed = bytearray()
        self.input_open = True
        self.output_open = True
        self.ending = False
        self.lost = False
        self.watched = 0
        """For the model: what it last asked the kernel to watch."""

    @property
    def wants_read(self) -> bool:
        """Whether bytes that came in should be read."""
        # A client that is ending is read from all the same: closing on unread bytes is a reset.
        return self.input_open and (self.ending or len(self.owed) <= UNSENT_LIMIT)

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for room in the kernel."""
        return bool(self.owed)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do but `close`."""
        return not (self.input_open or self.owed)

    def read(self) -> bool:
        """Read one chunk and answer it. True if there may be more to read at once."""
        if not self.wants_read:
            return False
        try:
            chunk = self.sock.recv(self.service.read_size)
            if not chunk:  # a half-close: readable for ever from here on, so interest must go
                self.input_open = False
                return False
            if not self.ending:
                self._send(self.answer(chunk))
            if self.service.settings.tls and getattr(self.sock, "ended", False):
                self.input_open = False  # no event will tell it: the bytes were read with the rest
        except BlockingIOError:
            return False
        except OSError:  # a reset, of which any call may be the first to tell
            self._lose()
            return False
        if self.ending:
            self._end_output()
        return True

    def write(self) -> bool:
        """Send of what is owed what the kernel takes. True if it may take more at once."""
        if not self.owed:
            return False
        try:
            with memoryview(self.owed)[: self.stride] as view:
                sent = self.sock.send(view)
            del self.owed[:sent]
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        if self.ending:
            self._end_output()
        return bool(self.owed)

    def finish(self) -> None:
        """Answer no more; when what is owed is sent, end the output and await the client's end."""
        self._end()
        self._end_output()

    def close(self) -> None:
        """Close the connection: in order if it lives, else at once."""
        if self.lost:
            self.sock.close()
        else:
            self.service.close(self.sock)

    def _send(self, reply: bytes) -> None:
        if not self.owed and reply:
            try:
                # At once, mostly there is room: to be told so first would cost three more calls.
                sent = self.sock.send(reply[: self.stride])
            except BlockingIOError:
                sent = 0
            if sent == len(reply):
                return
            reply = reply[sent:]  # send(2) may take a part: the rest is owed, in order
        self.owed += reply

    def _end(self) -> None:
        self.ending = True

    def _end_output(self) -> None:
        if self.output_open and not self.owed:
            self.output_open = False
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._lose()

    def _lose(self) -> None:
        self.lost = True
        self.input_open = False
        self.owed.clear()


class Conversation:
    """One connection of a server that blocks: `with Conversation(service, sock) as client`.

    Errors of the connection end the `with` block quietly. `finish` and `abort` are for the thread
    that stops the server.
    """

    def __init__(self, service: Service, sock: socket.socket) -> None:
        sock = service.secured(sock)
        sock.setblocking(True)  # on BSD it inherits the listener's O_NONBLOCK, accept(2)
        self.service = service
        self.sock = sock
        self.reply_to = service.answers(sock, self._end)
        self.stride = service.stride
        self.ending = False
        self.sending = threading.Lock()

    def __enter__(self) -> Conversation:
        self.service.conversations.add(self)
        if self.service.deadline is not None:  # whoever stops us may have looked before
            self.finish()
        return self

    def receive(self) -> bytes:
        """Wait for the next chunk; empty when the client has ended its sending."""
        while (chunk := self.sock.recv(self.service.read_size)) and self.ending:
            pass  # what comes after the end of our output is not answered
        return chunk

    def answer(self, chunk: bytes) -> None:
        """Send the reply; wait until the kernel has taken all of it."""
        with self.sending:
            reply = self.reply_to(chunk)
            for piece in pieces(reply, self.stride):
                self.sock.sendall(piece)
        if self.ending:
            self._end_output()

    def finish(self) -> None:
        """Answer no more: end the output now, or when the reply that is being sent is out."""
        self._end()
        # Never wait here: its thread may block in sendall() for as long as its client likes.
        if self.sending.acquire(blocking=False):
            self._end_output()
            self.sending.release()

    def abort(self) -> None:
        """Wake the thread that blocks here: the connection is over."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.service.conversations.discard(self)
        if error is None:
            self.service.close(self.sock)
        else:
            self.sock.close()
        return isinstance(error, OSError)

    def _end(self) -> None:
        self.ending = True

    def _end_output(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
