"""The key `load`: closed load, open load, phases, and what the command line puts in their place.

`--rate` replaces closed load and phases by open load, `--users` phases by closed load; under open
load `--users` is `max_users`. `--run-time` alone stretches or shrinks all phases alike, so that a
profile can be tried in a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from loadmux import units
from loadmux.errors import UsageError
from loadmux.loader import reader
from loadmux.loader.options import Options
from loadmux.loader.reader import Fields, Mistakes, kind_of
from loadmux.pacer import Rate, Users
from loadmux.scenario import Load, Phase
from loadmux.units import quoted
from loadmux.yamltree import MappingNode, Node, ScalarNode

PACED = ("users", "rate", "max_users", "run_time", "iterations")
KEYS = (*PACED, "spawn_rate", "pacing", "graceful_stop", "phases")
PHASE_KEYS = ("name", "users", "rate", "max_users", "run_time")
DEFAULT_GRACEFUL_STOP = 5.0
DEFAULT_MAX_USERS = 100
RAMP_FORMS = "write a number such as 50, or a ramp such as 0..500"
RATE_FORMS = "write a rate such as 500/s, 30/m, or a ramp such as 100/s..2000/s"

T = TypeVar("T", int, float)
Ramp = tuple[T, T]


@dataclass(frozen=True, slots=True)
class Paced:
    """What paces a load or a phase, as far as it was said."""

    users: Ramp[int] | None = None
    rate: Ramp[float] | None = None
    max_users: int | None = None
    run_time: float | None = None

    def phase(self, name: str) -> Phase:
        assert self.run_time is not None
        if self.rate is not None:
            most = self.max_users or DEFAULT_MAX_USERS
            return Phase(name, Rate(*self.rate, self.run_time), most)
        users = self.users or (1, 1)
        return Phase(name, Users(*users, self.run_time), max(users))

    @property
    def ramp(self) -> bool:
        return self.users is not None and self.users[0] != self.users[1]


def read(mistakes: Mistakes, node: Node | None, options: Options) -> Load:
    """The load in force; of no worth where there are mistakes. Raises UsageError for an option."""
    paced, rest = Paced(), Load()
    phases: tuple[Phase, ...] = ()
    if isinstance(node, MappingNode):
        paced, phases, rest = _Reader(mistakes, node, options).read()
    elif node is not None:
        message = f"'load' must be a mapping, not {kind_of(node)}"
        mistakes.add(node.where, f"{message}; write {{users: 50, run_time: 10s}}")
    rest = replace(rest, spawn_rate=options.spawn_rate or rest.spawn_rate)
    if len(mistakes):
        return rest
    paced, phases = _overridden(paced, phases, options)
    if not phases and (paced.rate is not None or paced.ramp):
        phases = (paced.phase(""),)
    if phases:
        if options.iterations is not None:
            raise UsageError(
                "--iterations: goes with a fixed number of users only, not with open load, ramps or"
                " phases; use --run-time"
            )
        most = max(phase.users for phase in phases)
        run_time = sum(phase.pacer.seconds for phase in phases)
        return replace(rest, users=most, run_time=run_time, iterations=None, phases=phases)
    iterations = options.iterations or rest.iterations
    if paced.run_time is None and iterations is None:
        iterations = 1
    users = max(paced.users or (1, 1))
    return replace(rest, users=users, run_time=paced.run_time, iterations=iterations)


def _overridden(
    paced: Paced, phases: tuple[Phase, ...], options: Options
) -> tuple[Paced, tuple[Phase, ...]]:
    """What the command line leaves of the file's words."""
    total = sum(phase.pacer.seconds for phase in phases) or None
    run_time = options.run_time or paced.run_time or total
    if options.rate is not None:
        if run_time is None:
            raise UsageError("--rate: open load ends by time; give --run-time as well")
        most = options.users or paced.max_users
        return Paced(None, (options.rate, options.rate), most, run_time), ()
    if phases and options.users is None:
        stretch = (options.run_time or total or 1.0) / (total or 1.0)
        return paced, tuple(_stretched(phase, stretch) for phase in phases)
    paced = replace(paced, run_time=run_time)
    if options.users is not None and paced.rate is not None:
        paced = replace(paced, max_users=options.users)
    elif options.users is not None:
        paced = replace(paced, users=(options.users, options.users))
    return paced, ()


def _stretched(phase: Phase, times: float) -> Phase:
    return replace(phase, pacer=replace(phase.pacer, seconds=phase.pacer.seconds * times))


class _Reader:
    """Reads the mapping."""

    def __init__(self, mistakes: Mistakes, node: MappingNode, options: Options) -> None:
        self._mistakes = mistakes
        self._fields = Fields(mistakes, node, "a load", KEYS)
        self._options = options

    def read(self) -> tuple[Paced, tuple[Phase, ...], Load]:
        fields = self._fields
        stop = fields.read("graceful_stop", reader.duration)
        rest = Load(
            spawn_rate=fields.read("spawn_rate", reader.spawn_rate),
            iterations=fields.read("iterations", reader.count),
            pacing=fields.read("pacing", reader.duration),
            graceful_stop=DEFAULT_GRACEFUL_STOP if stop is None else stop,
        )
        paced = self._paced(fields, least=1)
        if "phases" in fields:
            for entry in fields.among(PACED):
                each = "each phase has its 'run_time'"
                if entry.key != "iterations":
                    each = "write it in each phase"
                message = f"'{entry.key}' does not go with 'phases'; {each}"
                self._mistakes.add(entry.where, message)
            return Paced(), self._phases(), rest
        self._check_alone(paced)
        return paced, (), rest

    def _check_alone(self, paced: Paced) -> None:
        """What a load without phases must have beside its rate or ramp."""
        fields = self._fields
        needs = "'rate' (open load)" if "rate" in fields else "a ramp of users"
        if "rate" not in fields and not paced.ramp:
            return
        if "iterations" in fields:
            message = f"'iterations' (per user) does not go with {needs}; give a 'run_time'"
            self._mistakes.add(fields.where_of("iterations"), message)
        elif self._options.run_time is None and not _there("run_time", fields):
            where = fields.where_of("rate" if "rate" in fields else "users")
            self._mistakes.add(where, f"{needs} needs a 'run_time'")

    def _paced(self, fields: Fields, least: int) -> Paced:
        both = fields.among(("users", "rate"))
        if len(both) == 2:
            message = "'users' (closed load) and 'rate' (open load) exclude each other"
            self._mistakes.add(both[1].where, f"{message}; with 'rate' write 'max_users'")
        elif "max_users" in fields and not _there("rate", fields):
            message = "'max_users' goes with 'rate' (open load); closed load has 'users'"
            self._mistakes.add(fields.where_of("max_users"), message)
        return Paced(
            users=fields.read("users", users_or_none if least == 0 else users),
            rate=fields.read("rate", rate),
            max_users=fields.read("max_users", reader.count),
            run_time=fields.read("run_time", reader.positive_duration),
        )

    # --- phases -----------------------------------------------------------------------------

    def _phases(self) -> tuple[Phase, ...]:
        node = self._fields.value("phases")
        assert node is not None
        nodes = reader.items(self._mistakes, node, "'phases'")
        if nodes is not None and not nodes:
            message = "'phases' is empty; write [{users: 50, run_time: 10s}, ...]"
            self._mistakes.add(node.where, message)
        names: set[str] = set()
        found = [self._phase(one, number, names) for number, one in enumerate(nodes or (), 1)]
        phases = tuple(phase for phase in found if phase is not None)
        if phases and not any(phase.users for phase in phases) and not len(self._mistakes):
            self._mistakes.add(node.where, "no phase has a user")
        return phases

    def _phase(self, node: Node, number: int, names: set[str]) -> Phase | None:
        if not isinstance(node, MappingNode):
            message = f"a phase must be a mapping, not {kind_of(node)}"
            self._mistakes.add(node.where, f"{message}; write {{users: 50, run_time: 10s}}")
            return None
        fields = Fields(self._mistakes, node, "a phase", PHASE_KEYS)
        name = fields.read("name", reader.label) or f"phase {number}"
        if name in names:
            where = fields.where_of("name") if "name" in fields else node.where
            self._mistakes.add(where, f"two phases are called {quoted(name)}")
        names.add(name)
        paced = self._paced(fields, least=0)
        if not fields.among(("users", "rate", "max_users")) and not fields.refused:
            self._mistakes.add(node.where, "a phase needs 'users' or 'rate'")
        if not _there("run_time", fields):
            self._mistakes.add(node.where, "a phase needs a 'run_time'")
        return None if paced.run_time is None else paced.phase(name)


def _there(key: str, fields: Fields) -> bool:
    """Whether a key was written, be it wrongly."""
    return key in fields or key in fields.meant


# --- numbers that may be ramps ------------------------------------------------------------------


def users(mistakes: Mistakes, node: Node, what: str) -> Ramp[int] | None:
    """So many users, or from so many to so many, of which one end may be none."""
    ends = _ends(node)
    if ends is None:
        alone = reader.count(mistakes, node, what)
        return None if alone is None else (alone, alone)
    return _ramp(mistakes, node, what, ends, _whole)


def users_or_none(mistakes: Mistakes, node: Node, what: str) -> Ramp[int] | None:
    """As `users`, and none at all is right too: a pause."""
    if _ends(node) is not None:
        return users(mistakes, node, what)
    alone = reader.index(mistakes, node, what)
    return None if alone is None else (alone, alone)


def rate(mistakes: Mistakes, node: Node, what: str) -> Ramp[float] | None:
    """Iterations a second, or from so many to so many, of which one end may be 0."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        mistakes.add(node.where, f"{what} must be a rate, not {kind_of(node)}; {RATE_FORMS}")
        return None
    return _ramp(mistakes, node, what, _ends(node) or (node.value, node.value), units.rate)


def _ends(node: Node) -> tuple[str, str] | None:
    """The texts of a ramp's ends."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        return None
    first, dots, last = node.value.partition("..")
    return (first, last) if dots else None


def _ramp(
    mistakes: Mistakes, node: Node, what: str, ends: tuple[str, str], convert: Callable[[str], T]
) -> Ramp[T] | None:
    try:
        first, last = map(convert, ends)
    except ValueError as error:
        mistakes.add(node.where, f"{what}: {error}")
        return None
    if not first and not last:
        mistakes.add(node.where, f"{what} must be more than zero")
        return None
    return first, last


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ValueError(f"{quoted(text)} is not a whole number; {RAMP_FORMS}")
    return int(text)
