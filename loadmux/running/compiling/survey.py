"""What a whole file does with its names and sockets, learned before any step is compiled."""

from __future__ import annotations

from loadmux.language.meaning.expected import ByRule, groups_of
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.stepvalues import Call, Exchange, Expect, For, Performed, Set, Step
from loadmux.running.compiling.ruling import Rules


class Survey:
    """`changing` are the names that a step gives a value, `reads` the sockets that a step reads,
    `last_rows` has the last step on each socket: a late surplus is told at its row.
    """

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self._scenario = scenario
        self._rules = rules
        self.changing: set[str] = set()
        self.reads: set[int] = set()
        self.last_rows = ["close"] * len(scenario.sockets)
        for one in scenario.sockets:
            for unasked in (*one.ignore, *one.answer):
                self.changing.update(groups_of(unasked.body))
        for step in scenario.every_step:
            self._step(step)

    def _step(self, step: Step) -> None:
        if isinstance(step, For):
            self.changing.add(step.variable)
        elif isinstance(step, Set):
            self.changing.update(step.values)
        elif isinstance(step, Call):
            self._call()
        elif isinstance(step, Performed):
            self.changing.update(step.action.defines())
            self.reads.update(step.sockets)
            for index in step.sockets:
                self.last_rows[index] = step.name
        elif isinstance(step, Exchange):
            for index in step.sockets:
                self.last_rows[index] = step.name
            if step.expect is not None:
                self._expect(step.sockets, step.expect)

    def _call(self) -> None:
        """What a function does only the run will show: it may set and read all that there is."""
        self.changing.update(self._scenario.variables)
        self.reads.update(range(len(self._scenario.sockets)))
        for index in range(len(self._scenario.sockets)):
            if self._rules.name_of(index) is not None:
                self._rules.meet(ByRule(None), index)

    def _expect(self, sockets: tuple[int, ...], expect: Expect) -> None:
        if expect.save is not None:
            self.changing.add(expect.save)
        self.changing.update(groups_of(expect.reply))
        self.reads.update(sockets)
        if isinstance(expect.reply, ByRule):
            for index in sockets:
                self._rules.meet(expect.reply, index)
