"""Regular expressions of whole lines, for `lines_until`: one that fits no line is a mistake."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from loadmux.language.grammar.contract import Schema, Schemas, Type
from loadmux.language.grammar.reading import Reading
from loadmux.language.text import nodes
from loadmux.language.text.yamltree import Node
from loadmux.units import quoted

NEWLINE = 10
REPLACED = re.compile(r"(?<!\\)\$\{\w+\}")


class LinePattern(Type):
    word = "regular expression"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        pattern = nodes.any_text(r.mistakes, node, what)
        if pattern is None:
            return None
        reason = _unfit(pattern)
        if not reason and REPLACED.search(pattern):
            reason = "nothing is replaced in it; it is the same for all frames"
        return pattern if not reason else r.refuse(node, f"{what}: {quoted(pattern)} {reason}")

    def schema(self, s: Schemas) -> Schema:
        return {"type": "string"}


def _unfit(pattern: str) -> str:
    """Why a pattern is none of a line; empty if it may be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern.encode())
            parsed = _parser.parse(pattern.encode())
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        return f"is no regex: {str(error) or 'it is nested too deeply'}"
    if _goes_on_after_a_line(parsed):
        return "matches no line: it goes on behind the end of one; write what the last line is"
    return ""


def _goes_on_after_a_line(parsed: Any) -> bool:
    """Whether something must follow a line end that must come. What is not understood may fit."""
    try:
        behind = False
        for name, least, literal in _mandatory(parsed, parsed.state):
            if behind and least:
                return True
            behind = behind or (name == "LITERAL" and literal == NEWLINE)
    except (AttributeError, TypeError, ValueError, LookupError):
        pass
    return False


def _mandatory(items: Sequence[Any], state: Any) -> Iterator[tuple[str, int, Any]]:
    """The pieces that must come, one after the other: what each is, and its least bytes."""
    for op, argument in items:
        name = str(op)
        if name == "SUBPATTERN":
            yield from _mandatory(argument[-1], state)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and argument[0] == 1:
            yield from _mandatory(argument[2], state)
        else:
            width = _parser.SubPattern(state, [(op, argument)]).getwidth()[0]
            yield name, width, argument
