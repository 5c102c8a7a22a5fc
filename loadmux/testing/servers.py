"""Starts a server for a test: a bundled target by its model, or a command of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from loadmux.language.meaning.servers import Command, Target
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.servers.commands import CommandProcess


@contextmanager
def start(
    server: str | Sequence[str],
    ready_within: float = 10.0,
    told: Callable[[list[str]], object] | None = None,
    **options: object,
) -> Iterator[str]:
    """A server while the block lasts; gives its URL.

    At its end `told` hears how a command ended, if it did so on its own, and its last lines.

    `server` is the model of a bundled target, with its `options` (`reply`, `fault`, …), or the
    words of a command, in which `{port}` stands for a free port; it must accept on it within
    `ready_within` seconds. Raises TargetFailed, with what the server printed, where it does not.
    """
    if isinstance(server, str):
        rule = str(options.pop("reply", "echo"))
        words = {name: str(value) for name, value in options.items()}
        with TargetProcess(Target(None, server, rule, words)) as process:
            yield str(process.url)
        return
    if options:
        raise TypeError(f"a command has no option {min(options)!r}")
    with CommandProcess(Command(tuple(server), ready_within=ready_within)) as process:
        try:
            yield str(process.url)
        finally:
            if told is not None:
                told([*filter(None, (process.died(),)), *process.last_lines()])
