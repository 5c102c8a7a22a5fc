"""Payloads, as a file has them, made smaller: how long each is, where it is cut, its bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import pairwise
from typing import Any

from loadmux import units
from loadmux.probing.deltas import fewer, least, shorter

Moves = Generator[Any, bool, Any]
Build = Callable[[Any], Any]

HOLDERS = ("frame", "text", "sized", "checked")
"""Forms of a payload that hold another one."""


def length(payload: Any) -> int | None:
    """Bytes of a payload; None where only the run tells."""
    if isinstance(payload, str):
        return None if "${" in payload else len(payload.encode())
    if not isinstance(payload, dict):
        return None
    if "hex" in payload:
        return len(bytes.fromhex(payload["hex"]))
    if (size := _number(payload.get("random"))) is not None:
        return size
    if "repeat" in payload and (times := _number(payload.get("times"))) is not None:
        once = length(payload["repeat"])
        return None if once is None else once * times
    if "join" in payload:
        parts = [length(one) for one in payload["join"]]
        known = [one for one in parts if one is not None]
        return sum(known) if len(known) == len(parts) else None
    return length(payload["text"]) if "text" in payload else None


def _number(value: Any) -> int | None:
    """A number or a size such as 64KiB."""
    try:
        return value if isinstance(value, int) else units.size(str(value))
    except ValueError:
        return None


def cuts_of(pieces: Any, size: int | None) -> list[int] | None:
    """After which bytes a message is cut; None where only the run tells."""
    if size is None:
        return None
    if pieces == "each_byte":
        return list(range(1, size))
    sizes = pieces if isinstance(pieces, list) else [pieces]
    if not sizes or not all(isinstance(one, int) and one > 0 for one in sizes):
        return None
    found, place, number = [], 0, 0
    while (place := place + sizes[min(number, len(sizes) - 1)]) < size:
        found.append(place)
        number += 1
    return found


def pieces_of(cuts: list[int], size: int) -> list[int] | None:
    """The sizes that cut a message so; None where it is whole."""
    if not cuts:
        return None
    edges = [0, *cuts, size]
    return [last - first for first, last in pairwise(edges)]


def smaller(payload: Any, build: Build) -> Moves:
    """The smallest payload, of this form, with which `build(payload)` still fails."""
    if isinstance(payload, str):
        return (yield from _shorter_text(payload, build))
    if not isinstance(payload, dict):
        return payload
    holder = next((key for key in HOLDERS if key in payload), None)
    if holder is not None:
        inner = yield from smaller(payload[holder], lambda one: build({**payload, holder: one}))
        return {**payload, holder: inner}
    if "hex" in payload:
        data = list(bytes.fromhex(payload["hex"]))
        kept = yield from shorter(data, lambda one: build({"hex": bytes(one).hex(" ")}))
        return {"hex": bytes(kept).hex(" ")}
    if "repeat" in payload and (yield build(payload["repeat"])):
        return (yield from smaller(payload["repeat"], build))
    counted = next((key for key in ("random", "times") if _number(payload.get(key))), None)
    if counted is not None:
        most = _number(payload[counted]) or 1
        number = yield from least(most, 1, lambda n: build({**payload, counted: n}))
        return {**payload, counted: number}
    if "join" in payload:
        parts = yield from fewer(payload["join"], lambda one: build({**payload, "join": one}))
        return {**payload, "join": parts}
    return payload


def _shorter_text(text: str, build: Build) -> Moves:
    if "${" in text:
        return text
    kept = yield from shorter(list(text), lambda one: build("".join(one)))
    return "".join(kept)
