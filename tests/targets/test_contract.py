"""What every target server must survive, whatever its IO model; the same tests for all.

Where a model's nature forbids it, the test says so and checks what the model does instead.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import threading
from collections.abc import Sequence

import needs
import pytest
from target_process import (
    CASES,
    EXPECTED,
    PATIENCE,
    VARIANTS,
    Case,
    TargetProcess,
    closing_all,
    eventually,
    receive,
    receive_all,
    reset,
    send_until_blocked,
    served,
)

EVERY = pytest.mark.parametrize("case", CASES, ids=str)
EVERY_WAY = pytest.mark.parametrize("case", CASES + VARIANTS, ids=str)
CONCURRENT = pytest.mark.parametrize("case", [c for c in CASES if c.at_once is None], ids=str)
MANY = 2000
MANY_PROCESSES = 300
"""For the model that takes a process, so more than a megabyte, for each."""
FD_SETSIZE = 1024
SMALL = 4096
"""Bytes of a receive buffer that makes replies wait in the server."""


def bystander(target: TargetProcess) -> contextlib.AbstractContextManager[socket.socket | None]:
    """A client that was there before, if the model can serve one beside others."""
    if target.case.at_once == 1:
        return contextlib.nullcontext()
    sock = target.connect()
    assert served(sock)
    return sock


def assert_undisturbed(target: TargetProcess, old: socket.socket | None) -> None:
    """The old client and a fresh one are served."""
    if old is not None:
        assert served(old)
    with target.connect() as fresh:
        assert served(fresh)


def converse(sock: socket.socket, data: bytes, pieces: Sequence[int], stalls: bool) -> bytes:
    """Send `data` in pieces and read the echo; with `stalls`, read only once sending blocks."""
    sent = send_until_blocked(sock, data) if stalls else 0

    def send_rest() -> None:
        at = sent
        for size in pieces:
            sock.sendall(data[at : at + size])
            at += size
        sock.sendall(data[at:])

    sender = threading.Thread(target=send_rest)
    sender.start()
    try:
        return receive(sock, len(data))
    finally:
        sender.join()


@EVERY
@pytest.mark.parametrize("rule", EXPECTED)
def test_each_rule_answers_each_message(case: Case, rule: str) -> None:
    with TargetProcess(case, "--reply", rule) as target, target.connect() as sock:
        for message in (b"This is ", b"\x00\xff'\"\n\xc3\xa9 the message. ", b"x" * 1000):
            reply = EXPECTED[rule](message)
            sock.sendall(message)
            assert receive(sock, len(reply)) == reply
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b""


@EVERY
def test_sink_reads_everything_and_answers_nothing(case: Case) -> None:
    data = bytes(8 * 1024 * 1024)  # more than the kernel would keep for a server that never reads
    with TargetProcess(case, "--reply", "sink") as target, target.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b""


@EVERY_WAY
def test_messages_of_any_size_in_any_pieces_with_readers_that_stall(case: Case) -> None:
    chance = random.Random(7)
    with TargetProcess(case) as target, target.connect(receive_buffer=SMALL) as sock:
        for size, stalls in (1, False), (70_000, True), (1 << 20, True), (300_001, False):
            data = chance.randbytes(size)
            pieces = [chance.randint(1, 30_000) for _ in range(20)]
            assert converse(sock, data, pieces, stalls) == data
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == b""


@EVERY_WAY
def test_replies_of_several_clients_do_not_mix(case: Case) -> None:
    chance = random.Random(11)
    with TargetProcess(case) as target, closing_all() as socks:
        datas = [chance.randbytes(200_000) for _ in range(min(case.at_once or 6, 6))]
        received: dict[int, bytes] = {}

        def talk(number: int) -> None:
            received[number] = converse(socks[number], datas[number], [3000] * 50, stalls=False)

        socks += [target.connect() for _ in datas]
        talkers = [threading.Thread(target=talk, args=(number,)) for number in range(len(datas))]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        assert received == dict(enumerate(datas))


@EVERY
def test_a_pipeline_of_messages_is_answered_in_order(case: Case) -> None:
    messages = b"".join(b"message %05d;" % number for number in range(2000))
    with TargetProcess(case, "--reply", "upper") as target, target.connect() as sock:
        assert converse(sock, messages, [14] * 500, stalls=False) == messages.upper()


@EVERY_WAY
def test_half_close_gets_everything_that_is_owed_and_then_the_end(case: Case) -> None:
    data = random.Random(3).randbytes(300_000)
    with TargetProcess(case) as target:
        with target.connect(receive_buffer=SMALL) as sock:
            taken = send_until_blocked(sock, data)
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == data[:taken]
        with target.connect() as sock:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
        with target.connect() as sock:
            assert served(sock)


@EVERY_WAY
def test_resets_disturb_nobody_and_leave_nothing_behind(case: Case) -> None:
    with TargetProcess(case) as target, bystander(target) as old:
        before = target.settle()
        idle = target.connect()
        if case.at_once != 1:
            assert served(idle)
        reset(idle)
        in_mid_request = target.connect()
        in_mid_request.sendall(b"the first half of a")
        reset(in_mid_request)
        in_mid_reply = target.connect(receive_buffer=SMALL)
        send_until_blocked(in_mid_reply, bytes(1 << 22))
        reset(in_mid_reply)
        assert_undisturbed(target, old)
        target.assert_holds(before)
        assert target.stderr == ""


@EVERY
def test_clients_that_leave_before_they_are_accepted(case: Case) -> None:
    with TargetProcess(case) as target, bystander(target) as old:
        os.killpg(target.process.pid, signal.SIGSTOP)
        try:
            for _ in range(20):
                reset(target.connect())
                target.connect().close()
        finally:
            os.killpg(target.process.pid, signal.SIGCONT)
        assert_undisturbed(target, old)


@EVERY
def test_clients_that_say_nothing_leave_nothing_behind(case: Case) -> None:
    with TargetProcess(case) as target, bystander(target) as old:
        before = target.settle()
        for _ in range(50):
            target.connect().close()
        assert_undisturbed(target, old)
        target.assert_holds(before)


@EVERY
def test_out_of_band_data_is_not_an_error(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as sock:
        assert served(sock)
        sock.send(b"!", socket.MSG_OOB)
        assert served(sock)


@CONCURRENT
def test_very_many_clients_at_once(case: Case) -> None:
    many = MANY_PROCESSES if case.model == "fork" else MANY
    hard = needs.descriptors(many + 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with TargetProcess(case) as target, closing_all() as socks:
        before = target.settle()
        refused = 0
        for _ in range(many):
            try:
                sock = target.connect()
                sock.sendall(b"hello")
            except ConnectionError:
                refused += 1
            else:
                socks.append(sock)
        for sock in socks:
            try:
                assert receive(sock, 5) == b"hello"
            except ConnectionResetError:
                refused += 1
        room = FD_SETSIZE - before.descriptors if case.model == "select" else many
        assert refused == many - room
        assert served(socks[0])
        for sock in socks:
            sock.close()
        target.assert_holds(before)


@CONCURRENT
def test_a_crowd_that_arrives_at_once(case: Case) -> None:
    with TargetProcess(case) as target, closing_all() as socks:
        os.killpg(target.process.pid, signal.SIGSTOP)
        try:
            socks += [target.connect() for _ in range(200)]
        finally:
            os.killpg(target.process.pid, signal.SIGCONT)
        for sock in socks:
            sock.sendall(b"hello")
        assert all(receive(sock, 5) == b"hello" for sock in socks)


@pytest.mark.parametrize("case", [c for c in CASES if c.at_once is not None], ids=str)
def test_clients_beyond_the_workers_wait_for_their_turn(case: Case) -> None:
    assert case.at_once is not None
    with TargetProcess(case) as target, closing_all() as socks:
        socks += [target.connect() for _ in range(case.at_once)]
        assert all(served(sock) for sock in socks)
        waiting = target.connect()
        socks.append(waiting)
        waiting.sendall(b"my turn?")
        assert all(served(sock) for sock in socks[:-1])
        waiting.settimeout(0.1)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        waiting.settimeout(PATIENCE)
        socks[0].close()
        assert receive(waiting, 8) == b"my turn?"


@EVERY_WAY
def test_a_reader_that_stalls_is_bounded_and_delays_nobody(case: Case) -> None:
    data = bytes(64 * 1024 * 1024)
    with TargetProcess(case) as target, bystander(target) as old:
        memory = target.memory
        with target.connect() as stalled:
            taken = send_until_blocked(stalled, data)
            assert taken < len(data) // 2  # the server stopped reading
            assert target.memory - memory < 8 * 1024 * 1024
            if old is not None:
                assert all(served(old) for _ in range(20))
                with target.connect() as fresh:
                    assert served(fresh)
            target.assert_waits()
            stalled.shutdown(socket.SHUT_WR)
            assert len(receive_all(stalled)) == taken
        assert_undisturbed(target, old)


@CONCURRENT
def test_a_client_that_never_pauses_does_not_starve_the_others(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as greedy, target.connect() as modest:
        over = threading.Event()

        def send_for_ever() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    greedy.sendall(bytes(1 << 16))

        def receive_for_ever() -> None:
            with contextlib.suppress(OSError):
                while greedy.recv(1 << 18):
                    pass

        threads = [threading.Thread(target=f) for f in (send_for_ever, receive_for_ever)]
        for thread in threads:
            thread.start()
        try:
            assert all(served(modest) for _ in range(50))
        finally:
            over.set()
            greedy.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@EVERY_WAY
def test_waiting_costs_nothing(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as idle, target.connect():
        assert served(idle)
        with target.connect() as half_closed:
            half_closed.shutdown(socket.SHUT_WR)
        target.assert_waits()


def test_busy_polling_burns_a_core_unless_it_pauses() -> None:
    with TargetProcess(Case("nonblocking")) as target:
        eventually(lambda: target.cpu_share() > 0.2, "it does not burn")
    with TargetProcess(Case("nonblocking", ("--pause", "0.05"))) as target:
        eventually(lambda: target.cpu_share() < 0.05, "it does not pause")


@EVERY_WAY
def test_descriptors_that_run_out_do_not_stop_the_server(case: Case) -> None:
    with TargetProcess(case) as target, closing_all() as socks:
        old = target.connect()
        socks.append(old)
        assert served(old)
        before = target.limit_descriptors(target.highest_descriptor + 1)
        for _ in range(5):
            with contextlib.suppress(ConnectionResetError):  # reset at once: there is no room
                socks.append(target.connect())
        assert served(old)
        target.assert_waits()
        target.limit_descriptors(before)
        for sock in socks:
            sock.close()
        with target.connect() as fresh:
            assert served(fresh)


@EVERY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_under_load_ends_every_connection_in_order(case: Case, number: int) -> None:
    begun = threading.Barrier(3, timeout=PATIENCE)
    wrong: list[bytes] = []

    def load(sock: socket.socket) -> None:
        message = b"in lockstep, again and again"
        begun_here = False
        with sock, contextlib.suppress(ConnectionError):
            while True:
                sock.sendall(message)
                reply = receive(sock, len(message))
                if reply != message:
                    wrong.extend([reply] if reply else [])
                    return
                if not begun_here:
                    begun.wait()
                    begun_here = True

    with TargetProcess(case) as target, closing_all() as socks:
        clients = 2 if case.at_once != 1 else 1
        socks += [target.connect() for _ in range(clients)]
        loads = [threading.Thread(target=load, args=(sock,)) for sock in socks]
        if case.at_once == 1:
            loads.append(threading.Thread(target=begun.wait))
        idle = target.connect()
        socks.append(idle)
        if case.at_once != 1:
            assert served(idle)
        for thread in loads:
            thread.start()
        begun.wait()
        code = target.stop(number)
        for thread in loads:
            thread.join()
        assert code == 0
        assert wrong == []
        if case.at_once != 1:
            assert idle.recv(1) == b""
        assert target.stderr == ""


@EVERY_WAY
def test_a_signal_sends_what_is_owed_and_is_not_held_up_by_who_stalls(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as stalled:
        send_until_blocked(stalled, bytes(1 << 23))
        with bystander(target) as old:
            assert target.stop() == 0
            if old is not None:
                assert old.recv(1) == b""
        assert target.stderr == ""
        with pytest.raises(ConnectionRefusedError):
            target.connect()


def refuses(target: TargetProcess) -> bool:
    """Whether it accepts no more."""
    try:
        target.connect().close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize(
    "case",
    # where threads or processes share the work, one may answer while another begins to stop
    [c for c in CASES if c.at_once is None and c.model not in ("threads", "fork", "epoll_oneshot")],
    ids=str,
)
def test_a_server_that_stops_answers_no_more(case: Case) -> None:
    with TargetProcess(case) as target, target.connect() as sock:
        assert served(sock)
        target.process.terminate()
        eventually(lambda: refuses(target), "it goes on accepting")
        sock.sendall(b"too late")
        assert sock.recv(1) == b""


@pytest.mark.parametrize("model", ["epoll", "threads", "asyncio", "signal"])
def test_a_second_signal_ends_it_at_once(model: str) -> None:
    with TargetProcess(Case(model)) as target, target.connect() as stalled:
        send_until_blocked(stalled, bytes(1 << 23))
        target.process.terminate()
        eventually(lambda: refuses(target), "it goes on accepting")
        assert target.stop() == -signal.SIGTERM
