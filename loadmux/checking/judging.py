"""How a body is judged: the contract of whoever is asked about one, a `Judge`. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadmux.checking.verifying import Problem


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a body (None: nothing), and what it gives a name to."""

    problem: Problem | None = None
    captured: Mapping[str, bytes] = field(default_factory=dict)


Judge = Callable[[bytes], Judgement]
RIGHT = Judgement()
