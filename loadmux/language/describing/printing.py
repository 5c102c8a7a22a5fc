"""A loaded scenario as a scenario file again: every name resolved, every default written out.

Loading what `dump` wrote gives the same scenario, places in the file aside, provided it stands
where the scenario stood (feeders are named, not copied). What loading resolves does not come back:
lists of `variables` stand in the `for` that goes through them, contents of files in the payload. So
the text may be larger than what is read (16 MiB, 200,000 values) where those are; and the function
of a Python scenario is called as that of a module beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadmux.language.grammar.contract import Writing
from loadmux.language.grammar.references import ALL
from loadmux.language.keys.file import SCENARIO
from loadmux.language.meaning.scenario import Scenario, Socket, group_of
from loadmux.language.text import yamltext

DEEP = frozenset(
    {"variables", "sockets", "before", "steps", "after", "phases", "do", "together", "on_connect"}
)
"""Keys whose values are written line by line."""

IMPLIED = "# and 'errors == 0', for no threshold counts the errors of the run"


def dump(scenario: Scenario) -> str:
    """The text of a file that loads to the same scenario. Raises ValueError where none does."""
    implied = [IMPLIED] if any(one.implied for one in scenario.thresholds) else []
    named = {"target"} if scenario.targets else set()
    return "\n".join([*lines(values(scenario), named), *implied, ""])


def lines(found: Mapping[str, Any], deep: Collection[str] = ()) -> Iterator[str]:
    """Such values as the lines of a file; those of the keys in `deep` each on lines of its own."""
    phases = {"load"} if len((found.get("load") or {}).get("phases", ())) > 1 else set()
    return yamltext.block(found, DEEP | phases | set(deep))


def values(scenario: Scenario) -> dict[str, Any]:
    """What stands in that file."""
    w = Writing(_names(scenario.sockets))
    special: dict[str, Any] = {
        "name": None if scenario.name == Path(scenario.path).stem else scenario.name,
        "target": scenario.servers,
        "variables": (scenario.variables, scenario.feeders),
        "sockets": (scenario.sockets, bool(scenario.targets)),
        "thresholds": [one for one in scenario.thresholds if not one.implied],
    }
    found = {
        key.name: (special[key.name] if key.name in special else getattr(scenario, key.name))
        for key in SCENARIO.keys.values()
    }
    written = {
        name: None if one is None else SCENARIO.keys[name].type.write(one, w)
        for name, one in found.items()
    }
    return {name: one for name, one in written.items() if one not in (None, "", {}, [])}


def _names(sockets: Sequence[Socket]) -> Callable[[Sequence[int]], object]:
    """How sockets are called: all of them, a group, one, or a list."""
    names = [socket.name for socket in sockets]
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(group_of(name), []).append(place)
    groups = {tuple(range(len(sockets))): ALL}
    groups |= {tuple(every): name for name, every in places.items()}

    def called(sockets: Sequence[int]) -> object:
        known = groups.get(tuple(sockets))
        listed = [names[place] for place in sockets]
        return known or (listed[0] if len(listed) == 1 else listed)

    return called
