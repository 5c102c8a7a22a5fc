"""Scenarios in Python, calls and barriers under Locust: what works there, and what is refused."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from driving import Server
from locusting import (
    LOCUST,
    WEB,
    Page,
    alone,
    bound,
    eventually,
    forked,
    free_port,
    headless,
    joining,
    locustfile,
    process,
)

USERS = ("-u", "4", "-r", "4")
SHORT = (*USERS, "-t", "1s")

CODE = """
from loadmux.scripting import User, scenario


@scenario(target={"bundled": "epoll", "reply": "echo"}, sockets=["a", "b"])
async def talk(user: User) -> None:
    both = user["a"].exchange("x", name="one"), user["b"].exchange("y", name="other")
    await user.together(*both)
"""

BROKEN = (
    CODE
    + """    await user.sleep(0.02)
    if user.iteration % 2:
        deep()
    {}["gone"]


def deep() -> None:
    raise RuntimeError("deep")
"""
)

MEETING = """
target: {bundled: epoll, reply: echo}
steps: [{name: ask, send: x, expect: reply}, {barrier: round}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    return made


def few(text: str) -> str:
    """The same code to its own end: how long it takes is a matter of the machine."""
    return text.replace('["a", "b"]', '["a", "b"], iterations=20')


def with_code(folder: Path, text: str) -> None:
    (folder / "talk.py").write_text(text)
    locustfile(folder, "talk.py")


@pytest.mark.parametrize("count", [0, 2])
def test_code_runs(count: int, folder: Path) -> None:
    with_code(folder, few(CODE))
    done = headless(folder, *USERS, *(forked(count) if count else []))
    assert done.code == 0, done.text
    assert done.row("one")[0] > 10
    assert done.row("other")[1] == 0


WATCHED = """
import sys
from loadmux.locust.crew import ParkedUser
whole, before = ParkedUser.run, set()
async def run(self):
    before.update(() if before else sys.modules)
    await whole(self)
    late = set(sys.modules) - before
    print("late:", *sorted(name for name in late if not name.startswith("locust")))
ParkedUser.run = run
"""


def test_what_code_may_ask_for_is_imported_before_a_user_starts(folder: Path) -> None:
    with_code(folder, CODE.replace("echo", "received"))
    locustfile(folder, "talk.py", WATCHED)
    done = headless(folder, *SHORT, fresh=True)
    assert done.code == 0, done.text
    assert [line for line in done.out.splitlines() if line.startswith("late:")] == ["late:"] * 4


def test_errors_in_code_are_among_the_exceptions(folder: Path) -> None:
    with_code(folder, BROKEN)
    with alone(folder) as swarm:
        swarm.page.swarm(4, scenario=str(folder / "talk.py"))
        eventually(lambda: len(exceptions(swarm.page)) == 2, "no exceptions")
        swarm.page.stop()
        rows = exceptions(swarm.page)
    assert {row["msg"] for row in rows} == {
        f"{folder}/talk.py:12: KeyError: 'gone'",
        f"{folder}/talk.py:16: RuntimeError: deep",
    }
    (deep,) = [row for row in rows if "deep" in row["msg"]]
    assert "in talk" in deep["traceback"]
    assert "in deep" in deep["traceback"]
    assert "loadmux" not in deep["traceback"]


def exceptions(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(page.get("/exceptions"))["exceptions"]
    return found


def test_errors_in_code_make_a_run_inconclusive(folder: Path) -> None:
    with_code(folder, few(BROKEN))
    done = headless(folder, *USERS, *forked())
    assert done.code == 3, done.text
    assert f"errors in the scenario's code: {folder}/talk.py:12: KeyError: 'gone'" in done.out


def has_row(name: str, told: dict[str, Any]) -> bool:
    return name in {row["name"] for row in told["stats"]}


def test_a_file_that_was_changed_is_read_again(folder: Path) -> None:
    with_code(folder, CODE)
    with alone(folder) as swarm:
        for name in ("first", "second"):
            (folder / "talk.py").write_text(CODE.replace('"one"', f'"{name}"'))
            told = swarm.page.swarm(1, scenario=str(folder / "talk.py"))
            assert told["success"], told
            swarm.page.until(partial(has_row, name), name)
            swarm.page.stop()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_barrier_opens_when_the_users_of_all_workers_wait(workers: int, folder: Path) -> None:
    (folder / "meeting.yaml").write_text(MEETING)
    locustfile(folder, "meeting.yaml")
    together = Together()
    with Server(together) as server:
        words = ["--host", server.url, *(forked(workers) if workers else [])]
        done = headless(folder, *SHORT, "-t", "4s", *words)
    assert done.code == 0, done.text
    assert together.rounds > 2
    assert together.apart <= 1


class Together:
    """An echo for four users; `apart` is how far one was ever ahead of another."""

    def __init__(self) -> None:
        self._lock, self._said = threading.Lock(), Counter[int]()
        self.apart = 0

    def __call__(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            while message := connection.recv(65536):
                with self._lock:
                    self._said[number] += 1
                    if len(self._said) == 4:
                        self.apart = max(self.apart, self.rounds_of(max) - self.rounds_of(min))
                connection.sendall(message)

    def rounds_of(self, which: Callable[[Iterable[int]], int]) -> int:
        return which(self._said.values())

    @property
    def rounds(self) -> int:
        return self.rounds_of(min)


TAKES = {
    "it says so": [*WEB, "--worker", "--take-code"],
    "Locust's own word": [*LOCUST, "-f", "-", "--worker"],
}
MINE = "names = 'one', 'other'\n"
IMPORTS = (
    CODE.replace('sockets=["a", "b"]', 'sockets=["a", "b"], iterations=20')
    .replace('"one"', "mine.names[0]")
    .replace('"other"', "mine.names[1]")
)


@pytest.mark.parametrize("how", TAKES)
def test_code_goes_along_to_a_worker_that_takes_it(how: str, folder: Path) -> None:
    """With what it imports from its folder; the worker's own is empty, and stays so."""
    with_code(folder, "import mine\n" + IMPORTS)
    (folder / "mine.py").write_text(MINE)
    code, told = one_worker(TAKES[how], folder)
    assert code == 0, told
    assert re.search(r"\d+ exchanges, every check held", told)


def test_code_that_no_command_line_names_is_not_run_on_a_worker(folder: Path) -> None:
    """It may be on another machine, and so may be whoever plays its master."""
    with_code(folder, f"open({str(folder / 'ran')!r}, 'a').write('x')\n{CODE}")
    code, told = one_worker([*WEB, "--worker"], folder)
    assert code == 3, told
    assert f"the master asks for the code of {folder}/talk.py, which this worker's" in told
    assert "Traceback" not in told


def one_worker(words: list[str], folder: Path) -> tuple[int, str]:
    """How a master with one worker in an empty folder ends, and what it says."""
    port, empty = str(free_port()), folder.parent / "empty"
    empty.mkdir()
    master = ["--headless", "--master", "--expect-workers", "1", *SHORT, "-t", "20s", *bound(port)]
    same = [*WEB, "talk.py"] if words[: len(WEB)] == WEB else LOCUST  # they have another user class
    with process([*same, *master], folder) as main:
        main.says("Waiting for workers")
        with process([*words, *joining(port)], empty, "worker"):
            code = main.wait()
        assert not list(empty.iterdir())
        return code, main.text
