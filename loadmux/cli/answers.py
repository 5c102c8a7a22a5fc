"""Prints the answer of many runs: a word, what it was in one line, and the lines that say why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.text import Text

from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import figures, terminal


def put_answer(
    code: ExitCode,
    words: Mapping[ExitCode, tuple[str, str]],
    headline: str,
    lines: Iterable[str] | None,
) -> Console:
    """`words`: those that are not as a run's, with their styles. `lines` None: the answer only."""
    console = Console(highlight=False)
    plain = figures.plain_for(console.encoding)
    word, style = words.get(code, terminal.WORDS[code])
    line = Text(f" {word} ", style).append(f" {plain(headline)}", "default")
    console.print(line, soft_wrap=True)
    if lines is not None:
        console.print()
        for text in lines:
            console.print(Text(plain(text)), soft_wrap=True)
    return console
