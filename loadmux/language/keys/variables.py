"""The key `variables`: constants, lists for `for`, and feeders, which are tables of variables.

Constants are known by their names from then on; lists and feeders too, but to `Names` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Fields, Key, Keys, Relation
from loadmux.language.grammar.types import Choice, Constant, Words
from loadmux.language.meaning.scenario import Feeder, Pick, WhenShort
from loadmux.language.text.hints import nearest
from loadmux.language.text.nodes import escaped, kind_of
from loadmux.language.text.yamltree import Entry, ListNode, MappingNode, Node
from loadmux.plugins.payloads import Text

FORM = "write {csv: FILE}"
TABLE = (
    "variables:\n"
    "  account: {csv: accounts.csv, pick: shuffled, when_short: wrap}\n"
    'steps: [{send: "login ${account.name} ${account.password}\\n", expect: reply}]'
)
TABLES = (
    "variables:\n"
    "  account: {csv: accounts.csv, pick: random}\n"
    "  other: {csv: accounts.csv, pick: sequential, when_short: error}\n"
    'steps: [{send: "${account.name} meets ${other.name}", expect: reply}]'
)


class _NeverShort(Relation):
    def check(self, r: Reading, fields: Fields) -> None:
        node = fields.node("pick")
        if "when_short" in fields and getattr(node, "value", None) == "random":
            message = "'when_short' says nothing here: 'pick: random' draws a row again and again"
            r.add(fields.where_of("when_short"), message)

    def put(self, schema: Schema) -> None:
        drawn = {"properties": {"pick": {"const": "random"}}, "required": ["pick", "when_short"]}
        schema["not"] = drawn


# fmt: off
FEEDER = Keys("a feeder", (
    Key("csv", Words(), "A CSV file with a header, looked for beside the scenario.",
        attribute="file", required=f"a feeder needs a file; {FORM}", examples=(TABLE,)),
    Key("pick", Choice(get_args(Pick)), "Which row a user gets: by its number, in an order of"
        " chance, or any.", default="sequential", examples=(TABLES,)),
    Key("when_short", Choice(get_args(WhenShort)), "What fewer rows than users are: an error, or"
        " they begin again.", default="error"),
), relations=(_NeverShort(),),
    description="A feeder: one row of a table for each user, `${name.column}`.")
# fmt: on
VALUE = Constant(patterns.FROM_ENVIRONMENT)


class Variables(Type):
    """Reads to the constants and the feeders."""

    word = "names with values"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        constants: dict[str, str] = {}
        feeders: dict[str, Feeder] = {}
        if not isinstance(node, MappingNode):
            message = f"'variables' must be a mapping, not {kind_of(node)}; write {{NAME: VALUE}}"
            r.add(node.where, message)
            r.names.give_up()
            return constants, feeders
        if node.incomplete:
            r.names.give_up()
        given = r.options.variables
        for entry in node.entries:
            if not r.names.check(entry.where, entry.key, "the variable"):
                continue
            if isinstance(entry.value, MappingNode):
                self._feeder(r, entry, feeders)
            elif isinstance(entry.value, ListNode):
                texts = [_constant(r, item, "an item of a list") for item in entry.value.items]
                r.names.lists[entry.key] = tuple(Text((t,) if t else ()) for t in texts)
            else:
                r.names.define(entry.where, entry.key)
                written = _constant(r, entry.value, "a variable")
                constants[entry.key] = given.get(entry.key, written)
        return constants, feeders

    def _feeder(self, r: Reading, entry: Entry, feeders: dict[str, Feeder]) -> None:
        feeder = _feeder(r, entry)
        r.names.feeders[entry.key] = None if feeder is None else tuple(feeder.columns)
        if feeder is not None:
            feeders[entry.key] = feeder

    def schema(self, s: Schemas) -> Schema:
        described = {"description": "A constant: a text, a number or a boolean."}
        value = {**described, **s.of(VALUE)}
        listed = {"description": "A list for `for`.", "type": "array", "items": value}
        names = {"pattern": patterns.whole(patterns.NAME), **patterns.NOT_BUILT_IN}
        values = {"anyOf": [value, listed, s.of(FEEDER)]}
        return {"type": "object", "propertyNames": names, "additionalProperties": values}

    def write(self, value: Any, w: Writing) -> Any:
        constants, feeders = value
        tables = {name: FEEDER.write(one, w) for name, one in feeders.items()}
        for table in tables.values():
            if table["pick"] == "random":
                del table["when_short"]
        return {**{name: escaped(one) for name, one in constants.items()}, **tables}


def _constant(r: Reading, node: Node, what: str) -> str:
    found = VALUE.read(r, node, what)
    return "" if found is None else r.names.constant(node.where, found)


def _feeder(r: Reading, entry: Entry) -> Feeder | None:
    node = entry.value
    assert isinstance(node, MappingNode)
    if not node.incomplete and not any(nearest(one.key, FEEDER.keys) for one in node.entries):
        message = "a variable must be a constant, a list or a feeder, not a mapping"
        return r.refuse(node, f"{message}; for a feeder {FORM}")
    found: Mapping[str, Any] | None = FEEDER.read(r, node, "a feeder")
    if found is None:
        return None
    from loadmux.language.sources import csvfile

    try:
        columns = csvfile.parse(found["file"], r.files.read(found["file"]))
    except ValueError as error:
        r.add(next(one.value.where for one in node.entries if one.key == "csv"), str(error))
        return None
    return Feeder(where=node.where, name=entry.key, columns=columns, **found)
