"""Whose fault it was: the one vocabulary in which loadmux says that something is wrong.

Three owners, never mixed up: the author of a scenario (`ScenarioError`, `UsageError`: nothing was
sent; `ScriptFailed`: their code failed while it ran, and the run is no pass), the target (`Fault`:
it counts against the verdict), and loadmux or its machine (`DriverFault`: the run is inconclusive,
the target is not blamed). Everything below imports this module; it imports nothing of loadmux.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple


class LoadmuxError(Exception):
    """Base of all that loadmux raises on purpose; `str()` is a line fit for a user."""


class UsageError(LoadmuxError):
    """The command line asks for something that cannot be done (exit code 2)."""


class TargetFailed(LoadmuxError):
    """The target could not be started, or its name not be resolved (exit code 4)."""


class Position(NamedTuple):
    """A place in a scenario file: line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class ScenarioError(LoadmuxError):
    """One mistake in a scenario file: `FILE:LINE:COL: what is wrong`."""

    def __init__(self, where: Position, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


class ScenarioErrors(LoadmuxError):
    """All the mistakes, in the order of each file; `str()` has lines for `SHOWN`, and a count."""

    SHOWN = 20

    def __init__(self, errors: list[ScenarioError]) -> None:
        self.errors = sorted(errors, key=lambda error: error.where)
        lines = [str(error) for error in self.errors[: self.SHOWN]]
        more = len(self.errors) - len(lines)
        if more:
            path = self.errors[self.SHOWN].where.path
            lines.append(f"{path}: and {more} more mistake{'s' if more > 1 else ''}")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Notice:
    """What in a scenario is right and yet hardly meant: `FILE:LINE:COL: warning: what it is`."""

    where: Position
    message: str

    def __str__(self) -> str:
        return f"{self.where}: warning: {self.message}"


class ScriptFailed(LoadmuxError):
    """Code of a scenario's author raised: `where` is `FILE:LINE`, `what` the error in one line.

    `trace` leads there, if there was an exception.
    """

    def __init__(self, where: str, what: str, trace: TracebackType | None = None) -> None:
        super().__init__(f"{where}: {what}")
        self.trace = trace
        self.where = where
        self.what = what


class DriverFault(LoadmuxError):
    """loadmux or its machine cannot go on (out of descriptors or ports, a crash): no verdict."""


class Broken(LoadmuxError):
    """loadmux itself broke before anything was measured (exit code 70)."""


class Kind(StrEnum):
    """What a target did wrong; the values are the words of the report and of `--json-file`."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    RESET = "reset"
    SEND_STALLED = "send_stalled"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    CROSSTALK = "crosstalk"
    SURPLUS = "surplus"
    MISMATCH = "mismatch"
    CHECK = "check"
    SPINNING = "spinning"
    LEAKED_DESCRIPTORS = "leaked_descriptors"
    LEAKED_THREADS = "leaked_threads"
    MEMORY_GROWTH = "memory_growth"
    NOT_READ = "not_read"
    NOT_ACCEPTED = "not_accepted"
    ZOMBIES = "zombies"


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a transcript: what happened on the socket, when (seconds since the run began)."""

    at: float
    what: str
    data: bytes = b""
    size: int = 0


@dataclass(slots=True)
class Evidence:
    """All that is known of one fault; picklable, bounded in size, fit for every reporter.

    `offset` counts from the first byte of the reply. `expected` and `received` are excerpts (at
    most `EXCERPT` bytes) that both begin at `excerpt_at` of the reply. `at` is in seconds since the
    run began. User and iteration count from 0. `target` is the URL of the socket's target. `said`
    is what the server has said since the reply in hand began, as it came: the first SAID bytes at
    most, of `said_size`.
    `unjudged`: it came about while the generator stood still, so nobody knows whose doing it is.
    `follows`: it only follows from another fault.
    """

    kind: Kind
    message: str
    offset: int | None = None
    expected: bytes | None = None
    received: bytes | None = None
    excerpt_at: int = 0
    belongs_to: str | None = None
    step: str = ""
    user: int = -1
    iteration: int = -1
    socket: str = ""
    at: float = 0.0
    transcript: list[Moment] = field(default_factory=list)
    target: str = ""
    unjudged: bool = False
    follows: bool = False
    said: bytes = b""
    said_size: int = 0

    def heard(self, said: bytes | bytearray, size: int | None = None) -> None:
        """Keep what the server has said, of which there are `size` bytes, if not all are here."""
        self.said, self.said_size = bytes(said[:SAID]), len(said) if size is None else size


EXCERPT = 256
SAID = 4096


class Fault(LoadmuxError):
    """The target did something wrong: raised by the driver, recorded by the user that met it."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence.message)
        self.evidence = evidence
