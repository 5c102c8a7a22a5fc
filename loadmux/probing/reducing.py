"""The ways in which a scenario is made smaller, each a search that yields candidates.

A candidate is a tree (`trees`); whether it still fails is sent back. Not every candidate is a valid
scenario: whoever carries the search on says of one that is not that it does not fail. Nothing is
taken away that would make a right server wrong: an `expect` goes with its `send`, what is sent gets
shorter only where the expected reply follows from it, or where that was tried (`Hunt`'s control).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from loadmux import units
from loadmux.probing.deltas import fewer, least
from loadmux.probing.sending import contents, cuts, hurried, seconds_of, waits
from loadmux.probing.trees import (
    ON_SOCKETS,
    Path,
    Tree,
    at,
    put,
    settled,
    sockets,
    spoken_on,
    step_lists,
    steps_of,
    tidy,
    tied,
    ungrouped,
    without,
)

Moves = Generator[Tree, bool, Tree]
Way = Callable[[Tree], Moves]

MORE = ((10, False), (100, False), (100, True), (1000, True))
"""Iterations to try, of one user or of all."""
OPTIONS = (
    *("read", "ignore", "answer", "receive_buffer", "send_buffer"),
    *("source", "linger", "idle_close", "nodelay"),
)
KEPT_TOGETHER = frozenset({"framing", "tls", "to", "count"})
"""Options without which a socket speaks another language."""
SHORTEST = "1ms"
PATIENT = "1s"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the fault: the steps at which it was seen; whether what is sent may be
    changed where the reply is written out, since each candidate is tried on a gentle client too.
    """

    failing: Collection[str] = ()
    controlled: bool = False


def ways(known: Known) -> dict[str, Way]:
    """All of them by name, in the order in which they save most."""
    return {
        "timeout": sooner_over,
        "hurry": hurried,
        "load": load,
        "steps": lambda tree: steps(tree, known.failing),
        "nesting": unwrapped,
        "sockets": fewer_sockets,
        "cuts": cuts,
        "waits": waits,
        "options": options,
        "payloads": lambda tree: contents(tree, known.controlled),
    }


def prepared(tree: Tree) -> Tree:
    """Where the search begins: no thresholds, all sockets by name, the first fault ends it."""
    tree = {key: one for key, one in tree.items() if key not in ("thresholds", "weight")}
    tree = tree if "load" in tree else {**tree, "load": {"users": 1, "iterations": 1}}
    tree = ungrouped(tree)
    names = list(sockets(tree)) or ["main"]
    for path, step in list(steps_of(tree)):
        for key in ("on", *ON_SOCKETS):
            if step.get(key) == "all":
                tree = put(tree, (*path, key), names if len(names) > 1 else names[0])
    return {**tree, "on_error": "abort"}


def gentle(tree: Tree) -> Tree:
    """The same of one user who is in no hurry: nothing is cut, and nothing waits."""
    for path, step in list(steps_of(tree)):
        for key in ("pieces", "gap"):
            if key in step:
                tree = without(tree, (*path, key))
        if "wait" in step:
            tree = put(tree, (*path, "wait"), SHORTEST)
    return {**tree, "load": {"users": 1, "iterations": 1}}


def sooner_over(tree: Tree) -> Moves:
    """A candidate that is wrong waits for what never comes: not for longer than need be."""
    if seconds_of(tree.get("timeout", "5s")) > units.duration(PATIENT):
        candidate = {**tree, "timeout": PATIENT}
        if (yield candidate):
            return candidate
    return tree


# --- load ---------------------------------------------------------------------------------------


def load(tree: Tree) -> Moves:
    """Fewer users and iterations, in place of a time or a schedule."""
    given = {key: one for key, one in tree["load"].items() if key != "graceful_stop"}
    most, times = most_users(given), given.get("iterations")
    plain = set(given) <= {"users", "iterations"} and isinstance(times, int)
    for users, iterations in _loads(most, times if plain else None):
        candidate = {**tree, "load": {"users": users, "iterations": iterations}}
        if candidate != tree and (yield candidate):
            tree = candidate
            break
    for key in ("users", "iterations"):
        if isinstance(tree.get("load", {}).get(key), int):
            tree = yield from _least(tree, ("load", key))
    return tree


def _least(tree: Tree, where: Path) -> Moves:
    """The tree with the smallest whole number there."""
    number = yield from least(at(tree, where), 1, lambda n: put(tree, where, n))
    return put(tree, where, number)


def most_users(load: Tree) -> int:
    """The most users that a load has at once."""
    phases = load.get("phases")
    if phases:
        return max(map(most_users, phases))
    found = load.get("max_users", load.get("users", 1))
    return max(int(one) for one in str(found).split(".."))


def _loads(most: int, times: int | None) -> Iterator[tuple[int, int]]:
    """Users and iterations to try; `times` is None where the load ends by time."""
    yield 1, 1
    yield most, 1
    if times is not None:
        yield 1, times
        return
    for iterations, alone in MORE:
        yield 1 if alone else most, iterations


# --- steps --------------------------------------------------------------------------------------


def steps(tree: Tree, failing: Collection[str]) -> Moves:
    """Fewer steps: first what comes after the fault, then whatever else can go."""
    tree = yield from _without_tail(tree, failing)
    done: set[Path] = set()
    while path := next((one for one in step_lists(tree) if one not in done), None):
        done.add(path)
        tree = yield from _fewer_steps(tree, path)
        for where in [where for where, step in steps_of(tree) if "together" in step]:
            if where[:-1] == path:
                tree = yield from _fewer_branches(tree, (*where, "together"))
    return tree


def _fewer_branches(tree: Tree, where: Path) -> Moves:
    branches = at(tree, where)
    kept = yield from fewer(branches, lambda one: settled(put(tree, where, one), tree))
    return settled(put(tree, where, kept), tree) if len(kept) < len(branches) else tree


def _without_tail(tree: Tree, failing: Collection[str]) -> Moves:
    every = tree.get("steps", [])
    there = [place for place, step in enumerate(every) if _holds(step, failing)]
    for place in dict.fromkeys((*there[:1], *there[-1:])):
        groups = [group for group in tied(every) if group[0] <= place]
        kept = sorted(one for group in groups for one in group)
        shorter = settled({**tree, "steps": [every[one] for one in kept]}, tree)
        if shorter != tree and (yield shorter):
            return shorter
    return tree


def _holds(step: Any, names: Collection[str]) -> bool:
    """Whether a step, or one in it, has one of these names."""
    if isinstance(step, dict):
        return step.get("name") in names or any(_holds(one, names) for one in step.values())
    return isinstance(step, list) and any(_holds(one, names) for one in step)


def _fewer_steps(tree: Tree, path: Path) -> Moves:
    listed = at(tree, path)

    def build(groups: list[list[int]]) -> Tree:
        kept = [listed[place] for place in sorted(place for group in groups for place in group)]
        return settled(put(tree, path, kept), tree)

    groups = tied(listed)
    kept = yield from fewer(groups, build)
    return tree if len(kept) == len(groups) else build(kept)


def unwrapped(tree: Tree) -> Moves:
    """What stands in `repeat`, `for`, `transaction` and `together` by itself, or less often."""
    done: set[str] = set()
    while found := next(_nesting(tree, done), None):
        path, step = found
        done.add(str(step.get("name")))
        inner = list(_inner(step))
        holder, place = at(tree, path[:-1]), path[-1]
        flat = put(tree, path[:-1], [*holder[:place], *inner, *holder[int(place) + 1 :]])
        flat = settled(flat, tree)
        if (yield flat):
            tree = flat
        else:
            tree = yield from _less_often(tree, path)
    return tree


def _nesting(tree: Tree, done: Collection[str]) -> Iterator[tuple[Path, Tree]]:
    for path, step in steps_of(tree):
        if ("do" in step or "together" in step) and str(step.get("name")) not in done:
            yield path, step


def _inner(step: Tree) -> Iterator[Tree]:
    for branch in [step["do"]] if "do" in step else step["together"]:
        yield from branch if isinstance(branch, list) else branch["background"]


def _less_often(tree: Tree, path: Path) -> Moves:
    step = at(tree, path)
    if isinstance(step.get("repeat"), int):
        return (yield from _least(tree, (*path, "repeat")))
    if isinstance(step.get("for"), dict):
        ((name, values),) = step["for"].items()
        if isinstance(values, list):
            where = (*path, "for", name)
            kept = yield from fewer(values, lambda one: put(tree, where, one))
            return put(tree, where, kept)
    return tree


# --- sockets ------------------------------------------------------------------------------------


def fewer_sockets(tree: Tree) -> Moves:
    """Steps on fewer sockets at a time, groups of fewer sockets, one socket in place of two."""
    for path, step in list(steps_of(tree)):
        for key in ("on", *ON_SOCKETS):
            if isinstance(step.get(key), list):
                tree = yield from _on_fewer(tree, (*path, key))
    for name, given in list(sockets(tree).items()):
        if isinstance(given.get("count"), int):
            tree = yield from _least(tree, ("sockets", name, "count"))
    return (yield from _joined(tidy(tree)))


def _on_fewer(tree: Tree, where: Path) -> Moves:
    def build(names: list[str]) -> Tree:
        return put(tree, where, names[0] if len(names) == 1 else names)

    names = at(tree, where)
    kept = yield from fewer(names, build)
    return build(kept) if len(kept) < len(names) else tree


def _joined(tree: Tree) -> Moves:
    for name in list(sockets(tree))[1:]:
        for other in list(sockets(tree)):
            there = sockets(tree)
            if (
                other == name
                or name not in there
                or _language(there, name) != _language(there, other)
            ):
                continue
            candidate = tidy(renamed(tree, name, other))
            if (yield candidate):
                tree = candidate
    return tree


def _language(there: dict[str, Tree], name: str) -> Tree:
    return {key: one for key, one in there[name].items() if key in KEPT_TOGETHER}


def renamed(tree: Tree, name: str, other: str) -> Tree:
    """The steps on one socket carried out on another."""
    for path, step in list(steps_of(tree)):
        for key in ("on", *ON_SOCKETS):
            if key in step and name in spoken_on({key: step[key]}):
                listed = step[key] if isinstance(step[key], list) else [step[key]]
                renamed = list(dict.fromkeys(other if one == name else one for one in listed))
                tree = put(tree, (*path, key), renamed if len(renamed) > 1 else renamed[0])
    return tree


def options(tree: Tree) -> Moves:
    """Sockets without what a plain one does not have."""
    for name, given in list(sockets(tree).items()):
        for key in OPTIONS:
            if key in given and given[key] not in (True, "fault"):
                candidate = without(tree, ("sockets", name, key))
                if (yield candidate):
                    tree = candidate
    return tree
