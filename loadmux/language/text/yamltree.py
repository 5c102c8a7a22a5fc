"""Turns YAML 1.2 text into a small immutable tree in which every key and value knows its place.

PyYAML only finds the events (with libyaml, where it has it); what they mean is decided here,
because a scenario must read the same everywhere: what plain scalars mean is `yamlscalars`', merge
keys and second documents are refused, and a duplicate key is a mistake, never the last one wins.
PyYAML reads YAML 1.1: where that means something else than 1.2, the text is refused with a remedy,
never read otherwise without a word. The tree is built from events without recursion, bounded in
depth and, for aliases, in size, so that no file can exhaust the stack or the memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import cache
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from loadmux.checking.frozen import dataclass
from loadmux.errors import Position, ScenarioError, ScenarioErrors
from loadmux.language.text.yamlerrors import explained
from loadmux.language.text.yamlscalars import TAG, Value, refused_tag, resolve, tagged
from loadmux.units import quoted

MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_REPEATED = 200_000
"""Values that aliases may stand for, in all."""


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """`text` as written (quotes and escapes resolved); `value` what the core schema makes of it.

    `raw`: it does not stand in double quotes, so that backslashes in it are only backslashes.
    """

    where: Position
    text: str
    value: Value
    raw: bool = False


@dataclass(frozen=True, slots=True)
class FunctionNode(ScalarNode):
    """A function that a Python scenario holds where YAML has its name; never in a YAML tree."""

    function: Callable[..., object] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list; its items know their places."""

    where: Position
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value`; `where` is the key's place."""

    where: Position
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys are unique; a key is its text, whatever its type.

    `incomplete`: a merge key was refused here, so that a missing key is no mistake of its own.
    """

    where: Position
    entries: tuple[Entry, ...]
    incomplete: bool = False


Node = ScalarNode | ListNode | MappingNode


def parse(path: str, text: str) -> tuple[Node | None, list[ScenarioError]]:
    """The tree of the only document (None: no text) and the mistakes that it can live with.

    Raises ScenarioErrors when there is no tree: invalid YAML, or what is refused outright.
    """
    source = _Source(path, text)
    builder = _Builder(source)
    try:
        for event in _events(source):
            builder.take(event)
    except ScenarioError as error:
        raise ScenarioErrors([*builder.mistakes, error]) from None
    return builder.root, builder.mistakes


# --- places -------------------------------------------------------------------------------------


def position(path: str, text: str, index: int) -> Position:
    """The place of the character `index` of `text`."""
    return _Source(path, text).at(index - text.startswith("\ufeff"))


class _Source:
    """A text and its line table: turns the parser's character index into a place in the file.

    Lines end where YAML 1.2 (5.4) and every editor end them: at LF, CR LF or CR. A place past the
    last line break is moved back to the end of the last line, so that it can always be shown.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text.removeprefix("\ufeff")
        self._starts = [0, *(m.end() for m in re.finditer(r"\r\n|\r|\n", self.text))]
        if len(self._starts) > 1 and self._starts[-1] == len(self.text):
            self._starts.pop()

    def at(self, index: int) -> Position:
        line = bisect_right(self._starts, min(index, len(self.text))) - 1
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        length = len(self.text[start:end].rstrip("\r\n"))
        return Position(self.path, line + 1, min(index - start, length) + 1)

    def start_of(self, event: Any) -> Position:
        mark = event.start_mark
        return Position(self.path, mark.line + 1, mark.column + 1)


# --- events -------------------------------------------------------------------------------------

# libyaml takes no half of a surrogate pair, of which JSON makes the characters above U+FFFF.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_FAST: Any = getattr(yaml, "CLoader", yaml.Loader)


@cache
def _refused(ascii_only: bool) -> re.Pattern[str]:
    # YAML's printable characters without U+0085, U+2028 and U+2029: line breaks in YAML 1.1, none
    # in YAML 1.2, so a parser may fold them and change a payload without a word. A second byte
    # order mark is skipped by one parser and content for another. Of ASCII apart, as re takes 10 ms
    # for the ranges beyond it.
    beyond = "\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
    return re.compile(f"[^\x09\x0a\x0d\x20-\x7e{'' if ascii_only else beyond}]")


def _events(source: _Source) -> Iterator[Any]:
    """The parser's events; whatever it chokes on becomes one ScenarioError."""
    bad = _refused(source.text.isascii()).search(source.text)
    if bad is not None:
        code = f"U+{ord(bad[0]):04X}"
        message = f"the character {code} cannot stand here; write it as an escape in double quotes"
        raise ScenarioError(source.at(bad.start()), message)
    last = 0
    try:
        events: Iterator[Any] = yaml.parse(
            source.text, yaml.Loader if _SURROGATE.search(source.text) else _FAST
        )
        for event in events:
            last = event.end_mark.index
            yield event
    except MarkedYAMLError as error:
        raise _syntax_error(source, error, last) from None
    except (ValueError, OverflowError):
        # chr() of an escape above U+10FFFF, which PyYAML does not catch; it leaves no place either.
        raise ScenarioError(
            source.at(last), "an escape after this stands for no character"
        ) from None


def _syntax_error(source: _Source, error: MarkedYAMLError, last: int) -> ScenarioError:
    problem_at, begun_at = error.problem_mark, error.context_mark
    at = last if problem_at is None else problem_at.index
    begin = at if begun_at is None else begun_at.index
    problem = " ".join(str(error.problem or error.context or "it cannot be read").split())
    place, message = explained(source.text, problem, str(error.context), at, begin)
    return ScenarioError(source.at(place), message)


# What may stand between a key or an item and a value that is not there; comments are passed over.
_BETWEEN = re.compile(r"#[^\r\n]*|[:?,{\[]|-(?=\s|$)")

# --- the tree -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended yet; `keys` is None for a list."""

    where: Position
    anchor: str | None
    keys: dict[str, Position] | None
    items: list[Node] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    key: ScalarNode | None = None
    weight: int = 1
    incomplete: bool = False


class _Builder:
    """Takes the events of one document and leaves its tree in `root`."""

    def __init__(self, source: _Source) -> None:
        self.root: Node | None = None
        self.mistakes: list[ScenarioError] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._documents = 0
        self._text = source.text
        self._last = self._repeated = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            self._place(self._scalar(event), 1, event.anchor)
        elif kind is SequenceStartEvent or kind is MappingStartEvent:
            self._start_collection(event)
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self._start_document(event)
        elif isinstance(event, CollectionEndEvent):
            self._end_collection()
        self._last = event.end_mark.index

    # --- where YAML 1.1 and 1.2 part --------------------------------------------------------

    def _begin(self, event: Any) -> Position:
        """The place of a node, which begins as YAML 1.2 has it, too."""
        index = event.start_mark.index
        if index and self._text[index - 1] == "?":
            where = self._source.at(index - 1)
            raise ScenarioError(where, "a text that begins with '?' must stand in quotes here")
        if event.anchor is not None:
            self._check_anchor("&", event)
        return self._source.start_of(event)

    def _check_anchor(self, sigil: str, event: Any) -> None:
        """A name that goes on for YAML 1.2 would leave its rest to the text that follows."""
        at = self._text.find(sigil + event.anchor, event.start_mark.index)
        follows = self._text[at + 1 + len(event.anchor) :][:1]
        if follows and follows not in " \t\r\n,[]{}":
            message = "the name of an anchor holds only letters, digits, '_' and '-'"
            raise ScenarioError(self._source.at(at), f"{message}; write a text in quotes")

    def _gap(self, event: Any) -> Position:
        """The place of a value that is not there: behind what it belongs to."""
        between = self._text[self._last : event.start_mark.index]
        signs = [m for m in _BETWEEN.finditer(between) if m[0][0] != "#"]
        return self._source.at(self._last + (signs[-1].end() if signs else 0))

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        where = self._source.start_of(event)
        if self._documents > 1:
            raise ScenarioError(
                where, "a second document; a scenario file holds one, without '---'"
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            message = "only %YAML 1.2 is supported; leave the line out"
            raise ScenarioError(Position(self._source.path, 1, 1), message)

    def _scalar(self, event: Any) -> ScalarNode:
        text = event.value
        plain = event.style is None or event.style == ""
        missing = plain and not text and event.tag is None and event.anchor is None
        where = self._gap(event) if missing else self._begin(event)
        if not text.isascii():
            text = self._whole(text, where)
        if event.tag is not None:
            return ScalarNode(where, text, tagged(event.tag, event, where))
        return ScalarNode(where, text, resolve(text) if plain else text, event.style != '"')

    def _whole(self, text: str, where: Position) -> str:
        """Two escapes such as "\\ud83d\\ude00" are one character (JSON); a lone half is none."""
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            message = "half of a surrogate pair is no character; write the whole one, or use {hex}"
            raise ScenarioError(where, message) from None

    def _start_collection(self, event: Any) -> None:
        where = self._begin(event)
        is_mapping = isinstance(event, MappingStartEvent)
        if event.tag not in (None, "!", TAG + ("map" if is_mapping else "seq")):
            raise refused_tag(where, event.tag)
        if self._open and self._open[-1].keys is not None and self._open[-1].key is None:
            raise ScenarioError(where, "a key must be a text, not a list or a mapping")
        if len(self._open) == MAX_DEPTH:
            raise ScenarioError(where, f"nested more than {MAX_DEPTH} levels deep")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(where, event.anchor, {} if is_mapping else None))

    def _end_collection(self) -> None:
        done = self._open.pop()
        node: Node
        if done.keys is None:
            node = ListNode(done.where, tuple(done.items))
        else:
            node = MappingNode(done.where, tuple(done.entries), done.incomplete)
        self._place(node, done.weight, done.anchor)

    def _alias(self, event: NodeEvent) -> None:
        where = self._source.start_of(event)
        self._check_anchor("*", event)
        name = str(event.anchor)
        if name not in self._anchors:
            raise ScenarioError(
                where, f"unknown alias {quoted('*' + name)}; no '&' defines it before"
            )
        known = self._anchors[name]
        if known is None:
            raise ScenarioError(
                where, f"the alias {quoted('*' + name)} is inside what it stands for"
            )
        self._repeated += known[1]
        if self._repeated > MAX_REPEATED:
            message = f"too large: the aliases stand for more than {MAX_REPEATED} values"
            raise ScenarioError(where, message)
        self._place(*known, None)

    def _place(self, node: Node, weight: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, weight)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.weight += weight
        if parent.weight > MAX_NODES:
            raise ScenarioError(parent.where, f"too large: more than {MAX_NODES} values")
        if parent.keys is None:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(node)
        else:
            self._enter(parent, parent.keys, parent.key, node)
            parent.key = None

    def _key(self, node: Node) -> ScalarNode:
        if not isinstance(node, ScalarNode):
            raise ScenarioError(node.where, "a key must be a text, not a list or a mapping")
        return node

    def _enter(
        self, parent: _Open, keys: dict[str, Position], key: ScalarNode, value: Node
    ) -> None:
        if key.text in keys:
            first = keys[key.text]
            message = f"duplicate key {quoted(key.text)}; it stands at line {first.line} already"
            self.mistakes.append(ScenarioError(key.where, message))
            return
        keys[key.text] = key.where
        if key.text == "<<":
            message = "merge keys ('<<') are not part of YAML 1.2; write the keys out"
            self.mistakes.append(ScenarioError(key.where, message))
            parent.incomplete = True
            return
        parent.entries.append(Entry(key.where, key.text, value))
