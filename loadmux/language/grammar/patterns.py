"""Regular expressions of the language, in the part that Python's `re` and ECMA 262 have in common.

JSON Schema means ECMA's, searched for anywhere unless anchored, and validators in Python use `re`;
so what is written here means the same in both. Where they have no words for the same thing (which
letters `\\w` knows), a pattern takes more than reading does, never less: everything beyond ASCII
is a letter.
"""

from __future__ import annotations

import re

from loadmux import units
from loadmux.language.grammar import names

BEYOND_ASCII = "\x80-\U0010ffff"
LETTERS = f"A-Za-z0-9_{BEYOND_ASCII}"

NOT_ZERO = r"(?!0+(?:\.0+)?(?![0-9.]))"
"""Stands before a number."""


def portable(pattern: str) -> str:
    """A pattern of Python's, without groups that have a name or a number, and without `\\w`."""
    pattern = pattern.replace(r"[^\W\d]", f"[A-Za-z_{BEYOND_ASCII}]")
    pattern = pattern.replace(r"[\w", f"[{LETTERS}").replace(r"\w", f"[{LETTERS}]")
    return re.sub(r"(?<!\\)\((?:\?P<\w+>|(?!\?))", "(?:", pattern)


def whole(*alternatives: str) -> str:
    """Matches a whole text."""
    return f"^(?:{'|'.join(alternatives)})$"


NAME = portable(names.NAME.pattern)
NOT_BUILT_IN = {"not": {"enum": list(names.BUILT_INS)}}
NUMBER = portable(units.NUMBER)
DURATION = portable(units.DURATION.pattern)
SIZE = portable(units.SIZE.pattern)
RATE = portable(units.RATE.pattern)

CONTROLS = r"\u0000-\u001f\u007f-\u009f"
LABEL = rf"^(?=.*\S)[^{CONTROLS}]+$"

LITERAL = r"[^$]|\$\$\{|\$(?!\$?\{)"
"""One character of a text, or a `$${`, but no `${`."""

CONSTANT = rf"^(?:{LITERAL})*$"
FROM_ENVIRONMENT = rf"^(?:{LITERAL}|\$\{{env\.[^}}]+\}})*$"
REPLACED = "write ${NAME}, or $${ for a literal '${'"


REPLACEABLE = rf"(?:\s*{NAME}(?:\.[^}}]+)?\s*|[^}}]*[\[(+*%/-][^}}]*)"
"""A name, or what has a sign of a formula."""


VARYING = r"\$\{"


def text(without: str = "") -> str:
    """A text with `${name}`s, none of them called `without`."""
    refused = rf"(?!{without}\}})" if without else ""
    return rf"^(?:{LITERAL}|\$\{{{refused}{REPLACEABLE}\}})*$"


def any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)
