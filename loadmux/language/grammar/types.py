"""The types of single values, and of lists: texts, numbers, durations, sizes. See `contract`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from loadmux import units
from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.text import nodes
from loadmux.language.text.nodes import is_nothing, kind_of, suggestion
from loadmux.language.text.yamltree import ListNode, Node, ScalarNode
from loadmux.units import quoted

LARGEST_INTEGER = 2**63 - 1
RAMP = re.compile(r"[0-9]\S*\.\.[0-9]\S*")
RAMP_PLACES = "; only the 'users' and 'rate' of a load may be ramps"
TEMPLATES = "; '${...}' is replaced in payloads, replies and 'set' only"


# --- texts --------------------------------------------------------------------------------------


class Words(Type):
    """A text; `convert` makes a value of it, or raises ValueError with what is wrong."""

    word = "text"

    def __init__(
        self,
        pattern: str = "",
        convert: Callable[[str], Any] | None = None,
        write: Callable[[Any], object] | None = None,
        forms: str = "",
        word: str = "",
        also: Schema | None = None,
    ) -> None:
        self._convert = convert
        self._write = write
        matching = {"pattern": pattern} if pattern else {}
        told = {"patternErrorMessage": forms} if forms else {}
        self._schema = {"type": "string", **matching, **told, **(also or {})}
        self.word = word or self.word

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = nodes.text(r.mistakes, node, what)
        if found is None:
            return None
        try:
            return self.made(r, node, found, what)
        except ValueError as error:
            return r.refuse(node, str(error))

    def made(self, r: Reading, node: Node, text: str, what: str) -> Any:
        """What the text means. Raises ValueError with what is wrong."""
        return text if self._convert is None else self._convert(text)

    def schema(self, s: Schemas) -> Schema:
        return dict(self._schema)

    def write(self, value: Any, w: Writing) -> Any:
        return nodes.escaped(value) if self._write is None else self._write(value)


class Label(Words):
    """A text that can stand in a row of a report: not empty, one printable line."""

    def __init__(
        self, convert: Callable[[str], Any] | None = None, also: Schema | None = None
    ) -> None:
        super().__init__(patterns.LABEL, convert, also=also)

    def made(self, r: Reading, node: Node, text: str, what: str) -> Any:
        if not text.strip() or not text.isprintable():
            raise ValueError(f"{what} must be one line of printable text, not {quoted(text)}")
        return super().made(r, node, text, what)


class NewName(Words):
    """A name that texts may use from here on."""

    def __init__(self, what: str) -> None:
        super().__init__(patterns.whole(patterns.NAME), word="name", also=patterns.NOT_BUILT_IN)
        self._what = what

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = nodes.text(r.mistakes, node, what)
        if found is None:
            r.names.give_up()
            return None
        right = r.names.check(node.where, found, self._what)
        r.names.define(node.where, found)
        return found if right else None


class Constant(Type):
    """A text, or a number or boolean as it is written (`1.50` stays `1.50`)."""

    word = "text, number or boolean"

    def __init__(self, pattern: str = "") -> None:
        self._pattern = pattern

    def read(self, r: Reading, node: Node, what: str) -> Any:
        nodes.doubt_escapes(r.mistakes, node)
        if isinstance(node, ScalarNode) and node.value is not None:
            return node.text
        remedy = "; write '' for an empty text" if isinstance(node, ScalarNode) else ""
        message = f"{what} must be a text, a number, true or false, not {kind_of(node)}{remedy}"
        return r.refuse(node, message)

    def schema(self, s: Schemas) -> Schema:
        matching = {"pattern": self._pattern} if self._pattern else {}
        return {"type": ["string", "number", "boolean"], **matching}


class Choice(Type):
    """One of some words; `what` is what a message calls them."""

    def __init__(self, words: Collection[str], what: str = "") -> None:
        self.words = words
        self._what = what
        self.word = " or ".join(f"`{one}`" for one in words)

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return self.chosen(r, node, self._what or what.strip("'"), self.words)

    def chosen(self, r: Reading, node: Node, what: str, words: Collection[str]) -> str | None:
        found = nodes.text(r.mistakes, node, what)
        if found is None or found in words:
            return found
        hint = suggestion(found, words, "it is one of")
        return r.refuse(node, f"unknown {what} {quoted(found)}{hint}")

    def schema(self, s: Schemas) -> Schema:
        return {"enum": list(self.words)}


# --- numbers and booleans -----------------------------------------------------------------------


class Integer(Type):
    """A whole number from `least` on."""

    def __init__(self, least: int = 1, most: int = LARGEST_INTEGER) -> None:
        self._least, self._most = least, most
        self.word = "whole number" if least == 1 else f"whole number from {least}"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, ScalarNode) or type(node.value) is not int:
            remedy = ""
            if isinstance(node, ScalarNode) and node.text.isdecimal():
                remedy = "; write it without quotes"
            elif isinstance(node, ScalarNode) and RAMP.fullmatch(node.text):
                remedy = RAMP_PLACES
            elif isinstance(node, ScalarNode) and "${" in node.text:
                remedy = TEMPLATES
            r.add(node.where, f"{what} must be a whole number, not {kind_of(node)}{remedy}")
        elif not self._least <= node.value <= self._most:
            bound = f"at most {self._most}" if self._most < LARGEST_INTEGER else "less than 2^63"
            bound = f"at least {self._least}" if node.value < self._least else bound
            r.add(node.where, f"{what} must be {bound}, not {quoted(node.text)}")
        else:
            return node.value
        return None

    def schema(self, s: Schemas) -> Schema:
        return {"type": "integer", "minimum": self._least, "maximum": self._most}


class OneOf(Type):
    """One of some numbers."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        *first, last = map(str, numbers)
        self.word = f"{', '.join(first)} or {last}"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = Integer().read(r, node, what)
        if found is None or found in self._numbers:
            return found
        return r.refuse(node, f"{what} must be {self.word}, not {quoted(str(found))}")

    def schema(self, s: Schemas) -> Schema:
        return {"enum": list(self._numbers)}


class Boolean(Type):
    word = "true or false"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        return r.refuse(node, f"{what} must be true or false, not {kind_of(node)}")

    def schema(self, s: Schemas) -> Schema:
        return {"type": "boolean"}


class Yes(Type):
    """`true`, for what can only be asked for."""

    word = "true"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode) and node.value is True:
            return True
        return r.refuse(node, f"{what} can only be true, not {kind_of(node)}")

    def schema(self, s: Schemas) -> Schema:
        return {"const": True}


# --- numbers with units -------------------------------------------------------------------------


def measured(r: Reading, node: Node, what: str, convert: Callable[[str], float], forms: str) -> Any:
    """A number with a unit, as `convert` of `units` reads it."""
    if not isinstance(node, ScalarNode) or node.value is None or isinstance(node.value, bool):
        wrong = "has no value" if is_nothing(node) else f"must not be {kind_of(node)}"
        return r.refuse(node, f"{what} {wrong}; {forms}")
    try:
        return convert(str(node.value) if type(node.value) is int else node.text)
    except ValueError as error:
        remedy = RAMP_PLACES if RAMP.fullmatch(node.text) else ""
        remedy = TEMPLATES if "${" in node.text else remedy
        return r.refuse(node, str(error) + remedy)


class Duration(Type):
    """Seconds; `zero`: no time at all is right, too."""

    word = "duration"

    def __init__(self, *, zero: bool = True) -> None:
        self._zero = zero
        self.definition = "duration" if zero else "positive_duration"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        seconds = measured(r, node, what, units.duration, units.DURATION_FORMS)
        if seconds == 0 and not self._zero:
            return r.refuse(node, f"{what} must be more than zero")
        return seconds

    def schema(self, s: Schemas) -> Schema:
        pattern = ("" if self._zero else patterns.NOT_ZERO) + patterns.DURATION
        told = {"pattern": patterns.whole(pattern), "patternErrorMessage": units.DURATION_FORMS}
        return {"type": "string", **told}

    def write(self, value: Any, w: Writing) -> Any:
        return units.duration_text(value)


class Size(Type):
    """Bytes, at least one; a schema can bound a number, not a text with a unit."""

    word = "size"

    def __init__(self, most: int = units.LARGEST) -> None:
        self._most = most

    def read(self, r: Reading, node: Node, what: str) -> Any:
        found = measured(r, node, what, units.size, units.SIZE_FORMS)
        if found is None or 1 <= found <= self._most:
            return found
        bound = "at least 1 byte" if found < 1 else f"at most {self._most} bytes"
        return r.refuse(node, f"{what} must be {bound}")

    def schema(self, s: Schemas) -> Schema:
        number = {"type": "integer", "minimum": 1, "maximum": self._most}
        return {"anyOf": [number, s.refer("size", self._text)]}

    def _text(self, s: Schemas) -> Schema:
        told = {"type": "string", "patternErrorMessage": units.SIZE_FORMS}
        return {**told, "pattern": patterns.whole(patterns.NOT_ZERO + patterns.SIZE)}

    def write(self, value: Any, w: Writing) -> Any:
        text = units.size_text(value)
        return value if text.isdigit() else text


class SpawnRate(Type):
    """Events a second; a plain number is one too, as Locust has it."""

    word = "rate"
    forms = "write users a second such as 10 or 10/s"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        rate = measured(r, node, what, units.plain_rate, self.forms)
        if rate == 0:
            return r.refuse(node, f"{what} must be more than zero")
        return rate

    def schema(self, s: Schemas) -> Schema:
        rate = patterns.whole(rf"{patterns.NOT_ZERO}{patterns.NUMBER}(?:/[sm])?")
        written = {"type": "string", "pattern": rate, "patternErrorMessage": self.forms}
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, written]}

    def write(self, value: Any, w: Writing) -> Any:
        return units.rate_text(value)


# --- lists --------------------------------------------------------------------------------------


class Items(Type):
    """A list; `what` is how messages call an item."""

    def __init__(self, item: Type, what: str) -> None:
        self._item, self._what = item, what
        self.word = f"list of {item.word}"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        listed = nodes.items(r.mistakes, node, what)
        if listed is None:
            return None
        found = [self._item.read(r, item, self._what) for item in listed]
        return None if None in found else tuple(found)

    def schema(self, s: Schemas) -> Schema:
        return {"type": "array", "items": s.of(self._item)}

    def write(self, value: Any, w: Writing) -> Any:
        return [self._item.write(one, w) for one in value]


class Pair(Type):
    """A list of two; `forms` shows one."""

    def __init__(self, item: Type, forms: str) -> None:
        self._item, self._forms = item, forms
        self.word = forms.partition(": ")[2].rstrip("}")

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, ListNode) or len(node.items) != 2:
            return r.refuse(node, f"{what} must be a list of two; write {self._forms}")
        first, second = (self._item.read(r, item, what) for item in node.items)
        return None if first is None or second is None else (first, second)

    def schema(self, s: Schemas) -> Schema:
        return {"type": "array", "items": s.of(self._item), "minItems": 2, "maxItems": 2}

    def write(self, value: Any, w: Writing) -> Any:
        return [self._item.write(one, w) for one in value]
