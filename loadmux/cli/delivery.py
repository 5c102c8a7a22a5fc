"""Puts out the results of a run: files first, for a terminal or a pipe may take its time.

Whatever fails, the rest is put out all the same, and the verdict stands; but a pass is none where a
file that was asked for could not be written, or nothing of the report arrived anywhere. That
whoever reads our output has left (`| head -1`), or that it was closed from the start, is no
failure.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from loadmux.cli.printing import BUG, STREAM, complain, deliver
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import jsonfile, terminal
from loadmux.report.model import Report
from loadmux.report.reporters import Delivering
from loadmux.report.writing import special


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be put out; `json_file` STREAM: on standard output, and the rest beside it."""

    quiet: bool = False
    json_file: Path | None = None
    reporters: Sequence[Delivering] = ()


def put_out(report: Report, wanted: Wanted) -> ExitCode:
    """Write and print all of it; the exit code."""
    code = delivered(report.verdict.code, files(report, wanted), prints(report, wanted))
    if report.trace:
        complain(BUG, report.trace)
    return code


def put_aside(report: Report, wanted: Wanted) -> None:
    """Write and print what was asked for beside the report, in whose place an error is told."""
    _, *printed = prints(report, wanted)
    delivered(report.verdict.code, files(report, wanted), printed)


def delivered(
    code: ExitCode, files: Iterable[Callable[[], None]], prints: Iterable[Callable[[], None]]
) -> ExitCode:
    """Write and print, whatever fails; the exit code of what ended with `code`."""
    written, printed = ([deliver(write) for write in writes] for writes in (files, prints))
    if ExitCode.BROKEN in (*written, *printed):
        return ExitCode.BROKEN
    lost = any(written) or (any(printed) and not written)
    return ExitCode.INCONCLUSIVE if code is ExitCode.PASS and lost else code


def files(report: Report, wanted: Wanted) -> Iterator[Callable[[], None]]:
    path = wanted.json_file
    if path is not None and path != STREAM and not special(path):
        yield lambda: jsonfile.write(report, path)
    for reporter in wanted.reporters:
        if reporter.file is not None:
            yield partial(reporter.deliver, report, sys.stdout.write)


def prints(report: Report, wanted: Wanted) -> Iterator[Callable[[], None]]:
    path = wanted.json_file
    out = Console(highlight=False, stderr=path == STREAM)
    yield lambda: terminal.render(report, out, quiet=wanted.quiet)
    if path == STREAM:
        yield lambda: print(jsonfile.text(report), end="")
    elif path is not None and special(path):
        yield lambda: jsonfile.write(report, path)
    for reporter in wanted.reporters:
        if reporter.file is None:
            yield partial(reporter.deliver, report, sys.stdout.write)
