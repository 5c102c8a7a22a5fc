"""A scenario as the nested values of its file: where its steps stand, and what hangs on what.

Values are those of `language.describing.printing`: every name and default written out. A tree is
never changed in place. Nothing here knows a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from loadmux.language.meaning.stepvalues import SocketAction

Tree = dict[str, Any]
Path = tuple[str | int, ...]
"""Keys of mappings and places in lists, from the top."""

LISTS = ("before", "steps", "after")
ON_SOCKETS: tuple[str, ...] = get_args(SocketAction)
OPENS = {"send", "half_close", "stop_reading", "cork"}
"""What a later step on the same socket answers or undoes: one without the other is another tale."""
_TEXT = re.compile(r"(?<!\$)\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")
_GROUP = re.compile(r"\(\?P<(\w+)>")
_DEFAULT_NAME = re.compile(r".* #\d+")


def plain(value: Any) -> Any:
    """The same of dicts and lists alone."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Tree, path: Path, value: Any) -> Tree:
    """A tree that has `value` there."""
    changed: Tree = _put(tree, path, value)
    return changed


def _put(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    copied = tree.copy()
    copied[path[0]] = _put(tree[path[0]] if len(path) > 1 else None, path[1:], value)
    return copied


def without(tree: Tree, path: Path) -> Tree:
    """A tree that has nothing there."""
    holder = at(tree, path[:-1]).copy()
    del holder[path[-1]]
    return put(tree, path[:-1], holder)


def strings(value: Any) -> Iterator[str]:
    """All texts in it, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def keys(value: Any) -> Iterator[Path]:
    """Where each value of a mapping in it stands, inner ones first."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in pairs:
        if isinstance(one, dict | list):
            yield from ((key, *path) for path in keys(one))
        if isinstance(value, dict):
            yield (key,)


# --- lists of steps -----------------------------------------------------------------------------


def step_lists(tree: Tree) -> list[Path]:
    """Where there are lists of steps, outer ones first."""
    found: list[Path] = [(key,) for key in LISTS if tree.get(key)]
    for name, options in sockets(tree).items():
        if options.get("on_connect"):
            found.append(("sockets", name, "on_connect"))
    for path in found:  # grows as it goes
        for place, step in enumerate(at(tree, path)):
            found += [(*path, place, *inner) for inner in inner_lists(step)]
    return found


def inner_lists(step: Tree) -> list[Path]:
    found: list[Path] = [("do",)] if "do" in step else []
    for number, branch in enumerate(step.get("together", ())):
        background = isinstance(branch, dict)
        found.append(("together", number, *(["background"] if background else [])))
    return found


def steps_of(tree: Tree) -> Iterator[tuple[Path, Tree]]:
    """All steps, each with where it stands."""
    for path in step_lists(tree):
        for place, step in enumerate(at(tree, path)):
            yield (*path, place), step


def sockets(tree: Tree) -> dict[str, Tree]:
    """The options of the sockets, by name."""
    found = tree.get("sockets") or {}
    return found if isinstance(found, dict) else {}


def group_of(socket: str) -> str:
    return socket.partition("[")[0]


def ungrouped(tree: Tree) -> Tree:
    """The same with a socket of its own name for each of a group, so that each can go."""
    members: dict[str, list[str]] = {}
    options: dict[str, Tree] = {}
    for name, given in sockets(tree).items():
        rest = {key: one for key, one in given.items() if key != "count"}
        places = range(given.get("count", 0))
        members[name] = [f"{name}-{place}" for place in places] or [name]
        options |= dict.fromkeys(members[name], rest)
    if list(options) == list(members):
        return tree
    for path, step in list(steps_of(tree)):
        for key in ("on", *ON_SOCKETS):
            if key in step:
                named = [
                    one for name in spoken_on({key: step[key]}) for one in _each(name, members)
                ]
                tree = put(tree, (*path, key), named if len(named) > 1 else named[0])
    return {**tree, "sockets": options}


def _each(name: str, members: dict[str, list[str]]) -> list[str]:
    """The new names of a socket, a member of a group, or a whole group."""
    group, _, place = name.partition("[")
    if place and group in members:
        return [members[group][int(place.rstrip("]"))]]
    return members.get(name, [name])


def spoken_on(step: Tree) -> list[str]:
    """The sockets that a step names."""
    named = [step[key] for key in ("on", *ON_SOCKETS) if key in step]
    return [name for one in named for name in (one if isinstance(one, list) else [one])]


def tied(steps: Sequence[Tree]) -> list[list[int]]:
    """The places of steps in groups that go or stay together, in order.

    An `expect` of its own goes with the sends that it answers (or the half-close), and
    `resume_reading` with what it undoes.
    """
    owner = list(range(len(steps)))
    open_on: dict[str, list[int]] = {}
    for place, step in enumerate(steps):
        closes = _closes(step)
        for name in spoken_on(step):
            if closes and open_on.get(name):
                for earlier in open_on[name]:
                    first, other = sorted((owner[earlier], owner[place]))
                    owner = [first if one == other else one for one in owner]
                open_on[name] = open_on[name] if _more(steps, place, name) else []
            elif OPENS & step.keys() and "expect" not in step:
                open_on.setdefault(name, []).append(place)
            else:
                open_on[name] = []
    groups: dict[int, list[int]] = {}
    for place, first in enumerate(owner):
        groups.setdefault(first, []).append(place)
    return list(groups.values())


def _closes(step: Tree) -> bool:
    return ("expect" in step and "send" not in step) or "resume_reading" in step


def _more(steps: Sequence[Tree], place: int, name: str) -> bool:
    """Whether the next step on this socket is one more that answers."""
    later = (step for step in steps[place + 1 :] if name in spoken_on(step))
    return any(_closes(step) for step in list(later)[:1])


# --- names --------------------------------------------------------------------------------------


def used(value: Any) -> set[str]:
    """The names that texts replace."""
    return {name for text in strings(value) for one in _TEXT.findall(text) for name in _words(one)}


def _words(text: str) -> list[str]:
    return _NAME.findall(text)


def defined(value: Any) -> set[str]:
    """The names that steps save or set."""
    found: set[str] = set()
    if isinstance(value, dict):
        saved = value.get("save")
        found |= {saved} if isinstance(saved, str) else set()
        found |= set(value["set"]) if isinstance(value.get("set"), dict) else set()
        value = list(value.values())
    if isinstance(value, list):
        found = found.union(*map(defined, value))
    elif isinstance(value, str):
        found |= set(_GROUP.findall(value))
    return found


def settled(tree: Tree, before: Tree) -> Tree:
    """A tree that steps were taken from: steps that use what these saved go as well, as do sockets,
    variables and lists that nothing names any more.
    """
    while lost := defined(before) - defined(tree):
        orphans = [path for path, step in steps_of(tree) if used(_own(step)) & lost]
        if not orphans:
            break
        before, tree = tree, without(tree, orphans[-1])
        if before == tree:
            break
    return tidy(tree)


def _own(step: Tree) -> Tree:
    """A step without the steps in it."""
    return {key: one for key, one in step.items() if key not in ("do", "together")}


def tidy(tree: Tree) -> Tree:
    """The same without sockets, variables, targets and lists of steps that nothing needs."""
    tree = {key: one for key, one in tree.items() if one or key not in ("before", "after")}
    steps = [tree.get(key, []) for key in LISTS]
    named = set(strings(steps)) | {group_of(text) for text in strings(steps)}
    there = sockets(tree)
    kept = {name: options for name, options in there.items() if name in named}
    if kept and len(kept) < len(there):
        tree = {**tree, "sockets": kept}
    rest = {key: one for key, one in tree.items() if key != "variables"}
    if tree.get("variables") and not any("call" in step for _, step in steps_of(tree)):
        needed = used(rest)
        left = {name: one for name, one in tree["variables"].items() if name in needed}
        tree = {**rest, "variables": left} if left else rest
    return _without_targets(tree)


def _without_targets(tree: Tree) -> Tree:
    """Of several targets those to which a socket connects."""
    needed = {options["to"] for options in sockets(tree).values() if "to" in options}
    targets = tree.get("target")
    if not needed or not isinstance(targets, dict) or not needed <= set(targets):
        return tree
    return {**tree, "target": {name: one for name, one in targets.items() if name in needed}}


def unnamed(tree: Tree) -> Tree:
    """The same without the names that steps have by their numbers."""
    for path, step in reversed(list(steps_of(tree))):
        if _DEFAULT_NAME.fullmatch(str(step.get("name", ""))):
            tree = without(tree, (*path, "name"))
    return tree
