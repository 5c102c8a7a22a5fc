"""Who is compared, from the words of a command line: bundled models, URLs, commands.

`epoll`, `epoll,fault=slow:3us,workers=4` (options of the model's own), `tcp://127.0.0.1:7000`,
`'python server.py --port {port}'`; `NAME=WORD` gives one another name. Each gets the scenario as if
`--target` or `--command` had named it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.servers import PORT
from loadmux.language.text.nodes import suggestion

_NAMED = re.compile(r"([\w .-]{1,40})=(.+)", re.DOTALL)
_OPTION = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)
LONGEST = 28


@dataclass(frozen=True, slots=True)
class Entrant:
    """`word` is what the command line said; `options` are a bundled model's own."""

    name: str
    word: str
    model: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def overrides(self) -> Overrides:
        """What makes a scenario's target this one."""
        if self.model is not None:
            return Overrides(target=self.model)
        return Overrides(target=self.word) if "://" in self.word else Overrides(command=self.word)

    def scenario(self, load: Callable[[Overrides], Scenario]) -> Scenario:
        """The scenario with this one as its target. Raises LoadmuxError."""
        scenario = load(self.overrides)
        if len(scenario.servers) != 1:
            raise UsageError("compare: the scenario has several targets; compare one at a time")
        ((name, target),) = scenario.servers.items()
        options = {**target.options, **dict(self.options)}
        return scenario.with_servers({name: replace(target, options=options)})


def entrant(text: str, models: Collection[str]) -> Entrant:
    """Raises UsageError."""
    named = _NAMED.fullmatch(text)
    name, word = "", text
    if named is not None and "," not in named[1] and named[1] not in models:
        name, word = named[1], named[2]
    model, *options = word.split(",")
    if model in models:
        found = tuple(_option(one, word) for one in options)
        return Entrant(name or word, word, model, found)
    if "://" in word or PORT in word or " " in word:
        return Entrant(name or shortened(word), word)
    hint = suggestion(model, sorted(models), "models are")
    raise UsageError(
        f"compare: {model!r} is no model, URL or command{hint}; a command has {PORT} in it"
    )


def _option(text: str, word: str) -> tuple[str, str]:
    found = _OPTION.fullmatch(text)
    if found is None:
        raise UsageError(f"compare: {text!r} in {word!r} is no option; write MODEL,NAME=VALUE")
    return found[1].replace("_", "-"), found[2] or ""


def shortened(word: str) -> str:
    return word if len(word) <= LONGEST else word[: LONGEST - 1] + "…"


def entrants(words: Sequence[str], models: Collection[str]) -> list[Entrant]:
    """All of them, those with the same name numbered. Raises UsageError."""
    found: list[Entrant] = []
    for one in (entrant(word, models) for word in words):
        names = {other.name for other in found}
        name, number = one.name, 2
        while name in names:
            name, number = f"{one.name} #{number}", number + 1
        found.append(replace(one, name=name))
    return found
