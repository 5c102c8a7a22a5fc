"""What is asked of a battery: which cases, how strictly, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadmux.errors import UsageError
from loadmux.language.text.nodes import suggestion
from loadmux.probing.cases import CASES
from loadmux.probing.cases.variants import Case
from loadmux.probing.outcome import CaseResult
from loadmux.running.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tried, and how it is judged. `cases` and `skip` are ids or how they begin.

    `strict`: what a server should do it must. `failures` is the folder for failing scenarios, None
    writes none. `begun` is told of each case. `patience`: seconds that a reply may take at least; a
    server that takes long gets more.
    """

    cases: Sequence[str] = ()
    skip: Sequence[str] = ()
    strict: bool = False
    pipelining: bool = True
    seed: int | None = None
    patience: float = 1.5
    failures: Path | None = None
    interrupts: Interrupts | None = None
    begun: Callable[[Case], None] = lambda case: None
    ended: Callable[[CaseResult], object] = lambda result: None


DEFAULTS = Settings()


def selected(settings: Settings) -> list[tuple[Case, Collection[str]]]:
    """The cases that are asked for, each with the labels of its variants (none: all).

    Raises UsageError for a word that is no case.
    """
    for word in (*settings.cases, *settings.skip):
        if not any(begins(case.id, word) or begins(word, case.id) for case in CASES):
            names = [case.id for case in CASES]
            raise UsageError(f"no case is called {word!r}{suggestion(word, names, 'there are')}")
    found: list[tuple[Case, Collection[str]]] = []
    for case in CASES:
        whole = not settings.cases or any(begins(case.id, one) for one in settings.cases)
        labels = {
            one.removeprefix(f"{case.id}/")
            for one in settings.cases
            if one != case.id and begins(one, case.id) and one not in {c.id for c in CASES}
        }
        skipped = any(begins(case.id, one) for one in settings.skip)
        if (whole or labels) and not skipped and case.id != "control":
            found.append((case, () if whole else labels))
    return found


def begins(name: str, word: str) -> bool:
    """Whether `word` is how an id begins, up to a slash."""
    return name == word or name.startswith(f"{word.rstrip('/')}/")
