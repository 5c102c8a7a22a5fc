"""Several steps with one row: from the first one's begin to the last one's end, pauses left out.

A fault in one of them is told at its own step, and counts as an error of the transaction as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType

from loadmux.driver.user import Operation, VirtualUser, walk
from loadmux.errors import Fault
from loadmux.measuring.rows import StepStats

KIND = "transaction"


class Act:
    """One run of a transaction by a user, in the `async with` that it is."""

    __slots__ = ("_began", "_row", "_user", "_waited")

    def __init__(self, user: VirtualUser, row: StepStats) -> None:
        self._user = user
        self._row = row

    async def __aenter__(self) -> None:
        self._began, self._waited = perf_counter(), self._user.waited

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        user = self._user
        if error is None:
            took = user.loop.since(self._began) - (user.waited - self._waited)
            self._row.samples.append(0.0 if took < 0.0 else took)  # NaN stays what it is
        elif isinstance(error, AssertionError) or (
            isinstance(error, Fault) and not error.evidence.unjudged
        ):
            self._row.errors += 1


@dataclass(slots=True)
class Transaction:
    """The step."""

    name: str
    row: StepStats
    do: Sequence[Operation]

    async def run(self, user: VirtualUser) -> None:
        async with Act(user, self.row):
            await walk(user, self.do)
