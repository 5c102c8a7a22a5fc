"""The few shapes that the schema is made of: mappings with the loader's keys, units, names.

A mapping's properties are described under the loader's own table of keys (`keyed`): a key that the
loader has and nobody described is a KeyError when the schema is built, so the two cannot drift.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from loadmux import units
from loadmux.loader import reader
from loadmux.loader.names import BUILT_INS
from loadmux.schema import patterns

Schema = dict[str, Any]


def keyed(keys: Iterable[str], described: Mapping[str, Schema], **more: Any) -> Schema:
    """A mapping with these keys and no others."""
    properties = {key: described[key] for key in keys}
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def one_of(keys: Iterable[str]) -> list[Schema]:
    """Exactly one of these keys is there (as `oneOf`), or any (as `anyOf`)."""
    return [{"required": [key]} for key in keys]


def without(*keys: str) -> Schema:
    """None of these keys is there."""
    return {"not": {"anyOf": one_of(keys)}}


def refer(name: str, description: str = "", **more: Any) -> Schema:
    """What stands under `name` in `$defs`, described as it is meant here."""
    told = {"description": description} if description else {}
    return {**told, "$ref": f"#/$defs/{name}", **more}


def text(description: str, pattern: str | None = None, **more: Any) -> Schema:
    matching = {} if pattern is None else {"pattern": pattern}
    return {"description": description, "type": "string", **matching, **more}


def label(description: str, **more: Any) -> Schema:
    """One line that can stand in a report."""
    return text(description, patterns.LABEL, **more)


def choice(description: str, names: Collection[str], **more: Any) -> Schema:
    return {"description": description, "enum": list(names), **more}


def integer(description: str, least: int, **more: Any) -> Schema:
    bounds = {"minimum": least, "maximum": reader.LARGEST_INTEGER}
    return {"description": description, "type": "integer", **bounds, **more}


def boolean(description: str, default: bool) -> Schema:
    return {"description": description, "type": "boolean", "default": default}


def true(description: str) -> Schema:
    return {"description": description, "const": True}


def items(description: str, item: Schema, least: int = 0, **more: Any) -> Schema:
    found: Schema = {"description": description, "type": "array", "items": item, **more}
    return found if not least else {**found, "minItems": least}


def named(description: str, value: Schema, **more: Any) -> Schema:
    """A mapping from names that texts may use, `${name}`, to values."""
    names = {"pattern": patterns.whole(patterns.NAME), "not": {"enum": list(BUILT_INS)}}
    found: Schema = {"description": description, "type": "object", "propertyNames": names}
    return {**found, "additionalProperties": value, **more}


# --- units --------------------------------------------------------------------------------------


def duration(description: str, *, zero: bool = True, **more: Any) -> Schema:
    return refer("duration" if zero else "positive_duration", description, **more)


def size(description: str, most: int = units.LARGEST, **more: Any) -> Schema:
    """Bytes; a number can be bounded by `most`, a text with a unit only by the loader."""
    number = {"type": "integer", "minimum": 1, "maximum": most}
    return {"description": description, "anyOf": [number, refer("size")], **more}


def unit_definitions() -> Schema:
    durations = {"type": "string", "patternErrorMessage": units.DURATION_FORMS}
    sizes = {"type": "string", "patternErrorMessage": units.SIZE_FORMS}
    return {
        "duration": {**durations, "pattern": patterns.whole(patterns.DURATION)},
        "positive_duration": {
            **durations,
            "pattern": patterns.whole(patterns.NOT_ZERO + patterns.DURATION),
        },
        "size": {**sizes, "pattern": patterns.whole(patterns.NOT_ZERO + patterns.SIZE)},
    }


def constant(description: str, pattern: str) -> Schema:
    """A text, or a number or boolean that is taken as it is written."""
    told = {"description": description, "type": ["string", "number", "boolean"]}
    return {**told, "pattern": pattern}


def pair(description: str) -> Schema:
    return items(description, refer("duration"), minItems=2, maxItems=2)


def alternatives(description: str, options: Sequence[Schema], **more: Any) -> Schema:
    return {"description": description, "anyOf": list(options), **more}
