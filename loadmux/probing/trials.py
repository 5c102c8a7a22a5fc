"""Runs the variants of a case, and says which of them fail, fairly.

All variants run at once. What fails is tried again alone, three times: a server is not blamed for
what only a busy machine made, so a fault by time alone counts only where it comes with a longer
deadline, too. Deadlines grow with the time that the known exchange takes here. A try of which
nothing is known counts neither for the server nor against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from loadmux.errors import TargetFailed
from loadmux.probing.bench import Bench, Bystander, Trouble
from loadmux.probing.cases.variants import Variant
from loadmux.probing.known import Known
from loadmux.probing.suspects import Suspect, slower, spread
from loadmux.probing.trying import LATE, Tap, Try

TRIES = 3
SUSPECTS = 3
"""So many of the failing variants are tried again."""
ALONE_WITHIN = 20.0
"""Seconds in which each variant of a case that harms the server is tried alone."""
LONGER = 3
CROWDED = ("reset", "refused", "unreachable")
"""What a short accept queue may do to many at once, and to none of them alone."""


@dataclass
class Trials:
    """Those of one server, by the `known` exchange.

    `over`: why there can be no more of them. `short` says of variants, by their labels, why the
    last try did not come to what they are for.
    """

    bench: Bench
    known: Known
    over: str = ""
    short: dict[str, str] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        interrupts = self.bench.interrupts
        return interrupts is not None and interrupts.count > 0

    def runs(self, variants: Sequence[Variant], tap: Tap | None = None) -> list[Try]:
        """Run them; the faults that count, and whether nothing is known."""
        asked = [one.why_unknown for one in variants]
        tries = self.bench.run([one.scenario for one in variants], tap, asked)
        for one, tried in zip(variants, tries, strict=True):
            self.short[one.label] = one.short(tried)
        return [one.judged(tried) for one, tried in zip(variants, tries, strict=True)]

    def _round(
        self, variants: Sequence[Variant], longer: bool = False
    ) -> tuple[list[Try], Trouble | None]:
        """All at once, and what the server is like afterwards. `longer`: by longer deadlines."""
        if longer:
            variants = [slower(one, LONGER) for one in variants]
        timeout = max(one.scenario.timeout for one in variants)
        known = replace(self.known, timeout=max(timeout, self.known.timeout))
        bystander = self._bystander(known)
        self.bench.count(sum(one.clients for one in variants))
        self.bench.weigh(sum(one.stalls for one in variants), len(self.known.sent))
        tries = self.runs(variants)
        stalled = (one.sent for one, of in zip(tries, variants, strict=True) if of.stalls)
        self.bench.owed = sum(stalled) * len(self.known.came) // max(1, len(self.known.sent))
        late = any(one.fault is not None and one.fault.kind in LATE for one in tries)
        busy = self.bench.rests(known) if any(one.rests for one in variants) else None
        return tries, self.bench.aftermath(known, bystander, late, 1 if longer else LONGER) or busy

    def _bystander(self, known: Known) -> Bystander | None:
        if not known.lasts or self.bench.width(2) < 2:
            return None
        bystander = self.bench.bystander(known)
        bystander.begin()
        return bystander

    def suspects(self, variants: Sequence[Variant]) -> list[Suspect]:
        """The variants that fail, those that were tried again first."""
        tries, trouble = self._round(variants)
        passed = [one for one, tried in zip(variants, tries, strict=True) if tried.fault is None]
        twice = [one for one in passed if one.twice and trouble is None]
        found = [
            Suspect(variant, tried.fault)
            for variant, tried in zip([*variants, *twice], [*tries, *self.runs(twice)], strict=True)
            if tried.fault is not None
        ]
        if trouble is not None:
            return self._each_alone(variants, trouble)
        if not found:
            return []
        self.recover()
        return self._confirmed(found)

    def recover(self) -> None:
        """After a failure: a server that nobody has harmed, or the end of the battery."""
        try:
            self.bench.restart()
        except TargetFailed as error:
            self.over = f"the server does not start any more: {error}"
            return
        if not self.bench.ours and not self.bench.recovers(self.known):
            self.over = "not tried: the server does not answer any more"

    def _confirmed(self, found: list[Suspect]) -> list[Suspect]:
        """Those whose every reply was judged wrong: some of them again, several times, at once but
        where a crowd may have made the fault.
        """
        chosen = spread(found, SUSPECTS)
        longer = [slower(one.variant, LONGER) for one in chosen for _ in range(TRIES)]
        if any(one.kind in CROWDED for one in chosen):
            tries = [tried for one in longer for tried in self.runs([one])]
        else:
            tries = self.runs(longer)
        for number, suspect in enumerate(chosen):
            again = tries[number * TRIES : (number + 1) * TRIES]
            faults = [one.fault for one in again if one.fault is not None]
            suspect.failed, suspect.tried = len(faults), sum(not one.unjudged for one in again)
            if faults:
                suspect.fault = faults[0]
            elif not (suspect.late or suspect.kind in CROWDED):
                suspect.failed, suspect.tried = 1, suspect.tried + 1
        self.recover()
        confirmed = [one for one in chosen if one.failed]
        if not confirmed:
            return []
        first = confirmed[0]
        if (len(found) > 1 or first.late) and not self.over:
            self._apart(first)
            if first.beside and first.late and first.variant.leaves:
                return []  # so many copies at once were a lot of work
        return [*confirmed, *(one for one in found if one not in chosen)]

    def _apart(self, suspect: Suspect) -> None:
        """Whether it fails by itself, too: in one of some tries."""
        longer = slower(suspect.variant, LONGER)
        fails = any(self.runs([longer])[0].fault for _ in range(TRIES))
        suspect.beside = not fails
        if fails:
            self.recover()

    def _each_alone(self, variants: Sequence[Variant], first: Trouble) -> list[Suspect]:
        """The server, or somebody beside, was harmed: by which of them?"""
        found: list[Suspect] = []
        due = perf_counter() + ALONE_WITHIN
        if len(variants) == 1:
            found = [Suspect(variants[0], first)]
        for variant in variants[: 0 if found else None]:
            self.recover()
            if self.over or (found and perf_counter() > due) or self.interrupted:
                break
            suspect = self._alone(variant)
            if suspect is not None:
                found.append(suspect)
        if found:
            found = self._again(found)
        if not found and not self.over and not first.late:
            variant = Variant("", variants[0].scenario)
            found = [Suspect(variant, first, 1, 1 + len(variants))]
        self.recover()
        return found

    def _alone(self, variant: Variant, longer: bool = False) -> Suspect | None:
        """One variant, alone; how it failed."""
        (tried,), trouble = self._round([variant], longer)
        if trouble is not None:
            return Suspect(variant, trouble)
        return None if tried.fault is None else Suspect(variant, tried.fault)

    def _again(self, found: list[Suspect]) -> list[Suspect]:
        """From the first one on that is not late for once only."""
        for place, suspect in enumerate(found):
            self._repeat(suspect)
            if not suspect.late or suspect.failed > 1 or self.over:
                return found[place:]
        return []

    def _repeat(self, suspect: Suspect) -> None:
        for _ in range(TRIES - 1):
            self.recover()
            if self.over:
                return
            before = len(self.bench.unknown)
            fails = self._alone(suspect.variant, longer=suspect.late) is not None
            suspect.failed += fails
            suspect.tried += fails or len(self.bench.unknown) == before
