"""Judges the emulation of ``select.kqueue``: by CPython's own suite, and edge by edge.

CPython's tests for kqueue, selectors and asyncio run in a process of their own, with the emulation
installed before anything imports ``selectors``. They say little about edges, errors and the change
list, so what kqueue(2) says of these is tested here, on real sockets and pipes.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import kqueue_emulation as kq
import needs
import pytest
from kqueue_emulation import Kevent, Kqueue


@pytest.fixture(autouse=True)
def epolls() -> None:
    """What the emulation is made of."""
    needs.kernel_with("epoll")


READ, WRITE, TIMER = kq.FILTER_READ, kq.FILTER_WRITE, -7
ADD, DELETE, ENABLE, DISABLE = kq.EV_ADD, kq.EV_DELETE, kq.EV_ENABLE, kq.EV_DISABLE
ONESHOT, CLEAR, RECEIPT, DISPATCH = kq.EV_ONESHOT, kq.EV_CLEAR, kq.EV_RECEIPT, kq.EV_DISPATCH
EOF, ERROR = kq.EV_EOF, kq.EV_ERROR

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger

PATIENCE = 20.0  # seconds in which an event that must come has come, on any machine
EMULATION = Path(kq.__file__).resolve()

CPYTHON_SUITE = """
import kqueue_emulation
kqueue_emulation.install()
import importlib, json, pkgutil, sys, unittest
from test import support

support.use_resources = ["cpu", "walltime"]  # all that is left out wants a network or a screen
names = sys.argv[1:]
if names == ["test.test_asyncio"]:
    package = importlib.import_module("test.test_asyncio")
    names = [f"test.test_asyncio.{module.name}" for module in pkgutil.iter_modules(package.__path__)
             if module.name.startswith("test_")]
suite = unittest.TestSuite()
for name in names:
    try:
        module = importlib.import_module(name)
    except unittest.SkipTest:
        continue
    for case in vars(module).values():
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            if "kqueue" in case.__name__.lower():
                suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
failed = [test.id() for test, _ in result.failures + result.errors]
print(json.dumps({"passed": result.testsRun - len(failed) - len(result.skipped), "failed": failed}))
"""

SUITES = ["test.test_kqueue", "test.test_selectors", "test.test_asyncio"]


@pytest.mark.parametrize("suite", SUITES)
def test_cpython_suite_passes(suite: str) -> None:
    if not all(importlib.util.find_spec(name) for name in ("test", suite)):
        pytest.skip("CPython's own tests are not installed (Debian: libpython3-testsuite)")
    # not tmp_path: the suite makes Unix sockets, whose paths have 107 bytes at most
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(
            [sys.executable, "-c", CPYTHON_SUITE, suite],
            env={**os.environ, "PYTHONPATH": str(EMULATION.parent), "TMPDIR": folder},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    counts = json.loads(finished.stdout.splitlines()[-1])
    assert counts["failed"] == [], finished.stderr
    assert counts["passed"] > 0, finished.stderr


@pytest.fixture
def queue() -> Iterator[Kqueue]:
    with closing(Kqueue()) as queue:
        yield queue


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        return client, listener.accept()[0]


def _change(queue: Kqueue, *changes: Kevent) -> None:
    assert queue.control(changes, 0) == []


def _one(queue: Kqueue) -> Kevent:
    (event,) = queue.control(None, 8, PATIENCE)
    return event


def _nothing(queue: Kqueue) -> bool:
    return queue.control(None, 8, 0) == []


def _is_readable(queue: Kqueue) -> bool:
    return bool(select.select([queue], [], [], 0)[0])


class TestEdges:
    """EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_DISABLE: when there is an event, and when none."""

    def test_level_reports_until_drained(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD, udata=7))
        assert _nothing(queue)
        theirs.send(b"hello")
        expected = Kevent(ours, READ, 0, 0, 5, 7)
        assert [_one(queue), _one(queue)] == [expected, expected]
        assert ours.recv(5) == b"hello"
        assert _nothing(queue)

    def test_clear_reports_each_arrival_once(self, queue: Kqueue) -> None:
        client, server = _connected()
        with client, server:
            _change(queue, Kevent(client, READ, ADD | CLEAR))
            for received in (5, 10, 15):
                server.send(b"hello")
                assert _one(queue) == Kevent(client, READ, CLEAR, 0, received, 0)
                assert _nothing(queue)
            assert client.recv(15) == b"hello" * 3
            assert _nothing(queue)

    def test_clear_reports_what_is_there_when_added_and_added_again(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        theirs.send(b"early")
        for udata in (1, 2):
            _change(queue, Kevent(ours, READ, ADD | CLEAR, udata=udata))
            assert _one(queue) == Kevent(ours, READ, CLEAR, 0, 5, udata)
            assert _nothing(queue)

    def test_clear_on_write_reports_that_a_full_buffer_drained(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        ours.setblocking(False)
        _change(queue, Kevent(ours, WRITE, ADD | CLEAR))
        assert _one(queue).filter == WRITE
        sent = 0
        with pytest.raises(BlockingIOError):
            while True:
                sent += ours.send(bytes(4096))
        assert _nothing(queue)
        while sent:
            sent -= len(theirs.recv(sent))
        event = _one(queue)
        assert (event.ident, event.filter, event.flags) == (ours.fileno(), WRITE, CLEAR)
        assert _nothing(queue)

    def test_oneshot_reports_once_and_is_gone(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD | ONESHOT))
        theirs.send(b"x")
        assert _one(queue) == Kevent(ours, READ, ONESHOT, 0, 1, 0)
        theirs.send(b"y")
        assert _nothing(queue)
        with pytest.raises(FileNotFoundError):
            queue.control([Kevent(ours, READ, DELETE)], 0)

    def test_dispatch_reports_once_and_waits_to_be_enabled(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD | DISPATCH))
        theirs.send(b"x")
        assert _one(queue) == Kevent(ours, READ, DISPATCH, 0, 1, 0)
        theirs.send(b"y")
        assert _nothing(queue)
        assert not _is_readable(queue)
        _change(queue, Kevent(ours, READ, 0, udata=6))
        assert _nothing(queue)
        _change(queue, Kevent(ours, READ, ENABLE, udata=7))
        assert _one(queue) == Kevent(ours, READ, DISPATCH, 0, 2, 7)

    @pytest.mark.parametrize("kind", [0, CLEAR, ONESHOT])
    def test_disabled_note_is_silent_until_enabled(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket], kind: int
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD | kind), Kevent(ours, READ, DISABLE))
        theirs.send(b"x")
        assert not _is_readable(queue)
        theirs.close()
        assert _nothing(queue)
        _change(queue, Kevent(ours, READ, ENABLE, udata=3))
        assert _one(queue) == Kevent(ours, READ, kind | EOF, 0, 1, 3)

    def test_added_disabled_and_enabled_by_adding_again(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD | DISABLE))
        theirs.send(b"x")
        assert _nothing(queue)
        _change(queue, Kevent(ours, READ, ADD))
        assert _one(queue) == Kevent(ours, READ, 0, 0, 1, 0)

    def test_adding_again_keeps_the_flags_of_the_note(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD | CLEAR), Kevent(ours, READ, ADD | ONESHOT))
        theirs.send(b"x")
        assert _one(queue).flags == CLEAR
        theirs.send(b"y")
        assert _one(queue).flags == CLEAR


class TestEnds:
    """EV_EOF, errors, and descriptors that are closed."""

    def test_eof_with_data_unread(self, queue: Kqueue) -> None:
        client, server = _connected()
        with client, server:
            _change(queue, Kevent(client, READ, ADD | CLEAR), Kevent(client, WRITE, ADD | DISABLE))
            server.send(b"last")
            assert _one(queue) == Kevent(client, READ, CLEAR, 0, 4, 0)
            server.shutdown(socket.SHUT_WR)
            assert _one(queue) == Kevent(client, READ, CLEAR | EOF, 0, 4, 0)
            assert _nothing(queue)
            _change(queue, Kevent(client, WRITE, ENABLE))
            assert _one(queue).flags == 0
            assert client.recv(8) == b"last"
            assert client.recv(8) == b""

    def test_refused_connect_has_its_errno_in_fflags_of_both_filters(self, queue: Kqueue) -> None:
        with socket.socket() as bound, socket.socket() as client:
            bound.bind(("127.0.0.1", 0))
            client.setblocking(False)
            assert client.connect_ex(bound.getsockname()) == errno.EINPROGRESS
            changes = [Kevent(client, one, ADD | CLEAR) for one in (READ, WRITE)]
            events: list[Kevent] = []
            while len(events) < 2:
                events += queue.control(changes, 2, PATIENCE)
                changes = []
            assert {event.filter for event in events} == {READ, WRITE}
            assert [event.flags for event in events] == [CLEAR | EOF] * 2
            assert [event.fflags for event in events] == [errno.ECONNREFUSED] * 2
            assert [event.fflags for event in events] == [errno.ECONNREFUSED] * 2

    def test_error_stays_on_the_socket_while_fflags_are_not_looked_at(self, queue: Kqueue) -> None:
        client, server = _connected()
        with client, server:
            _change(queue, Kevent(client, READ, ADD))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            server.close()
            assert _one(queue).flags == EOF
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert _one(queue).fflags == 0

    def test_fflags_never_take_the_error_of_a_later_socket(self, queue: Kqueue) -> None:
        client, server = _connected()
        with client, server:
            number = client.fileno()
            _change(queue, Kevent(client, READ, ADD))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            server.close()
            stale = _one(queue)
        with ExitStack() as stack:
            later, peer = (stack.enter_context(one) for one in _connected())
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            if later.fileno() != number:
                os.dup2(later.fileno(), number)
                stack.callback(os.close, number)
            _change(queue, Kevent(number, READ, ADD))
            peer.close()
            fresh = _one(queue)
            assert (stale.ident, stale.fflags) == (number, 0)
            assert (fresh.ident, fresh.fflags) == (number, errno.ECONNRESET)

    def test_udp_error_is_no_end(self, queue: Kqueue) -> None:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as bound,
            socket.socket(type=socket.SOCK_DGRAM) as client,
        ):
            bound.bind(("127.0.0.1", 0))
            client.connect(bound.getsockname())
            bound.close()
            _change(queue, Kevent(client, READ, ADD))
            client.send(b"x")
            assert _one(queue) == Kevent(client, READ, 0, 0, 0, 0)
            with pytest.raises(ConnectionRefusedError):
                client.recv(1)

    def test_pipe_ends(self, queue: Kqueue) -> None:
        reading, writing = os.pipe()
        with open(reading, "rb", 0) as reader, open(writing, "wb", 0) as writer:
            _change(queue, Kevent(reader, READ, ADD))
            writer.write(b"abc")
            assert _one(queue) == Kevent(reader, READ, 0, 0, 3, 0)
            writer.close()
            assert _one(queue) == Kevent(reader, READ, EOF, 0, 3, 0)

    def test_closing_removes(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        number = ours.fileno()
        _change(queue, Kevent(ours, READ, ADD), Kevent(ours, WRITE, ADD | DISABLE))
        theirs.send(b"x")
        assert _one(queue).ident == number
        ours.close()
        assert _nothing(queue)
        for filter_number, flags in ((READ, DELETE), (WRITE, ENABLE), (READ, ENABLE), (READ, ADD)):
            with pytest.raises(OSError) as caught:
                queue.control([Kevent(number, filter_number, flags)], 0)
            assert caught.value.errno == errno.EBADF

    def test_a_number_in_use_again_has_no_notes(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        number = ours.fileno()
        for one in (READ, WRITE):
            _change(queue, Kevent(ours, one, ADD | CLEAR | DISABLE, udata=1))
        ours.close()
        os.dup2(theirs.fileno(), number)
        with ExitStack() as stack:
            stack.callback(os.close, number)
            for one, flags in ((READ, DELETE), (WRITE, ENABLE)):
                with pytest.raises(FileNotFoundError):
                    queue.control([Kevent(number, one, flags)], 0)
            _change(queue, Kevent(number, READ, ADD))
            assert _one(queue) == Kevent(number, READ, EOF, 0, 0, 0)


class TestAmounts:
    """``data``: bytes to read, connections to accept, bytes free to write."""

    def test_listener_counts_connections(self, queue: Kqueue) -> None:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(3):
                stack.enter_context(socket.create_connection(listener.getsockname()))
            _change(queue, Kevent(listener, READ, ADD))
            for waiting in (3, 2, 1):
                assert _one(queue) == Kevent(listener, READ, 0, 0, waiting, 0)
                stack.enter_context(listener.accept()[0])
            assert _nothing(queue)

    def test_unix_listener_says_one(self, queue: Kqueue) -> None:
        with (
            socket.socket(socket.AF_UNIX) as listener,
            socket.socket(socket.AF_UNIX) as client,
        ):
            listener.bind("")
            listener.listen()
            client.connect(listener.getsockname())
            _change(queue, Kevent(listener, READ, ADD))
            assert _one(queue) == Kevent(listener, READ, 0, 0, 1, 0)

    def test_room_to_write(self, queue: Kqueue) -> None:
        client, server = _connected()
        with client, server:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            _change(queue, Kevent(client, WRITE, ADD))
            size = client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            assert _one(queue) == Kevent(client, WRITE, 0, 0, size, 0)

    def test_room_in_a_pipe(self, queue: Kqueue) -> None:
        reader, writer = os.pipe()
        with ExitStack() as stack:
            stack.callback(os.close, writer)
            with open(reader, "rb", 0):
                _change(queue, Kevent(writer, WRITE, ADD))
                empty = _one(queue)
                os.write(writer, b"abc")
                assert _one(queue) == Kevent(writer, WRITE, 0, 0, empty.data - 3, 0)
            assert _one(queue).flags == EOF


class TestCall:
    """``kqueue.control``: its change list, its answers and its waiting."""

    def test_errors_are_answered_where_there_is_room(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, _ = pair
        missing = Kevent(ours, READ, DELETE, udata=5)
        unknown = Kevent(ours, TIMER, ADD)
        with open(__file__, "rb") as regular:
            changes = [missing, unknown, Kevent(regular, READ, ADD), Kevent(ours, WRITE, ADD)]
            answers = queue.control(changes, 4, None)
            assert answers == [
                Kevent(ours, READ, ERROR, 0, errno.ENOENT, 5),
                Kevent(ours, unknown.filter, ERROR, 0, errno.EINVAL, 0),
                Kevent(regular, READ, ERROR, 0, errno.EPERM, 0),
            ]
        assert _one(queue).filter == WRITE

    def test_error_without_room_is_raised_and_ends_the_call(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, _ = pair
        missing = Kevent(ours, READ, DELETE)
        with pytest.raises(FileNotFoundError):
            queue.control([missing, missing, Kevent(ours, WRITE, ADD)], 1)
        assert _nothing(queue)

    def test_receipts_come_instead_of_events(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, _ = pair
        receipt = queue.control([Kevent(ours, WRITE, ADD | RECEIPT, udata=9)], 8, None)
        assert receipt == [Kevent(ours, WRITE, ERROR, 0, 0, 9)]
        event = _one(queue)
        assert (event.filter, event.flags & ~RECEIPT, event.udata) == (WRITE, 0, 9)

    def test_low_water_mark_is_refused(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with pytest.raises(OSError) as caught:
            queue.control([Kevent(pair[0], READ, ADD, kq.NOTE_LOWAT, 10)], 0)
        assert caught.value.errno == errno.EINVAL

    def test_receipt_without_room_ends_the_call(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, _ = pair
        _change(queue, Kevent(ours, READ, ADD | RECEIPT), Kevent(ours, WRITE, ADD))
        assert _nothing(queue)
        _change(queue, Kevent(ours, READ, DELETE))

    def test_filters_take_turns(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        for one, other in (pair, pair[::-1]):
            one.send(b"x")
            _change(queue, Kevent(other, READ, ADD), Kevent(other, WRITE, ADD))
        singles = [queue.control(None, 1, PATIENCE) for _ in range(4)]
        assert sorted(event.filter for (event,) in singles) == [WRITE, WRITE, READ, READ]
        assert len(queue.control(None, 3, PATIENCE)) == 3
        assert len(queue.control(None, 5, PATIENCE)) == 4

    def test_a_change_by_another_thread_wakes_the_waiter(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, _ = pair
        seen: list[Kevent] = []
        waiter = threading.Thread(target=lambda: seen.extend(queue.control(None, 1, PATIENCE)))
        waiter.start()
        _change(queue, Kevent(ours, WRITE, ADD | ONESHOT, udata=4))
        waiter.join()
        assert [(event.ident, event.udata) for event in seen] == [(ours.fileno(), 4)]

    def test_queue_is_itself_readable_while_an_event_is_pending(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        ours, theirs = pair
        _change(queue, Kevent(ours, READ, ADD))
        assert not _is_readable(queue)
        theirs.send(b"x")
        assert _is_readable(queue)
        assert _one(queue).ident == ours.fileno()

    def test_wrong_arguments(self, queue: Kqueue) -> None:
        with pytest.raises(ValueError, match="eventlist"):
            queue.control(None, -1)
        with pytest.raises(ValueError, match="timeout"):
            queue.control(None, 1, -1)
        with pytest.raises(TypeError, match="timeout"):
            queue.control(None, 1, "1")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="changelist"):
            queue.control([1], 1, 0)  # type: ignore[list-item]
        with pytest.raises(OSError) as caught:
            queue.control([Kevent(2**40, READ, ADD)], 0)
        assert caught.value.errno == errno.EBADF

    def test_fromfd_is_the_same_queue(
        self, queue: Kqueue, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        again = Kqueue.fromfd(queue.fileno())
        _change(again, Kevent(pair[0], WRITE, ADD))
        assert _one(queue).filter == WRITE
        number = queue.fileno()
        again.close()
        assert queue.closed
        with pytest.raises(OSError) as caught:
            Kqueue.fromfd(number)
        assert caught.value.errno == errno.EBADF


class TestKevent:
    def test_repr_and_order(self) -> None:
        event = Kevent(3, WRITE, EOF | CLEAR, 61, 4096, 255)
        expected = "ident=3 filter=-2 flags=0x8020 fflags=0x3d data=0x1000 udata=0xff"
        assert repr(event) == f"<select.kevent {expected}>"
        assert Kevent(3, READ) > Kevent(3, WRITE) >= Kevent(3, WRITE) > Kevent(2, READ, udata=1)
        assert Kevent(3) != 3

    def test_what_does_not_fit(self) -> None:
        with pytest.raises(OverflowError):
            Kevent(-1)
        with pytest.raises(OverflowError):
            Kevent(1, 0x8000)
        with socket.socket() as closed:
            closed.close()
            with pytest.raises(ValueError, match="negative"):
                Kevent(closed)


class TestInstall:
    def test_install_and_uninstall_again_and_again(self) -> None:
        before = set(vars(select))
        for _ in range(2):
            kq.install()
            kq.install()
            try:
                added = set(vars(select)) - before
                assert added == set(kq._NAMES)
                assert vars(select)["kqueue"] is Kqueue
            finally:
                kq.uninstall()
                kq.uninstall()
            assert set(vars(select)) == before

    def test_real_kqueue_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = object()
        monkeypatch.setattr(select, "kqueue", real, raising=False)
        kq.install()
        kq.uninstall()
        assert vars(select)["kqueue"] is real
        assert "kevent" not in vars(select)

    def test_script_runs_as_main(self, tmp_path: Path) -> None:
        (tmp_path / "beside.py").write_text("VALUE = 'beside'\n")
        script = tmp_path / "script.py"
        script.write_text(
            "import beside, json, selectors, sys\n"
            "print(json.dumps([__name__, __file__, sys.argv, sys.path[0], beside.VALUE,\n"
            "                  selectors.DefaultSelector.__name__]))\n"
            "raise SystemExit(7)\n"
        )
        finished = subprocess.run(
            [sys.executable, str(EMULATION), str(script), "--port", "0"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 7, finished.stderr
        assert json.loads(finished.stdout) == [
            "__main__",
            str(script),
            [str(script), "--port", "0"],
            str(tmp_path.resolve()),
            "beside",
            "KqueueSelector",
        ]

    def test_script_is_named_or_refused(self) -> None:
        finished = subprocess.run(
            [sys.executable, str(EMULATION)], capture_output=True, timeout=60, check=False
        )
        assert finished.returncode == 1
        assert finished.stderr == b"usage: kqueue_emulation.py SCRIPT [ARGS...]\n"


def test_queue_is_closed_in_the_child_of_a_fork() -> None:
    program = (
        "import os, kqueue_emulation\n"
        "queue = kqueue_emulation.Kqueue()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(10 + queue.closed)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "print(os.waitstatus_to_exitcode(status), queue.closed)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(EMULATION.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout == "11 False\n"
