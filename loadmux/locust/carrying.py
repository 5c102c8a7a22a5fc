"""Python of a scenario's author on workers: whose code a worker runs, and how it gets there.

A worker imports what it was told to by its own command line: files that this names, and what those
name that its locustfile does. That its master names a module is not enough. With `--take-code`, or
with Locust's own `-f -`, it takes the code from its master: then the files go along with the job,
into a folder that lasts as long as the test.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from loadmux.errors import LoadmuxError, UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.stepvalues import Call, Function
from loadmux.language.sources import usercode
from loadmux.running.catalog import find, models

LARGEST = 2**20
TAKE = "--take-code"
TAKE_BY_ENVIRONMENT = "LOCUST_TAKE_CODE"
Code = Mapping[str, Mapping[str, str]]
"""The texts of files, by folder and by their path in it."""


def functions(scenario: Scenario) -> list[Function]:
    """What a scenario calls, bundled ones' left out: each machine has these."""
    called = (step.function for step in scenario.every_step if isinstance(step, Call))
    return [one for one in called if usercode.OURS not in Path(one.folder, "x").parents]


def gathered(scenario: Scenario) -> dict[str, dict[str, str]]:
    """The author's modules that a scenario imports. Raises UsageError where that goes wrong."""
    found: dict[str, dict[str, str]] = {}
    for function in functions(scenario):
        with usercode.borrowed(function.folder):
            try:
                usercode.find(function)
            except ValueError as error:
                raise UsageError(str(error)) from None
            found.setdefault(function.folder, {}).update(usercode.texts(function.folder))
    size = sum(len(text) for files in found.values() for text in files.values())
    if size > LARGEST:
        raise UsageError(
            f"{scenario.path}: its Python takes {size} characters, more than the {LARGEST} that are"
            " sent to workers"
        )
    return found


def takes_code(words: list[str] | None = None) -> bool:
    """Whether this process's command line says that its master's code may run here."""
    words = sys.argv[1:] if words is None else words
    pairs = zip(words, [*words[1:], ""], strict=True)
    from_master = any(one in ("-f", "--locustfile") and other == "-" for one, other in pairs)
    short = any(word in (TAKE, "-f-", "--locustfile=-") for word in words)
    return from_master or short or bool(os.environ.get(TAKE_BY_ENVIRONMENT))


def named(words: list[str] | None = None) -> Iterator[str]:
    """The files that this process's command line names."""
    for word in sys.argv[1:] if words is None else words:
        for part in (word, word.partition("=")[2]):
            if part and Path(part).is_file():
                yield part
    yield from filter(None, [os.environ.get("LOCUST_SCENARIO")])


def check(scenario: Scenario, names: Collection[str]) -> None:
    """Raises UsageError for a function that is in none of the scenarios of these names."""
    files = {Path(name).resolve() for name in names}
    strange = [
        one for one in functions(scenario) if one.path is None or Path(one.path) not in files
    ]
    # Reading scenarios takes a while, in which the test is on.
    own = [one for name in names if strange for one in _functions_of(name)]
    for function in strange:
        if function not in own:
            what = function.path or f"{function.module}:{function.function}"
            raise UsageError(
                f"the master asks for the code of {what}, which this worker's command line does"
                f" not name: name the scenario there, or trust the master ({TAKE})"
            )


def _functions_of(name: str) -> list[Function]:
    with suppress(LoadmuxError):
        return functions(load(find(name), Overrides(), models=models()))
    return []


def unpacked(code: Code, into: Path) -> dict[str, str]:
    """Write the files below a folder; which of its folders stands for which of the master's."""
    moved = {}
    for number, (folder, files) in enumerate(code.items()):
        root = into / str(number)
        moved[folder] = str(root)
        for name, text in files.items():
            path = (root / name).resolve()
            if root.resolve() not in path.parents:
                raise UsageError(f"the master sends a file {name!r} that is not in its folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return moved


def relocated(value: Any, moved: Mapping[str, str]) -> Any:
    """A value with all its functions in the folders that stand for their own."""
    if isinstance(value, Function):
        folder = moved.get(value.folder, value.folder)
        path = value.path
        if path is not None:
            path = str(Path(folder, Path(path).relative_to(value.folder)))
        return replace(value, folder=folder, path=path)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        changed = {name: relocated(part, moved) for name, part in parts.items()}
        new = {name: part for name, part in changed.items() if part is not parts[name]}
        return replace(value, **new) if new else value
    if type(value) in (list, tuple):
        made = type(value)(relocated(one, moved) for one in value)
        return made if any(a is not b for a, b in zip(made, value, strict=True)) else value
    return value
