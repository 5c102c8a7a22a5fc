"""`loadmux capacity` as a user runs it, against bundled servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import ENOUGH, LOADMUX, ROOT, loadmux, program, started, with_mark

SCENARIO = """
target: {bundled: epoll, reply: echo}
steps: [{send: "hello ${iteration}", expect: reply}]
load: {users: 4, run_time: 5s}
"""
QUICK = ("--slo", "p(99) < 5s", "--trial", "200ms", "--budget", "40s")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    return path


def test_the_highest_rate_that_may_be_tried(scenario: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    page = tmp_path / "page.html"
    words: list[str | Path] = ["--from", "20", "--to", "40", "--json-file", told]
    words += ["--report", f"html={page}", "--report", f"junit={tmp_path / 'told.xml'}"]
    done = loadmux("capacity", scenario, *QUICK, *words)
    assert done.code == 0, done.out + done.err
    assert "CAPACITY  40.0/s or more: errors == 0, p(99) < 5s" in done.out
    assert "long  trial at 40.0/s" in done.err
    found = json.loads(told.read_text())
    assert found["answer"]["low"] == 40
    assert found["answer"]["held"][0] >= 4
    assert "latency over throughput" in page.read_text()
    assert {one["load"] for one in found["points"]} == {20, 40}
    assert all(one["rate"] > 0 for one in found["points"])
    (suite,) = ElementTree.parse(tmp_path / "told.xml").getroot()
    assert suite.get("failures") == suite.get("errors") == "0"
    assert "threshold p(99) < 5s" in {case.get("name") for case in suite.iter("testcase")}


def test_what_the_server_cannot_do_is_not_carried(scenario: Path) -> None:
    words = ("--fault", "slow:20ms", "--slo", "p(99) < 1ms", "--from", "0.2", "--trial", "300ms")
    done = loadmux("capacity", scenario, *words)
    assert done.code == 99, done.out + done.err
    assert "not even 0.10/s keep errors == 0, p(99) < 1ms" in done.out
    assert "limited by  the server: p(99) < 1ms" in done.out


def test_users(scenario: Path) -> None:
    done = loadmux("capacity", scenario, *QUICK, "--users", "--to", "2", "--quiet")
    assert done.code == 0, done.out + done.err
    assert done.out.startswith(" CAPACITY  2 users or more: ")
    assert done.err == ""


def test_a_wrong_reply_ends_the_search(scenario: Path) -> None:
    done = loadmux("capacity", scenario, *QUICK, "--fault", "flip:3")
    assert done.code == 1, done.out + done.err
    assert "the search ended with a fault" in done.out
    assert "one bit differs" in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say what is good enough: --slo 'p(99) < 5ms'"),
        (("--slo", "p99 < 5ms"), "did you mean 'p(99)'?"),
        (("--slo", "max < 1s", "--from", "5", "--to", "4"), "--from 5 is more than --to 4"),
        (("--slo", "max < 1s", "--budget", "5x"), "--budget: '5x' is not a duration"),
        (("--slo", "max < 1s", "--users", "--to", "1.5"), "are whole numbers"),
    ],
)
def test_what_is_no_question(scenario: Path, words: tuple[str, ...], told: str) -> None:
    done = loadmux("capacity", scenario, *words)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""


def test_an_interrupt_shows_what_was_found_and_leaves_nothing(scenario: Path) -> None:
    mark = str(uuid.uuid4())
    env = {**os.environ, "LOADMUX_TEST": mark}
    words: list[str | Path] = [*LOADMUX, "capacity", scenario]
    words += ["--slo", "p(99) < 5s", "--to", "20"]
    with started([*words, "--from", "20", "--trial", "2s"], cwd=ROOT, env=env) as process:
        assert process.stderr is not None
        assert "short trial at 20.0/s" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == 130
    assert "INTERRUPTED  about 20.0/s, not confirmed" in out
    assert with_mark(mark) == []


FEW_PORTS = """
import fcntl, socket, struct, sys
from loadmux.__main__ import main

with socket.socket() as sock:  # netdevice(7): bring the loopback of this namespace up
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
for name, value in (("ip_local_port_range", "40000 40029"), ("tcp_tw_reuse", "0")):
    with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
        file.write(value)
main()
"""
CHURN = """
target: {bundled: epoll, reply: echo}
steps: [connect: main, {send: hi, expect: reply}, close: main]
load: {users: 2, run_time: 5s}
"""


def test_ports_that_are_used_up_are_no_limit_of_the_server(tmp_path: Path) -> None:
    """In a network namespace of its own with 30 ports, each of which is used once in a minute."""
    alone = [program("unshare"), "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a network namespace")
    scenario = tmp_path / "churn.yaml"
    scenario.write_text(CHURN)
    words = ["capacity", str(scenario), *QUICK, "--from", "50", "--to", "400"]
    done = subprocess.run(
        [*alone, sys.executable, "-c", FEW_PORTS, *words],
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "limited by  this machine's free ports" in done.stdout
    assert "budget      spent" in done.stdout
