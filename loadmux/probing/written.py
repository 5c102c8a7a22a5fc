"""A tree as a scenario file that people read: without defaults, with what was tried in comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from loadmux.language.describing import printing
from loadmux.probing import payloads
from loadmux.probing.reducing import most_users, renamed
from loadmux.probing.shrinking import Hunt
from loadmux.probing.trees import Tree, at, keys, sockets, steps_of, unnamed, without

Meaning = Callable[[str], object]
"""What the text of a file means; None where it is no scenario."""

NEVER_DEFAULT = frozenset({"send", "expect", "name", "pieces", "url", "bundled", "reply", "wait"})
FIRST_WORDS = "# Shrunk by loadmux"
SEARCHED_WITH = ("on_error", "timeout")
"""Keys that the search sets for itself."""


def text_of(tree: Tree) -> str:
    return "\n".join([*printing.lines(tree), ""])


def terse(tree: Tree, meaning: Meaning) -> Tree:
    """The same scenario without all that goes without saying."""
    meant = meaning(text_of(tree))
    for name, value in dict.fromkeys(defaults(tree)):
        shorter = tree
        for path in [path for path in keys(tree) if path[-1] == name and at(tree, path) == value]:
            shorter = without(shorter, path)
        if meaning(text_of(shorter)) == meant:
            tree = shorter
    there = sockets(tree)
    if not there or any(there.values()):
        return tree
    if len(there) > 1:
        return {**tree, "sockets": list(there)}
    alone = renamed(tree, next(iter(there)), "main")
    return {key: one for key, one in alone.items() if key != "sockets"}


def defaults(tree: Tree) -> Iterator[tuple[str | int, str | int | bool]]:
    """Keys with their values that may be what goes without saying, wherever they stand."""
    for path in keys(tree):
        value = at(tree, path)
        if isinstance(value, str | int) and path[-1] not in NEVER_DEFAULT:
            yield path[-1], value


def file_of(hunt: Hunt, tree: Tree, meaning: Meaning, name: str, seconds: float) -> str:
    """The text of a file that has the hunt's smallest scenario; `name` is the original's."""
    rest = {key: one for key, one in tree.items() if key not in SEARCHED_WITH}
    kept = {key: hunt.original[key] for key in SEARCHED_WITH if key in hunt.original}
    said = [f"# {line}" for line in told(hunt, name, seconds)]
    return "\n".join([*said, text_of(terse(unnamed({**rest, **kept}), meaning))])


def told(hunt: Hunt, name: str, seconds: float) -> list[str]:
    """What was tried, in lines."""
    failed, runs = hunt.confirmed
    fails = f"it fails in {failed} of {runs} runs" if runs else "the search was broken off"
    lines = [
        f"Shrunk by loadmux from {name}, which failed with '{hunt.kind}' in {hunt.failed} of"
        f" {hunt.baseline} runs; {fails}.",
        changes(hunt) or "Nothing could be left out.",
        f"Tried: {hunt.candidates} smaller scenarios in {hunt.runs} runs and {seconds:.0f} s;"
        + (" nothing more can go." if hunt.state == "smallest" else " more time may find more."),
    ]
    if hunt.controlled:
        lines.append("One user who cuts nothing passes: that was so of each that was kept.")
    else:
        lines.append("One user who cuts nothing fails as well: look whether its steps are right.")
    return lines


def changes(hunt: Hunt, since: Tree | None = None) -> str:
    """From what to what: `users: 10 to 1, steps: 40 to 2`; from the original, or `since` then."""
    before, after = measured(since or hunt.original), measured(hunt.best)
    pairs = ((name, before[name], after[name]) for name in before)
    return ", ".join(f"{name}: {was} to {now}" for name, was, now in pairs if was != now)


def measured(tree: Tree) -> dict[str, Any]:
    """What makes a scenario large."""
    load = tree.get("load") or {"users": 1}
    steps = [step for _, step in steps_of(tree)]
    sizes = [payloads.length(step["send"]) for step in steps if "send" in step]
    cuts = [
        payloads.cuts_of(step["pieces"], payloads.length(step["send"]))
        for step in steps
        if step.get("pieces")
    ]
    return {
        "users": most_users(load),
        "iterations": load.get("iterations", load.get("run_time", "phases")),
        "sockets": max(1, sum(one.get("count", 1) for one in sockets(tree).values())),
        "steps": len(steps),
        "cuts": sum(len(one or [0]) for one in cuts),
        "bytes sent": sum(one or 0 for one in sizes),
    }
