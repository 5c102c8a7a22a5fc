"""``select.kqueue`` and ``select.kevent`` for Linux, over nested epolls.

Contract: on Linux, ``install()`` adds to ``select`` the names that CPython has there on a BSD or
on macOS, so that code written for kqueue is executed, not only imported; ``uninstall()`` removes
them. Where ``select.kqueue`` exists already, ``install()`` does nothing. As a script,

    python kqueue_emulation.py SCRIPT [ARGS...]

installs the emulation and runs SCRIPT as ``__main__``. ``selectors`` looks at ``select`` once,
when first imported: install before that, as the script form does, to get ``KqueueSelector``.

Why nested: a kqueue holds one note for each pair (descriptor, filter), each with its own flags;
an epoll holds one entry for each descriptor. So a queue is one epoll for each filter, and an outer
epoll over these two: its descriptor is the queue's, readable when an event is pending. The kernel
keeps all the state that matters (what is ready, edges, removal on close), nothing is polled.

Sources: kqueue(2) of FreeBSD and its sys/kern/kern_event.c, CPython's Modules/selectmodule.c,
epoll(7), tcp(7), unix(7). Emulated: EVFILT_READ and EVFILT_WRITE on sockets, pipes and terminals;
EV_ADD, DELETE, ENABLE, DISABLE, ONESHOT, CLEAR, RECEIPT (0x40), DISPATCH (0x80), EOF, ERROR; udata.
As in FreeBSD, adding a note again keeps its EV_CLEAR, EV_ONESHOT and EV_DISPATCH, replaces udata,
and reports once more what is still ready; as its manual says, it enables the note.

Where a BSD kernel differs:

- Other filters (vnode, process, signal, timer), and NOTE_LOWAT: refused here with EINVAL. The
  names KQ_NOTE_* that only these filters use are missing.
- Regular files: EPERM here; a BSD reports them readable while not at their end.
- ``fflags`` of an event with an error: a BSD shows ``so_error`` and leaves it on the socket. Linux
  has no way to look at it without taking it. So it is taken when the program first looks at
  ``fflags`` (``repr`` and comparison look too) and remembered for later events, and ``recv`` or
  SO_ERROR no longer report it; a program that does not look finds it where it always is.
- ``data`` to read: a listening TCP socket gives the connections to accept, as on a BSD, but a
  listening Unix socket always 1; UDP gives the next datagram alone, not all that wait.
- ``data`` to write: SO_SNDBUF less what is unacknowledged (SIOCOUTQ). Linux charges its overhead to
  the same buffer, so a send can take less; the numbers of a BSD are smaller. Ready to write means a
  third of the buffer free here, SO_SNDLOWAT on a BSD.
- EV_CLEAR on EVFILT_WRITE: an event when a full buffer has drained. A BSD also sends one at each
  acknowledgement. EV_CLEAR on EVFILT_READ may bring an event with nothing new, on both.
- EV_EOF: set as soon as the peer's FIN is here, with data unread, on both. Its timing towards a
  reset or an own shutdown() is Linux's: EVFILT_WRITE has it only when both directions are over, a
  BSD also after an own SHUT_WR. A stream socket that never was connected is at EOF and writable
  here (EPOLLHUP); a BSD reports nothing.
- Close: a BSD drops the notes with the descriptor; Linux with the last descriptor of the same open
  file. After dup() or fork() a closed descriptor can still bring events under its number.
- A disabled note whose peer hangs up makes the queue's descriptor readable for one moment.
- Order: a BSD returns events in the order they came; here those of one filter come before those
  of the other, the two taking turns.
- Waiting is rounded up to whole milliseconds, to nanoseconds on a BSD.
- A queue takes three descriptors, not one. ``fromfd`` knows the queues of this process only and
  shares their state: closing one object closes the others.
"""

from __future__ import annotations

import _socket  # not socket: that imports selectors, which must find select.kqueue
import ctypes
import errno
import fcntl
import functools
import operator
import os
import runpy
import select
import stat
import struct
import sys
import termios
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

FILTER_READ, FILTER_WRITE = -1, -2
EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE = 0x1, 0x2, 0x4, 0x8
EV_ONESHOT, EV_CLEAR, EV_RECEIPT, EV_DISPATCH = 0x10, 0x20, 0x40, 0x80
EV_ERROR, EV_EOF = 0x4000, 0x8000
NOTE_LOWAT = 0x1

_EV_ONCE = EV_ONESHOT | EV_DISPATCH
_EV_CHANGES = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE
_EV_SYSFLAGS = 0xF000
_TCPI_UNACKED = 24  # offset in struct tcp_info; of a listening socket: connections to accept

_libc = ctypes.CDLL(None, use_errno=True)


@functools.total_ordering
class Kevent:
    """``select.kevent``: one change to a queue, or one event from it.

    Raises TypeError, OverflowError or ValueError for what does not fit ``struct kevent``.
    """

    __slots__ = ("_fflags", "_take_error", "data", "filter", "flags", "ident", "udata")

    def __init__(
        self,
        ident: FileDescriptorLike,
        filter: int = FILTER_READ,
        flags: int = EV_ADD,
        fflags: int = 0,
        data: int = 0,
        udata: int = 0,
    ) -> None:
        self.ident = ident if isinstance(ident, int) else ident.fileno()
        if self.ident < 0:
            kind = OverflowError if isinstance(ident, int) else ValueError
            raise kind(f"ident cannot be a negative integer ({self.ident})")
        if not -0x8000 <= filter <= 0x7FFF:
            raise OverflowError("filter does not fit a signed short integer")
        self.filter = operator.index(filter)
        self.flags = flags & 0xFFFF
        self._fflags = fflags & 0xFFFF_FFFF
        self.data = operator.index(data)
        self.udata = udata & 0xFFFF_FFFF_FFFF_FFFF
        self._take_error: Callable[[], int] | None = None

    @property
    def fflags(self) -> int:
        """Filter flags; of an event with EV_EOF, the socket's errno, or 0."""
        if self._take_error is not None:
            self._fflags, self._take_error = self._take_error(), None
        return self._fflags

    @fflags.setter
    def fflags(self, value: int) -> None:
        self._fflags, self._take_error = value & 0xFFFF_FFFF, None

    def _key(self) -> tuple[int, int, int, int, int, int]:
        return self.ident, self.filter, self.flags, self.fflags, self.data, self.udata

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Kevent) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key() < other._key() if isinstance(other, Kevent) else NotImplemented

    def __repr__(self) -> str:
        return (
            f"<select.kevent ident={self.ident} filter={self.filter} flags=0x{self.flags:x} "
            f"fflags=0x{self.fflags:x} data=0x{self.data:x} udata=0x{self.udata:x}>"
        )


class _Note(NamedTuple):
    flags: int
    udata: int
    enabled: bool

    def mask(self, interest: int) -> int:
        """The epoll mask; a disabled note stays registered, so that close still removes it."""
        if not self.enabled:
            return select.EPOLLONESHOT
        edge = select.EPOLLET if self.flags & EV_CLEAR else 0
        once = select.EPOLLONESHOT if self.flags & _EV_ONCE else 0
        return interest | edge | once


class _Filter:
    """The notes of one filter of one queue, and the epoll that watches for them."""

    def __init__(self, number: int, interest: int, amount: Callable[[int], int]) -> None:
        self.epoll = select.epoll()
        self._number = number
        self._interest = interest
        self._amount = amount
        self._notes: dict[int, _Note] = {}

    def change(self, change: Kevent) -> None:
        """Applies one change; raises OSError with the errno that kevent(2) gives."""
        fd, flags = change.ident, change.flags & ~_EV_SYSFLAGS
        if fd > 0x7FFF_FFFF:
            raise _os_error(errno.EBADF)
        if flags & EV_DELETE:
            self._notes.pop(fd, None)
            self.epoll.unregister(fd)
            return
        if change._fflags & NOTE_LOWAT and flags & EV_ADD:
            raise _os_error(errno.EINVAL)
        note = self._notes.get(fd)
        if note is not None:
            with suppress(FileNotFoundError):  # closed, its note with it, and in use again
                self._modify(fd, change, note)
                return
        if not flags & EV_ADD:
            os.fstat(fd)  # EBADF comes before ENOENT
            raise _os_error(errno.ENOENT)
        note = _Note(flags & ~_EV_CHANGES, change.udata, enabled=not flags & EV_DISABLE)
        self.epoll.register(fd, note.mask(self._interest))
        self._notes[fd] = note

    def _modify(self, fd: int, change: Kevent, note: _Note) -> None:
        enabled = note.enabled
        if change.flags & (EV_ADD | EV_ENABLE | EV_DISABLE):
            enabled = not change.flags & EV_DISABLE
        note = _Note(note.flags, change.udata, enabled)
        self.epoll.modify(fd, note.mask(self._interest))
        self._notes[fd] = note

    def take(self, limit: int) -> list[Kevent]:
        """The events pending now, at most ``limit``; what is reported once is spent by it."""
        if not self._notes:
            return []
        events = []
        for fd, mask in self.epoll.poll(0, limit):
            note = self._notes.get(fd)
            if note is None or not note.enabled:
                continue
            events.append(self._event(fd, mask, note))
            if note.flags & EV_ONESHOT:
                del self._notes[fd]
                with suppress(OSError):
                    self.epoll.unregister(fd)
            elif note.flags & EV_DISPATCH:
                self._notes[fd] = note._replace(enabled=False)
        return events

    def _event(self, fd: int, mask: int, note: _Note) -> Kevent:
        event = Kevent(fd, self._number, note.flags, 0, self._amount(fd), note.udata)
        ended = mask & (select.EPOLLRDHUP | select.EPOLLHUP)
        if mask & select.EPOLLERR:
            inode = _socket_inode(fd)
            if not inode:
                ended = mask  # a pipe without readers; of a UDP socket an error is no end
            elif ended:
                event._take_error = functools.partial(_take_error, fd, inode)
        if ended:
            event.flags |= EV_EOF
        return event


class _Queue:
    """The state that all objects of one queue share; ``lock`` makes a call atomic, as in a BSD."""

    def __init__(self) -> None:
        self.outer = select.epoll()
        hangup = select.EPOLLIN | select.EPOLLRDHUP
        self.filters = {
            FILTER_READ: _Filter(FILTER_READ, hangup, _readable_amount),
            FILTER_WRITE: _Filter(FILTER_WRITE, select.EPOLLOUT, _writable_amount),
        }
        self.by_fd = {one.epoll.fileno(): one for one in self.filters.values()}
        for fd in self.by_fd:
            self.outer.register(fd, select.EPOLLIN)
        self.lock = threading.Lock()

    def close(self) -> None:
        for epoll in (self.outer, *(one.epoll for one in self.filters.values())):
            epoll.close()

    def apply(self, changes: Iterable[Kevent], limit: int) -> list[Kevent]:
        """Applies changes in turn; returns what failed or asked for a receipt, at most ``limit``.

        Without room for it, an error is raised and a receipt ends the call; later changes are
        then not applied.
        """
        answers: list[Kevent] = []
        with self.lock:
            for change in changes:
                error = self._apply_one(change)
                if not error and not change.flags & EV_RECEIPT:
                    continue
                if len(answers) == limit:
                    if error:
                        raise _os_error(error)
                    return answers
                ident, number, udata = change.ident, change.filter, change.udata
                answers.append(Kevent(ident, number, EV_ERROR, change._fflags, error, udata))
        return answers

    def _apply_one(self, change: Kevent) -> int:
        try:
            self.filters[change.filter].change(change)
        except KeyError:
            return errno.EINVAL
        except OSError as error:
            return error.errno or errno.EINVAL
        return 0

    def wait(self, limit: int, timeout: float | None) -> list[Kevent]:
        """Waits up to ``timeout`` seconds (None: without end) for 1 to ``limit`` events."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while ready := self.outer.poll(timeout, 1):  # one: epoll then gives each filter its turn
            first = self.by_fd[ready[0][0]]
            with self.lock:
                events = first.take(limit)
                for other in self.by_fd.values():
                    if other is not first and len(events) < limit:
                        events += other.take(limit - len(events))
            if events:
                return events
            if deadline is not None:
                timeout = deadline - time.monotonic()
                if timeout <= 0:
                    break
        return []


_queues: weakref.WeakValueDictionary[int, _Queue] = weakref.WeakValueDictionary()


class Kqueue:
    """``select.kqueue``: a queue of events, to which notes are added and from which events come.

    Raises OSError (EMFILE, ENFILE) when it cannot be made.
    """

    def __init__(self) -> None:
        self._queue = _Queue()
        _queues[self._queue.outer.fileno()] = self._queue

    @classmethod
    def fromfd(cls, fd: int, /) -> Kqueue:
        """Another object for the queue with this descriptor; OSError EBADF if there is none."""
        queue = _queues.get(fd)
        if queue is None or queue.outer.closed:
            raise _os_error(errno.EBADF)
        kqueue = cls.__new__(cls)
        kqueue._queue = queue
        return kqueue

    @property
    def closed(self) -> bool:
        """Whether the queue is closed; in the child of a fork it always is."""
        return self._queue.outer.closed

    def close(self) -> None:
        """Closes the queue; again and again, if need be."""
        self._queue.close()

    def fileno(self) -> int:
        """The queue's descriptor, readable when an event is pending; ValueError when closed."""
        if self.closed:
            raise ValueError("I/O operation on closed kqueue fd")
        return self._queue.outer.fileno()

    def control(
        self,
        changelist: Iterable[Kevent] | None,
        maxevents: int,
        timeout: float | None = None,
        /,
    ) -> list[Kevent]:
        """Applies the changes, then waits up to ``timeout`` seconds for at most ``maxevents``.

        With 0 for ``maxevents`` it does not wait. A change that fails is answered by an event with
        EV_ERROR, its errno in ``data``, instead of waiting; without room for it OSError is raised:
        EBADF, ENOENT (no such note), EINVAL (not emulated), EPERM (a regular file). ValueError and
        TypeError as from CPython.
        """
        self.fileno()
        if maxevents < 0:
            raise ValueError(f"Length of eventlist must be 0 or positive, got {maxevents}")
        if timeout is not None:
            if not isinstance(timeout, int | float):
                kind = type(timeout).__name__
                raise TypeError(f"timeout argument must be a number or None, got {kind}")
            if timeout < 0:
                raise ValueError("timeout must be positive or None")
        changes = [] if changelist is None else list(changelist)
        if not all(isinstance(change, Kevent) for change in changes):
            raise TypeError("changelist must be an iterable of select.kevent objects")
        answers = self._queue.apply(changes, maxevents)
        return answers if answers or not maxevents else self._queue.wait(maxevents, timeout)


def _close_inherited() -> None:
    for queue in list(_queues.values()):
        queue.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _socket_inode(fd: int) -> int:
    """What tells this socket from a later one with the same number; 0 if it is no socket."""
    try:
        status = os.fstat(fd)
    except OSError:
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else 0


_taken_errors: dict[int, tuple[int, int]] = {}  # descriptor: inode, errno


def _take_error(fd: int, inode: int) -> int:
    """The errno of the socket that ``fd`` was when its event came; 0 if it is another by now."""
    known, error = _taken_errors.get(fd, (0, 0))
    if known != inode or not error:
        if _socket_inode(fd) != inode:
            return 0
        error = _option(fd, _socket.SOL_SOCKET, _socket.SO_ERROR)
        _taken_errors[fd] = (inode, error)
    return error


def _option(fd: int, level: int, name: int, offset: int = 0) -> int:
    """An integer of a socket option, ``offset`` bytes into it; OSError if there is none.

    By number: a socket object made from a descriptor would own it, and close it.
    """
    value = ctypes.create_string_buffer(offset + 4)
    length = ctypes.c_uint(len(value))
    if _libc.getsockopt(fd, level, name, value, ctypes.byref(length)):
        raise _os_error(ctypes.get_errno())
    return int(struct.unpack_from("=I", value, offset)[0])


def _ioctl(fd: int, request: int) -> int:
    return int(struct.unpack("=i", fcntl.ioctl(fd, request, bytes(4)))[0])


def _readable_amount(fd: int) -> int:
    """Bytes to read, or connections to accept; 0 where Linux does not tell."""
    try:
        return _ioctl(fd, termios.FIONREAD)
    except OSError as error:
        if error.errno != errno.EINVAL:
            return 0
    try:
        return _option(fd, _socket.IPPROTO_TCP, _socket.TCP_INFO, _TCPI_UNACKED)
    except OSError:
        return 1


def _writable_amount(fd: int) -> int:
    """Bytes free in the buffer of a socket or pipe; 0 where Linux does not tell."""
    try:
        size = _option(fd, _socket.SOL_SOCKET, _socket.SO_SNDBUF)
        return max(0, size - _ioctl(fd, termios.TIOCOUTQ))
    except OSError:
        pass
    try:
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) - _ioctl(fd, termios.FIONREAD)
    except OSError:
        return 0


_NAMES: dict[str, object] = {
    "kqueue": Kqueue,
    "kevent": Kevent,
    "KQ_FILTER_READ": FILTER_READ,
    "KQ_FILTER_WRITE": FILTER_WRITE,
    "KQ_FILTER_AIO": -3,
    "KQ_FILTER_VNODE": -4,
    "KQ_FILTER_PROC": -5,
    "KQ_FILTER_SIGNAL": -6,
    "KQ_FILTER_TIMER": -7,
    "KQ_EV_ADD": EV_ADD,
    "KQ_EV_DELETE": EV_DELETE,
    "KQ_EV_ENABLE": EV_ENABLE,
    "KQ_EV_DISABLE": EV_DISABLE,
    "KQ_EV_ONESHOT": EV_ONESHOT,
    "KQ_EV_CLEAR": EV_CLEAR,
    "KQ_EV_FLAG1": 0x2000,
    "KQ_EV_SYSFLAGS": _EV_SYSFLAGS,
    "KQ_EV_ERROR": EV_ERROR,
    "KQ_EV_EOF": EV_EOF,
    "KQ_NOTE_LOWAT": NOTE_LOWAT,
}


def install() -> None:
    """Adds the names to ``select``; does nothing where ``select.kqueue`` exists already."""
    if hasattr(select, "kqueue"):
        return
    for name, value in _NAMES.items():
        setattr(select, name, value)


def uninstall() -> None:
    """Removes what ``install()`` added; does nothing where it added nothing."""
    if getattr(select, "kqueue", None) is Kqueue:
        for name in _NAMES:
            delattr(select, name)


def main(arguments: list[str]) -> None:
    """Runs the script ``arguments[0]`` with the rest of them, as ``python`` itself would."""
    if not arguments:
        raise SystemExit("usage: kqueue_emulation.py SCRIPT [ARGS...]")
    install()
    sys.argv = arguments
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
