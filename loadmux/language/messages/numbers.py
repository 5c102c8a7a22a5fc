"""What stands in payloads beside other payloads: numbers, alphabets, weights, and how a length is
written.
"""

from __future__ import annotations

from typing import Any

from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.types import Words
from loadmux.language.text.nodes import escaped, kind_of
from loadmux.language.text.yamltree import Node, ScalarNode
from loadmux.plugins.formulas import Formula, Variable
from loadmux.plugins.payloads import ALPHABETS, Text
from loadmux.units import quoted


def written_text(text: Text) -> str:
    return "".join(
        escaped(part) if isinstance(part, str) else f"${{{_name(part)}}}" for part in text.parts
    )


def _name(part: Variable | Formula) -> str:
    return part.written if isinstance(part, Formula) else part.name


class Value(Type):
    """A whole number, or a text that says one."""

    word = "whole number or text"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and type(node.value) is int:
            return node.value
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return r.names.text(node.where, node.value, sent=r.sent)
        message = f"{what} must be a whole number or a text such as '${{n}}', not {kind_of(node)}"
        return r.refuse(node, message)

    def schema(self, s: Schemas) -> Schema:
        text = {"type": "string", "pattern": patterns.text()}
        return {"anyOf": [{"type": "integer"}, text, {"const": True}]}

    def write(self, value: Any, w: Writing) -> Any:
        return written_text(value) if isinstance(value, Text) else value


class Whole(Type):
    """Any whole number, a negative one too."""

    word = "whole number, also a negative one"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and type(node.value) is int and abs(node.value) < 2**63:
            return node.value
        return r.refuse(node, f"{what} must be a whole number, not {kind_of(node)}")

    def schema(self, s: Schemas) -> Schema:
        return {"type": "integer"}


class Alphabet(Words):
    """A word for some characters, or these characters."""

    def __init__(self) -> None:
        words = ", ".join(f"`{one}`" for one in ALPHABETS)
        super().__init__(word=f"{words} or characters", also={"minLength": 1})

    def made(self, r: Reading, node: Node, text: str, what: str) -> Any:
        if not text:
            raise ValueError(f"{what} holds no character; it is one of {', '.join(ALPHABETS)}")
        return text


class Weight(Type):
    """How often, beside others; not negative."""

    word = "number"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        value = node.value if isinstance(node, ScalarNode) else None
        if type(value) not in (int, float) or not 0 <= value < 1e15:  # type: ignore[operator]
            shown = quoted(node.text) if isinstance(node, ScalarNode) else kind_of(node)
            return r.refuse(node, f"{what} must be a number from 0 on, not {shown}")
        return value

    def schema(self, s: Schemas) -> Schema:
        return {"type": "number", "minimum": 0}


def listed(r: Reading, node: Node) -> tuple[Text, ...] | None:
    """The items of a list in `variables` that `${name}` names, None where it names none."""
    text = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(text, str):
        return None
    name = text.removeprefix("${").removesuffix("}")
    return r.names.lists.get(name) if text == f"${{{name}}}" else None
