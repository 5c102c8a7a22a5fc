"""The small readers that everything in the loader is made of: one node in, one value or None out.

Each reader reports a wrong node once, at its place, and returns None, and callers leave out what is
None: so one pass finds all the mistakes of a file, and one mistake gives one error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from loadmux import units
from loadmux.errors import Notice, Position, ScenarioError
from loadmux.loader import hints
from loadmux.loader.hints import nearest
from loadmux.units import quoted
from loadmux.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode

LARGEST_INTEGER = 2**63 - 1
RAMP = re.compile(r"[0-9]\S*\.\.[0-9]\S*")
RAMP_PLACES = "; only the 'users' and 'rate' of a load may be ramps"
SPAWN_FORMS = "write users a second such as 10 or 10/s"
REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
"""`$${`, or `${NAME}`; the last group is empty where the `}` is missing."""
_ESCAPE = re.compile(r"\\(?:[rnt0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
# What stands in quotes within a text (JSON, the repr of bytes) has backslashes of its own.
_INNER_QUOTES = re.compile(r"\"(?:[^\"\\]|\\.)*\"|b'(?:[^'\\]|\\.)*'")
TEMPLATES = "; '${...}' is replaced in payloads, replies and 'set' only"

T = TypeVar("T")
Number = TypeVar("Number", int, float)


class Mistakes:
    """The mistakes of one file; the same one met twice (through an alias) counts once."""

    def __init__(self) -> None:
        self._errors: dict[tuple[Position, str], ScenarioError] = {}
        self._notices: dict[Notice, None] = {}

    def add(self, where: Position, message: str) -> None:
        self._errors.setdefault((where, message), ScenarioError(where, message))

    def extend(self, errors: Iterable[ScenarioError]) -> None:
        for error in errors:
            self.add(error.where, error.message)

    def warn(self, where: Position, message: str) -> None:
        """Of something that is no mistake: the scenario loads all the same."""
        self._notices.setdefault(Notice(where, message))

    def __len__(self) -> int:
        return len(self._errors)

    @property
    def errors(self) -> list[ScenarioError]:
        return list(self._errors.values())

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(sorted(self._notices, key=lambda notice: notice.where))


# --- what messages are made of ------------------------------------------------------------------


def kind_of(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return quoted(node.text)
    if isinstance(node.value, str):
        return f"the text {quoted(node.text)}"
    return f"the number {quoted(node.text)}"


def is_nothing(node: Node) -> bool:
    """Whether nothing stands after the key."""
    return isinstance(node, ScalarNode) and node.value is None


def suggestion(name: str, names: Collection[str], otherwise: str) -> str:
    """`; did you mean 'X'?`, or `otherwise` with all the names."""
    near = nearest(name, names)
    if near is not None:
        return f"; did you mean {quoted(near)}?"
    listed = ", ".join(list(names)[:30]) + (", ..." if len(names) > 30 else "")
    return f"; {otherwise} {listed}" if names else ""


# --- scalars ------------------------------------------------------------------------------------


def text(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A string in which nothing is replaced; `$${` stands for a literal `${` here too."""
    found = any_text(mistakes, node, what)
    return None if found is None else literal(mistakes, node.where, found, what)


def literal(mistakes: Mistakes, where: Position, found: str, what: str) -> str | None:
    """`found` with `$${` resolved; a `${NAME}`, which nothing would replace here, is a mistake."""
    for match in REFERENCE.finditer(found):
        if match[1] is not None:
            message = f"{quoted(match[0])} is not replaced in {what}, which is no template; write"
            mistakes.add(where, f"{message} it without '${{}}', or $${{ for a literal '${{'")
            return None
    return found.replace("$${", "${")


def doubt_escapes(mistakes: Mistakes, node: Node) -> None:
    """Warns of `'\\r\\n'`, which only double quotes make a line end: the peer may wait for one."""
    if not isinstance(node, ScalarNode) or not node.raw or "\\" not in node.text:
        return
    found = _ESCAPE.search(_INNER_QUOTES.sub("", node.text))
    if found is not None:
        message = f"here {found[0]} is {len(found[0])} characters, no escape; write the text in"
        mistakes.warn(node.where, f"{message} double quotes")


def any_text(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A string; a number or boolean is none, for nobody sees what text it would become."""
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        return node.value
    if is_nothing(node):
        mistakes.add(node.where, f"{what} has no value; write a text")
        return None
    remedy = "; write it in quotes" if isinstance(node, ScalarNode) else ""
    mistakes.add(node.where, f"{what} must be a text, not {kind_of(node)}{remedy}")
    return None


def label(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A text that can stand in a row of a report: not empty, one printable line."""
    found = text(mistakes, node, what)
    if found is None:
        return None
    if not found.strip() or not found.isprintable():
        mistakes.add(node.where, f"{what} must be one line of printable text, not {quoted(found)}")
        return None
    return found


def constant(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A text, or a number or boolean as it is written (`1.50` stays `1.50`)."""
    doubt_escapes(mistakes, node)
    if isinstance(node, ScalarNode) and node.value is not None:
        return node.text
    remedy = "; write '' for an empty text" if isinstance(node, ScalarNode) else ""
    message = f"{what} must be a text, a number, true or false, not {kind_of(node)}{remedy}"
    mistakes.add(node.where, message)
    return None


def integer(mistakes: Mistakes, node: Node, what: str, least: int) -> int | None:
    """A whole number from `least` on."""
    if not isinstance(node, ScalarNode) or type(node.value) is not int:
        remedy = ""
        if isinstance(node, ScalarNode) and node.text.isdecimal():
            remedy = "; write it without quotes"
        elif isinstance(node, ScalarNode) and RAMP.fullmatch(node.text):
            remedy = RAMP_PLACES
        elif isinstance(node, ScalarNode) and "${" in node.text:
            remedy = TEMPLATES
        mistakes.add(node.where, f"{what} must be a whole number, not {kind_of(node)}{remedy}")
        return None
    if not least <= node.value <= LARGEST_INTEGER:
        bound = f"at least {least}" if node.value < least else "less than 2^63"
        mistakes.add(node.where, f"{what} must be {bound}, not {quoted(node.text)}")
        return None
    return node.value


def count(mistakes: Mistakes, node: Node, what: str) -> int | None:
    """A whole number from 1 on."""
    return integer(mistakes, node, what, 1)


def index(mistakes: Mistakes, node: Node, what: str) -> int | None:
    """A whole number from 0 on."""
    return integer(mistakes, node, what, 0)


def boolean(mistakes: Mistakes, node: Node, what: str) -> bool | None:
    if isinstance(node, ScalarNode) and isinstance(node.value, bool):
        return node.value
    mistakes.add(node.where, f"{what} must be true or false, not {kind_of(node)}")
    return None


def choice(mistakes: Mistakes, node: Node, what: str, names: Collection[str]) -> str | None:
    """One of `names`."""
    found = text(mistakes, node, what)
    if found is None or found in names:
        return found
    hint = suggestion(found, names, "it is one of")
    mistakes.add(node.where, f"unknown {what} {quoted(found)}{hint}")
    return None


def _measured(
    mistakes: Mistakes, node: Node, what: str, convert: Callable[[str], Number], forms: str
) -> Number | None:
    """A number with a unit, as `convert` of `units` reads it."""
    if not isinstance(node, ScalarNode) or node.value is None or isinstance(node.value, bool):
        wrong = "has no value" if is_nothing(node) else f"must not be {kind_of(node)}"
        mistakes.add(node.where, f"{what} {wrong}; {forms}")
        return None
    try:
        return convert(str(node.value) if type(node.value) is int else node.text)
    except ValueError as error:
        remedy = RAMP_PLACES if RAMP.fullmatch(node.text) else ""
        remedy = TEMPLATES if "${" in node.text else remedy
        mistakes.add(node.where, str(error) + remedy)
        return None


def duration(mistakes: Mistakes, node: Node, what: str) -> float | None:
    """Seconds."""
    return _measured(mistakes, node, what, units.duration, units.DURATION_FORMS)


def positive_duration(mistakes: Mistakes, node: Node, what: str) -> float | None:
    """Seconds, more than zero."""
    seconds = duration(mistakes, node, what)
    if seconds == 0:
        mistakes.add(node.where, f"{what} must be more than zero")
        return None
    return seconds


def size(mistakes: Mistakes, node: Node, what: str, most: int = units.LARGEST) -> int | None:
    """Bytes, at least one."""
    found = _measured(mistakes, node, what, units.size, units.SIZE_FORMS)
    if found is not None and not 1 <= found <= most:
        bound = "at least 1 byte" if found < 1 else f"at most {most} bytes"
        mistakes.add(node.where, f"{what} must be {bound}")
        return None
    return found


def spawn_rate(mistakes: Mistakes, node: Node, what: str) -> float | None:
    """Events a second; a plain number is one too, as Locust has it."""
    rate = _measured(mistakes, node, what, units.plain_rate, SPAWN_FORMS)
    if rate == 0:
        mistakes.add(node.where, f"{what} must be more than zero")
        return None
    return rate


# --- lists and mappings -------------------------------------------------------------------------


def items(mistakes: Mistakes, node: Node, what: str) -> tuple[Node, ...] | None:
    if isinstance(node, ListNode):
        return node.items
    wrong = "has no value" if is_nothing(node) else f"must be a list, not {kind_of(node)}"
    mistakes.add(node.where, f"{what} {wrong}; write [A, B] or lines that begin with '- '")
    return None


def pair(mistakes: Mistakes, node: Node, what: str, forms: str) -> tuple[Node, Node] | None:
    """A list of two."""
    if isinstance(node, ListNode) and len(node.items) == 2:
        return node.items[0], node.items[1]
    mistakes.add(node.where, f"{what} must be a list of two; write {forms}")
    return None


class Fields:
    """A mapping with a fixed set of keys: reports the unknown ones.

    `refused`: there was such a key. `meant`: the keys that the unknown ones probably are, which
    therefore are not missing.
    """

    def __init__(
        self,
        mistakes: Mistakes,
        node: MappingNode,
        what: str,
        known: Collection[str],
    ) -> None:
        self.where = node.where
        self._mistakes = mistakes
        self.refused = node.incomplete
        self.meant = set(known) if node.incomplete else set[str]()
        self._entries: dict[str, Entry] = {}
        for entry in node.entries:
            if entry.key in known:
                self._entries[entry.key] = entry
                continue
            self.refused = True
            self.meant.update(filter(None, [hints.meant(entry.key, known, what)]))
            hint = hints.hint(entry.key, known, what, "its keys are")
            mistakes.add(entry.where, f"unknown key {quoted(entry.key)} in {what}{hint}")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def value(self, key: str) -> Node | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def read(self, key: str, read: Callable[[Mistakes, Node, str], T | None]) -> T | None:
        """What `read` makes of the key's value; None where the key is missing or wrong."""
        entry = self._entries.get(key)
        return None if entry is None else read(self._mistakes, entry.value, f"'{key}'")

    def where_of(self, key: str) -> Position:
        """The place of a key that is there."""
        return self._entries[key].where

    def among(self, keys: Collection[str]) -> list[Entry]:
        """The entries whose keys are in `keys`, in the file's order."""
        return [entry for entry in self._entries.values() if entry.key in keys]
