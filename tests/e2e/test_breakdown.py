"""loadmux itself breaks: an exit code of its own, one line, and what was measured until then."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import ENOUGH, ROOT, Done, in_fork

linux = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux only")

TALK = """
target: {bundled: epoll, reply: echo}
sockets: [talk, large]
steps:
  - {name: ask, on: talk, send: "hello", expect: reply}
  - {name: told, wait: 700ms}
  - {name: more, on: large, send: LARGE, expect: reply}
load: {users: 4, iterations: 2}
"""
BROKEN_WORKER = """
from loadmux.running.generators import nursery
nursery.WORKER = nursery.WORKER.replace("    main()", '''
    from loadmux.driver.user import VirtualUser
    VirtualUser._leave = None
    main()
''')
"""
BROKEN_VIEW = """
from loadmux.report.live import PlainLines
def update(self, progress):
    raise LookupError("this line has a bug")
PlainLines.update = update
"""
BROKEN_REPORT = """
from loadmux.report import terminal
terminal._summary = None
"""
MAIN = "from loadmux.__main__ import main; main()"


def run(
    folder: Path, *words: str, large: str = "x", bug: str = "", memory: int | None = None
) -> Done:
    """A run in a process of its own, with a bug, or with so much memory (bytes) at most."""
    scenario, told = folder / "s.yaml", folder / "told.json"
    scenario.write_text(TALK.replace("LARGE", large))

    program = f"import sys; sys.path[0] = {str(ROOT)!r}\n{bug}\n{MAIN}"
    arguments = ["-c", program, "run", str(scenario), "--json-file", str(told), *words]
    done = in_fork(arguments, ROOT, {}) if memory is None else limited(arguments, memory)
    found = json.loads(told.read_text()) if told.exists() else {}
    return Done(done.code, done.out, done.err, found)


def limited(words: Sequence[str], memory: int) -> Done:
    """An interpreter, and what it starts, with so much memory each."""
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=ENOUGH,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr, {})


@linux
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_generator_process_without_memory(workers: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--workers", workers, large="{random: 200MB}", memory=300 << 20)
    assert done.code == done.told["exit_code"] == 70
    assert done.told["verdict"] == "broken"
    assert "it ran out of memory" in done.told["reason"]
    assert done.out.startswith(" BROKEN  loadmux itself broke: generator process ")
    assert done.told["exchanges"]["count"] == 4
    assert "Traceback" not in done.err


@linux
def test_no_memory_at_any_time(tmp_path: Path) -> None:
    """From too little to begin with up to enough; a process that cannot start says so."""
    for megabytes in range(48, 1024, 16):
        done = run(tmp_path, memory=megabytes << 20)
        assert "Traceback" not in done.err, (megabytes, done.err)
        if done.code == 0:
            break
        assert done.code == 70, (megabytes, done)
        assert done.err.count("\n") <= 2, (megabytes, done.err)
    assert done.code == 0


def test_a_bug_in_a_generator_process(tmp_path: Path) -> None:
    done = run(tmp_path, "--workers", "2", bug=BROKEN_WORKER)
    assert done.code == 70
    assert done.told["verdict"] == "broken"
    assert "TypeError: 'NoneType' object is not callable" in done.told["reason"]
    assert done.told["exchanges"]["count"] > 0
    assert done.err.index("please report it") < done.err.index("Traceback")
    assert done.err.count("Traceback") == 1


def test_a_bug_in_the_process_that_shows_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, bug=BROKEN_VIEW)
    assert done.code == 70
    assert "LookupError: this line has a bug" in done.told["reason"]
    assert done.told["exchanges"]["count"] == 4
    assert done.err.count("Traceback") == 1


def test_a_bug_in_a_report_leaves_the_others(tmp_path: Path) -> None:
    done = run(tmp_path, bug=BROKEN_REPORT)
    assert done.code == 70
    assert (done.told["verdict"], done.told["exchanges"]["count"]) == ("pass", 16)
    assert "it broke while it reported: TypeError: 'NoneType' object is not callable" in done.err


def test_what_is_missing_to_begin_with_is_one_line() -> None:
    code = f"import sys; sys.modules['rich'] = None; {MAIN}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (70, "", 1)
    assert done.stderr.startswith("loadmux: cannot start: ModuleNotFoundError: ")
