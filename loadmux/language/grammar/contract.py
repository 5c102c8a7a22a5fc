"""What a type of the language is: it reads a value, describes it in JSON Schema, and writes it.

A declaration says of each key which type it has, and everything else is derived from that. `read`
gives None for a wrong value, which it has reported; `write` gives what `read` reads as the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadmux.language.grammar.reading import Reading
from loadmux.language.text.yamltree import Node

Schema = dict[str, Any]


@dataclass
class Schemas:
    """What a schema is made with: the names that there are, and the definitions so far.

    `inner` is the definition that the payloads within a payload have.
    """

    models: Collection[str]
    rules: Collection[str]
    framers: Collection[str]
    actions: Collection[str]
    definitions: Schema = field(default_factory=dict)
    inner: str = ""

    def of(self, kind: Type) -> Schema:
        """The schema of a type, by reference where it has a name."""
        if not kind.definition:
            return kind.schema(self)
        return self.refer(kind.definition, kind.schema)

    def refer(self, name: str, make: Callable[[Schemas], Schema]) -> Schema:
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = make(self)
        return {"$ref": f"#/$defs/{name}"}


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing depends on besides the values: how sockets are called, by their places.

    `own`: steps are for one socket alone, and do not say which.
    """

    sockets: Callable[[Sequence[int]], object] = list
    own: bool = False


class Type:
    """`word` is what tables of keys call it; `definition` its name among a schema's."""

    word = "anything"
    definition = ""

    def read(self, r: Reading, node: Node, what: str) -> Any:
        raise NotImplementedError

    def schema(self, s: Schemas) -> Schema:
        raise NotImplementedError

    def write(self, value: Any, w: Writing) -> Any:
        return value


class Forward(Type):
    """A type that is declared further on, as a step holds steps; `stands_for` says which, once."""

    def __init__(self, word: str) -> None:
        self.word = word
        self._kind: Type

    def stands_for(self, kind: Type) -> None:
        self._kind = kind

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return self._kind.read(r, node, what)

    def schema(self, s: Schemas) -> Schema:
        return s.of(self._kind)

    def write(self, value: Any, w: Writing) -> Any:
        return self._kind.write(value, w)
