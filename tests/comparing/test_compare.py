"""`loadmux compare` as a user runs it, against bundled servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import uuid
from pathlib import Path
from xml.etree import ElementTree

import needs
import pytest
from commands import ENOUGH, LOADMUX, ROOT, loadmux, processes_with, started, with_mark

from loadmux.comparing.crowd import Crowd
from loadmux.language.meaning.servers import Url


def test_a_sweep_with_one_that_is_wrong_and_one_that_has_no_room(tmp_path: Path) -> None:
    needs.package("scipy")
    forms = ("html", "svg", "markdown", "csv", "ndjson", "junit", "hgrm")
    files = [tmp_path / f"told.{name}" for name in ("json", *forms)]
    written: list[str | Path] = ["--json-file", files[0]]
    for name, file in zip(forms, files[1:], strict=True):
        written += ["--report", f"{name}={file}"]
    words = ("epoll", "epoll,fault=flip:3", "blocking", "--users", "2,3", "--trial", "200ms")
    done = loadmux("compare", *words, *written)
    assert done.code == 1, done.out + done.err
    assert "round 1: epoll at 2 users: " in done.err
    assert "wrong: epoll,fault=flip:3" in done.out
    assert "one bit differs" in done.out
    assert "blocking serves 1 at once" in done.out
    told = json.loads(files[0].read_text())
    assert {one["entrant"] for one in told["figures"] if one["point"] == 1} == {0}
    assert all(one["cpu"] is None or one["cpu"] > 0 for one in told["figures"])
    assert min(path.stat().st_size for path in files) > 100
    assert len(files[5].read_text().splitlines()) == len(told["figures"])
    suites = ElementTree.parse(files[6]).getroot()
    failed = [one.get("name") for one in suites if one.get("failures") != "0"]
    assert failed == ["epoll,fault=flip:3, 2 users", "epoll,fault=flip:3, 3 users"]
    assert "# epoll, 2 users: echo: latency in milliseconds" in files[7].read_text()
    shown = loadmux("compare", files[0], "--report", f"junit={tmp_path / 'none.xml'}")
    assert shown.code == 1
    assert "3 users" in shown.out
    assert "it is made of runs; files have figures" in shown.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("epoll",), "name two servers or more"),
        (("epoll", "pol"), "did you mean 'poll'?"),
        (("epoll", "poll", "--users", "1,2", "--idle", "0,5"), "sweep one of --users, --idle"),
        (("epoll", "poll", "--users", "x"), "--users: 'x' is not a whole number"),
        (("epoll", "poll", "parts", "--size", "100"), "--size: it is of the echo"),
        (("epoll", "poll", "--size", "3"), "--size: from 8 to"),
        (("epoll", "poll", "--report", "svgg"), "did you mean 'svg'?"),
    ],
)
def test_what_is_no_question(words: tuple[str, ...], told: str) -> None:
    needs.package("scipy")
    done = loadmux("compare", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_an_interrupt_in_the_first_turn_leaves_nothing_either() -> None:
    needs.package("scipy")
    needs.proc()
    mark = str(uuid.uuid4())
    env = {**os.environ, "LOADMUX_TEST": mark}
    words: list[str | Path] = [*LOADMUX, "compare", "epoll", "poll", "--trial", "30s"]
    with started(words, cwd=ROOT, env=env) as process:
        while process.poll() is None and len(processes_with(mark)) < 3:
            time.sleep(0.05)  # nothing tells when a process of a process has been started
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 130
    assert "nothing was measured" in out + err or "0 rounds" in out
    assert "Traceback" not in err
    assert with_mark(mark) == []


def test_an_interrupt_shows_what_was_compared_and_leaves_nothing() -> None:
    needs.package("scipy")
    mark = str(uuid.uuid4())
    env = {**os.environ, "LOADMUX_TEST": mark}
    words: list[str | Path] = [*LOADMUX, "compare", "epoll", "poll", "--idle", "5"]
    with started([*words, "--trial", "300ms"], cwd=ROOT, env=env) as process:
        assert process.stderr is not None
        assert " at 5 idle: " in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 130
    assert "INTERRUPTED  epoll, poll: " in out
    assert with_mark(mark) == []


def test_a_server_that_is_not_there_is_not_blamed() -> None:
    needs.package("scipy")
    words = ("epoll", "gone=tcp://127.0.0.1:1", "--users", "2", "--trial", "200ms", "--quiet")
    done = loadmux("compare", *words)
    assert done.code == 0, done.out + done.err
    assert "wrong" not in done.out


def test_a_crowd_knows_whom_the_server_did_not_keep() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = Url("tcp", "127.0.0.1", listener.getsockname()[1])
        with Crowd(url, 3) as crowd:
            kept = [listener.accept()[0] for _ in range(3)]
            assert crowd.gone == 0
            kept[0].close()
            assert crowd.gone == 1
            for one in kept:
                one.close()
    with Crowd(url, 2) as crowd:
        assert crowd.gone == 2
