"""Generator processes are forks of one process, each as if it had been started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ENOUGH, ROOT, with_mark
from driving import Server, answering

import loadmux
from loadmux.running.generators.nursery import Forked, Nursery

NOTING = """
import atexit, builtins, os, random, threading, time
from pathlib import Path
from loadmux.scripting import User, scenario

@scenario(users=1, iterations=1, timeout="30s")
async def note(user: User) -> None:
    await user["main"].exchange("hello", expect="hello")
    seen = getattr(builtins, "seen", 0)
    builtins.seen = seen + 1
    with open(Path(__file__).with_name("noted"), "a") as file:
        print(seen, random.random(), os.getcwd(), os.environ.get("NOTED"), WORD, file=file)
    atexit.register(Path(__file__).with_name("exited").touch)
    threading.Thread(target=join).start()
    print("said by", WORD)

def join():
    time.sleep(0.05)
    Path(__file__).with_name("joined").touch()
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def code_of(process: Forked) -> int:
    return process.wait(ENOUGH)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_each_ends_with_its_channel_and_no_sooner(nursery: Nursery) -> None:
    (first, to_first), (second, to_second) = nursery.spawn(), nursery.spawn()
    assert first.pid != second.pid
    to_first.close()
    assert code_of(first) == 0
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.0)
    to_second.close()
    assert code_of(second) == 0


def test_how_one_ended_is_known_and_the_others_go_on(nursery: Nursery) -> None:
    (first, to_first), (second, to_second) = nursery.spawn(), nursery.spawn()
    with to_first, to_second:
        os.kill(first.pid, signal.SIGABRT)
        assert code_of(first) == -signal.SIGABRT
        first.kill()  # which is too late, and nobody else's end
        second.kill()
        assert code_of(second) == -signal.SIGKILL


def test_one_whose_nursery_is_gone_ends_with_its_channel(nursery: Nursery) -> None:
    process, channel = nursery.spawn()
    assert process.pid
    nursery.kill()
    assert code_of(process) == -signal.SIGKILL
    assert Path(f"/proc/{process.pid}").exists() or sys.platform != "linux"
    channel.close()
    again, channel = nursery.spawn()
    with channel:
        assert again.pid != process.pid
    assert code_of(again) == 0


def test_nothing_that_one_job_has_done_is_seen_by_the_next(
    tmp_path: Path,
    nursery: Nursery,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    scenario, other = tmp_path / "s.py", tmp_path / "folder"
    other.mkdir()
    with Server(answering(lambda chunk: chunk)) as server:
        for word in ("first", "second"):
            scenario.write_text(NOTING.replace("WORD", repr(word)))
            loadmux.run(scenario, target=server.url, nursery=nursery).assert_passed()
        monkeypatch.setenv("NOTED", "now")
        monkeypatch.chdir(other)
        loadmux.run(scenario, target=server.url, nursery=nursery).assert_passed()
    noted = [line.split() for line in (tmp_path / "noted").read_text().splitlines()]
    assert [line[0] for line in noted] == ["0", "0", "0"]
    assert len({line[1] for line in noted}) == 3
    assert [line[2:] for line in noted] == [
        [str(ROOT), "None", "first"],
        [str(ROOT), "None", "second"],
        [str(other), "now", "second"],
    ]
    assert (tmp_path / "exited").exists()
    assert (tmp_path / "joined").exists()
    assert capfd.readouterr().out.split() == ["said", "by", "first", *["said", "by", "second"] * 2]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_another_one_takes_its_place_only_where_more_than_the_test_has_changed(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parent() -> int:
        process, channel = nursery.spawn()
        with channel:
            return parent_of(process.pid)

    first = parent()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "another one")
    assert parent() == first
    monkeypatch.setenv("LANG", "xx")
    assert parent() != first


KILLED = """
import os, signal
from loadmux.running.generators.nursery import Nursery

with Nursery() as nursery:
    process, channel = nursery.spawn()
    assert process.pid
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_none_outlives_who_asked_however_that_ended() -> None:
    mark = uuid.uuid4().hex
    environment = {**os.environ, "LOADMUX_TEST_MARK": mark}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert with_mark(mark) == []
