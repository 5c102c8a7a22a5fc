"""`loadmux check`, `init`, `help` and `schema`: what has to do with scenario files alone."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from loadmux.cli.printing import STREAM, deliver
from loadmux.cli.sources import check_read_once, scenarios_of, sources_of
from loadmux.errors import LoadmuxError, ScenarioErrors, UsageError
from loadmux.language.keys.file import NO_TARGET
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.running.catalog import models

ANYWHERE = "tcp://127.0.0.1:1"
"""Stands for a target that a scenario is given when it is run; nothing is sent to it."""


def check_files(files: Sequence[str], overrides: Overrides, shown: bool) -> bool:
    """Tell the mistakes of all files, or print them if `shown`; whether there are none."""
    failed = False
    check_read_once(files)
    for name in files:
        try:
            scenario = _checked(name, overrides, shown)
            if shown:
                from loadmux.language.describing.printing import dump

                separator = "---\n" if name != files[0] else ""
                deliver(partial(print, f"{separator}# {scenario.path}\n{dump(scenario)}", end=""))
        except LoadmuxError as error:
            failed = True
            print(error, file=sys.stderr)
    return not failed


def _checked(name: str, overrides: Overrides, shown: bool) -> Scenario:
    """The scenario in a file; where it has no target, it is given one when it is run."""
    sources = sources_of([name])
    try:
        return scenarios_of(sources, overrides)[0]
    except ScenarioErrors as error:
        (first, *others) = error.errors
        if shown or others or NO_TARGET not in first.message:
            raise
        path = first.where.path
    found = scenarios_of(sources, replace(overrides, target=(ANYWHERE,)))[0]
    print(f"{path}: no target; give one with --target when it is run", file=sys.stderr)
    return found


def write_first(path: Path) -> None:
    """Write a first scenario to a file that must not exist. Raises UsageError."""
    text = (Path(__file__).parents[1] / "language" / "first.yaml").read_text(encoding="utf-8")
    write_new(path, text)


def write_new(path: Path, text: str) -> None:
    """Write a scenario that calls itself scenario.yaml; or print it. Raises UsageError."""
    if path == STREAM:
        deliver(partial(print, text, end=""))
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("scenario.yaml", shlex.quote(str(path))))
    except FileExistsError:
        raise UsageError(f"init: {path} is there already; name another file") from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UsageError(f"init: cannot write {path}: {reason.lower()}") from None
    print(f"{path} is written; now: loadmux run {shlex.quote(str(path))}")


def print_schema() -> None:
    import json

    from loadmux.language.describing.schema import schema

    text = json.dumps(schema(models()), indent=2)
    deliver(partial(print, text))
