"""The scenarios that the words of a command line name: files, bundled ones, standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from loadmux.cli.printing import STREAM
from loadmux.errors import UsageError
from loadmux.language.loading import Bundle, load_all, piped
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.running.catalog import find, models


def sources_of(files: Sequence[str]) -> list[Path | Bundle]:
    """The files that the command line names; `-` is standard input. Raises LoadmuxError."""
    check_read_once(files)
    return [_source(name) for name in files]


def check_read_once(files: Sequence[str]) -> None:
    """Raises UsageError where standard input is named twice: the second time it is empty."""
    if files.count(str(STREAM)) > 1:
        raise UsageError("standard input ('-') can be read only once")


def _source(name: str) -> Path | Bundle:
    if name != str(STREAM):
        return find(name)
    return piped(None if sys.stdin is None else sys.stdin.buffer)


def scenarios_of(sources: Sequence[Path | Bundle], overrides: Overrides) -> tuple[Scenario, ...]:
    """The scenarios; what in them is hardly meant is told on standard error."""
    scenarios = load_all(sources, overrides, models=models())
    for notice in (one for scenario in scenarios for one in scenario.notices):
        print(notice, file=sys.stderr, flush=True)  # before the live view, which writes past it
    return scenarios
