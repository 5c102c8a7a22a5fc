"""Runs a scenario in this process, on any poller, and servers that say what a test wants said.

`drive` is the generator process's own code (`worker.Worker`) without the process, so that kqueue's
path can run through the emulation, and that a test sees the statistics themselves.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import kqueue_emulation

from loadmux.errors import Evidence
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.servers import Url
from loadmux.measuring.stats import Stats
from loadmux.running.generators.channel import pair
from loadmux.running.generators.said import Job, Share, Update
from loadmux.running.generators.worker import Worker

POLLERS = ("epoll", "kqueue", "poll", "select")

Handler = Callable[[socket.socket, int], None]
"""Serves one connection; the number counts them from 0 in the order of their arrival."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What `drive` measured."""

    stats: Stats
    unreachable: str | None

    @property
    def faults(self) -> list[Evidence]:
        return [one for group in self.stats.faults.values() for one in group.examples]

    @property
    def kinds(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for group in self.stats.faults.values():
            counts[group.kind.value] = counts.get(group.kind.value, 0) + group.count
        return counts


@contextlib.contextmanager
def emulated(poller: str | None) -> Iterator[None]:
    needed = poller == "kqueue" and not hasattr(select, "kqueue")
    if needed:
        kqueue_emulation.install()
    try:
        yield
    finally:
        if needed:
            kqueue_emulation.uninstall()


def scenario_for(text: str, url: str | tuple[str, ...], rule: str | None = None) -> Scenario:
    return load("test.yaml", Overrides(target=url, reply=rule), text=text)


def drive(
    text: str, url: str | tuple[str, ...], poller: str | None = None, rule: str | None = None
) -> Driven:
    """Run the scenario in `text` against `url`; `rule` is what the server is told to reply by.

    With several targets `url` has a `NAME=URL` for each.
    """
    scenario = scenario_for(text, url, rule)
    urls = {name: one.url for name, one in scenario.servers.items() if one.url is not None}
    return drive_scenario(scenario, urls, poller)


def drive_scenario(
    scenario: Scenario,
    urls: Mapping[str, Url],
    poller: str | None = None,
    prepare: Callable[[Worker], None] | None = None,
    numbers: range | None = None,
) -> Driven:
    """Run a loaded scenario against targets at `urls`; `prepare` sees the worker first.

    `numbers` are those of the users that run here, where not all of them do.
    """
    if scenario.seed is None:
        scenario = replace(scenario, seed=1)
    ours, theirs = pair()
    stats = Stats()
    with ours, theirs, emulated(poller):
        own = range(scenario.load.users) if numbers is None else numbers
        job = Job((Share(scenario, urls, own),), 1, poller)
        worker = Worker(job, theirs)
        if prepare is not None:
            prepare(worker)
        final = worker.run()
        worker.loop.close()
        for update in ours.take():
            assert isinstance(update, Update)
            stats.merge(update.parts[0].stats)
        stats.merge(final.update.parts[0].stats)
    return Driven(stats, next(iter(final.unreachable.values()), None))


class Server:
    """A server on a free port of `host`, a thread a connection, each running `handler`."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1") -> None:
        self._handler = handler
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=1024)
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"tcp://{shown}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Server:
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop_listening()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def stop_listening(self) -> None:
        """From now on connects are refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._threads)))
            self._connections.append(connection)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            self._handler(connection, number)
            self._end(number)

    def _end(self, number: int) -> None:
        """End our side once the client has ended its own: it waits for that, as for any server.

        A handler that is never to end must not return.
        """
        connection = self._connections[number]
        if connection.fileno() >= 0:
            if select.poll.__module__.startswith("gevent"):  # its own knows no POLLRDHUP
                how_it_ends(connection)
            else:
                ended = select.poll()
                ended.register(connection, getattr(select, "POLLRDHUP", 0))
                ended.poll()
            connection.shutdown(socket.SHUT_WR)


def reset(connection: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def how_it_ends(connection: socket.socket) -> str:
    """Read to the end: `fin`, or `reset` for a RST (over TLS also for a FIN without its alert)."""
    try:
        while connection.recv(65536):
            pass
    except OSError:
        return "reset"
    return "fin"


def answering(reply: Callable[[bytes], bytes]) -> Handler:
    """Replies to each chunk that it reads with what `reply` makes of it, until the client ends."""

    def handler(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            connection.sendall(reply(chunk))
        connection.shutdown(socket.SHUT_WR)

    return handler
