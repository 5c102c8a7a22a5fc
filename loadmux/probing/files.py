"""The file of a failure: a scenario that replays just that, for `loadmux run`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from loadmux.errors import UsageError
from loadmux.language.describing.printing import dump
from loadmux.language.meaning.scenario import Feeder, Scenario
from loadmux.language.meaning.servers import Command, Target
from loadmux.report.figures import plain_for

LINE = 96


def write(folder: Path, scenario: Scenario, target: Target, told: str, watch: bool) -> str:
    """Write it; its name. `watch`: the fault shows in the process. Raises UsageError."""
    path = folder / f"{scenario.name.replace('/', '-')}.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text(scenario, target, told, watch, path), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--failures: cannot write {path}: {error.strerror}") from None
    return str(path)


def text(scenario: Scenario, target: Target, told: str, watch: bool, path: Path) -> str:
    """What stands in the file."""
    came_from = Path(scenario.path).parent
    target = moved(target, came_from, path.parent)
    if watch and target.watch is None and target.url is None:
        target = replace(target, watch="fail")
    feeders = {
        name: feeder_moved(one, came_from, path.parent) for name, one in scenario.feeders.items()
    }
    placed = replace(scenario, path=str(path), name=path.stem, feeders=feeders)
    shown = plain_for("utf-8")(told)[:400]
    head = [
        f"# loadmux probe found: {' '.join(shown.split())}",
        f"# Again: loadmux run {path}",
        "",
    ]
    return "\n".join(head) + dump(placed.with_servers({"": target}))


def moved(target: Target, before: Path, after: Path) -> Target:
    """Files that a command names beside its scenario, named from beside another one."""
    if target.command is None:
        return target
    words = tuple(word_moved(one, before, after) for one in target.command.words)
    command: Command = replace(target.command, words=words)
    return replace(target, command=command)


def word_moved(word: str, before: Path, after: Path) -> str:
    if word.startswith(("-", "/")) or Path(word).exists() or not (before / word).is_file():
        return word
    return os.path.relpath(before / word, after)


def feeder_moved(feeder: Feeder, before: Path, after: Path) -> Feeder:
    return replace(feeder, file=os.path.relpath(before / feeder.file, after))
