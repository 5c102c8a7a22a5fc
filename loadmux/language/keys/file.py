"""The whole file: its keys, read in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from loadmux.errors import Position, UsageError
from loadmux.language.grammar.contract import Writing
from loadmux.language.grammar.names import BUILT_INS
from loadmux.language.grammar.options import ONLY, check_rules, in_force
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Fields, Key, Keys
from loadmux.language.grammar.types import Choice, Duration, Integer, Items, Label, Words
from loadmux.language.keys.load import LOAD, load_in_force
from loadmux.language.keys.sockets import SOCKETS
from loadmux.language.keys.targets import TARGET_FORMS, Found, Targets
from loadmux.language.keys.thresholds import OneThreshold, of_step, step_problem
from loadmux.language.keys.variables import Variables
from loadmux.language.meaning.scenario import OnError, Scenario
from loadmux.language.meaning.servers import Target
from loadmux.language.meaning.stepvalues import Call, Performed, Step, flat
from loadmux.language.steps.step import STEP
from loadmux.language.steps.steplists import Steps
from loadmux.language.text import nodes
from loadmux.language.text.nodes import suggestion
from loadmux.language.text.yamltree import MappingNode, Node
from loadmux.measuring.thresholds import Threshold
from loadmux.units import quoted

NO_TARGET = "no target;"
IMPLIED = Threshold("errors == 0", None, "errors", "==", 0.0, implied=True)


class Prose(Words):
    """A text for readers, in which nothing is replaced and nothing looks as if it were."""

    def read(self, r: Reading, node: Node, what: str) -> Any:
        return nodes.any_text(r.mistakes, node, what)

    def write(self, value: Any, w: Writing) -> Any:
        return value


# fmt: off
SCENARIO = Keys("a scenario", (
    Key("name", Label(), "What the report calls it; by default the file's name."),
    Key("description", Prose(), "What it is for.", default="",
        examples=("name: greeting\ndescription: One user says hello.",)),
    Key("target", Targets(), "The server: a URL, {url: URL, reply: RULE}, {bundled: MODEL, reply:"
        " RULE} or {command: [WORD, ...]}, which are started for the run, or names of several: each"
        " socket then says with `to` which is its own. What else stands beside `bundled` are"
        " options of the target's own. Without it --target must name one.",
        examples=("target: tcp://127.0.0.1:8001\n"
            "steps: [{send: hello, expect: hello}]",
            "target: {bundled: threads, reply: upper}",
            "target: {bundled: thread_pool, workers: 2}",
            'target: {command: [python, server.py, --port, "{port}"], reply: echo}',
            "target:\n"
            "  front: {bundled: epoll, reply: echo}\n"
            "  cache: {bundled: select, reply: upper}\n"
            "sockets: {ask: {to: front}, look: {to: cache}}\n"
            "steps:\n"
            '  - {on: look, send: "key ${user}", expect: reply}\n'
            '  - {on: ask, send: "key ${user}", expect: reply}')),
    Key("variables", Variables(), "Constants, lists for `for`, and feeders, by name.",
        examples=("variables: {greeting: hello, version: 1.10}\n"
            'steps: [{send: "${greeting} ${version}", expect: reply}]',)),
    Key("sockets", SOCKETS, "The sockets of each user: a list of names, or names with options.",
        shown=["main"],
        examples=("sockets: [first, second]\n"
            "steps:\n"
            "  - {on: first, send: hello, expect: reply}\n"
            "  - {on: second, send: hello, expect: reply}",)),
    Key("before", Steps(STEP, needed=False), "Steps that a user takes once, when it starts, and"
        " again ahead of the next iteration where a fault has dropped its connections, barriers"
        " passed over. Failing, they are tried again after 50 ms, then 100 ms, up to 1 s, as a"
        " failing connect is.", default=(),
        examples=("before: [{send: hello, expect: reply}]\n"
            "steps:\n"
            '  - {send: "news?", expect: reply}\n'
            "after: [{send: bye, expect: reply}]\n"
            "load: {iterations: 3}",)),
    Key("steps", Steps(STEP, needed=True), "The steps of one iteration.",
        required="no steps; write 'steps:' and under it a list such as '- send: hello'"),
    Key("after", Steps(STEP, needed=False), "Steps that a user takes once, when it stops; not where"
        " `before` does not hold.", default=()),
    Key("load", LOAD, "How many users, and for how long.", shown={"users": 1}),
    Key("thresholds", Items(OneThreshold(), "a threshold"), "What must hold for the run to pass;"
        " over no samples it does not. `errors == 0` is added unless one of yours counts the errors"
        " of the run.", default=(), shown=["errors == 0"]),
    Key("timeout", Duration(zero=False), "Longest wait of a connect, a send or an expect, counted"
        " from the last progress.", default=5.0, examples=("timeout: 500ms",)),
    Key("on_error", Choice(get_args(OnError)), "After a fault: drop the user's sockets and go on"
        " with the next iteration (after `before`), stop the user, or abort the run.",
        default="reconnect", examples=tuple(f"on_error: {word}" for word in get_args(OnError))),
    Key("seed", Integer(0), "Everything random comes from it; drawn and printed if there is none.",
        examples=("seed: 42\nsteps: [{send: {random: 16}, expect: reply}]",)),
    Key("weight", Integer(), "Its share of the users beside other scenarios of the same run.",
        shown=1, examples=("weight: 3",)),
))
# fmt: on
STEPS = ("before", "steps", "after")


class File:
    """Reads one file's tree; what is wrong in it goes to the reading's mistakes.

    `unmatched`: thresholds of the command line that speak of no step of this file, and why.
    `strays`: its variables that nothing here uses, and what to say of each.
    """

    def __init__(self, r: Reading, root: MappingNode) -> None:
        self._r = r
        self._fields = Fields(r, root, SCENARIO.what, SCENARIO.keys)
        self.unmatched: dict[Threshold, str] = {}
        self.strays: dict[str, str] = {}

    def read(self) -> Scenario:
        """The scenario, of no worth where there are mistakes; UsageError for a `--target`."""
        r, fields = self._r, self._fields
        servers = self._targets()
        if "variables" in fields.meant:
            r.names.give_up()
        variables, feeders = fields.get("variables") or ({}, {})
        where = fields.where_of("target") if len(servers) > 1 else fields.where
        own = tuple(variables)
        self._given(variables)
        SOCKETS.declare(r, fields.node("sockets"), where)
        if "sockets" in fields.meant:
            r.sockets.known = False
        rest: dict[str, Any] = {key: self._steps(key) for key in STEPS}
        r.names.finish()
        self._look_for_strays(own, rest)
        rest |= {key: fields.get(key) for key in ("description", "timeout", "on_error", "weight")}
        seed = fields.get("seed")
        return Scenario(
            path=r.path,
            name=fields.get("name") or Path(r.path).stem,
            target=next(iter(servers.values()), None),
            variables=variables,
            sockets=tuple(r.sockets.flat),
            load=load_in_force(r, fields.node("load")),
            seed=seed if r.options.seed is None else r.options.seed,
            thresholds=self._thresholds(),
            feeders=feeders,
            targets={} if ONLY in servers else servers,
            rules=r.registry.rules(),
            plugins=tuple(r.registry.used.values()),
            notices=r.mistakes.notices,
            **rest,
        )

    def _given(self, variables: dict[str, str]) -> None:
        """The command line's variables, also those that only texts name. Raises UsageError."""
        names = self._r.names
        for name, value in self._r.options.variables.items():
            if name in variables:
                continue
            what = "a list" if name in names.lists else "a feeder" if name in names.feeders else ""
            what = what or ("built in" if name in BUILT_INS else "")
            if what:
                raise UsageError(f"--var: {quoted(name)} is {what}; only a constant can be set")
            names.define(Position(self._r.path, 1, 1), name)
            variables[name] = value

    def _look_for_strays(self, own: Collection[str], rest: Mapping[str, tuple[Step, ...]]) -> None:
        """The command line's variables that nothing here uses, unless code may, which nobody reads.

        `own` are the constants of the file.
        """
        r = self._r
        steps = flat([step for key in STEPS for step in rest[key]])
        if r.names.incomplete or any(isinstance(step, Call | Performed) for step in steps):
            return
        for name in r.options.variables:
            if name not in own and name not in r.names.used:
                near = suggestion(name, sorted({*own, *r.names.used}), "known are")
                message = f"no text uses {quoted('${' + name + '}')}, and 'variables' has no"
                self.strays[name] = f"{message} {quoted(name)}{near}"

    def _targets(self) -> Mapping[str, Target]:
        """The targets in force; those whose rule `expect: reply` does not know are `unruled`."""
        r, options = self._r, self._r.options
        found: Found = self._fields.get("target") or Found({})
        if "target" in self._fields.meant or not found.judged:
            r.sockets.targets = None
            return found.targets
        servers = in_force(found.targets, options)
        check_rules(r.registry, servers, options.replies)
        r.sockets.targets = tuple(servers)
        if not servers:
            message = f"{NO_TARGET} {TARGET_FORMS} as 'target', or give --target"
            r.add(Position(r.path, 1, 1), message)
        r.unruled = {name for name, one in servers.items() if one.rule is None}
        r.datagrams = {name for name, one in servers.items() if one.scheme == "udp"}
        return servers

    def _steps(self, key: str) -> tuple[Step, ...]:
        found: tuple[Step, ...] = self._fields.get(key)
        if key in self._fields:
            return found
        if key in self._fields.meant:
            self._r.lose_steps()
        elif key == "steps":
            self._r.add(Position(self._r.path, 1, 1), SCENARIO.keys[key].required)
            self._r.complete = False
        return ()

    def _thresholds(self) -> tuple[Threshold, ...]:
        every: list[Threshold] = list(self._fields.get("thresholds"))
        for given in self._r.options.thresholds:
            threshold = of_step(self._r, given)
            problem = step_problem(self._r, threshold)
            if problem is None:
                every.append(threshold)
            else:
                self.unmatched[threshold] = problem
        judged = any(t.step is None and t.metric in ("errors", "error_rate") for t in every)
        return tuple(every if judged else [IMPLIED, *every])
