"""Reporters: `--report NAME` prints what one makes of a run, `NAME=FILE` writes it.

Those of BUILT_IN come with loadmux, others from plugins.

They are found, loaded and their files tried before anything is sent: nobody waits for a long run to
learn of a misspelt name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from loadmux.errors import UsageError
from loadmux.language.text.nodes import suggestion
from loadmux.plugins.contracts import Plugin, told
from loadmux.plugins.registry import PluginError, Registry
from loadmux.report.model import Listener, Report
from loadmux.report.writing import check_writable

STANDARD_OUTPUT = "-"
SUMMARY = "GITHUB_STEP_SUMMARY"
"""Names the file that GitHub Actions shows on the page of a job."""
BUILT_IN = {
    name: f"loadmux.report.{name}" for name in ("junit", "html", "markdown", "github", "hgrm")
}
"""The modules whose `render` they are, imported when they are asked for."""

IN_FILES = ("csv", "ndjson")
"""Those that write a file while a run goes on, of one run (`report.series`)."""
WHILE_IT_RUNS = (*IN_FILES, "otel")
"""Those that hear of the run while it goes on."""

Render = Callable[[Any], str | bytes]
"""Of a Report; of the answer of many runs where a command has a form of its own for that."""


class Delivering(Protocol):
    """What puts a report out; `file` None: it `prints`, unless it sends."""

    @property
    def file(self) -> Path | None: ...

    @property
    def prints(self) -> bool: ...

    def deliver(self, report: Report, write: Callable[[str], object]) -> None:
        """Print with `write`, or write the file. Raises UsageError and OSError."""


@runtime_checkable
class Listening(Protocol):
    """A reporter that hears of the run while it goes on."""

    @property
    def hear(self) -> Listener: ...

    def renew(self) -> None:
        """Another run begins, whose news come from now on."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """A reporter that was asked for; `file` None: it prints. `plugin` None: it is loadmux's own.

    `added`: what it makes goes to the end of the file. `whole`: it is made of the answer of many
    runs itself, and not of a Report.
    """

    plugin: Plugin | None
    render: Render
    file: Path | None
    added: bool = False
    whole: bool = False

    @property
    def prints(self) -> bool:
        return self.file is None

    def deliver(self, report: Any, write: Callable[[str], object]) -> None:
        """Print with `write`, or write the file. Raises UsageError and OSError."""
        made = self._made(report)
        if self.file is not None:
            with self.file.open("ab" if self.added else "wb") as file:
                file.write(made.encode() if isinstance(made, str) else made)
        else:
            text = made if isinstance(made, str) else made.decode(errors="replace")
            write(text if text.endswith("\n") else f"{text}\n")

    def _made(self, report: Any) -> str | bytes:
        if self.plugin is None:
            return self.render(report)
        try:
            made = self.render(report)
        except Exception as error:
            raise UsageError(told(self.plugin, error)) from None
        if not isinstance(made, str | bytes):
            kind = type(made).__name__
            raise UsageError(f"plugin {self.plugin}: it returned {kind!r}, not a text or bytes")
        return made


def chosen(words: Sequence[str], own: Mapping[str, Render] = {}) -> list[Delivering]:
    """What `--report` options ask for; `own` are forms of a command's own. Raises UsageError."""
    registry = Registry()
    return [_chosen(word, registry, own) for word in words]


def listeners(reporters: Sequence[Delivering]) -> list[Listener]:
    """Those of the reporters that are to hear of a run, which begins now, while it goes on."""
    found = [one for one in reporters if isinstance(one, Listening)]
    for one in found:
        one.renew()
    return [one.hear for one in found]


def _chosen(word: str, registry: Registry, own: Mapping[str, Render]) -> Delivering:
    name, equals, file = word.partition("=")
    known = list(dict.fromkeys((*BUILT_IN, *WHILE_IT_RUNS, *own, *registry.names("reporters"))))
    if name not in known:
        hint = suggestion(name, known, "there are")
        raise UsageError(f"--report: no reporter is called {name!r}{hint}")
    if name == "otel":
        return _sending(word)
    file = "" if file == STANDARD_OUTPUT else file
    if equals and not file and word != f"{name}={STANDARD_OUTPUT}":
        raise UsageError(f"--report: {word!r} names no file; write {name}=FILE, or {name}")
    summary = os.environ.get(SUMMARY) if name == "markdown" and not equals else None
    written = file or summary
    if written:
        check_writable(written)
    place = Path(written) if written else None
    if name in own:
        return Reporter(None, own[name], place, added=bool(summary), whole=True)
    if name in IN_FILES:
        made: Delivering = import_module("loadmux.report.series").SeriesReporter(name, place)
        return made
    if name in BUILT_IN:
        render: Render = import_module(BUILT_IN[name]).render
        return Reporter(None, render, place, added=bool(summary))
    try:
        render = registry.reporter(name)
    except PluginError as error:
        raise UsageError(f"--report: {error}") from None
    return Reporter(registry.used["reporters", name], render, place)


def _sending(word: str) -> Delivering:
    """What sends to a collector of OpenTelemetry. Raises UsageError."""
    if word != "otel":
        where = "OTEL_EXPORTER_OTLP_ENDPOINT says where it is sent to"
        raise UsageError(f"--report: {word!r}: otel writes no file; {where}")
    try:
        made: Delivering = import_module("loadmux.report.otel").OtelReporter()
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        text = "it needs OpenTelemetry's SDK, which is not installed: pip install 'loadmux[otel]'"
        raise UsageError(f"--report otel: {text}") from None
    return made
