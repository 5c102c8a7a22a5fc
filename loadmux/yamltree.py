"""Turns YAML 1.2 text into a small immutable tree in which every key and value knows its place.

ruamel.yaml (its pure Python parser) only finds the events; what they mean is decided here,
because a scenario must read the same everywhere: plain scalars follow the core schema of YAML
1.2.2, section 10.3.2 (`on` and `yes` are texts, `010` is ten, dates are texts), only the tags of
that schema are allowed, merge keys and second documents are refused, and a duplicate key is a
mistake, never the last one wins. The tree is built from events without recursion, bounded in
depth and, for aliases, in size, so that no file can exhaust the stack or the memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from loadmux.errors import Position, ScenarioError, ScenarioErrors
from loadmux.units import quoted

MAX_DEPTH = 64
MAX_NODES = 200_000

Value = str | int | float | bool | None


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


# --- scalars ------------------------------------------------------------------------------------

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
# CPython turns longer digit strings into numbers only on request; no key of ours needs them.
_LONGEST_NUMBER = 1000


def resolve(text: str) -> Value:
    """The value of a plain scalar under the core schema of YAML 1.2.2 (10.3.2)."""
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


_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}


def _tagged(tag: str, event: Any, where: Position) -> Value:
    """The value of a scalar with an explicit tag."""
    name = tag.removeprefix(_TAG)
    if tag == "!" or name == "str":
        return str(event.value)
    wanted = _SCALAR_TAGS.get(name) if tag.startswith(_TAG) else None
    if wanted is None:
        raise _refused_tag(where, tag)
    value = resolve(event.value)
    if not isinstance(value, wanted) or (isinstance(value, bool) and name != "bool"):
        raise ScenarioError(where, f"{quoted(event.value)} is not a !!{name}")
    return float(value) if name == "float" and value is not None else value


def _refused_tag(where: Position, tag: str) -> ScenarioError:
    shown = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
    return ScenarioError(where, f"the tag {quoted(shown)} is not allowed; write a plain value")


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
        return self.at(event.start_mark.index)


# --- events -------------------------------------------------------------------------------------

# YAML's printable characters without U+0085, U+2028 and U+2029: line breaks in YAML 1.1, none in
# YAML 1.2, so a parser may fold them and change a payload without a word.
_REFUSED = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def _events(source: _Source) -> Iterator[Any]:
    """The parser's events; whatever it chokes on becomes one ScenarioError."""
    bad = _REFUSED.search(source.text)
    if bad is not None:
        code = f"U+{ord(bad[0]):04X}"
        message = f"the character {code} cannot stand here; write it as an escape in double quotes"
        raise ScenarioError(source.at(bad.start()), message)
    last = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(source.text):
            last = event.end_mark.index
            yield event
    except MarkedYAMLError as error:
        raise _syntax_error(source, error, last) from None
    except (ValueError, OverflowError):
        # chr() of an escape above U+10FFFF, which ruamel does not catch; it leaves no place either.
        message = "not valid YAML: an escape after this place stands for no character"
        raise ScenarioError(source.at(last), message) from None


def _syntax_error(source: _Source, error: MarkedYAMLError, last: int) -> ScenarioError:
    mark = error.problem_mark or error.context_mark
    index = last if mark is None else mark.index
    problem = " ".join(str(error.problem or error.context or "it cannot be read").split())
    if error.context and error.context_mark is not None and error.problem:
        begin = source.at(error.context_mark.index)
        problem += f" {error.context} that began at line {begin.line}, column {begin.column}"
    return ScenarioError(
        source.at(index), f"not valid YAML: {problem}{_remedy(source.text, index)}"
    )


def _remedy(text: str, index: int) -> str:
    """What to do about the mistakes that scenario authors make most."""
    found, before = text[index : index + 1], text[max(0, index - 1) : index]
    if found == "\t":
        return "; indent with spaces, not tabs"
    if found and found in "[{" and before and not before.isspace():
        return "; inside {...} and [...] write texts such as 'group[0]' and '${name}' in quotes"
    if found == ":":
        return "; write a text that holds ': ' in quotes"
    if found and found in "@`%":
        return "; write a text that begins so in quotes"
    return ""


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

    def take(self, event: Any) -> None:
        if isinstance(event, DocumentStartEvent):
            self._start_document(event)
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, ScalarEvent):
            self._place(self._scalar(event), 1, event.anchor)
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._start_collection(event)
        elif isinstance(event, CollectionEndEvent):
            self._end_collection()

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        where = self._source.start_of(event)
        if self._documents > 1:
            raise ScenarioError(
                where, "a second document; a scenario file holds one, without '---'"
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            version = ".".join(map(str, event.version))
            message = f"%YAML {version} is not supported; scenario files are YAML 1.2"
            raise ScenarioError(Position(self._source.path, 1, 1), message)

    def _scalar(self, event: Any) -> ScalarNode:
        where = self._source.start_of(event)
        try:
            # Two escapes such as "\ud83d\ude00" are one character (JSON); a lone half is none.
            text = event.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            message = "half of a surrogate pair is no character; write the whole one, or use {hex}"
            raise ScenarioError(where, message) from None
        if event.tag is not None:
            return ScalarNode(where, text, _tagged(event.tag, event, where))
        value = resolve(text) if event.style is None else text
        return ScalarNode(where, text, value, event.style != '"')

    def _start_collection(self, event: Any) -> None:
        where = self._source.start_of(event)
        is_mapping = isinstance(event, MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_mapping else "seq")):
            raise _refused_tag(where, event.tag)
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
            message = f"too large: more than {MAX_NODES} values once the aliases are written out"
            raise ScenarioError(parent.where, message)
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
