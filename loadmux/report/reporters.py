"""Reporters of plugins: `--report NAME` prints what one makes of a run, `NAME=FILE` writes it.

They are found, loaded and their files tried before anything is sent: nobody waits for a long run to
learn of a misspelt name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadmux.errors import UsageError
from loadmux.language.nodes import suggestion
from loadmux.plugins.contracts import Plugin, told
from loadmux.plugins.registry import PluginError, Registry
from loadmux.report.jsonfile import check_writable
from loadmux.report.model import Report

STANDARD_OUTPUT = "-"

Render = Callable[[Report], str | bytes]


@dataclass(frozen=True, slots=True)
class Reporter:
    """A reporter that was asked for; `file` None: it prints."""

    plugin: Plugin
    render: Render
    file: Path | None

    def deliver(self, report: Report, write: Callable[[str], object]) -> None:
        """Print with `write`, or write the file. Raises UsageError and OSError."""
        try:
            made = self.render(report)
        except Exception as error:
            raise UsageError(told(self.plugin, error)) from None
        if not isinstance(made, str | bytes):
            kind = type(made).__name__
            raise UsageError(f"plugin {self.plugin}: it returned {kind!r}, not a text or bytes")
        if self.file is not None:
            self.file.write_bytes(made.encode() if isinstance(made, str) else made)
        else:
            text = made if isinstance(made, str) else made.decode(errors="replace")
            write(text if text.endswith("\n") else f"{text}\n")


def chosen(words: Sequence[str]) -> list[Reporter]:
    """What `--report` options ask for. Raises UsageError."""
    registry = Registry()
    found = []
    for word in words:
        name, equals, file = word.partition("=")
        if name not in registry.names("reporters"):
            hint = suggestion(name, registry.names("reporters"), "installed are")
            none = hint if hint else "; none is installed"
            raise UsageError(f"--report: no reporter is called {name!r}{none}")
        file = "" if file == STANDARD_OUTPUT else file
        if equals and not file and word != f"{name}={STANDARD_OUTPUT}":
            raise UsageError(f"--report: {word!r} names no file; write {name}=FILE, or {name}")
        try:
            render: Render = registry.reporter(name)
        except PluginError as error:
            raise UsageError(f"--report: {error}") from None
        if file:
            check_writable(file)
        plugin = registry.used["reporters", name]
        found.append(Reporter(plugin, render, Path(file) if file else None))
    return found
