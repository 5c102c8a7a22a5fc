"""The frame of the pages that comparisons and capacities are shown on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from loadmux import __version__
from loadmux.report import figures
from loadmux.report.html import POLICY, style

PLAIN = figures.plain_for("utf-8")


def text(words: str) -> str:
    """What comes from files and servers, as text."""
    return escape(PLAIN(words))


def begin(title: str, word: str, kind: str, about: Iterable[str]) -> Iterator[str]:
    """Up to the first heading; `about` are lines of a name, blanks, and what is told."""
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{text(title)}</title>\n<style>\n{style()}</style>\n</head>"
    yield '<body class="page">'
    yield f'<h1><span class="badge {kind}">{word}</span><span>{text(title)}</span></h1>'
    yield '<dl class="about">'
    for line in about:
        name, _, value = line.partition(" ")
        yield f"<dt>{text(name)}</dt><dd>{text(value.strip())}</dd>"
    yield f"<dt>loadmux</dt><dd>{__version__}</dd></dl>"


END = "</body>\n</html>"
