"""The key `load`: closed load, open load, phases, and what the command line puts in their place.

`--rate` replaces closed load and phases by open load, `--users` phases by closed load; under open
load `--users` is `max_users`. `--run-time` alone stretches or shrinks all phases alike, so that a
profile can be tried in a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from loadmux import units
from loadmux.checking.frozen import dataclass
from loadmux.driver.pacer import Rate, Users
from loadmux.errors import UsageError
from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.options import Options
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Apart, Fields, Key, Keys, Needs, Relation, present
from loadmux.language.grammar.types import Duration, Integer, Label, SpawnRate
from loadmux.language.meaning.scenario import Load, Phase
from loadmux.language.text import nodes
from loadmux.language.text.nodes import kind_of
from loadmux.language.text.yamltree import Node, ScalarNode
from loadmux.units import quoted

DEFAULT_MAX_USERS = 100
RAMP_FORMS = "write a number such as 50, or a ramp such as 0..500"
RATE_FORMS = "write a rate such as 500/s, 30/m, or a ramp such as 100/s..2000/s"
EXAMPLE = "write {users: 50, run_time: 10s}"

T = TypeVar("T", int, float)
Ramp = tuple[T, T]


# --- numbers that may be ramps ------------------------------------------------------------------


class UsersOrRamp(Type):
    """So many users, or from so many to so many, of which one end may be none; `least`: alone."""

    word = "whole number or ramp"

    def __init__(self, least: int) -> None:
        self._alone = Integer(least)

    def read(self, r: Reading, node: Node, what: str) -> Any:
        ends = _ends(node)
        if ends is not None:
            return _ramp(r, node, what, ends, _whole)
        alone = self._alone.read(r, node, what)
        return None if alone is None else (alone, alone)

    def schema(self, s: Schemas) -> Schema:
        users = "[0-9]{1,15}"
        ramp = rf"^(?!0+\.\.0+$){users}\.\.{users}$"
        told = {"type": "string", "pattern": ramp, "patternErrorMessage": RAMP_FORMS}
        return {"anyOf": [self._alone.schema(s), told]}

    def write(self, value: Any, w: Writing) -> Any:
        first, last = value
        return first if first == last else f"{first}..{last}"


class RateOrRamp(Type):
    """Iterations a second, or from so many to so many, of which one end may be 0."""

    word = "rate or ramp"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            return r.refuse(node, f"{what} must be a rate, not {kind_of(node)}; {RATE_FORMS}")
        return _ramp(r, node, what, _ends(node) or (node.value, node.value), units.rate)

    def schema(self, s: Schemas) -> Schema:
        none, rate = r"0+(?:\.0+)?/[sm]", patterns.RATE
        ramp = rf"^(?!{none}(?:\.\.{none})?$){rate}(?:\.\.{rate})?$"
        return {"type": "string", "pattern": ramp, "patternErrorMessage": RATE_FORMS}

    def write(self, value: Any, w: Writing) -> Any:
        first, last = map(units.rate_text, value)
        return first if first == last else f"{first}..{last}"


def _ends(node: Node) -> tuple[str, str] | None:
    """The texts of a ramp's ends."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        return None
    first, dots, last = node.value.partition("..")
    return (first, last) if dots else None


def _ramp(
    r: Reading, node: Node, what: str, ends: tuple[str, str], convert: Callable[[str], T]
) -> Ramp[T] | None:
    try:
        first, last = map(convert, ends)
    except ValueError as error:
        return r.refuse(node, f"{what}: {error}")
    if not first and not last:
        return r.refuse(node, f"{what} must be more than zero")
    return first, last


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ValueError(f"{quoted(text)} is not a whole number; {RAMP_FORMS}")
    return int(text)


# --- the keys -----------------------------------------------------------------------------------


def paced(least: int) -> tuple[Key, ...]:
    """What paces a load or a phase of it; `least` users at least."""
    # fmt: off
    return (
        Key("users", UsersOrRamp(least), "Closed load: so many users at once, each as fast as it is"
            " answered, or a ramp such as 0..500, which goes evenly from one number to the other.",
            shown=(1, 1),
            examples=("load: {users: 10, run_time: 5s}", "load: {users: 0..20, run_time: 5s}")),
        Key("rate", RateOrRamp(), "Open load: so many iterations begin a second, or a ramp such as"
            " 100/s..2000/s, whether or not earlier ones have ended. Latency counts from when an"
            " iteration should have begun; one that found no free user in time is `dropped`.",
            examples=("load: {rate: 100/s, max_users: 20, run_time: 5s}",
                "load: {rate: 0/s..100/s, run_time: 5s}")),
        Key("max_users", Integer(), "Open load: how many users there are at most to carry the"
            " iterations out.", shown=DEFAULT_MAX_USERS),
        Key("run_time", Duration(zero=False), "How long new iterations begin.",
            required="a phase needs a 'run_time'" if least == 0 else ""),
    )
    # fmt: on


EXCLUDED = {
    "users": "'users' (closed load) and 'rate' (open load) exclude each other; with 'rate' write"
    " 'max_users'"
}
OPEN_ONLY = Needs(
    "max_users", ("rate",), "'max_users' goes with 'rate' (open load); closed load has 'users'"
)


class _Paced(Relation):
    """A phase has users, or a rate."""

    def check(self, r: Reading, fields: Fields) -> None:
        if not fields.among(("users", "rate", "max_users")) and not fields.refused:
            r.add(fields.where, "a phase needs 'users' or 'rate'")

    def put(self, schema: Schema) -> None:
        schema["oneOf"] = present(("users", "rate"))


# fmt: off
PHASE = Keys("a phase", (Key("name", Label(), "What the report calls it."), *paced(least=0)),
    remedy=EXAMPLE, relations=(_Paced(), Apart("rate", EXCLUDED), OPEN_ONLY))
# fmt: on


class Phases(Type):
    """Phases, of which at least one has users."""

    word = "list of phases"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        listed = nodes.items(r.mistakes, node, what)
        if listed is not None and not listed:
            message = "'phases' is empty; write [{users: 50, run_time: 10s}, ...]"
            r.add(node.where, message)
        names: set[str] = set()
        found = [self._phase(r, one, number, names) for number, one in enumerate(listed or (), 1)]
        phases = tuple(phase for phase in found if phase is not None)
        if phases and not any(phase.users for phase in phases) and not len(r.mistakes):
            r.add(node.where, "no phase has a user")
        return phases

    def _phase(self, r: Reading, node: Node, number: int, names: set[str]) -> Phase | None:
        fields = PHASE.fields(r, node)
        if fields is None:
            return None
        found = PHASE.all(r, fields)
        name = found.pop("name") or f"phase {number}"
        if name in names:
            where = fields.where_of("name") if "name" in fields else node.where
            r.add(where, f"two phases are called {quoted(name)}")
        names.add(name)
        return None if found["run_time"] is None else Paced(**found).phase(name)

    def schema(self, s: Schemas) -> Schema:
        empty = {"properties": {"users": {"const": 0}}, "required": ["users"]}
        listed = {"type": "array", "items": s.of(PHASE), "minItems": 1}
        return {**listed, "contains": {"not": empty}}

    def write(self, value: Any, w: Writing) -> Any:
        return [{"name": nodes.escaped(one.name), **written(one, w)} for one in value]


def written(phase: Phase, w: Writing) -> Schema:
    """What paces a phase."""
    pacer = phase.pacer
    time = {"run_time": Duration().write(pacer.seconds, w)}
    if isinstance(pacer, Rate):
        rate = RateOrRamp().write((pacer.first, pacer.last), w)
        return {"rate": rate, "max_users": phase.users, **time}
    return {"users": UsersOrRamp(0).write((pacer.first, pacer.last), w), **time}


class _TimedRamp(Relation):
    """What a load without phases must have beside its rate or ramp."""

    def check(self, r: Reading, fields: Fields) -> None:
        users = fields.node("users")
        ends = None if users is None else _ends(users)
        is_ramp = ends is not None and ends[0] != ends[1]
        if "phases" in fields or not ("rate" in fields or is_ramp):
            return
        if "iterations" in fields and "rate" not in fields:
            message = "'iterations' (per user) does not go with a ramp of users; give a 'run_time'"
            r.add(fields.where_of("iterations"), message)
        timed = "iterations" in fields or r.options.run_time is not None or fields.there("run_time")
        if not timed:
            needs = "'rate' (open load)" if "rate" in fields else "a ramp of users"
            where = fields.where_of("rate" if "rate" in fields else "users")
            r.add(where, f"{needs} needs a 'run_time'")

    def put(self, schema: Schema) -> None:
        no_ramp = {"properties": {"users": {"not": {"type": "string"}}}}
        schema["dependentSchemas"]["iterations"] = no_ramp


class LoadKeys(Keys):
    def build(self, r: Reading, fields: Fields, node: Node) -> Any:
        found = self.all(r, fields)
        phases = found.pop("phases") or ()
        given = Paced(**{key.name: found.pop(key.name) for key in PACED})
        return (Paced() if "phases" in fields else given), phases, Load(**found)

    def write(self, value: Any, w: Writing) -> Any:
        if isinstance(value, dict):
            return value
        rest = ("spawn_rate", "iterations", "pacing", "graceful_stop")
        if len(value.phases) == 1 and not value.phases[0].name:
            found = written(value.phases[0], w)
        elif value.phases:
            found = {"phases": Phases().write(value.phases, w)}
        else:
            found = {"users": value.users, "run_time": self.keys["run_time"].of(value, w)}
        found |= {name: self.keys[name].of(value, w) for name in rest}
        return {name: one for name, one in found.items() if one is not None}


PACED = paced(least=1)
IN_PHASES = Apart(
    "phases",
    {
        **{
            key.name: f"'{key.name}' does not go with 'phases'; write it in each phase"
            for key in PACED
        },
        "iterations": "'iterations' does not go with 'phases'; each phase has its 'run_time'",
    },
)
# fmt: off
LOAD = LoadKeys("a load", (
    *PACED,
    Key("iterations", Integer(), "How many each user does; the load ends with them or with"
        " `run_time`, whichever comes first. Without either it is one.",
        examples=("load: {users: 5, iterations: 20}",
            "load: {users: 5, iterations: 20, run_time: 5s}")),
    Key("spawn_rate", SpawnRate(), "So many users start a second at most; by default all at once.",
        examples=("load: {users: 10, spawn_rate: 100/s, run_time: 5s}",)),
    Key("pacing", Duration(), "A user begins an iteration at most once in this time.",
        examples=("load: {users: 2, pacing: 10ms, run_time: 5s}",)),
    Key("graceful_stop", Duration(), "How long a running iteration may go on when the time is up;"
        " what is still open then counts as interrupted.", default=5.0,
        examples=("steps: [{send: hello, expect: reply}, {wait: 1ms}]\n"
            "load: {users: 2, run_time: 5s, graceful_stop: 1s}",)),
    Key("phases", Phases(), "Closed and open load, one after the other; the report has a row for"
        " each.",
        examples=("load:\n"
            "  phases:\n"
            "    - {name: warm up, users: 0..10, run_time: 2s}\n"
            "    - {name: steady, users: 10, run_time: 2s}\n"
            "    - {name: pause, users: 0, run_time: 1s}\n"
            "    - {name: spike, rate: 50/s..200/s, max_users: 20, run_time: 2s}",)),
), remedy=EXAMPLE,
    relations=(Apart("rate", {**EXCLUDED, "iterations": "'iterations' (per user) does not go with"
        " 'rate' (open load); give a 'run_time'"}), OPEN_ONLY, IN_PHASES, _TimedRamp()))
# fmt: on


# --- the load in force --------------------------------------------------------------------------


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


def load_in_force(r: Reading, node: Node | None) -> Load:
    """The load in force; of no worth where there are mistakes. Raises UsageError for an option."""
    given, rest, options = Paced(), Load(), r.options
    phases: tuple[Phase, ...] = ()
    if node is not None and (found := LOAD.read(r, node, "'load'")) is not None:
        given, phases, rest = found
    rest = replace(rest, spawn_rate=options.spawn_rate or rest.spawn_rate)
    if len(r.mistakes):
        return rest
    given, phases = _overridden(given, phases, options)
    if not phases and (given.rate is not None or given.ramp):
        phases = (given.phase(""),)
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
    if given.run_time is None and iterations is None:
        iterations = 1
    users = max(given.users or (1, 1))
    return replace(rest, users=users, run_time=given.run_time, iterations=iterations)


def _overridden(
    given: Paced, phases: tuple[Phase, ...], options: Options
) -> tuple[Paced, tuple[Phase, ...]]:
    """What the command line leaves of the file's words."""
    total = sum(phase.pacer.seconds for phase in phases) or None
    run_time = options.run_time or given.run_time or total
    if options.rate is not None:
        if run_time is None:
            raise UsageError("--rate: open load ends by time; give --run-time as well")
        most = options.users or given.max_users
        return Paced(None, (options.rate, options.rate), most, run_time), ()
    if phases and options.users is None:
        stretch = (options.run_time or total or 1.0) / (total or 1.0)
        return given, tuple(_stretched(phase, stretch) for phase in phases)
    given = replace(given, run_time=run_time)
    if options.users is not None and given.rate is not None:
        given = replace(given, max_users=options.users)
    elif options.users is not None:
        given = replace(given, users=(options.users, options.users))
    return given, ()


def _stretched(phase: Phase, times: float) -> Phase:
    return replace(phase, pacer=replace(phase.pacer, seconds=phase.pacer.seconds * times))
