"""A page of text for a person: lines of (text, style) parts, safe for the encoding that they go to.

Every line is laid out before it is printed, and printed as it is, never wrapped or cut by the
console, so that a file, a narrow terminal and a pipe get whole lines. Colours repeat what the text
says already and are never the only sign. What comes from files and servers passes
`figures.plain_for` first and is never read as markup.
"""

from __future__ import annotations

from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loadmux.report import figures

WIDEST = 120
LABEL = 12


def plain_console(file: StringIO) -> Console:
    return Console(file=file, color_system=None, highlight=False)


class Page:
    """Prints lines made of (text, style) parts, safe for the console's encoding."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.plain = figures.plain_for(console.encoding)
        self.narrow = console.is_terminal
        self.width = min(console.width, WIDEST) if self.narrow else WIDEST

    def line(self, *parts: str | tuple[str, str]) -> None:
        text = Text()
        for part in parts:
            content, style = (part, "") if isinstance(part, str) else part
            text.append(self.plain(content), style)
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False)

    def heading(self, title: str) -> None:
        self.line()
        self.line((title, "bold"))

    def field(self, label: str, *parts: str | tuple[str, str]) -> None:
        self.line((label.ljust(LABEL), "dim"), *parts)

    def paragraph(self, label: str, text: str, style: str = "") -> None:
        """A field whose text is broken between words where the line is full."""
        words = self.plain(text).split(" ")
        lines = [words[0]]
        for word in words[1:]:
            if cell_len(lines[-1]) + 1 + cell_len(word) > self.width - LABEL:
                lines.append(word)
            else:
                lines[-1] += " " + word
        for number, line in enumerate(lines):
            self.field("" if number else label, (line, style))


def padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
