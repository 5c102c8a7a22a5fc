"""Regular expressions of replies, on bytes; their named groups are names from there on."""

from __future__ import annotations

import re
import warnings
from typing import Any

from loadmux.language import nodes
from loadmux.language.hints import meant
from loadmux.language.patterns import LETTERS
from loadmux.language.reading import Reading
from loadmux.language.types import Schema, Schemas, Type, Writing
from loadmux.language.yamltree import ListNode, MappingNode, Node
from loadmux.plugins.payloads import Regex
from loadmux.units import quoted

UNREPLACED = rf"(?:^|[^\\])\$\{{[{LETTERS}]+\}}"
"""What looks like a `${name}` in a regex, where nothing is replaced."""

_REFERENCE = re.compile(r"(?<!\\)\$\{\w+\}")


class Expression(Type):
    word = "regular expression"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        pattern = nodes.any_text(r.mistakes, node, what)
        groups = None if pattern is None else _groups(r, node, pattern)
        if pattern is None or groups is None:
            r.names.give_up()
            return None
        for name in groups:
            r.names.check(node.where, name, "the group")
            r.names.define(node.where, name)
        return Regex(pattern, groups)

    def schema(self, s: Schemas) -> Schema:
        return {"type": "string", "not": {"pattern": UNREPLACED}}

    def write(self, value: Any, w: Writing) -> Any:
        return value.pattern


def may_capture(reply: Node) -> bool:
    """Whether something holds, or may have meant, a `regex` or a `save`, which define names."""
    if isinstance(reply, ListNode):
        return any(map(may_capture, reply.items))
    if not isinstance(reply, MappingNode):
        return False
    return any(
        meant(entry.key, ("regex", "save")) is not None or may_capture(entry.value)
        for entry in reply.entries
    )


def _groups(r: Reading, node: Node, pattern: str) -> tuple[str, ...] | None:
    """The names of the pattern's groups; None where it is no regex."""
    reference = _REFERENCE.search(pattern)
    if reference is not None:
        message = f"{quoted(reference[0])} is not replaced in a regex; for the text itself write"
        return r.refuse(node, f"{message} {quoted(chr(92) + reference[0])}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(re.compile(pattern.encode()).groupindex)
    except re.error as error:
        at = len(pattern.encode()[: error.pos or 0].decode(errors="ignore")) + 1
        what = "".join(c if c.isprintable() else repr(c)[1:-1] for c in error.msg)
        reason = f"{what}, at its character {at}"
    except (ValueError, OverflowError) as error:
        reason = str(error)
    except RecursionError:
        reason = "it is nested too deeply"
    return r.refuse(node, f"{quoted(pattern)} is no regex: {reason}")
