"""The rings of io_uring by themselves: what is asked for completes, whatever there is room for."""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import forbidding
import pytest
from target_process import TARGETS

if TYPE_CHECKING:
    from ring import Ring

SETUP, ENTER = 425, 426


@pytest.fixture(params=["as new as it is", "as of Linux 5.7"])
def ring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    """A ring as this kernel makes it, and one as older kernels do."""
    monkeypatch.syspath_prepend(TARGETS)
    module = importlib.import_module("ring")
    refusal = module.refusal()
    if refusal is not None:
        pytest.skip(f"target io_uring cannot run here: {refusal}")
    if request.param == "as of Linux 5.7":
        monkeypatch.setattr(module, "SINGLE_ISSUER", 0)
        monkeypatch.setattr(module, "DEFER_TASKRUN", 0)
    made: Ring = module.Ring()
    yield made
    made.close()


def complete(ring: Ring, count: int) -> list[tuple[int, int]]:
    """So many completions, and no more."""
    found = ring.wait()
    while len(found) < count:
        found += ring.wait()
    return found


def test_more_requests_than_there_is_room_for_complete_in_their_order(ring: Ring) -> None:
    """Each round is over the size of both rings, so that places are used again and again."""
    for count in (1, 255, 256, 257, 511, 512, 513, 3000):
        for about in range(count):
            ring.nothing(about)
        assert complete(ring, count) == [(about, 0) for about in range(count)]


def test_completions_that_have_no_room_are_kept(ring: Ring) -> None:
    """A thousand receives that end at once: the kernel's ring of completions holds 512."""
    pairs = [socket.socketpair() for _ in range(1000)]
    buffer = ctypes.create_string_buffer(1)
    for about, (ours, _) in enumerate(pairs):
        ring.receive(about, ours.fileno(), ctypes.addressof(buffer), 1)
    ring.nothing(1000)
    assert complete(ring, 1) == [(1000, 0)]
    for _, other in pairs:
        other.close()
    assert sorted(complete(ring, 1000)) == [(about, 0) for about in range(1000)]
    for ours, _ in pairs:
        ours.close()


def test_bytes_are_sent_from_where_they_are_and_received_where_they_shall_be(ring: Ring) -> None:
    ours, other = socket.socketpair()
    with ours, other:
        data = bytes(range(256)) * 4
        buffer = bytearray(1000)
        address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
        ring.send(1, ours.fileno(), data)
        ring.receive(2, other.fileno(), address, 1000)
        assert sorted(complete(ring, 2)) == [(1, 1024), (2, 1000)]
        assert buffer == data[:1000]


def test_a_client_is_accepted_and_its_end_is_a_result_of_0(ring: Ring) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ring.accept(1, listener.fileno())
        with socket.create_connection(listener.getsockname()):
            ((about, fd),) = complete(ring, 1)
        assert (about, fd > 2) == (1, True)
        with socket.socket(fileno=fd) as accepted:
            assert accepted.get_inheritable() is False
            ring.receive(2, fd, ctypes.addressof(buffer := ctypes.create_string_buffer(9)), 9)
            assert complete(ring, 1) == [(2, 0)]
            assert buffer.raw == bytes(9)


def test_what_is_cancelled_completes_too(ring: Ring) -> None:
    ours, other = socket.socketpair()
    buffer = ctypes.create_string_buffer(1)
    with ours, other:
        ring.receive(1, ours.fileno(), ctypes.addressof(buffer), 1)
        ring.cancel(2, 1)
        ring.cancel(3, 99)
        found = complete(ring, 3)
    assert sorted(found) == [(1, -errno.ECANCELED), (2, 0), (3, -errno.ENOENT)]


def test_time_passes_by_as_many_requests_as_one_likes(ring: Ring) -> None:
    for about in range(20):
        ring.sleep(about, 0.001 * about)
    assert sorted(complete(ring, 20)) == [(about, -errno.ETIME) for about in range(20)]


def test_a_result_below_0_is_an_errno(ring: Ring) -> None:
    ring.send(1, 10_000, b"x")
    assert complete(ring, 1) == [(1, -errno.EBADF)]


@pytest.mark.parametrize(
    ("call", "answer", "told"),
    [
        (SETUP, errno.ENOSYS, "this kernel has no io_uring, or a seccomp filter hides it"),
        (SETUP, errno.EPERM, "io_uring is forbidden"),
        (SETUP, errno.EACCES, "io_uring is forbidden"),
        (ENTER, errno.EPERM, "io_uring is forbidden"),
        (SETUP, errno.ENOMEM, "too little memory may be locked (ulimit -l)"),
        (SETUP, errno.EINVAL, "the kernel refuses io_uring (Invalid argument)"),
    ],
)
def test_a_kernel_that_refuses_is_quoted(call: int, answer: int, told: str) -> None:
    server = [sys.executable, str(TARGETS / "io_uring_server.py")]
    described = forbidden(call, answer, *server, "--describe")
    assert described.returncode == 0, described.stderr
    said = json.loads(described.stdout)
    assert said["available"] is False
    assert said["reason"].startswith(told)
    done = forbidden(call, answer, *server)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"io_uring: cannot run here: {said['reason']}\n"


def forbidden(call: int, answer: int, *command: str) -> subprocess.CompletedProcess[str]:
    """What a command says where this system call fails so."""
    script = str(Path(forbidding.__file__))
    words = [sys.executable, script, str(call), str(answer), *command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode == forbidding.UNABLE:
        pytest.skip("this kernel has no seccomp filters")
    return done
