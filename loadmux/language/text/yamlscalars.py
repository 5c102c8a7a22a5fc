"""Plain scalars of YAML 1.2: what they mean under its core schema (1.2.2, section 10.3.2).

`on` and `yes` are texts, `010` is ten, dates are texts; only the tags of that schema are allowed.
"""

from __future__ import annotations

import re
from typing import Any

from loadmux.errors import Position, ScenarioError
from loadmux.units import quoted

Value = str | int | float | bool | None
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
# What a plain scalar that is no text begins with; nearly all others are told by that.
_OTHERS = frozenset("0123456789+-.~nNtTfF")
# CPython turns longer digit strings into numbers only on request; no key of ours needs them.
_LONGEST_NUMBER = 1000


def resolve(text: str) -> Value:
    """The value of a plain scalar under the core schema of YAML 1.2.2 (10.3.2)."""
    if text and text[0] not in _OTHERS:
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        digits = text.lower()
        return float(digits.replace(".", "", 1) if digits[-1] in "fn" else digits)
    return text


TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}


def tagged(tag: str, event: Any, where: Position) -> Value:
    """The value of a scalar with an explicit tag."""
    name = tag.removeprefix(TAG)
    if tag == "!" or name == "str":
        return str(event.value)
    wanted = _SCALAR_TAGS.get(name) if tag.startswith(TAG) else None
    if wanted is None:
        raise refused_tag(where, tag)
    value = resolve(event.value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and name != "bool"):
        raise ScenarioError(where, f"{quoted(event.value)} is not a !!{name}")
    return float(value) if name == "float" and value is not None else value


def refused_tag(where: Position, tag: str) -> ScenarioError:
    shown = "!!" + tag.removeprefix(TAG) if tag.startswith(TAG) else tag
    return ScenarioError(where, f"the tag {quoted(shown)} is not allowed; write a plain value")
