"""Bundled target servers as processes.

A target is any command that prints `listening URL` on its first line; nothing of it is imported
here, so that a mistake cannot be shared between what checks and what is checked.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from loadmux.errors import TargetFailed, UsageError
from loadmux.language.meaning.servers import Target, Url
from loadmux.language.meaning.urls import parse_url
from loadmux.running.catalog import SUFFIX, bundled, models
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.processes import (
    ENDED_WITHIN,
    ServerProcess,
    how_it_ended,
    one_line,
    read_line,
)

READY_WITHIN = 15.0
INVALID = 2


def command(model: str, arguments: Sequence[str]) -> list[str]:
    """The command line that runs a bundled target. Raises UsageError for an unknown model."""
    path = bundled("targets") / f"{model}{SUFFIX}"
    if not path.is_file():
        raise UsageError(f"no bundled target is called {model!r}; there are: {', '.join(models())}")
    return [sys.executable, str(path), *arguments]


def arguments(target: Target) -> list[str]:
    words = ["--reply", target.rule or "echo"]
    for name, value in target.options.items():
        words += [f"--{name}", value] if value else [f"--{name}"]
    return words


class TargetProcess(ServerProcess):
    """A bundled target while the `with` block lasts."""

    def __init__(self, target: Target, interrupts: Interrupts | None = None) -> None:
        assert target.bundled is not None
        self.model = target.bundled
        words = command(self.model, arguments(target))
        super().__init__(f"target {self.model}", words, interrupts)

    def ready(self) -> Url:
        assert self.process.stdout is not None
        line = read_line(self.process.stdout.fileno(), READY_WITHIN)
        word, _, url = line.partition(" ")
        if word != "listening":
            self._refuse(line)
        try:
            return parse_url(url.strip())
        except ValueError as error:
            raise TargetFailed(f"target {self.model} did not start: {error}") from None

    def _refuse(self, line: str) -> NoReturn:
        """It printed something else, or nothing: its own word for bad options is exit code 2."""
        try:
            code: int | None = self.process.wait(ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            code = None
        if code == INVALID:
            raise UsageError(f"target {self.model}: {self.log() or 'it said nothing'}")
        if line:
            told = self.log() or f"its first line was {one_line(line)!r}"
        elif code is None:
            told = f"it did not say within {READY_WITHIN:g} s where it listens"
        else:
            told = self.log() if code > 0 and self.log() else f"it {how_it_ended(code)}"
        raise TargetFailed(f"target {self.model} did not start: {told}")
