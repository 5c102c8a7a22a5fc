"""The loader's regular expressions, in the part that Python's `re` and ECMA 262 have in common.

JSON Schema means ECMA's, searched for anywhere unless anchored, and validators in Python use `re`;
so what is written here means the same in both. Where they have no words for the same thing (which
letters `\\w` knows), a pattern takes more than the loader does, never less: everything beyond ASCII
is a letter.
"""

from __future__ import annotations

import re

from loadmux import thresholds, units
from loadmux.loader import branches, names, sockets, target

BEYOND_ASCII = "\x80-\U0010ffff"
LETTERS = f"A-Za-z0-9_{BEYOND_ASCII}"

NOT_ZERO = r"(?!0+(?:\.0+)?(?![0-9.]))"
"""Stands before a number."""


def portable(pattern: str) -> str:
    """A pattern of the loader, without groups that have a name or a number, and without `\\w`."""
    pattern = pattern.replace(r"[^\W\d]", f"[A-Za-z_{BEYOND_ASCII}]")
    pattern = pattern.replace(r"[\w", f"[{LETTERS}").replace(r"\w", f"[{LETTERS}]")
    return re.sub(r"(?<!\\)\((?:\?P<\w+>|(?!\?))", "(?:", pattern)


def whole(*alternatives: str) -> str:
    """Matches a whole text."""
    return f"^(?:{'|'.join(alternatives)})$"


NAME = portable(names.NAME.pattern)
SOCKET = portable(sockets.NAME.pattern)
REFERENCE = SOCKET + r"(?:\[[0-9]{1,9}\])?"
TARGET = portable(target.NAME.pattern)
OPTION = portable(target.OPTION.pattern)
MODEL = portable(target.MODEL.pattern)
NUMBER = portable(units.NUMBER)
DURATION = portable(units.DURATION.pattern)
SIZE = portable(units.SIZE.pattern)
RATE = portable(units.RATE.pattern)

CONTROLS = r"\u0000-\u001f\u007f-\u009f"
LABEL = rf"^(?=.*\S)[^{CONTROLS}]+$"

# --- texts and their ${name}s -------------------------------------------------------------------

LITERAL = r"[^$]|\$\$\{|\$(?!\$?\{)"
"""One character of a text, or a `$${`, but no `${`."""


def text(without: str = "") -> str:
    """A text with `${name}`s, none of them called `without`."""
    refused = rf"(?!{without}\}})" if without else ""
    return rf"^(?:{LITERAL}|\$\{{{refused}{NAME}(?:\.[^}}]+)?\}})*$"


CONSTANT = rf"^(?:{LITERAL})*$"
LIST_NAME = rf"^\$\{{{NAME}\}}$"
HEX = r"^\s*(?:[0-9A-Fa-f]{2}\s*)*$"
_SIX_BITS = r"(?:[A-Za-z0-9+/]\s*)"
BASE64 = rf"^\s*(?:{_SIX_BITS}{{4}})*(?:{_SIX_BITS}{{2}}=\s*=|{_SIX_BITS}{{3}}=?=|=?=)?\s*$"
UNREPLACED = rf"(?:^|[^\\])\$\{{[{LETTERS}]+\}}"
"""What looks like a `${name}` in a regex, where nothing is replaced."""

# --- targets ------------------------------------------------------------------------------------


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_PORT = "0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_NETWORKED = "|".join(map(_any_case, target.NETWORKED))
_HOST = rf"(?:\[[0-9A-Fa-f:.]+(?:%[^\[\]]+)?\]|[{LETTERS}.-]+)"
_UNIX_PATH = rf"/(?:[^\u0000]{{0,{target.LONGEST_UNIX_PATH - 2}}}[^/\u0000])"
URL = whole(f"(?:{_NETWORKED})://{_HOST}:{_PORT}", f"{_any_case('unix')}://{_UNIX_PATH}")
ADDRESS = r"^[0-9A-Fa-f:.]+(?:%[^/]+)?(?:/[0-9.]+)?$"

# --- ramps --------------------------------------------------------------------------------------

_USERS = "[0-9]{1,15}"
USERS_RAMP = rf"^(?!0+\.\.0+$){_USERS}\.\.{_USERS}$"
_NO_RATE = r"0+(?:\.0+)?/[sm]"
RATE_OR_RAMP = rf"^(?!{_NO_RATE}(?:\.\.{_NO_RATE})?$){RATE}(?:\.\.{RATE})?$"

FUNCTION = whole(portable(branches.FUNCTION.pattern))

# --- thresholds ---------------------------------------------------------------------------------

_PERCENT = r"[0-9]{1,2}(?:\.[0-9]{1,12})?|0[0-9]{2}(?:\.[0-9]{1,12})?|100(?:\.0{1,12})?"
_SHARE = rf"(?:(?:{_PERCENT})%|0{{1,3}}(?:\.[0-9]{{1,12}})?|0{{0,2}}1(?:\.0{{1,12}})?)"
_COUNT = "[0-9]{1,15}"
VALUES = {
    **{"errors": _COUNT, "error_rate": _SHARE, "rate": RATE, "iterations": _COUNT},
    **{"dropped": _COUNT, "p": DURATION, "min": DURATION, "mean": DURATION, "max": DURATION},
}
"""What each metric is compared with."""


def _condition(metric: str) -> str:
    argument = rf"\s*\(\s*{NOT_ZERO}(?:{_PERCENT})\s*\)" if metric == "p" else ""
    operators = "|".join(sorted(thresholds.OPERATORS, key=len, reverse=True))
    return rf"{metric}{argument}\s*(?:{operators})\s*{VALUES[metric]}"


def threshold() -> str:
    """`[STEP:] METRIC OP VALUE`."""
    of_run = sorted(thresholds.WHOLE_RUN)
    of_step = [metric for metric in thresholds.METRICS if metric not in thresholds.WHOLE_RUN]
    rows = "|".join(map(_condition, of_step))
    run = "|".join(map(_condition, of_run))
    scope = r"""(?!\s*(?:''|"")\s*:)[\s\S]*\S[\s\S]*:\s*"""
    return rf"^(?:(?:{scope}|\s*(?:{thresholds.CONNECT}\s+)?)(?:{rows})|\s*(?:{run}))\s*$"
