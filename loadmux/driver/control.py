"""What the users of a loop share: when to stop, where to count; and how long a branch goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loadmux.driver.barrier import Barriers
from loadmux.driver.loop import Task
from loadmux.driver.outages import Outages
from loadmux.measuring.stats import Stats


@dataclass(slots=True)
class Control:
    """What the users of a loop share: when to stop, and where to count.

    `active` counts users that were spawned and are not done; `ended` is when the last user so far
    left off iterating (`perf_counter` seconds). `reached` are the URLs of the targets to which a
    connect has ever succeeded, `unreachable` maps the others to the first failed connect's text:
    they end the run, unless `persistent` is true. `departing` are those of the `active` that only
    part from their server. `barriers` is there once one is needed. `none_active` is called when
    there are no `active` ones any more.
    """

    stats: Stats
    iterations: int | None = None
    pacing: float | None = None
    stopping: bool = False
    aborted: bool = False
    persistent: bool = False
    reached: set[str] = field(default_factory=set)
    unreachable: dict[str, str] = field(default_factory=dict)
    active: int = 0
    departing: int = 0
    ended: float = 0.0
    barriers: Barriers | None = None
    none_active: Callable[[], None] | None = None
    outages: Outages = field(init=False)

    def __post_init__(self) -> None:
        self.outages = Outages(self.stats.consequences)

    @property
    def given_up(self) -> bool:
        """Whether a target was never reached and is not to be tried again."""
        return bool(self.unreachable) and not self.persistent


class Shift:
    """For how long a branch goes on; that it is `over` ends the pauses of those `resting`.

    `unasked`: the step in hand awaits what nobody has asked for. `held`: so many steps that are
    carried out to their end are in hand.
    """

    __slots__ = ("held", "over", "resting", "unasked")

    def __init__(self) -> None:
        self.over = self.unasked = False
        self.held = 0
        self.resting: set[Task] = set()

    def end(self) -> None:
        self.over = True
        for task in self.resting:
            task.loop.wake(task)


ENDLESS = Shift()
"""Of users, and of branches that end by themselves."""
