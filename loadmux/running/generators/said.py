"""What a generator process and the one that started it say to each other, in this order.

`Job` and, once it is `Ready`, `Go`; then an `Update` every now and then, `Blocked` and `Open` where
there are barriers, STOP if the run ends early; and at last `Final`, or `Failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loadmux.driver.standstill import Standstill
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.measuring.stats import Stats

STOP = "stop"


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's users of one scenario: `numbers`, unique over all scenarios and workers.

    `first` is the number of the scenario's first user, whoever runs it. `urls` says where its
    targets, by name, listen.
    """

    scenario: Scenario
    urls: Mapping[str, Url]
    numbers: range
    first: int = 0

    @property
    def users(self) -> range:
        """The numbers of all users of the scenario, whoever runs them."""
        return range(self.first, self.first + self.scenario.load.users)


@dataclass(frozen=True, slots=True)
class Job:
    """All that worker number `worker` of `workers` has to do.

    Each scenario of the run has a share, if only an empty one.
    """

    shares: tuple[Share, ...]
    seed: int
    poller: str | None
    worker: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Go:
    """The run begins, at this `perf_counter` time: one clock for all processes of a machine.

    A worker hears of it a little later, and counts from then; but what several of them met is told
    by the time since then.
    """

    at: float


@dataclass(frozen=True, slots=True)
class Ready:
    """`rows` has all the rows of each share, without samples: an update tells only what changed."""

    poller: str
    rows: tuple[Stats, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a scenario measured since the last time; `active` users now, `elapsed` in seconds.

    All of it belongs to one phase (0 where there are none): at the end of each it is told.
    """

    stats: Stats
    active: int
    elapsed: float
    phase: int = 0

    def joined(self, later: Measured) -> Measured:
        """Both as one, as of the `later` one; the statistics of this one are used up."""
        self.stats.merge(later.stats)
        return replace(later, stats=self.stats)


@dataclass(frozen=True, slots=True)
class Health:
    """How the process fares; `late` is the p99 in seconds, `memory` in bytes; whether it waits for
    something that is `owed` to it.

    `standstills` counts those so far, `stood` is how long they were in all (seconds).
    """

    busy: float = 0.0
    cpu: float = 0.0
    late: float = 0.0
    memory: int = 0
    standstills: int = 0
    stood: float = 0.0
    owed: bool = True


@dataclass(frozen=True, slots=True)
class Update:
    """What was measured, by the shares' places in the job; those without news may be missing.

    `standstills` are those since the last update.
    """

    parts: dict[int, Measured]
    health: Health
    standstills: tuple[Standstill, ...] = ()

    def joined(self, later: object) -> Update | None:
        """Both as one, unless a part has come to another phase meanwhile."""
        if not isinstance(later, Update):
            return None
        common = self.parts.keys() & later.parts.keys()
        if any(self.parts[number].phase != later.parts[number].phase for number in common):
            return None
        joined = {number: self.parts[number].joined(later.parts[number]) for number in common}
        return replace(
            later,
            parts={**self.parts, **later.parts, **joined},
            standstills=self.standstills + later.standstills,
        )


@dataclass(frozen=True, slots=True)
class Final:
    """`reached` and `unreachable` are those of `Control`."""

    update: Update
    reached: frozenset[str]
    unreachable: Mapping[str, str]
    aborted: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot go on; `update` holds what was measured until then.

    `broken`: by its own fault, `trace` is the traceback if that was a bug.
    """

    reason: str
    update: Update | None
    broken: bool = False
    trace: str = ""
