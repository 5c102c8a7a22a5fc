"""Four ways to ask the kernel which sockets are ready, behind one contract.

`add(fd)` once, `wait(seconds)` for a list of `(fd, events)`, `remove(fd)` right before the
descriptor is closed, `close()`, and `fileno()`. A wait of less than 2 ms is mostly late by `grain`
seconds, which epoll learns. `arm(fd, mask)` replaces what a *level-triggered* poller (`level` is
true: poll, select) reports of a descriptor; after `add` that is READ. The edge-triggered ones
(epoll with EPOLLET, kqueue with EV_CLEAR) report everything once for each change and ignore `arm`:
one registration for a connection's whole life is what makes them the fastest here (5.4 us of CPU an
exchange, against 7.0 with one-shot re-arming and 8.5 through `selectors`).

Event bits are epoll's on every platform, so the epoll poller hands the kernel's own list through.
ERROR, HANGUP and PEER_CLOSED may come unasked: whoever waits takes them as "try the call, it will
tell". A poller is chosen when it is made, never at import (`system` says why). Sources: epoll(7),
kqueue(2), poll(2), select(2).
"""

from __future__ import annotations

import math
import select
from time import perf_counter
from typing import Any, ClassVar, Protocol

from loadmux.driver.system import has, original, sharpen
from loadmux.errors import DriverFault, UsageError

READ = 0x001
WRITE = 0x004
ERROR = 0x008
HANGUP = 0x010
PEER_CLOSED = 0x2000
GONE = ERROR | HANGUP | PEER_CLOSED
READABLE = READ | GONE
WRITABLE = WRITE | ERROR | HANGUP

FD_SETSIZE = 1024
MILLISECOND = 0.001
SLACK = 0.00006
"""By how much (seconds) a wait in microseconds is late: prctl(2), PR_SET_TIMERSLACK, has 50 us."""
SHARP = 0.00001
"""The same where the kernel has no slack."""
LATER, EARLIER = 0.0000002, 0.0000004
"""Steps (seconds) in which it is learned how late waits are: a third of them are less than that,
and the loop spins for the rest. More than it begins with is not learned: the loop would only spin.
"""
BATCH = 1024

Events = list[tuple[int, int]]

bsd: Any = select  # the type stubs hide kqueue's names where the platform lacks them


class Poller(Protocol):
    """The contract; `tests/contract/test_pollers.py` states it as tests."""

    name: ClassVar[str]
    level: ClassVar[bool]
    grain: float

    def add(self, fd: int) -> None: ...

    def remove(self, fd: int) -> None: ...

    def withdraw(self, fd: int) -> None: ...

    def arm(self, fd: int, mask: int) -> None: ...

    def wait(self, seconds: float) -> Events: ...

    def close(self) -> None: ...

    def fileno(self) -> int | None:
        """A descriptor that is readable when `wait` would not wait; None where there is none."""
        ...


class Epoll:
    """Linux: edge-triggered epoll."""

    name: ClassVar[str] = "epoll"
    level: ClassVar[bool] = False

    def __init__(self) -> None:
        self.grain = self._most = SLACK
        self._sharp = False
        self._epoll = original(select, "epoll")()
        self._select = original(select, "select")
        self._own = (self._epoll.fileno(),)
        self._mask = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

    def add(self, fd: int) -> None:
        self._epoll.register(fd, self._mask)

    def remove(self, fd: int) -> None:
        pass  # close(2) does it, epoll(7), Q&A 6; the call would be 8% of a short connection

    def withdraw(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def arm(self, fd: int, mask: int) -> None:
        pass

    def wait(self, seconds: float) -> Events:
        if 0.0 < seconds < 2 * MILLISECOND and self._own[0] < FD_SETSIZE:
            if not self._sharp:
                self._sharp = True
                self.grain = self._most = SHARP if sharpen() else SLACK
            # epoll_wait(2) takes whole milliseconds; select(2) tells as well when there is
            # something, and takes microseconds. To spin instead costs a core.
            began = perf_counter()
            if not self._select(self._own, (), (), seconds)[0]:
                if perf_counter() - began - seconds < self.grain:
                    self.grain -= EARLIER
                elif self.grain < self._most:
                    self.grain += LATER
                return []
            seconds = 0.0
        events: Events = self._epoll.poll(seconds, BATCH)
        return events

    def close(self) -> None:
        self._epoll.close()

    def fileno(self) -> int | None:
        descriptor: int = self._epoll.fileno()
        return descriptor


class Kqueue:
    """BSD and macOS: kqueue with EV_CLEAR, which makes both filters edge-triggered."""

    name: ClassVar[str] = "kqueue"
    level: ClassVar[bool] = False
    grain = SLACK

    def __init__(self) -> None:
        self._kqueue = original(bsd, "kqueue")()
        self._read = bsd.KQ_FILTER_READ
        self._error = bsd.KQ_EV_ERROR
        self._eof = bsd.KQ_EV_EOF

    def _change(self, fd: int, flags: int) -> None:
        filters = (bsd.KQ_FILTER_READ, bsd.KQ_FILTER_WRITE)
        self._kqueue.control([bsd.kevent(fd, which, flags) for which in filters], 0, 0)

    def add(self, fd: int) -> None:
        self._change(fd, bsd.KQ_EV_ADD | bsd.KQ_EV_CLEAR)

    def remove(self, fd: int) -> None:
        self._change(fd, bsd.KQ_EV_DELETE)

    withdraw = remove

    def arm(self, fd: int, mask: int) -> None:
        pass

    def wait(self, seconds: float) -> Events:
        events = []
        for event in self._kqueue.control(None, BATCH, seconds):
            mask = READ if event.filter == self._read else WRITE
            if event.flags & self._error:
                mask |= ERROR
            if event.flags & self._eof:
                mask |= PEER_CLOSED if mask & READ else HANGUP
            events.append((event.ident, mask))
        return events

    def close(self) -> None:
        self._kqueue.close()

    def fileno(self) -> int | None:
        descriptor: int = self._kqueue.fileno()
        return descriptor


class Poll:
    """poll(2): no limit on descriptors, a cost in proportion to all that are registered."""

    name: ClassVar[str] = "poll"
    level: ClassVar[bool] = True
    grain = MILLISECOND

    def __init__(self) -> None:
        self._poll = original(select, "poll")()
        self._peer_closed = getattr(select, "POLLRDHUP", 0)

    def add(self, fd: int) -> None:
        self._poll.register(fd, READ | self._peer_closed)

    def remove(self, fd: int) -> None:
        self.arm(fd, 0)

    withdraw = remove

    def arm(self, fd: int, mask: int) -> None:
        # With an empty mask poll() would still report POLLHUP and POLLERR, without end.
        if mask:
            self._poll.register(fd, mask & (READ | WRITE) | (self._peer_closed * (mask & READ)))
        else:
            self._poll.register(fd, 0)  # unregister() alone raises for what is not registered
            self._poll.unregister(fd)

    def wait(self, seconds: float) -> Events:
        events: Events = self._poll.poll(math.ceil(seconds * 1000))
        return events

    def close(self) -> None:
        pass

    def fileno(self) -> int | None:
        return None


class Select:
    """select(2): everywhere, and only for descriptors below FD_SETSIZE."""

    name: ClassVar[str] = "select"
    level: ClassVar[bool] = True
    grain = SLACK

    def __init__(self) -> None:
        self._reads: set[int] = set()
        self._writes: set[int] = set()
        self._select = original(select, "select")

    def add(self, fd: int) -> None:
        if fd >= FD_SETSIZE:
            raise DriverFault(
                f"the select poller cannot watch descriptor {fd}: select() takes only those below"
                f" FD_SETSIZE ({FD_SETSIZE}); use --poller epoll or poll, fewer users, or --workers"
            )
        self._reads.add(fd)

    def remove(self, fd: int) -> None:
        self._reads.discard(fd)
        self._writes.discard(fd)

    withdraw = remove

    def arm(self, fd: int, mask: int) -> None:
        (self._reads.add if mask & READ else self._reads.discard)(fd)
        (self._writes.add if mask & WRITE else self._writes.discard)(fd)

    def wait(self, seconds: float) -> Events:
        reads, writes, _ = self._select(self._reads, self._writes, (), seconds)
        events = dict.fromkeys(reads, READ)
        for fd in writes:
            events[fd] = events.get(fd, 0) | WRITE
        return list(events.items())

    def close(self) -> None:
        self._reads.clear()
        self._writes.clear()

    def fileno(self) -> int | None:
        return None


POLLERS: dict[str, type[Poller]] = {poller.name: poller for poller in (Epoll, Kqueue, Poll, Select)}


def available() -> list[str]:
    """The pollers that this platform has, best first."""
    return [name for name in POLLERS if has(select, name)]


def make_poller(name: str | None = None) -> Poller:
    """The poller called `name`, or the platform's best; UsageError where it has no such one."""
    check_poller(name)
    return POLLERS[name or available()[0]]()


def check_poller(name: str | None) -> None:
    """Raises UsageError where the platform has no poller called `name`; None is the best one."""
    here = available()
    if name is not None and name not in here:
        what = "is not available on this platform" if name in POLLERS else "is no poller"
        raise UsageError(f"--poller: {name!r} {what}; here: {', '.join(here)}")
