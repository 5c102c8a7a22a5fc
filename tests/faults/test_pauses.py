"""A generator that stands still blames nobody for it, and a target that does is blamed as ever."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from commands import target
from driving import Handler, Server, answering
from pausing import LONGER, TIMEOUT, Puppet, pause
from transports import Authority, TlsServer, UdpServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
pollers = pytest.mark.parametrize("poller", ["epoll", "poll", "select"])

LOAD = f"timeout: {TIMEOUT:g}s\nload: {{users: 1, iterations: 3}}\n"
ASK = '[{name: ask, send: "hello", expect: "hello"}]'
SOON = 0.3


def standstills(told: dict[str, object]) -> list[dict[str, object]]:
    generator = told["generator"]
    assert isinstance(generator, dict)
    found = generator["standstills"]
    assert isinstance(found, list)
    return found


def second(act: Handler) -> Handler:
    """Echoes, but for the second message of the first connection does as `act` says."""

    def handler(connection: socket.socket, number: int) -> None:
        for count in itertools.count(1):
            message = connection.recv(65536)
            if not message:
                return
            if count == 2 and not number:
                act(connection, number)
            else:
                connection.sendall(message)

    return handler


# --- waits for replies --------------------------------------------------------------------------


@pollers
@pytest.mark.parametrize("when", ["in the pause", "after it"])
def test_a_reply_is_not_late_because_nobody_read_it(poller: str, when: str, tmp_path: Path) -> None:
    puppet = Puppet()

    def answer(connection: socket.socket, number: int) -> None:
        puppet.stop()
        if when == "in the pause":
            connection.sendall(b"hello")
        time.sleep(LONGER)
        puppet.go_on()
        if when == "after it":
            time.sleep(SOON)
            connection.sendall(b"hello")

    with Server(second(answer)) as server:
        text = f"target: {server.url}\nsteps: {ASK}\n{LOAD}"
        done = puppet.run(text, tmp_path, "--poller", poller)
    assert done.code == 0, done.out
    assert (done.told["exchanges"]["count"], done.told["generator"]["spoilt"]) == (3, 1)
    (found,) = standstills(done.told)
    assert (found["held"], found["step"]) == (False, None)
    assert "the generator stood still for" in done.told["notes"][0]


def test_a_wrong_reply_stays_wrong(tmp_path: Path) -> None:
    puppet = Puppet()

    def lie(connection: socket.socket, number: int) -> None:
        puppet.stop()
        connection.sendall(b"hellO")
        time.sleep(LONGER)
        puppet.go_on()

    with Server(second(lie)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{LOAD}", tmp_path)
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["count"], fault["examples"][0]["offset"]) == ("corrupt", 1, 4)


def test_a_reply_that_never_comes_is_a_timeout_all_the_same(tmp_path: Path) -> None:
    puppet, over = Puppet(), threading.Event()

    def forget(connection: socket.socket, number: int) -> None:
        puppet.pause()
        over.wait()

    with Server(second(forget)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{LOAD}", tmp_path)
        over.set()
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["count"]) == ("timeout", 1)
    assert fault["examples"][0]["message"].startswith(f"no reply within {TIMEOUT:g} s")


def test_a_datagram_is_not_lost_because_nobody_read_it(tmp_path: Path) -> None:
    puppet = Puppet()

    def echo(datagram: bytes, number: int) -> list[bytes]:
        if number == 1:
            threading.Thread(target=puppet.pause).start()
            time.sleep(LONGER / 2)
        return [datagram]

    with UdpServer(echo) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{LOAD}", tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 3


@pytest.mark.parametrize("wanted", ["closed", "{reset: true}"])
def test_an_end_is_not_late(wanted: str, tmp_path: Path) -> None:
    puppet = Puppet()

    def end(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        puppet.pause()
        time.sleep(SOON)
        if wanted != "closed":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    text = f'steps: [{{name: bye, send: "bye", expect: {wanted}}}]\nload: {{iterations: 1}}\n'
    with Server(end) as server:
        done = puppet.run(f"target: {server.url}\ntimeout: {TIMEOUT:g}s\n{text}", tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 1


def test_silence_has_to_be_listened_to(tmp_path: Path) -> None:
    """What comes shortly after a pause that was longer than the silence still breaks it."""
    puppet, over = Puppet(), threading.Event()

    def speak_late(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        puppet.pause()
        time.sleep(SOON)
        connection.sendall(b"boo")
        over.wait()

    text = 'steps: [{name: hush, send: "x", expect: {silence: 1s}}]\nload: {iterations: 1}\n'
    with Server(speak_late) as server:
        done = puppet.run(f"target: {server.url}\n{text}", tmp_path)
        over.set()
    assert done.code == 1
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["step"]) == ("surplus", "hush")


# --- connecting, sending ------------------------------------------------------------------------


def test_a_handshake_is_not_late(tmp_path: Path) -> None:
    puppet = Puppet()
    authority = Authority(tmp_path)

    class Slow(TlsServer):
        def _serve(self, connection: socket.socket, number: int) -> None:
            puppet.pause()
            time.sleep(SOON)
            super()._serve(connection, number)

    text = f"sockets: {{main: {{tls: {{ca: {authority.path}}}}}}}\nsteps: {ASK}\n{LOAD}"
    with Slow(answering(bytes), authority.server()) as server:
        done = puppet.run(f"target: {server.url}\n{text}", tmp_path)
    assert done.code == 0, done.out
    assert (done.told["connects"]["count"], done.told["connects"]["latency"]) == (1, None)


def test_a_send_is_not_stalled(tmp_path: Path) -> None:
    puppet = Puppet()

    def read_late(connection: socket.socket, number: int) -> None:
        connection.recv(1)
        puppet.pause()
        time.sleep(SOON)
        missing = 20_000_000 - 1
        while missing:
            missing -= len(connection.recv(min(1 << 20, missing)))
        connection.sendall(b"all")

    text = 'steps: [{name: put, send: {repeat: "x", times: 20000000}, expect: "all"}]\n'
    with Server(read_late) as server:
        text = f"target: {server.url}\ntimeout: {TIMEOUT:g}s\nload: {{iterations: 1}}\n{text}"
        done = puppet.run(text, tmp_path)
    assert done.code == 0, done.out


def test_a_server_that_gave_up_a_silent_client_is_not_blamed(tmp_path: Path) -> None:
    """It has a time-out of its own, and the generator was silent for longer."""
    puppet = Puppet()

    def give_up(connection: socket.socket, number: int) -> None:
        puppet.stop()
        connection.shutdown(socket.SHUT_RDWR)
        time.sleep(LONGER)
        puppet.go_on()

    with Server(second(give_up)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{LOAD}", tmp_path)
    assert done.code == 3, done.out
    assert (done.told["faults"], done.told["generator"]["unjudged"]) == ([], 1)
    assert "1 connection ended meanwhile" in done.told["reason"]
    assert done.told["exchanges"]["count"] == 2


def test_a_connection_that_ends_later_is_judged(tmp_path: Path) -> None:
    """Something has come since the pause: then the end is the server's own doing."""
    puppet = Puppet()

    def end_later(connection: socket.socket, number: int) -> None:
        puppet.pause()
        connection.sendall(b"hello")
        connection.recv(65536)
        connection.shutdown(socket.SHUT_RDWR)

    with Server(second(end_later)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{LOAD}", tmp_path)
    assert done.code == 1, done.out
    (fault,) = done.told["faults"]
    assert (fault["kind"], fault["count"]) == ("closed", 1)


# --- schedules and workers ----------------------------------------------------------------------


def test_open_load_misses_starts_and_drops_none(tmp_path: Path) -> None:
    puppet = Puppet()

    def pause_and_echo(connection: socket.socket, number: int) -> None:
        puppet.pause()
        connection.sendall(b"hello")

    load = "timeout: 5s\nload: {rate: 50/s, max_users: 20, run_time: 4s}\n"
    with Server(second(pause_and_echo)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{load}", tmp_path)
    schedule = done.told["schedule"]
    assert (schedule["dropped"], schedule["overrun"]) == (0, 0)
    assert schedule["missed"] > 0
    assert schedule["begun"] + schedule["missed"] == 200
    assert (done.code, done.told["faults"]) == (3, [])


def test_one_worker_alone_may_be_stopped(tmp_path: Path) -> None:
    puppet, lock, count = Puppet(), threading.Lock(), 0

    def echo(chunk: bytes) -> bytes:
        nonlocal count
        with lock:
            count += 1
            if count == 20:
                pause(puppet.pids()[2])
        return chunk

    load = f"timeout: {TIMEOUT:g}s\nload: {{users: 4, iterations: 20, pacing: 50ms}}\n"
    with Server(answering(echo)) as server:
        text = f"target: {server.url}\nsteps: {ASK}\n{load}"
        done = puppet.run(text, tmp_path, "--workers", "2")
    assert done.told["exchanges"]["count"] == 80
    assert [one["worker"] for one in standstills(done.told)] == [1]
    assert "worker 1 stood still for" in done.told["notes"][0]


def test_a_pause_at_the_end_leaves_the_grace_that_there_would_have_been(tmp_path: Path) -> None:
    puppet = Puppet()

    def answer_after_it(connection: socket.socket, number: int) -> None:
        puppet.pause(2.5)
        time.sleep(SOON)
        connection.sendall(b"hello")

    load = "timeout: 5s\nload: {users: 1, run_time: 2s, graceful_stop: 1s}\n"
    with Server(second(answer_after_it)) as server:
        done = puppet.run(f"target: {server.url}\nsteps: {ASK}\n{load}", tmp_path)
    assert done.code == 0, done.out
    assert (done.told["exchanges"]["count"], done.told["interrupted"]) == (2, 0)


def test_a_threshold_that_the_pause_may_have_crossed_is_inconclusive(tmp_path: Path) -> None:
    puppet = Puppet()
    load = f"timeout: {TIMEOUT:g}s\nload: {{users: 1, run_time: 3s, pacing: 50ms}}\n"

    def pause_and_echo(connection: socket.socket, number: int) -> None:
        puppet.pause(2.0)
        connection.sendall(b"hello")

    text = f"steps: {ASK}\n{load}thresholds: ['rate > 10/s']\n"
    with Server(second(pause_and_echo)) as server:
        done = puppet.run(f"target: {server.url}\n{text}", tmp_path)
    assert done.code == 3, done.out
    assert "which may be why a threshold was crossed: rate > 10/s" in done.told["reason"]


def test_only_the_target_was_stopped(tmp_path: Path) -> None:
    text = f"timeout: {TIMEOUT:g}s\nsteps: {ASK}\nload: {{users: 3, run_time: 4s}}\n"
    with target("epoll") as (process, url):
        stopper = threading.Timer(2.5, os.kill, (process.pid, signal.SIGSTOP))
        stopper.start()
        done = Puppet().run(f"target: {url}\n{text}", tmp_path)
        stopper.join()
        process.send_signal(signal.SIGCONT)
    assert done.code == 1
    assert {fault["kind"] for fault in done.told["faults"]} == {"timeout"}
    assert standstills(done.told) == []
