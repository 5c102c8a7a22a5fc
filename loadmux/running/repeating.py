"""The command line that repeats a run which a program has made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from loadmux.language.meaning.scenario import Overrides


def command(files: Sequence[str], given: Overrides, more: Sequence[str], seed: int) -> str:
    """`loadmux run` with these files and options; `more` are further words."""
    words = ["loadmux", "run", *files, *_options(given), *more, "--seed", str(seed)]
    return shlex.join(words)


def _options(given: Overrides) -> Iterator[str]:
    single = {
        "--users": given.users,
        "--spawn-rate": given.spawn_rate,
        "--run-time": given.run_time,
        "--iterations": given.iterations,
        "--rate": given.rate,
    }
    several = {
        "--target": given.target,
        "--command": given.command,
        "--reply": given.reply,
        "--threshold": given.thresholds,
        "--var": given.variables,
    }
    for flag, values in several.items():
        for value in _each(values):
            yield from (flag, value)
    for flag, one in single.items():
        if one is not None:
            yield from (flag, str(one))


def _each(values: str | Iterable[str] | None) -> Iterable[str]:
    if values is None:
        return ()
    return (values,) if isinstance(values, str) else values
