"""What a battery has found, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from loadmux.measuring.exitcodes import ExitCode

Level = Literal["must", "should", "info"]


class Found(StrEnum):
    """What is said of a case; the values are the words of the report."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    UNSUPPORTED = "unsupported"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case: `failed` of `tried` variants, those at `where`; `fault` is the first one's kind.

    `again` of `times` tries of the first failing one failed: less is flaky. `file` replays it.
    """

    id: str
    level: Level
    verdict: Found
    tried: int = 0
    failed: int = 0
    where: str = ""
    fault: str = ""
    detail: str = ""
    file: str = ""
    again: int = 0
    times: int = 0
    seconds: float = 0.0
    evidence: Sequence[str] = ()

    @property
    def flaky(self) -> bool:
        """Whether it did not fail each time."""
        return 0 < self.again < self.times

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "level": self.level,
            "verdict": str(self.verdict),
            "tried": self.tried,
            "failed": self.failed,
            "where": self.where,
            "fault": self.fault,
            "detail": self.detail,
            "file": self.file,
            "flaky": self.flaky,
            "repeated": {"failed": self.again, "tried": self.times},
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """A battery on one server, called `server`; `reason` is the verdict in a line."""

    server: str
    url: str
    exchange: str
    seed: int
    cases: Sequence[CaseResult]
    code: ExitCode
    reason: str
    duration: float = 0.0
    notes: Sequence[str] = field(default=())

    def of(self, verdict: str) -> list[CaseResult]:
        """The cases of a verdict."""
        return [one for one in self.cases if one.verdict == verdict]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema_version": 1,
            "verdict": self.code.name.lower(),
            "exit_code": int(self.code),
            "reason": self.reason,
            "server": self.server,
            "url": self.url,
            "exchange": self.exchange,
            "seed": self.seed,
            "duration": round(self.duration, 3),
            "cases": [one.as_dict() for one in self.cases],
            "notes": list(self.notes),
        }
