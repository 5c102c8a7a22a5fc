"""What plugins add to the language, as far as a schema can tell: their names, not their values.

Who reads the values is the plugin; here any value will do. Only plugins that are installed where
the schema is made are known to it, as they are to the loader.
"""

from __future__ import annotations

from collections.abc import Collection

from loadmux.plugins import GROUPS, Group
from loadmux.registry import BUILT_IN, Registry
from loadmux.schema.parts import Schema

PAYLOADS = {
    "http": "An HTTP request: its path, or {method, path, headers, body}.",
    "resp": "A Redis command: a list of its words.",
    "websocket": "A WebSocket message: a text, {binary}, {ping} or {close: CODE}.",
}
REPLIES = {
    "http": "An HTTP response: its status, or {status, headers, body}.",
    "resp": "A Redis reply: text, number, null, a list, {error}, {map}, {regex}, {any: true}.",
    "websocket": "A WebSocket message, as it is sent, or {pong: PAYLOAD}.",
}


def names(registry: Registry, group: Group) -> list[str]:
    """The names that plugins add; what the language has is never a plugin's."""
    return [name for name in registry.names(group) if name not in BUILT_IN[group]]


def with_forms(schema: Schema, framers: Collection[str], told: dict[str, str]) -> Schema:
    """A PAYLOAD or REPLY that may be a plugin's form, too; `told` describes those of our own."""
    return {"anyOf": [*schema["anyOf"], *(_alone(name, told.get(name)) for name in framers)]}


def _alone(name: str, told: str | None) -> Schema:
    return {
        "type": "object",
        "properties": {name: {"description": told or _whose("framers", name)}},
        "required": [name],
        "additionalProperties": False,
    }


def _whose(group: Group, name: str) -> str:
    return f"What the {GROUPS[group]} {name!r} of a plugin takes."


def framings(framers: Collection[str], most: Schema) -> list[Schema]:
    """What `framing` may be besides; `most` is the option `max`."""
    if not framers:
        return []
    mappings = [
        {
            "type": "object",
            "properties": {name: {"description": _whose("framers", name)}, "max": most},
            "required": [name],
            "additionalProperties": False,
        }
        for name in framers
    ]
    return [{"enum": list(framers)}, *mappings]


def with_steps(step: Schema, actions: Collection[str], modifiers: dict[str, Schema]) -> Schema:
    """A step that may be a plugin's action; `modifiers` are the keys that may stand beside it."""
    if not actions:
        return step
    described = [
        {
            "type": "object",
            "properties": {name: {"description": _whose("steps", name)}, **modifiers},
            "required": [name],
            "additionalProperties": False,
        }
        for name in actions
    ]
    return {"anyOf": [step, *described]}
