"""`include: FILE` in a list of steps: the steps of that file, as if they stood there.

Their places are those in their own file. A file that includes itself, however far around, is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from loadmux.errors import ScenarioErrors
from loadmux.language.grammar.reading import Reading
from loadmux.language.text import nodes, yamltree
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import ListNode, MappingNode, Node
from loadmux.units import quoted

INCLUDE = "include"
MOST = 10_000
"""Files that a scenario may include in all, each as often as it is."""


def opened(r: Reading, node: Node) -> Iterator[Node]:
    """The step itself, or those of the file that it includes."""
    keys = [entry.key for entry in node.entries] if isinstance(node, MappingNode) else []
    if INCLUDE not in keys or not isinstance(node, MappingNode):
        yield node
        return
    entry = node.entries[keys.index(INCLUDE)]
    for other in node.entries:
        if other is not entry:
            message = f"'include' stands alone in its step; take {quoted(other.key)} out"
            r.add(other.where, message)
    name = nodes.text(r.mistakes, entry.value, "'include'")
    steps = None if name is None else _steps(r, entry.value, name)
    if name is None or steps is None:
        r.lose_steps()
        return
    found, listed = steps
    r.including.append(found)
    for item in listed.items:
        yield from opened(r, item)
    r.including.pop()


def _steps(r: Reading, node: Node, name: str) -> tuple[str, ListNode] | None:
    found, data, problem = _read(r, name)
    r.included += 1
    if data is None:
        return r.refuse(node, problem)
    if found in r.including or r.included > MOST:
        around = f"{quoted(name)} includes itself" if found in r.including else ""
        return r.refuse(node, around or f"more than {MOST} files are included")
    try:
        tree, errors = yamltree.parse(str(r.folder / found), data.decode())
    except ScenarioErrors as error:
        r.mistakes.extend(error.errors)
        return None
    except UnicodeDecodeError:
        return r.refuse(node, f"{quoted(name)} is not UTF-8; save it as UTF-8")
    r.mistakes.extend(errors)
    if not isinstance(tree, ListNode):
        kind = "nothing" if tree is None else kind_of(tree)
        return r.refuse(node, f"{quoted(name)} must hold a list of steps, not {kind}")
    return found, tree


def _read(r: Reading, name: str) -> tuple[str, bytes | None, str]:
    """A file's name beside the scenario, and its contents, or what is wrong."""
    beside = [str(PurePath(one).parent / name) for one in r.including[-1:]]
    problem = ""
    for place in dict.fromkeys([*beside, name]):
        try:
            return place, r.files.read(place), ""
        except ValueError as error:
            problem = str(error)
    return name, None, problem
