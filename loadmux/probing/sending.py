"""What a client sends, made smaller: fewer cuts, shorter pauses, shorter messages."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from loadmux import units
from loadmux.probing import payloads
from loadmux.probing.deltas import fewer
from loadmux.probing.trees import Path, Tree, at, put, steps_of, without

Moves = Generator[Tree, bool, Tree]

LEAST_PAUSE = 0.01
"""Seconds below which a pause gets no shorter: a server on a busy machine is to notice it."""
UNKNOWN = 1 << 30
"""The size of a last piece where nobody knows how long the message is."""


def cuts(tree: Tree) -> Moves:
    """Messages in one piece, or cut at fewer places."""
    for path, step in list(steps_of(tree)):
        if step.get("pieces"):
            tree = yield from _fewer_cuts(tree, path)
    return tree


def _fewer_cuts(tree: Tree, path: Path) -> Moves:
    step = at(tree, path)
    size = payloads.length(step.get("send"))
    found = payloads.cuts_of(step["pieces"], size)
    if found is None or size is None:
        return (yield from _fewer_pieces(tree, path))

    def build(kept: list[int]) -> Tree:
        return put(tree, path, cut(step, kept, size))

    kept = yield from fewer(found, build)
    return build(kept) if len(kept) < len(found) else tree


def cut(step: Tree, kept: list[int], size: int) -> Tree:
    """A step whose message, of so many bytes, is cut there."""
    rest = {key: one for key, one in step.items() if key != "pieces" and (kept or key != "gap")}
    pieces = payloads.pieces_of(kept, size)
    return rest if pieces is None else {**rest, "pieces": pieces}


def _fewer_pieces(tree: Tree, path: Path) -> Moves:
    """The same where nobody knows beforehand how long the message is."""
    step = at(tree, path)
    whole = put(tree, path, cut(step, [], 0))
    if (yield whole):
        return whole
    if step["pieces"] == "each_byte":
        for first in (1, 2, 4):
            candidate = put(tree, (*path, "pieces"), [first, UNKNOWN])
            if (yield candidate):
                return candidate
    return tree


def hurried(tree: Tree) -> Moves:
    """All pauses shorter at once, so that each run that follows takes less time."""
    for divisor in (100, 10):
        candidate = _in_a_hurry(tree, divisor)
        if candidate == tree or (yield candidate):
            return candidate
    return tree


def _in_a_hurry(tree: Tree, divisor: int) -> Tree:
    for path, step in list(steps_of(tree)):
        for key in ("wait", "gap"):
            if key in step and (seconds := seconds_of(step[key])) > LEAST_PAUSE:
                tree = put(tree, (*path, key), _shortened(seconds, divisor))
    return tree


def _shortened(seconds: float, divisor: int) -> str:
    return units.duration_text(max(LEAST_PAUSE, round(seconds / divisor, 6)))


def waits(tree: Tree) -> Moves:
    """Shorter pauses; one that cannot go altogether is a step that stays."""
    for path, step in list(steps_of(tree)):
        if "wait" in step:
            tree = yield from _sooner(tree, (*path, "wait"))
        if step.get("gap", "0s") != "0s":
            candidate = without(tree, (*path, "gap"))
            tree = candidate if (yield candidate) else (yield from _sooner(tree, (*path, "gap")))
    return tree


def _sooner(tree: Tree, where: Path) -> Moves:
    for divisor in (100, 10, 2):
        seconds = seconds_of(at(tree, where))
        if seconds > LEAST_PAUSE:
            candidate = put(tree, where, _shortened(seconds, divisor))
            if (yield candidate):
                tree = candidate
    return tree


def seconds_of(value: Any) -> float:
    """How long a pause is, or is at least in most cases; 0 where that is not said."""
    for text in [value] if isinstance(value, str) else _longest(value):
        try:
            return units.duration(text)
        except ValueError:
            return 0.0
    return 0.0


def _longest(value: Any) -> list[str]:
    found: Any = next(iter(value.values()), []) if isinstance(value, dict) else []
    listed = found if isinstance(found, list) else [found]
    return [str(listed[0 if "normal" in value else -1])] if listed else []


def contents(tree: Tree, controlled: bool) -> Moves:
    """Shorter messages, where the reply is right or wrong whatever is sent, or control tells."""
    for path, step in list(steps_of(tree)):
        if "send" in step and (controlled or follows(step.get("expect"))):
            tree = yield from _shorter(tree, path)
    return tree


def follows(reply: Any) -> bool:
    """Whether a right reply follows from what is sent, whatever that is."""
    if isinstance(reply, dict):
        return "rule" in reply or (set(reply) == {"frame"} and follows(reply["frame"]))
    return reply in ("reply", "${sent}")


def _shorter(tree: Tree, path: Path) -> Moves:
    step = at(tree, path)
    size = payloads.length(step["send"])
    places = payloads.cuts_of(step["pieces"], size) if step.get("pieces") else []

    def build(payload: Any) -> Tree:
        """Its cuts stay where they are; those beyond its end are gone."""
        left = payloads.length(payload)
        changed = {**step, "send": payload, **_expected(step, payload)}
        if places and left is not None:
            changed = cut(changed, [one for one in places if one < left], left)
        return put(tree, path, changed)

    found = yield from payloads.smaller(step["send"], build)
    return tree if found == step["send"] else build(found)


def _expected(step: Tree, payload: Any) -> Tree:
    """A reply that is written out and has what was sent in it, with what is sent now."""
    sent, reply = step["send"], step.get("expect")
    if not (isinstance(sent, str) and isinstance(payload, str) and isinstance(reply, str)):
        return {}
    for change in (str, str.upper):
        if sent and change(sent) in reply and reply != "reply":
            return {"expect": reply.replace(change(sent), change(payload))}
    return {}
