"""The whole file: reads every top-level key in the order in which they depend on each other."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from loadmux import thresholds
from loadmux.errors import Position, UsageError
from loadmux.loader import reader, target
from loadmux.loader.forms import Forms
from loadmux.loader.names import Names
from loadmux.loader.options import Options
from loadmux.loader.payloads import Payloads
from loadmux.loader.reader import Fields, Mistakes, kind_of, suggestion
from loadmux.loader.sockets import Sockets
from loadmux.loader.steps import Steps
from loadmux.registry import Registry
from loadmux.scenario import Load, OnError, Scenario, Step, Target, Text, Threshold
from loadmux.units import quoted
from loadmux.yamltree import ListNode, MappingNode, Node

KEYS = (
    "name",
    "description",
    "target",
    "variables",
    "sockets",
    "before",
    "steps",
    "after",
    "load",
    "thresholds",
    "timeout",
    "on_error",
    "seed",
)
NOT_YET = {"weight": "'weight'"}
LOAD_KEYS = ("users", "spawn_rate", "run_time", "iterations", "pacing", "graceful_stop")
LOAD_NOT_YET = {
    "rate": "'rate' (open load)",
    "max_users": "'max_users' (open load)",
    "phases": "'phases'",
}
ON_ERROR: tuple[OnError, ...] = get_args(OnError)
DEFAULT_TIMEOUT = 5.0
DEFAULT_GRACEFUL_STOP = 5.0
IMPLIED = Threshold("errors == 0", None, "errors", "==", 0.0, implied=True)


class File:
    """Reads one file's tree; what is wrong in it goes to `mistakes`."""

    def __init__(
        self,
        path: str,
        root: MappingNode,
        mistakes: Mistakes,
        options: Options,
        registry: Registry,
    ) -> None:
        self._path = path
        self._fields = Fields(mistakes, root, "a scenario", KEYS, NOT_YET)
        self._mistakes = mistakes
        self._options = options
        self._registry = registry
        self._names = Names(mistakes)
        self._forms = Forms(registry, mistakes, self._names)
        self._sockets = Sockets(mistakes, self._forms)

    def read(self) -> Scenario:
        """The scenario, of no worth where there are mistakes; UsageError for a `--threshold`."""
        target_in_force, rule_known = self._target()
        variables = self._variables()
        folder, rules = Path(self._path).parent, self._options.rules
        payloads = Payloads(self._mistakes, self._names, folder, rules, rule_known, self._forms)
        self._declare_sockets(payloads)
        steps = Steps(self._mistakes, self._sockets, self._names, payloads, self._forms)
        before, body, after = (self._steps(steps, key) for key in ("before", "steps", "after"))
        self._names.finish()
        fields, seed = self._fields, self._options.seed
        file_seed = fields.read("seed", reader.index)
        return Scenario(
            path=self._path,
            name=fields.read("name", reader.label) or Path(self._path).stem,
            description=fields.read("description", reader.text) or "",
            target=target_in_force,
            variables=variables,
            sockets=tuple(self._sockets.flat),
            before=before,
            steps=body,
            after=after,
            load=self._load(),
            timeout=fields.read("timeout", reader.positive_duration) or DEFAULT_TIMEOUT,
            on_error=self._on_error(),
            seed=file_seed if seed is None else seed,
            thresholds=self._thresholds(steps),
            rules=self._registry.rules(),
            plugins=tuple(self._registry.used.values()),
        )

    def _on_error(self) -> OnError:
        node = self._fields.value("on_error")
        if node is None:
            return "reconnect"
        found = reader.choice(self._mistakes, node, "on_error", ON_ERROR)
        return cast(OnError, found or "reconnect")

    # --- target -----------------------------------------------------------------------------

    def _target(self) -> tuple[Target | None, bool]:
        """The target in force, and whether `expect: reply` has a rule (or must not be blamed)."""
        options, node = self._options, self._fields.value("target")
        found = target.read(self._mistakes, node, options.models, options.rules, self._registry)
        in_force = target.overridden(found.target, options.target, options.reply)
        if found.judged:
            target.check_rule(self._registry, in_force, options.reply)
        if "target" in self._fields.meant or not found.judged:
            return in_force, True
        if in_force is None:
            target.require(self._mistakes, self._path)
            return None, True
        return in_force, in_force.rule is not None

    # --- variables and sockets --------------------------------------------------------------

    def _variables(self) -> dict[str, str]:
        """The constants; lists go to the names, for a `for` to use."""
        node = self._fields.value("variables")
        if "variables" in self._fields.meant:
            self._names.give_up()
        if node is None:
            return {}
        if not isinstance(node, MappingNode):
            message = f"'variables' must be a mapping, not {kind_of(node)}; write {{NAME: VALUE}}"
            self._mistakes.add(node.where, message)
            self._names.give_up()
            return {}
        if node.incomplete:
            self._names.give_up()
        constants: dict[str, str] = {}
        for entry in node.entries:
            if not self._names.check(entry.where, entry.key, "the variable"):
                continue
            if isinstance(entry.value, ListNode):
                texts = [self._constant(item, "an item of a list") for item in entry.value.items]
                self._names.lists[entry.key] = tuple(Text((t,) if t else ()) for t in texts)
                continue
            self._names.define(entry.where, entry.key)
            if isinstance(entry.value, MappingNode):
                self._feeder(entry.value)
            else:
                constants[entry.key] = self._constant(entry.value, "a variable")
        return constants

    def _constant(self, node: Node, what: str) -> str:
        found = reader.constant(self._mistakes, node, what)
        return "" if found is None else self._names.constant(node.where, found)

    def _feeder(self, node: MappingNode) -> None:
        self._names.give_up()
        for entry in node.entries:
            if entry.key == "csv":
                self._mistakes.not_yet(entry.where, "'csv' (a feeder)")
                return
        message = "a variable must be a constant or a list, not a mapping"
        self._mistakes.add(node.where, message)

    def _declare_sockets(self, payloads: Payloads) -> None:
        self._sockets.declare_all(self._fields.value("sockets"), payloads.constant)
        if "sockets" in self._fields.meant:
            self._sockets.known = False

    # --- steps ------------------------------------------------------------------------------

    def _steps(self, steps: Steps, key: str) -> tuple[Step, ...]:
        node = self._fields.value(key)
        if node is not None:
            return steps.read_all(node, f"'{key}'", needed=key == "steps")
        if key in self._fields.meant:
            self._names.give_up()
            steps.complete = False
        elif key == "steps":
            message = "no steps; write 'steps:' and under it a list such as '- send: hello'"
            self._mistakes.add(Position(self._path, 1, 1), message)
            steps.complete = False
        return ()

    # --- load -------------------------------------------------------------------------------

    def _load(self) -> Load:
        node, options = self._fields.value("load"), self._options
        file = Load() if node is None else self._load_of(node)
        load = Load(
            users=options.users or file.users,
            spawn_rate=options.spawn_rate or file.spawn_rate,
            run_time=options.run_time or file.run_time,
            iterations=options.iterations or file.iterations,
            pacing=file.pacing,
            graceful_stop=file.graceful_stop,
        )
        if load.run_time is None and load.iterations is None:
            return Load(load.users, load.spawn_rate, None, 1, load.pacing, load.graceful_stop)
        return load

    def _load_of(self, node: Node) -> Load:
        if not isinstance(node, MappingNode):
            message = f"'load' must be a mapping, not {kind_of(node)}"
            self._mistakes.add(node.where, f"{message}; write {{users: 50, run_time: 10s}}")
            return Load()
        fields = Fields(self._mistakes, node, "a load", LOAD_KEYS, LOAD_NOT_YET)
        stop = fields.read("graceful_stop", reader.duration)
        return Load(
            users=fields.read("users", reader.count) or 1,
            spawn_rate=fields.read("spawn_rate", reader.spawn_rate),
            run_time=fields.read("run_time", reader.positive_duration),
            iterations=fields.read("iterations", reader.count),
            pacing=fields.read("pacing", reader.duration),
            graceful_stop=DEFAULT_GRACEFUL_STOP if stop is None else stop,
        )

    # --- thresholds -------------------------------------------------------------------------

    def _thresholds(self, steps: Steps) -> tuple[Threshold, ...]:
        node = self._fields.value("thresholds")
        nodes = None if node is None else reader.items(self._mistakes, node, "'thresholds'")
        found = [self._threshold(item, steps) for item in nodes or ()]
        for threshold in self._options.thresholds:
            problem = _step_problem(threshold, steps)
            if problem is not None and not self._mistakes:
                raise UsageError(f"--threshold: {problem}")
        every = [t for t in found if t is not None] + list(self._options.thresholds)
        judged = any(t.step is None and t.metric in ("errors", "error_rate") for t in every)
        return tuple(every if judged else [IMPLIED, *every])

    def _threshold(self, node: Node, steps: Steps) -> Threshold | None:
        if isinstance(node, MappingNode):
            message = "a threshold must be a text; put the whole of it in quotes, as in"
            self._mistakes.add(node.where, f"{message} \"'login': p(95) < 20ms\"")
            return None
        text = reader.text(self._mistakes, node, "a threshold")
        if text is None:
            return None
        try:
            threshold = thresholds.parse(text)
        except ValueError as error:
            self._mistakes.add(node.where, str(error))
            return None
        problem = _step_problem(threshold, steps)
        if problem is not None:
            self._mistakes.add(node.where, problem)
        return threshold


def _step_problem(threshold: Threshold, steps: Steps) -> str | None:
    """Why the report will have no row for the threshold's step."""
    step = threshold.step
    if step is None or step == thresholds.CONNECT or step in steps.row_names or not steps.complete:
        return None
    if step in steps.untimed:
        return f"the step {quoted(step)} is not timed; a threshold needs a step on a socket"
    hint = suggestion(step, sorted(steps.row_names), "steps are")
    return f"unknown step {quoted(step)} in the threshold{hint}"
