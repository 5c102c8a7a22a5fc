"""The pytest plugin as a stranger's project uses it: in a folder of its own, in a fresh pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from commands import ENOUGH

SERVER = """
import socket, sys, threading

def serve(connection, lie):
    with connection:
        print("somebody is there", flush=True)
        while data := connection.recv(4096):
            connection.sendall(bytes([data[0] ^ lie]) + data[1:])

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
lie = int("flip" in sys.argv)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0], lie), daemon=True).start()
"""
TEST = """
import sys
SCENARIO = {"steps": [{"send": "hello", "expect": "hello"}], "load": {"users": 5, "iterations": 10}}

def test_server(loadmux_server, loadmux_run):
    url = loadmux_server([sys.executable, "server.py", "{port}", MODE])
    loadmux_run(SCENARIO, target=url).assert_passed()
"""
FILE = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: hello, expect: ANSWER}]
load: {users: 2, iterations: 3}
"""


def pytest_in(folder: Path, *options: str) -> tuple[int, str]:
    """The exit status of pytest in a folder, and what it printed; a stranger has no Hypothesis."""
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *without, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.loadmux.yaml").write_text(text)


@pytest.mark.parametrize(("mode", "code"), [("right", 0), ("flip", 1)])
def test_a_server_of_ones_own(mode: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "test_server.py").write_text(TEST.replace("MODE", repr(mode)))
    status, out = pytest_in(tmp_path)
    assert status == code, out
    assert ("the first wrong byte is byte 0 of the reply" in out) == (mode == "flip")
    assert ("server: somebody is there" in out) == (mode == "flip")


def test_a_server_that_does_not_start_is_told_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("raise SystemExit('no licence')")
    (tmp_path / "test_server.py").write_text(TEST.replace("MODE", "''"))
    status, out = pytest_in(tmp_path)
    assert status == 1
    assert "did not start: it exited with 1; it printed:" in out
    assert "no licence" in out
    assert "> " in out
    assert "url = loadmux_server(" in out
    assert "site-packages" not in out
    assert "processes.py" not in out


def test_files_are_items(tmp_path: Path) -> None:
    right, wrong = FILE.replace("ANSWER", "hello"), FILE.replace("ANSWER", "HELLO")
    mistake = FILE.replace("steps:", "stepz:")
    written(tmp_path, right=right, wrong=wrong, mistake=mistake)
    status, out = pytest_in(tmp_path, "-n", "2", "--junitxml", "made.xml")
    assert status == 1, out
    assert "1 failed, 1 passed, 1 error" in out
    assert re.search(r"mistake\.loadmux\.yaml:3:1: .*stepz", out)
    assert "first wrong byte is byte 0" in out
    assert "Traceback" not in out
    assert "def setup" not in out  # neither pytest's code nor ours
    cases = {
        case.get("name"): [one.tag for one in case]
        for case in Xml.parse(tmp_path / "made.xml").iter("testcase")
    }
    assert cases == {"right": [], "wrong": ["failure"], "mistake": ["error"]}
    status, out = pytest_in(tmp_path, "-k", "right")
    assert status == 0, out


def test_nobody_is_there_is_an_error_and_a_target_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    written(tmp_path, ask=FILE.replace("ANSWER", "hello"))
    status, out = pytest_in(tmp_path, "--loadmux-target", "tcp://127.0.0.1:1")
    assert status == 1
    assert "1 error" in out
    assert "UNREACHABLE" in out


def test_the_target_of_files_can_be_a_command(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    written(tmp_path, ask=FILE.replace("ANSWER", "hello"))
    status, out = pytest_in(tmp_path, "--loadmux-command", f"{sys.executable} server.py {{port}}")
    assert status == 0, out


def test_nothing_heavy_is_imported_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    assert 'loadmux.testing.pytest_plugin' in sys.modules\n"
        "    assert not {'rich', 'yaml', 'locust', 'gevent', 'loadmux.errors'} & set(sys.modules)\n"
    )
    status, out = pytest_in(tmp_path, "-p", "no:xdist")
    assert status == 0, out


PROBED = """
import sys, pytest

@pytest.mark.loadmux_probe(
    command=[sys.executable, "server.py", "{port}"], send="hello", expect="hello",
    cases=["bytewise", "urgent"],
)
def test_server(loadmux_case):
    print("probed by", loadmux_case.id)
"""


@pytest.mark.parametrize(
    ("answer", "code"),
    [("bytes([data[0] ^ lie]) + data[1:]", 0), ("b'hello' if b'o' in data else b'?'", 1)],
)
def test_a_mark_probes_a_server_by_an_item_for_each_case(
    answer: str, code: int, tmp_path: Path
) -> None:
    server = SERVER.replace("bytes([data[0] ^ lie]) + data[1:]", answer)
    (tmp_path / "server.py").write_text(server)
    (tmp_path / "test_probed.py").write_text(PROBED)
    status, out = pytest_in(tmp_path, "-rA")
    assert status == code, out
    assert "test_server[urgent]" in out
    word = "FAILED" if code else "PASSED"
    assert f"{word} test_probed.py::test_server[bytewise]" in out
