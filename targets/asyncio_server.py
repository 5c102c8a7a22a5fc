"""asyncio: one coroutine a connection, all in one thread, over an event loop of the library.

A coroutine reads like the blocking server, but where that would block the thread, `await` hands
control to the loop, which resumes whoever can go on. A coroutine costs some KB and no kernel task.
Nothing else runs between two awaits: state needs no locks, and a coroutine that computes for long
stops everybody.

Writing has two halves: `write()` never waits, what the kernel does not take is kept in memory;
`drain()` waits until little enough is left. Without drain a client that does not read fills the
memory: the await is the backpressure.
"""

from __future__ import annotations

import asyncio
import socket

from model import Model
from rules import pieces
from serving import Service, run

MODEL = Model(
    name="asyncio",
    summary="one coroutine a connection, resumed by asyncio's event loop",
    waits="every connection in the loop's selector, its coroutine suspended in an await",
    limit="descriptors of the process (RLIMIT_NOFILE)",
    tls=False,
)


class Conversation:
    """One client, and the coroutine that serves it."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self.service = service
        self.sock = sock
        self.answer = service.answers(sock, self.end)
        self.ending = False
        self.writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Serve the client until it ends."""
        try:
            reader, writer = await asyncio.open_connection(sock=self.sock)
        except OSError:
            self.sock.close()
            return
        self.writer = writer
        if self.ending:
            writer.write_eof()
        try:
            while chunk := await reader.read(self.service.read_size):
                if self.ending:
                    continue  # what comes after the end of our output is not answered
                for piece in pieces(self.answer(chunk), self.service.stride):
                    writer.write(piece)
                    await writer.drain()
                if self.ending:
                    writer.write_eof()
            if not self.service.withholds_end:
                writer.write_eof()
                writer.close()  # when all is sent
                await writer.wait_closed()
        except OSError:
            writer.transport.abort()

    def end(self) -> None:
        """Answer no more."""
        self.ending = True

    def finish(self) -> None:
        """Answer no more; when what is owed is sent, end the output and await the client's end."""
        self.end()
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write_eof()

    def abort(self) -> None:
        """Close at once."""
        if self.writer is not None:
            self.writer.transport.abort()


class Server:
    """The conversations that are going on."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.conversations: dict[asyncio.Task[None], Conversation] = {}
        self.unended: list[Conversation] = []

    async def run(self) -> None:
        """Serve until stopped.

        asyncio.start_server would accept for us; but in CPython 3.11, when descriptors run out, it
        repeats the failing accept as many times as the backlog is long, and schedules as many
        further tries (BaseSelectorEventLoop._accept_connection).
        """
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        loop.add_reader(self.service.stop, stopped.set)
        loop.add_reader(self.service.listener, self.accept)
        await stopped.wait()
        loop.remove_reader(self.service.stop)
        loop.remove_reader(self.service.listener)
        self.service.begin_stop()
        for conversation in self.conversations.values():
            conversation.finish()
        if self.conversations:
            await asyncio.wait(self.conversations, timeout=self.service.patience())
        for conversation in self.conversations.values():
            conversation.abort()
        if self.conversations:
            await asyncio.wait(self.conversations)

    def accept(self) -> None:
        """Give each client that waits a coroutine, run as a task."""
        for sock in self.service.listener.arrivals():
            sock.setblocking(False)  # never inherited from the listener on Linux, accept(2)
            conversation = Conversation(self.service, sock)
            task = asyncio.create_task(conversation.run())
            self.conversations[task] = conversation
            task.add_done_callback(self.forget)

    def forget(self, task: asyncio.Task[None]) -> None:
        """A conversation has ended."""
        conversation = self.conversations.pop(task)
        if self.service.withholds_end:
            self.unended.append(conversation)


def serve(service: Service) -> None:
    """Run the loop until stopped."""
    asyncio.run(Server(service).run())


if __name__ == "__main__":
    run(MODEL, serve, __doc__)
