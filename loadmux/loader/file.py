"""The whole file: reads every top-level key in the order in which they depend on each other."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from loadmux import thresholds
from loadmux.errors import Position
from loadmux.loader import feeders, load, reader, target
from loadmux.loader.branches import Branches
from loadmux.loader.files import Files
from loadmux.loader.forms import Forms
from loadmux.loader.names import Names
from loadmux.loader.options import Options
from loadmux.loader.payloads import Payloads
from loadmux.loader.reader import Fields, Mistakes, kind_of, suggestion
from loadmux.loader.sockets import Sockets
from loadmux.loader.steps import Steps
from loadmux.registry import Registry
from loadmux.scenario import Feeder, OnError, Scenario, Step, Target, Text, Threshold
from loadmux.units import quoted
from loadmux.yamltree import Entry, ListNode, MappingNode, Node

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
    "weight",
)
ON_ERROR: tuple[OnError, ...] = get_args(OnError)
DEFAULT_TIMEOUT = 5.0
IMPLIED = Threshold("errors == 0", None, "errors", "==", 0.0, implied=True)


class File:
    """Reads one file's tree; what is wrong in it goes to `mistakes`.

    `unmatched`: thresholds of the command line that speak of no step of this file, and why.
    """

    def __init__(
        self,
        path: str,
        root: MappingNode,
        mistakes: Mistakes,
        options: Options,
        files: Files,
        registry: Registry,
    ) -> None:
        self._path = path
        self._files = files
        self._fields = Fields(mistakes, root, "a scenario", KEYS)
        self._mistakes = mistakes
        self._options = options
        self._registry = registry
        self._names = Names(mistakes)
        self._forms = Forms(registry, mistakes, self._names)
        self._sockets = Sockets(mistakes, self._forms)
        self._feeders: dict[str, Feeder] = {}
        self.unmatched: dict[Threshold, str] = {}

    def read(self) -> Scenario:
        """The scenario, of no worth where there are mistakes; UsageError for a `--target`."""
        targets, unruled = self._targets()
        variables = self._variables()
        rules, forms = self._options.rules, self._forms
        payloads = Payloads(self._mistakes, self._names, self._files, rules, unruled, forms)
        self._declare_sockets(targets, payloads)
        sockets, folder = self._sockets, str(Path(self._path).parent.resolve())
        branches = Branches(self._mistakes, self._names, folder, lambda i: sockets.flat[i].name)
        steps = Steps(self._mistakes, sockets, self._names, payloads, branches, forms)
        before, body, after = (self._steps(steps, key) for key in ("before", "steps", "after"))
        self._names.finish()
        fields, options = self._fields, self._options
        file_seed = fields.read("seed", reader.index)
        return Scenario(
            path=self._path,
            name=fields.read("name", reader.label) or Path(self._path).stem,
            description=fields.read("description", reader.any_text) or "",
            target=next(iter(targets.values()), None),
            variables=variables,
            sockets=tuple(self._sockets.flat),
            before=before,
            steps=body,
            after=after,
            load=load.read(self._mistakes, fields.value("load"), options),
            timeout=fields.read("timeout", reader.positive_duration) or DEFAULT_TIMEOUT,
            on_error=self._on_error(),
            seed=file_seed if options.seed is None else options.seed,
            thresholds=self._thresholds(steps),
            feeders=self._feeders,
            targets={} if target.ONLY in targets else targets,
            weight=fields.read("weight", reader.count),
            rules=self._registry.rules(),
            plugins=tuple(self._registry.used.values()),
            notices=self._mistakes.notices,
        )

    def _on_error(self) -> OnError:
        node = self._fields.value("on_error")
        if node is None:
            return "reconnect"
        found = reader.choice(self._mistakes, node, "on_error", ON_ERROR)
        return cast(OnError, found or "reconnect")

    # --- target -----------------------------------------------------------------------------

    def _targets(self) -> tuple[dict[str, Target], frozenset[str]]:
        """The targets in force, and those without a rule for `expect: reply` (if to be blamed)."""
        options, node = self._options, self._fields.value("target")
        found = target.read(self._mistakes, node, options.models, options.rules, self._registry)
        if "target" in self._fields.meant or not found.judged:
            self._sockets.targets = None
            return dict(found.targets), frozenset()
        in_force = target.in_force(found.targets, options.targets, options.replies)
        target.check_rules(self._registry, in_force, options.replies)
        self._sockets.targets = tuple(in_force)
        if not in_force:
            target.require(self._mistakes, self._path)
        return in_force, frozenset(name for name, one in in_force.items() if one.rule is None)

    # --- variables and sockets --------------------------------------------------------------

    def _variables(self) -> dict[str, str]:
        """The constants; lists go to the names, for a `for` to use, feeders to `_feeders`."""
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
            if isinstance(entry.value, MappingNode):
                self._feeder(entry)
                continue
            if isinstance(entry.value, ListNode):
                texts = [self._constant(item, "an item of a list") for item in entry.value.items]
                self._names.lists[entry.key] = tuple(Text((t,) if t else ()) for t in texts)
                continue
            self._names.define(entry.where, entry.key)
            constants[entry.key] = self._constant(entry.value, "a variable")
        return constants

    def _constant(self, node: Node, what: str) -> str:
        found = reader.constant(self._mistakes, node, what)
        return "" if found is None else self._names.constant(node.where, found)

    def _feeder(self, entry: Entry) -> None:
        feeder = feeders.read(self._mistakes, entry, self._files)
        self._names.feeders[entry.key] = None if feeder is None else tuple(feeder.columns)
        if feeder is not None:
            self._feeders[entry.key] = feeder

    def _declare_sockets(self, targets: dict[str, Target], payloads: Payloads) -> None:
        where = self._fields.where_of("target") if len(targets) > 1 else self._fields.where
        self._sockets.declare_all(self._fields.value("sockets"), where, payloads.constant)
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

    # --- thresholds -------------------------------------------------------------------------

    def _thresholds(self, steps: Steps) -> tuple[Threshold, ...]:
        node = self._fields.value("thresholds")
        nodes = None if node is None else reader.items(self._mistakes, node, "'thresholds'")
        found = [self._threshold(item, steps) for item in nodes or ()]
        every = [t for t in found if t is not None]
        for threshold in self._options.thresholds:
            problem = _step_problem(threshold, steps)
            if problem is None:
                every.append(threshold)
            else:
                self.unmatched[threshold] = problem
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
