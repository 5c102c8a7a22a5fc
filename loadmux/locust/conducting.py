"""The phases of a load under Locust, on the side of those who carry them out.

Locust's shape (`shape`) says how many users there are; when open load begins an iteration is the
business of the same pacer as in `loadmux run`. Each process follows the schedule by its own clock,
from when it heard of the test, and makes the starts that are its share (`dividing`).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from loadmux.driver.control import Control
from loadmux.driver.crowd import Crowd, Division
from loadmux.driver.loop import Loop, Task
from loadmux.driver.schedule import Stage
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.stats import Stats

Measured = list[tuple[int, Stats]]
"""What was measured, by the number of the phase in which it was."""


class Conducting:
    """The load of one class in this process. `at_end` is called when the last phase is over."""

    def __init__(
        self, loop: Loop, scenario: Scenario, control: Control, at_end: Callable[[], object]
    ) -> None:
        stages = [Stage(one.pacer, one.users, 0, 1) for one in scenario.load.phases]
        self.crowd = Crowd(control, stages, scenario.timeout, self._phase_over)
        self._loop = loop
        self._control = control
        self._at_end = at_end
        self._phase = 0
        self._past: Measured = []
        self._origin = 0.0

    def divide(self, division: Division, elapsed: float) -> None:
        """A share of the starts; the first word of one also says how far the test is (seconds)."""
        if not self._origin:
            self._begin(perf_counter() - elapsed)
        self.crowd.divide(division)

    def _begin(self, origin: float) -> None:
        self._origin = origin
        self._control.ended = perf_counter()
        conductor = Task(self._loop)
        self._loop.spawn(conductor, self._conduct(conductor))

    async def _conduct(self, task: Task) -> None:
        await self.crowd.conduct(task, self._origin)
        self._control.stopping = True
        self._at_end()

    def stop(self) -> None:
        """The test ends before its load does: what was due is dropped."""
        self.crowd.break_off()
        self._control.stopping = True

    @property
    def elapsed(self) -> float:
        """Seconds since the load began, until its last user had done its work."""
        if not self._origin:
            return 0.0
        over = self.crowd.over and self._control.active == self._control.departing
        return (self._control.ended if over else perf_counter()) - self._origin

    def _phase_over(self) -> None:
        self._past.append((self._phase, self._control.stats.take()))
        self._phase += 1

    def take(self) -> Measured:
        """What was measured since the last call."""
        past, self._past = self._past, []
        return [*past, (self._phase, self._control.stats.take())]
