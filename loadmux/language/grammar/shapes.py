"""Mappings of the language: keys that stand together, and forms of which one stands alone.

A `Key` is declared once: its type, one line of help, its default and examples that run. `Keys` is a
mapping of them, with what goes with what (`Needs`, `Apart`). `Forms` is a mapping that holds one of
several keys and means one thing by each. What is unknown is told with what was probably meant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

from loadmux.checking.frozen import dataclass
from loadmux.errors import Position
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.text import hints
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node, ScalarNode
from loadmux.units import quoted


@dataclass(frozen=True)
class Key:
    """One key. `shown` is the default that stands in words where None stands for it.

    `attribute` of a value is what is written under the key, by default the one of its name.
    `required`: what is said where it is missing. `examples` are texts of scenarios that run.
    """

    name: str
    type: Type
    help: str
    default: Any = None
    shown: Any = None
    attribute: str = ""
    required: str = ""
    examples: tuple[str, ...] = ()

    def schema(self, s: Schemas) -> Schema:
        default = self.written_default()
        given = {} if default is None else {"default": default}
        return {"description": self.help, **s.of(self.type), **given}

    def written_default(self) -> object:
        default = self.default if self.shown is None else self.shown
        return None if default is None else self.type.write(default, Writing())

    def of(self, value: object, w: Writing) -> object:
        """What stands under the key for a value that has it; None where nothing does."""
        found = getattr(value, self.attribute or self.name)
        return None if found is None else self.type.write(found, w)


class Fields:
    """A mapping with declared keys: reports the unknown ones.

    `refused`: there was such a key. `meant`: the keys that the unknown ones probably are, which
    therefore are not missing.
    """

    __slots__ = ("_entries", "_keys", "_r", "meant", "refused", "where")

    def __init__(self, r: Reading, node: MappingNode, what: str, keys: Mapping[str, Key]) -> None:
        self.where = node.where
        self._r = r
        self._keys = keys
        self.refused = node.incomplete
        self.meant = set(keys) if node.incomplete else set[str]()
        self._entries: dict[str, Entry] = {}
        for entry in node.entries:
            if entry.key in keys:
                self._entries[entry.key] = entry
                continue
            self.refused = True
            self.meant.update(filter(None, [hints.meant(entry.key, keys, what)]))
            hint = hints.hint(entry.key, keys, what, "its keys are")
            r.add(entry.where, f"unknown key {quoted(entry.key)} in {what}{hint}")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def there(self, key: str) -> bool:
        """Whether a key was written, be it wrongly."""
        return key in self._entries or key in self.meant

    def node(self, key: str) -> Node | None:
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def get(self, key: str) -> Any:
        """What the key's value means; its default where it is missing or wrong."""
        declared, entry = self._keys[key], self._entries.get(key)
        if entry is None:
            return declared.default
        found = declared.type.read(self._r, entry.value, f"'{key}'")
        return declared.default if found is None else found

    def without(self, keys: Collection[str]) -> Fields:
        """The same mapping, with these keys left for later."""
        found = copy(self)
        found._entries = {key: one for key, one in self._entries.items() if key not in keys}
        return found

    def where_of(self, key: str) -> Position:
        """The place of a key that is there."""
        return self._entries[key].where

    def among(self, keys: Iterable[str]) -> list[Entry]:
        """The entries whose keys are in `keys`, in the file's order."""
        return [entry for entry in self._entries.values() if entry.key in keys]


# --- what goes with what ------------------------------------------------------------------------


def present(keys: Iterable[str]) -> list[Schema]:
    """Exactly one of these keys is there (as `oneOf`), or any (as `anyOf`)."""
    return [{"required": [key]} for key in keys]


class Relation:
    def check(self, r: Reading, fields: Fields) -> None:
        raise NotImplementedError

    def put(self, schema: Schema) -> None:
        """Says it in a schema."""


@dataclass(frozen=True)
class Needs(Relation):
    """`key` stands beside one of `others`."""

    key: str
    others: tuple[str, ...]
    message: str

    def check(self, r: Reading, fields: Fields) -> None:
        if self.key in fields and not any(map(fields.there, self.others)):
            r.add(fields.where_of(self.key), self.message)

    def put(self, schema: Schema) -> None:
        if len(self.others) == 1:
            schema.setdefault("dependentRequired", {}).setdefault(self.key, []).append(*self.others)
        else:
            schema.setdefault("dependentSchemas", {})[self.key] = {"anyOf": present(self.others)}


@dataclass(frozen=True)
class Apart(Relation):
    """`key` does not stand beside `others`, each with what is said then, of the later one."""

    key: str
    others: Mapping[str, str]

    def check(self, r: Reading, fields: Fields) -> None:
        for entry in fields.among(self.others) if self.key in fields else ():
            r.add(max(entry.where, fields.where_of(self.key), key=_place), self.others[entry.key])

    def put(self, schema: Schema) -> None:
        without = {"not": {"anyOf": present(self.others)}}
        schema.setdefault("dependentSchemas", {})[self.key] = without


def _place(where: Position) -> tuple[int, int]:
    return where.line, where.column


# --- keys that stand together -------------------------------------------------------------------


class Keys(Type):
    """A mapping with these keys and no other; what it means is a `values` of their attributes.

    `what` is how messages call it, `remedy` what to write in place of something else, `more` what
    else its schema says. There is no value where anything in it is wrong.
    """

    word = "mapping"

    def __init__(
        self,
        what: str,
        keys: Sequence[Key],
        values: Callable[..., Any] = dict,
        *,
        remedy: str = "",
        relations: Sequence[Relation] = (),
        definition: str = "",
        **more: Any,
    ) -> None:
        self.what = what
        self.keys = {key.name: key for key in keys}
        self.definition = definition
        self._values = values
        self._remedy = remedy
        self._relations = relations
        self._more = more

    def read(self, r: Reading, node: Node, what: str) -> Any:
        fields = self.fields(r, node, what)
        return None if fields is None else self.build(r, fields, node)

    def fields(self, r: Reading, node: Node, what: str = "") -> Fields | None:
        if isinstance(node, MappingNode):
            return Fields(r, node, self.what, self.keys)
        remedy = f"; {self._remedy}" if self._remedy else ""
        message = f"{what or self.what} must be a mapping, not {kind_of(node)}{remedy}"
        return r.refuse(node, message)

    def build(self, r: Reading, fields: Fields, node: Node) -> Any:
        before = len(r.mistakes)
        found = self.all(r, fields)
        wrong = fields.refused or len(r.mistakes) > before
        return None if wrong else self._values(**found)

    def all(self, r: Reading, fields: Fields) -> dict[str, Any]:
        """All the values by their attributes, after what goes with what was checked."""
        found = {key.attribute or key.name: fields.get(key.name) for key in self.keys.values()}
        self.check(r, fields)
        return found

    def check(self, r: Reading, fields: Fields) -> None:
        for key in self.keys.values():
            if key.required and not fields.there(key.name):
                r.add(fields.where, key.required)
        for relation in self._relations:
            relation.check(r, fields)

    def schema(self, s: Schemas) -> Schema:
        required = [key.name for key in self.keys.values() if key.required]
        found: Schema = {
            "type": "object",
            "properties": {name: key.schema(s) for name, key in self.keys.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
            **self._more,
        }
        for relation in self._relations:
            relation.put(found)
        return found

    def write(self, value: Any, w: Writing) -> Any:
        found = {name: key.of(value, w) for name, key in self.keys.items()}
        return {name: one for name, one in found.items() if one is not None}


# --- forms of which one stands alone ------------------------------------------------------------


@dataclass(frozen=True)
class Form(Key):
    """A key that stands alone but for those `beside` it, and then means `make(value, ...)`.

    `reads` makes it instead where more is needed than the value: it gets the key's place, too.
    `cls` is the class of what it means: its fields, or `attribute`, are written under the key.
    """

    make: Callable[..., Any] | None = None
    reads: Callable[[Reading, Entry, Mapping[str, Node]], Any] | None = None
    beside: tuple[Key, ...] = ()
    cls: type | None = None

    def read(self, r: Reading, entry: Entry, others: Mapping[str, Node]) -> Any:
        if self.reads is not None:
            return self.reads(r, entry, others)
        found = self.type.read(r, entry.value, f"'{entry.key}'")
        more = {
            key.name: key.type.read(r, others[key.name], f"'{key.name}'")
            for key in self.beside
            if key.name in others
        }
        if found is None or None in more.values():
            return None
        made = self.make or self.cls
        return found if made is None else made(found, **more)

    def written(self, value: Any, w: Writing) -> dict[str, object]:
        """The mapping that means a value of `cls`."""
        rest = {key.name: key.of(value, w) for key in self.beside}
        names = [one.name for one in dataclasses.fields(value) if one.name not in rest]
        names = [self.attribute] if self.attribute else names
        several = tuple(getattr(value, name) for name in names)
        inner = several if len(names) > 1 else several[0] if names else True
        return {self.name: self.type.write(inner, w)} | {
            name: one for name, one in rest.items() if one is not None
        }


class Forms(Type):
    """A mapping with one of these forms; what else may stand for it, `scalar` and `listed` read."""

    word = "mapping"
    listing: ClassVar[str] = "its forms are"

    def __init__(self, what: str, forms: Sequence[Form], definition: str = "") -> None:
        self.what = what
        self.forms = {form.name: form for form in forms}
        self.definition = definition

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, ScalarNode):
            return self.scalar(r, node, what)
        if isinstance(node, ListNode):
            return self.listed(r, node, what)
        return self.mapping(r, node, what)

    def scalar(self, r: Reading, node: ScalarNode, what: str) -> Any:
        r.add(node.where, f"{what} must be a mapping, not {kind_of(node)}")

    def listed(self, r: Reading, node: ListNode, what: str) -> Any:
        r.add(node.where, f"{what} must be a mapping, not a list")

    def mapping(self, r: Reading, node: MappingNode, what: str) -> Any:
        entry = self.chosen(r, node, what)
        if entry is None:
            return None
        others = {one.key: one.value for one in node.entries if one is not entry}
        return self.forms[entry.key].read(r, entry, others)

    def chosen(self, r: Reading, node: MappingNode, what: str) -> Entry | None:
        """The one form that a mapping is, after its other keys were judged."""
        if len(node.entries) == 1 and not node.incomplete:
            entry = node.entries[0]
            if entry.key in self.forms and not self._required(entry.key):
                return entry
        found = [entry for entry in node.entries if entry.key in self.forms]
        beside = {key.name for entry in found for key in self.forms[entry.key].beside}
        if len(found) > 1:
            found = [entry for entry in found if entry.key not in beside]
        known = (*self.forms, *(name for name in beside if name not in self.forms))
        strange = [entry for entry in node.entries if entry.key not in known]
        for entry in strange:
            hint = hints.hint(entry.key, known, what, self.listing)
            if hint.startswith(f"; {self.listing}"):
                hint = self.near(r, entry.key) or hint
            r.add(entry.where, f"unknown key {quoted(entry.key)} in {what}{hint}")
        if len(found) == 1:
            given = [entry.key for entry in node.entries]
            missing = [key for key in self._required(found[0].key) if key.name not in given]
            if missing and not strange:
                r.add(found[0].where, missing[0].required)
            return None if missing else found[0]
        self.lost(r, node)
        if found:
            keys = " and ".join(f"'{entry.key}'" for entry in found)
            r.add(found[1].where, f"{what} has one form, this one has {keys}")
        elif not strange and not node.incomplete:
            r.add(node.where, f"{what} {self.missing()}")
        return None

    def _required(self, form: str) -> list[Key]:
        return [key for key in self.forms[form].beside if key.required]

    def missing(self) -> str:
        """What a mapping without a form needs."""
        return f"needs a form, one of {', '.join(self.forms)}"

    def near(self, r: Reading, key: str) -> str:
        """`; did you mean 'X'?` for what is not declared here, or nothing."""
        return ""

    def lost(self, r: Reading, node: MappingNode) -> None:
        """A mapping is none of the forms."""

    def schema(self, s: Schemas) -> Schema:
        return self.mapping_schema(s, self.forms.values())

    def mapping_schema(self, s: Schemas, forms: Iterable[Form]) -> Schema:
        listed = list(forms)
        names = [form.name for form in listed]
        properties = {form.name: form.schema(s) for form in listed}
        found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        owners: dict[str, list[str]] = {}
        for form in listed:
            for key in form.beside:
                properties.setdefault(key.name, key.schema(s))
                owners.setdefault(key.name, []).append(form.name)
                if key.required:
                    Needs(form.name, (key.name,), "").put(found)
        for name, of in owners.items():
            if name not in names and len(of) < len(names):
                Needs(name, tuple(of), "").put(found)
        alone = {name: {"not": {"anyOf": present(owners[name])}} for name in owners}
        found["oneOf"] = [{"required": [name], **alone.get(name, {})} for name in names]
        return found

    def write(self, value: Any, w: Writing) -> Any:
        form = next(one for one in self.forms.values() if one.cls is type(value))
        return form.written(value, w)
