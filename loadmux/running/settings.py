"""How to run scenarios: what is not their own business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadmux.report.model import Listener
from loadmux.running.generators.nursery import Nursery
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.processes import ServerProcess


@dataclass(frozen=True, slots=True)
class Settings:
    """`command` tells, for a seed, how to repeat the run.

    `watch`: look also at servers that we have not started. `listeners` hear in this process of all
    that workers tell.
    """

    workers: int = 1
    poller: str | None = None
    command: Callable[[int], str] = str
    interrupts: Interrupts = field(default_factory=Interrupts)
    watch: bool = False
    listeners: Sequence[Listener] = ()
    held: Mapping[str, ServerProcess] = field(default_factory=dict)
    nursery: Nursery | None = None
