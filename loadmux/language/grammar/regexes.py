"""Regular expressions of replies, on bytes; their named groups are names from there on."""

from __future__ import annotations

import re
import warnings
from typing import Any

from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.text import nodes
from loadmux.language.text.hints import meant
from loadmux.language.text.yamltree import ListNode, MappingNode, Node
from loadmux.plugins.payloads import Regex, Text
from loadmux.units import quoted

_TOKEN = re.compile(r"\\.|\$\$\{|\$\{[^}]*\}?|\[\^?\]?|\]|.", re.DOTALL)
"""One token of a pattern, as far as it matters where `${` begins a name."""
_REPEATS = ("*", "+", "?", "{")


class Expression(Type):
    """A regex; `${name}` stands for its bytes, escaped."""

    word = "regular expression"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        pattern = nodes.any_text(r.mistakes, node, what)
        parts = () if pattern is None else _parts(r, node, pattern)
        groups = None
        if pattern is not None:
            sample = "".join(one if isinstance(one, str) else "x" for one in parts) or pattern
            groups = _groups(r, node, sample, pattern)
        if pattern is None or groups is None:
            r.names.give_up()
            return None
        for name in groups:
            r.names.check(node.where, name, "the group")
            r.names.define(node.where, name)
        if any(isinstance(one, Text) for one in parts):
            return Regex(pattern, groups, parts)
        return Regex("".join(map(str, parts)), groups)

    def schema(self, s: Schemas) -> Schema:
        return {"type": "string"}

    def write(self, value: Any, w: Writing) -> Any:
        return value.pattern


def _parts(r: Reading, node: Node, pattern: str) -> tuple[str | Text, ...]:
    """The pattern, cut where a name stands; one that is repeated is a group of its own."""
    found: list[str | Text] = [""]
    tokens, inside = _TOKEN.findall(pattern), False
    for number, token in enumerate(tokens):
        if token.startswith("["):
            inside = True
        elif token == "]":
            inside = False
        if token == "$${":
            token = r"\$\{"
        if not token.startswith("${"):
            found[-1] = f"{found[-1]}{token}"
            continue
        grouped = not inside and tokens[number + 1 : number + 2] in [[one] for one in _REPEATS]
        found[-1] = f"{found[-1]}{'(?:' * grouped}"
        found += [r.names.text(node.where, token, sent=r.sent), ")" * grouped]
    return tuple(one for one in found if one != "")


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


def _groups(r: Reading, node: Node, pattern: str, written: str) -> tuple[str, ...] | None:
    """The names of the pattern's groups; None where it is no regex."""
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
    return r.refuse(node, f"{quoted(written)} is no regex: {reason}")
