"""The command line of the servers: what `loadmux` and people rely on."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import needs
import pytest
from target_process import CASES, TARGETS, Case, TargetProcess, receive_all, served

EVERY = pytest.mark.parametrize("case", CASES, ids=str)
FEW = pytest.mark.parametrize("case", [Case(m) for m in ("epoll", "fork", "asyncio")], ids=str)
ALONE = [sys.executable, "-I", "-S"]
"""Python without installed packages."""


def finished(*words: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)


def one_line(text: str) -> str:
    """The only line of the text."""
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text.rstrip("\n")


def test_every_server_file_is_a_case() -> None:
    files = {path.name.removesuffix("_server.py") for path in TARGETS.glob("*_server.py")}
    assert files - {case.model for case in CASES} == {"udp"}, "no stream, tested in test_udp.py"


@EVERY
def test_the_ready_line_is_all_that_is_said(case: Case) -> None:
    with TargetProcess(case) as target:
        host, port = target.ready_line.removeprefix("listening tcp://").split(":")
        assert (host, target.ready_line) == ("127.0.0.1", f"listening tcp://127.0.0.1:{port}")
        with target.connect() as sock:
            assert served(sock)
        assert target.stop() == 0
        assert target.process.stdout is not None
        assert target.process.stdout.read() == ""


@EVERY
def test_a_unix_socket_is_made_and_removed(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with TargetProcess(case, "--unix", str(path)) as target:
        assert target.ready_line == f"listening unix://{path}"
        with target.connect() as sock:
            assert served(sock, bytes(100_000))
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b""
        assert target.stop() == 0
    assert not path.exists()


@FEW
def test_a_path_that_exists_is_left_alone(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    done = finished(*case.command, "--unix", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == (
        f"{case.model}: cannot listen on {path}: Address already in use"
    )
    assert path.read_text() == "data"


def test_a_path_that_another_server_took_over_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with TargetProcess(Case("epoll"), "--unix", str(path)) as target:
        path.unlink()
        path.write_text("somebody else's")
        assert target.stop() == 0
    assert path.read_text() == "somebody else's"


@FEW
def test_a_port_in_use_is_one_line(case: Case) -> None:
    with TargetProcess(Case("select")) as other:
        port = other.url.rsplit(":", 1)[1]
        done = finished(*case.command, "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == (
        f"{case.model}: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


def test_an_ipv6_address_is_bracketed() -> None:
    needs.ipv6()
    with TargetProcess(Case("epoll"), "--host", "::1") as target, target.connect() as sock:
        assert target.url.startswith("tcp://[::1]:")
        assert served(sock)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "65536"], "argument --port: not a port: '65536'"),
        (["--reply", "shout"], "argument --reply: invalid choice: 'shout'"),
        (["--fault", "sloth"], "argument --fault: no fault 'sloth'"),
        (["--fault", "drip:2"], "argument --fault: drip takes no number"),
        (["--fault", "flip:0"], "argument --fault: not a whole number from 1: '0'"),
        (["--read-size", "none"], "argument --read-size: not a whole number from 1: 'none'"),
        (["--workers", "3"], "unrecognized arguments: --workers 3"),
        (["--read-size", str(1 << 30)], "more than 16777216 bytes"),
        (["--unix", "x" * 200], "AF_UNIX path too long"),
        (["--unix", ""], "argument --unix: an empty path"),
        (["--unix", "s", "--port", "8001"], "argument --port: not allowed with argument --unix"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], complaint: str) -> None:
    done = finished(sys.executable, str(TARGETS / "epoll_server.py"), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in one_line(done.stderr)


def test_an_unknown_selector_is_told_with_those_there_are() -> None:
    command = [sys.executable, str(TARGETS / "selectors_server.py"), "--selector", "devpoll"]
    done = finished(*command)
    assert done.returncode == 2
    assert "no selector 'devpoll' here; there are select, poll" in one_line(done.stderr)


@EVERY
def test_describe_is_one_json_object(case: Case) -> None:
    done = finished(*case.command, "--describe")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(one_line(done.stdout))
    words = ["model", "summary", "waits", "limit", "platforms"]
    assert list(told) == [*words, "at_once", "pool", "tls", "available", "reason", "options"]
    assert told["model"] == case.model
    assert told["available"] is (told["reason"] is None)
    assert all(told[key] for key in words)
    assert told["at_once"] == {"blocking": 1, "select": 1000}.get(case.model)
    assert told["pool"] == {"thread_pool": 2000, "process_pool": 256}.get(case.model)
    options = {
        "thread_pool": ["workers"],
        "process_pool": ["workers"],
        "epoll_oneshot": ["workers"],
        "nonblocking": ["pause"],
        "selectors": ["selector"],
    }
    assert told["options"] == options.get(case.model, [])


def test_kqueue_says_why_it_cannot_run() -> None:
    if hasattr(select, "kqueue"):
        pytest.skip("this kernel has kqueue")
    command = [sys.executable, str(TARGETS / "kqueue_server.py")]
    told = json.loads(finished(*command, "--describe").stdout)
    assert told["available"] is False
    assert told["reason"] == "only BSD and macOS have kqueue, not this kernel"
    done = finished(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == f"kqueue: cannot run here: {told['reason']}"


def test_a_ready_line_that_cannot_be_printed_is_told_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, str(TARGETS / "epoll_server.py")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert one_line(done.stderr).startswith("epoll: cannot print the ready line")


@pytest.mark.parametrize("model", ["thread_pool", "epoll_oneshot"])
def test_more_threads_than_the_system_allows_is_one_line(model: str) -> None:
    limited = ["sh", "-c", 'ulimit -v 3000000; exec "$@"', "sh", sys.executable]
    done = finished(*limited, str(TARGETS / f"{model}_server.py"), "--workers", "20000")
    assert done.returncode == 1
    assert one_line(done.stderr) == (
        f"{model}: the system allows no more threads: use fewer --workers"
    )


def test_a_missing_package_is_named() -> None:
    command = [*ALONE, "-c", RUN_AS_SCRIPT, str(TARGETS / "gevent_server.py")]
    told = json.loads(finished(*command, "--describe").stdout)
    assert told["available"] is False
    assert told["reason"] == "gevent is not installed (pip install gevent)"
    done = finished(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == f"gevent: cannot run here: {told['reason']}"


RUN_AS_SCRIPT = """
import os, runpy, sys
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""What `python FILE` does, also where -I keeps the script's folder from being searched."""


def test_the_standard_library_is_all_that_is_needed() -> None:
    for case in CASES:
        if case.model in ("gevent", "kqueue"):
            continue
        command = [*ALONE, "-c", RUN_AS_SCRIPT, str(TARGETS / f"{case.model}_server.py")]
        told = json.loads(finished(*command, "--describe").stdout)
        if case.model == "io_uring" and told["reason"] is not None:
            assert "the kernel" in told["reason"] or "forbidden" in told["reason"]
        else:
            assert told["available"], case.model


def test_no_server_file_shadows_a_module() -> None:
    names = {path.stem for path in TARGETS.glob("*.py")}
    assert not names & sys.stdlib_module_names
    assert os.path.isfile(TARGETS / "serving.py")
