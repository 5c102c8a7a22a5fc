"""Puts out the answer of many runs, by the same options as the report of one: see `delivery`.

In the terminal it is a word, what it came to in one line, and the lines that say why. Reporters for
which it has a form of its own get the answer; all others, those of plugins too, get a `Report` of
all the runs together.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from loadmux.cli.delivery import Wanted, delivered
from loadmux.cli.printing import STREAM
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import figures, reporters, terminal, writing
from loadmux.report.model import Report
from loadmux.report.reporters import Delivering, Listening, Render, Reporter
from loadmux.running.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Answer:
    """`of` is the answer itself, of which forms of its own are made; `words` have what is not as a
    run's, with its style. `report` raises UsageError where there was no run. `ended`: the run whose
    fault ended it all.
    """

    of: Any
    code: ExitCode
    words: Mapping[ExitCode, tuple[str, str]]
    headline: str
    lines: Callable[[], Iterable[str]]
    json: Callable[[], str]
    report: Callable[[], Report]
    ended: Report | None = None


def wanted_of(
    quiet: bool, json_file: Path | None, words: Sequence[str], own: Mapping[str, Render]
) -> Wanted:
    """What `--json-file` and `--report` ask for. Raises UsageError."""
    if json_file is not None and json_file != STREAM:
        writing.check_writable(json_file)
    return Wanted(quiet, json_file, reporters.chosen(words, own))


def command() -> str:
    """The command line, as it is typed again."""
    return shlex.join(["loadmux", *sys.argv[1:]])


def put_out(answer: Answer, wanted: Wanted, interrupts: Interrupts) -> ExitCode:
    """Files first, then what is printed; the exit code."""
    interrupts.delivering(answer.code)
    return delivered(answer.code, _files(answer, wanted), _prints(answer, wanted))


def _files(answer: Answer, wanted: Wanted) -> Iterator[Callable[[], None]]:
    path = wanted.json_file
    if path is not None and path != STREAM and not writing.special(path):
        yield lambda: writing.write_text(path, answer.json())
    yield from (partial(_deliver, one, answer) for one in wanted.reporters if not one.prints)


def _prints(answer: Answer, wanted: Wanted) -> Iterator[Callable[[], None]]:
    path = wanted.json_file
    yield partial(_show, answer, wanted.quiet, path == STREAM)
    if path == STREAM:
        yield lambda: print(answer.json(), end="")
    elif path is not None and writing.special(path):
        yield lambda: writing.write_text(path, answer.json())
    yield from (partial(_deliver, one, answer) for one in wanted.reporters if one.prints)


def _deliver(one: Delivering, answer: Answer) -> None:
    if isinstance(one, Reporter) and one.whole:
        one.deliver(answer.of, sys.stdout.write)
        return
    report = answer.report()
    if isinstance(one, Listening):  # it hears at once what others hear bit by bit
        one.hear(answer, report.duration, report.stats, 0, ())
    one.deliver(report, sys.stdout.write)


def _show(answer: Answer, quiet: bool, aside: bool) -> None:
    console = Console(highlight=False, stderr=aside)
    plain = figures.plain_for(console.encoding)
    word, style = answer.words.get(answer.code, terminal.WORDS[answer.code])
    line = Text(f" {word} ", style).append(f" {plain(answer.headline)}", "default")
    console.print(line, soft_wrap=True)
    if quiet:
        return
    console.print()
    for text in answer.lines():
        console.print(Text(plain(text)), soft_wrap=True)
    if answer.ended is not None:
        console.print()
        terminal.render(answer.ended, console)
