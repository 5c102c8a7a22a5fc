"""How a body is judged: the contract of whoever is asked about one, a `Judge`. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from loadmux.checking.frozen import dataclass
from loadmux.checking.verifying import Problem


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a body (None: nothing), and what it gives a name to.

    `doubtful`: a wrong one may answer nothing at all, and the right one come behind it.
    """

    problem: Problem | None = None
    captured: Mapping[str, bytes] = field(default_factory=dict)
    doubtful: bool = False


Judge = Callable[[bytes], Judgement]
RIGHT = Judgement()
