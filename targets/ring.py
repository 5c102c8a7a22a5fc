"""The rings of io_uring, as io_uring(7) and <linux/io_uring.h> lay them out, by ctypes alone.

Two queues in memory that we share with the kernel. Requests (64 bytes each) go into one, whose
tail is ours to move; completions (16 bytes each) come out of the other, whose head is ours. Heads
and tails only grow, and wrap at 2**32; masked, they are places in the ring. `Ring.wait` is
io_uring_enter(2): it gives the kernel the new requests and waits for a completion, in one call.

Each request carries a number, `about`, that comes back with its completion. The kernel reads and
writes a request's buffer until then: whoever asks keeps it alive, and leaves it as it is.

Are plain loads and stores enough, without a memory barrier? One thread uses a ring. Requests are
read by that thread, inside io_uring_enter(2), and so are completions written, where the kernel
knows DEFER_TASKRUN (Linux 6.1): nothing moves while we look, on any processor. An older kernel may
write some from another one: see `Ring._completed`. Heads and tails are aligned words of 32 bits,
which memoryview reads and writes whole.

Linux 5.7 will do. The numbers of the system calls are the same on all architectures but Alpha and
MIPS.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import struct
import sys
from collections import deque
from pathlib import Path

NR_SETUP, NR_ENTER = 425, 426
NOP, TIMEOUT, ACCEPT, CANCEL, SEND, RECEIVE = 0, 11, 13, 14, 26, 27
"""IORING_OP_*: what can be asked for here."""
REQUEST = struct.Struct("B3xi8xQIIQ24x")
"""struct io_uring_sqe: opcode, fd, addr, len, the operation's flags, user_data; the rest is 0."""
COMPLETION = struct.Struct("Qi4x")
"""struct io_uring_cqe: user_data, res."""
WORD, WRAP = 4, 0xFFFFFFFF
OFFSET_OF_REQUESTS = 0x10000000
"""IORING_OFF_SQES: where mmap(2) of the ring's descriptor has the requests; the queues are at 0."""
GET_EVENTS = 1
SINGLE_ISSUER, DEFER_TASKRUN = 1 << 12, 1 << 13
SINGLE_MMAP, NODROP, FAST_POLL = 1 << 0, 1 << 1, 1 << 5
NEEDED = SINGLE_MMAP | NODROP | FAST_POLL
"""IORING_FEAT_*: both queues in one mapping, no completion lost, no thread for each receive."""
ENTRIES = 256
"""Requests that one system call can submit."""
FORBIDDEN = Path("/proc/sys/kernel/io_uring_disabled")

libc_syscall = ctypes.CDLL(None, use_errno=True).syscall
libc_syscall.restype = ctypes.c_long


class RequestOffsets(ctypes.Structure):
    """struct io_sqring_offsets: where in the mapping the queue of requests has what."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("head", "tail", "mask", "entries", "flags", "dropped", "array", "unused")
    ] + [("address", ctypes.c_uint64)]


class CompletionOffsets(ctypes.Structure):
    """struct io_cqring_offsets."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("head", "tail", "mask", "entries", "overflow", "entry", "flags", "unused")
    ] + [("address", ctypes.c_uint64)]


class Parameters(ctypes.Structure):
    """struct io_uring_params: what we ask for, and what the kernel says of the ring it made."""

    _fields_ = [
        *(
            (name, ctypes.c_uint32)
            for name in ("requests", "completions", "flags", "cpu", "idle", "features", "workers")
        ),
        ("unused", ctypes.c_uint32 * 3),
        ("request", RequestOffsets),
        ("completion", CompletionOffsets),
    ]


class Timespec(ctypes.Structure):
    """struct __kernel_timespec."""

    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64)]


class Ring:
    """A ring. OSError if the kernel does not give us one; what it says is in `refusal`."""

    def __init__(self) -> None:
        told = Parameters()
        self.fd = set_up(told)
        try:
            self._map(told)
        except BaseException:
            os.close(self.fd)
            raise

    def _map(self, told: Parameters) -> None:
        if told.features & NEEDED != NEEDED:
            raise OSError(errno.ENOTSUP, "Linux 5.7 is needed")
        at, out = told.request, told.completion
        size = max(at.array + told.requests * WORD, out.entry + told.completions * COMPLETION.size)
        self._queues = mmap.mmap(self.fd, size)
        self._requests = mmap.mmap(self.fd, told.requests * REQUEST.size, offset=OFFSET_OF_REQUESTS)
        self._words = memoryview(self._queues).cast("I")
        self._taken_word, self._tail_word = at.head // WORD, at.tail // WORD
        self._head_word, self._filled_word = out.head // WORD, out.tail // WORD
        size = told.completions * COMPLETION.size
        self._completions = memoryview(self._queues)[out.entry : out.entry + size]
        self._tail, self._head, self._room = 0, 0, told.requests
        self._mask, self._completion_mask = told.requests - 1, told.completions - 1
        for place in range(told.requests):  # the queue holds indexes of requests: always the same
            self._words[at.array // WORD + place] = place
        self._waiting: deque[tuple[int, ...]] = deque()
        self._times: dict[int, Timespec] = {}
        self._text = ctypes.c_char_p()
        self._address = ctypes.c_void_p.from_buffer(self._text)  # the same memory, as a number

    def close(self) -> None:
        """Give the ring back; the kernel cancels what is under way."""
        self._words.release()
        self._completions.release()
        self._queues.close()
        self._requests.close()
        os.close(self.fd)

    def accept(self, about: int, listener: int) -> None:
        """Ask for the next client; the result is its descriptor."""
        self._submit(about, ACCEPT, listener, flags=os.O_CLOEXEC)

    def receive(self, about: int, fd: int, address: int, size: int) -> None:
        """Ask for at most `size` bytes into the buffer at `address`; the result is how many."""
        self._submit(about, RECEIVE, fd, address, size)

    def send(self, about: int, fd: int, data: bytes) -> None:
        """Ask for `data` to be sent; the result is how much of it was."""
        self._text.value = data
        self._submit(about, SEND, fd, self._address.value or 0, len(data))

    def cancel(self, about: int, other: int) -> None:
        """Ask for the request about `other` to end; it completes all the same, by ECANCELED."""
        self._submit(about, CANCEL, address=other)

    def sleep(self, about: int, seconds: float) -> None:
        """Ask for a completion after a time; its result is -ETIME."""
        whole = int(seconds)
        wanted = self._times[about] = Timespec(whole, int((seconds - whole) * 1e9))
        self._submit(about, TIMEOUT, address=ctypes.addressof(wanted), length=1)

    def nothing(self, about: int) -> None:
        """Ask for a completion."""
        self._submit(about, NOP)

    def _submit(
        self, about: int, what: int, fd: int = -1, address: int = 0, length: int = 0, flags: int = 0
    ) -> None:
        """Put a request into the ring; where that is full, it waits in a queue of our own."""
        if self._room:
            place = (self._tail & self._mask) * REQUEST.size
            REQUEST.pack_into(self._requests, place, what, fd, address, length, flags, about)
            self._tail += 1
            self._room -= 1
        else:
            self._waiting.append((about, what, fd, address, length, flags))

    def wait(self) -> list[tuple[int, int]]:
        """Submit the new requests, wait for a completion; all there are, as (about, result).

        A result below 0 is an errno, negated. The list is empty after a signal.
        """
        self._words[self._tail_word] = self._tail & WRAP  # after the requests: it publishes them
        new = self._mask + 1 - self._room
        try:
            # No waiting while some are not submitted: they may be what would complete.
            syscall(NR_ENTER, self.fd, new, 0 if self._waiting else 1, GET_EVENTS, None, 0)
        except OSError as error:  # EBUSY, EAGAIN: no more until we have taken what is completed
            if error.errno not in (errno.EINTR, errno.EBUSY, errno.EAGAIN):
                raise
        untaken = self._tail - self._words[self._taken_word] & WRAP
        self._room = self._mask + 1 - untaken
        while self._waiting and self._room:
            self._submit(*self._waiting.popleft())
        return self._completed()

    def _completed(self) -> list[tuple[int, int]]:
        """Take what has completed.

        The place of the first is counted back from the tail: where another processor has written
        the completions, a load from an address that was computed from the tail cannot come before
        the load of the tail, on any processor that Linux runs on today.
        """
        tail = self._words[self._filled_word]
        ready = tail - self._head & WRAP
        last = (tail & self._completion_mask) * COMPLETION.size
        first = last - ready * COMPLETION.size
        found = list(COMPLETION.iter_unpack(self._completions[max(first, 0) : last]))
        if first < 0:  # they begin at the end of the ring and go on at its start
            found = [*COMPLETION.iter_unpack(self._completions[first:]), *found]
        # After the copy: from here on the kernel may write over what was taken.
        self._words[self._head_word] = self._head = tail
        return found


def set_up(told: Parameters) -> int:
    """io_uring_setup(2): the ring's descriptor; the kernel fills in `told`."""
    told.flags = SINGLE_ISSUER | DEFER_TASKRUN
    try:
        return syscall(NR_SETUP, ENTRIES, ctypes.byref(told))
    except OSError as error:
        if error.errno != errno.EINVAL:  # flags that the kernel does not know yet
            raise
    told.flags = 0
    return syscall(NR_SETUP, ENTRIES, ctypes.byref(told))


def syscall(number: int, *arguments: object) -> int:
    """syscall(2), with numbers of 32 bits and pointers. OSError if it fails."""
    result: int = libc_syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def refusal() -> str | None:
    """Why there is no ring to be had, or None; tried with a request that does nothing."""
    if sys.platform != "linux":
        return "only Linux has io_uring"
    try:
        with contextlib.closing(Ring()) as ring:
            ring.nothing(1)
            answered = ring.wait()
    except OSError as error:
        return reason(error)
    return None if answered == [(1, 0)] else "the kernel's ring is not as it should be"


def reason(error: OSError) -> str:
    """What it means that io_uring_setup(2) has failed so."""
    if error.errno == errno.ENOSYS:
        return f"this kernel has no io_uring, or a seccomp filter hides it ({error.strerror})"
    if error.errno in (errno.EPERM, errno.EACCES):
        if FORBIDDEN.exists() and (value := FORBIDDEN.read_text().strip()) != "0":
            return f"io_uring is forbidden: kernel.io_uring_disabled is {value} (sysctl)"
        return f"io_uring is forbidden, as by the seccomp filter of a container ({error.strerror})"
    if error.errno == errno.ENOMEM:
        return "too little memory may be locked (ulimit -l)"
    return f"the kernel refuses io_uring ({error.strerror})"
