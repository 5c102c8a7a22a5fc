"""Writes values as YAML 1.2 that people read: `yamltree` reads the same values back.

Mappings and lists of steps are written line by line, what is in them in braces. A text stands
without quotes where nobody can take it for anything else, also no reader of YAML 1.1 (`on`, `yes`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from loadmux.language.text.yamlscalars import resolve

_BARE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./ -]*[A-Za-z0-9_])?")
_ELSEWHERE = re.compile(r"(?i:y|n|yes|no|on|off)|[0-9]+-[0-9-]+.*|[0-9][0-9_.]*(?:e[0-9]+)?")


def scalar(value: object) -> str:
    """A text, a number, a boolean or nothing."""
    if not isinstance(value, str):
        return json.dumps(value)
    bare = _BARE.fullmatch(value) and not _ELSEWHERE.fullmatch(value) and resolve(value) == value
    return value if bare else quoted(value)


def _key(text: str) -> str:
    """`on` is a key of the language, and everybody writes it so."""
    return text if text == "on" else scalar(text)


def quoted(text: str) -> str:
    """In double quotes; what cannot be printed is escaped (5.7)."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escape(one) for one in escaped)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow(value: object) -> str:
    """Anything, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def block(value: Mapping[str, object], deep: frozenset[str], indent: str = "") -> Iterator[str]:
    """The lines of a mapping; the values of the keys in `deep` are written line by line too."""
    for key, one in value.items():
        if key in deep and one and isinstance(one, Mapping):
            yield f"{indent}{_key(key)}:"
            yield from block(one, deep, indent + "  ")
        elif key in deep and one and isinstance(one, Sequence) and not isinstance(one, str):
            yield f"{indent}{_key(key)}:"
            yield from _listed(one, deep, indent + "  ")
        else:
            yield f"{indent}{_key(key)}: {flow(one)}"


def _listed(values: Sequence[object], deep: frozenset[str], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            lines = list(block(value, deep, indent + "  "))
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]
        elif isinstance(value, Sequence) and value and not isinstance(value, str):
            lines = list(_listed(value, deep, indent + "  "))
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]
        else:
            yield f"{indent}- {flow(value)}"
