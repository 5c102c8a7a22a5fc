"""A plugin of pytest (`-p bare`): a machine that has nothing optional, and may not be asked.

Importing a package that only tests or extras need, or Locust and gevent, fails. While tests are
collected, so does every start of a program and every socket, wherever it is tried.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
RUNNERS = {"pytest", "pytest_timeout", "xdist", "hypothesis"}
"""What pytest itself runs with: there would be no tests."""
QUESTIONS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("socket.__new__", "socket.getaddrinfo", "socket.gethostbyname"),
)
"""Audit events by which a machine is asked what it has."""


def optional() -> set[str]:
    """The modules of all that is in an extra, and of what only `loadmux web` needs."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    wanted = [line for extra in project["optional-dependencies"].values() for line in extra]
    names = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in wanted}
    return (names | {"locust", "gevent"}) - RUNNERS


class Absent(MetaPathFinder):
    """Finds that these are not installed."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


class Silence:
    """An audit hook by which the machine does not answer while tests are collected."""

    def __init__(self) -> None:
        self.kept = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.kept and event in QUESTIONS:
            raise RuntimeError(f"the machine is asked at collection: {event} {arguments!r:.200}")


silence = Silence()


def pytest_configure() -> None:
    sys.meta_path.insert(0, Absent(optional()))
    sys.addaudithook(silence)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    silence.kept = True
    try:
        yield
    finally:
        silence.kept = False
