"""Tries the cases on a server, one after the other, and judges it fairly.

All variants of a case run at once. What fails is tried again alone, three times: a server is not
blamed for what only a busy machine made, so a fault by time alone counts only where it comes with a
longer deadline, too. Deadlines grow with the time that the known exchange takes here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import perf_counter

from loadmux.errors import Evidence, Kind, ScenarioErrors, TargetFailed, UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing import files
from loadmux.probing.acquainting import LEAVES, Acquaintance
from loadmux.probing.bench import Bench, Bystander, Trouble
from loadmux.probing.beyond import Told
from loadmux.probing.cases import CASES, level_of
from loadmux.probing.cases.crowds import FLOOD
from loadmux.probing.cases.variants import CROWD, Case, Unsupported, Variant, crowded
from loadmux.probing.known import Known, pick
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.probing.selecting import DEFAULTS, Settings, selected
from loadmux.probing.smallest import smallest
from loadmux.probing.suspects import Suspect, evidence_of, folded, slower, spread
from loadmux.probing.trying import LATE, Tap, Try
from loadmux.report.figures import plural
from loadmux.running.generators.process import raise_descriptor_limit
from loadmux.running.seeds import draw_seed

TRIES = 3
BESIDE, ALONE = 8, 2
"""Users at once, where a failure is not repeated in so many tries alone."""
SUSPECTS = 3
"""So many of the failing variants are tried again."""
ALONE_WITHIN = 20.0
"""Seconds in which each variant of a case that harms the server is tried alone."""
LONGER = 3
WARM_UP = 3
CROWDED = ("reset", "refused", "unreachable")
"""What a short accept queue may do to many at once, and to none of them alone."""
LOOK = "; 'loadmux trace' shows all that the server says"
REMEDIES = dict.fromkeys(
    (Kind.REFUSED, Kind.UNREACHABLE, Kind.CONNECT_TIMEOUT),
    "; start the server, or name it with --target URL or --command WORDS",
)
"""What to do where the exchange itself fails."""
FINDINGS = (
    *("spinning", "leaked_descriptors", "memory_growth", "not_read", "not_accepted", "zombies"),
)
INTERLEAVE, TOGETHER = "interleave", "at-once"
SHRUNK_WITHIN = 45.0
"""Seconds in which what chance has drawn is made smaller."""


def probe(scenario: Scenario, settings: Settings = DEFAULTS) -> ProbeReport:
    """Probe the target of a scenario. Raises UsageError, TargetFailed before anything was tried."""
    wanted = selected(settings)
    seed = settings.seed if settings.seed is not None else scenario.seed
    found = replace(
        pick(scenario),
        seed=draw_seed() if seed is None else seed,
        pipelining=settings.pipelining,
    )
    raise_descriptor_limit()
    bench = Bench(found.scenario, found.seed, settings.interrupts)
    began = perf_counter()
    with bench.running():
        if settings.interrupts is not None:
            settings.interrupts.measuring()
        battery = Battery(bench, found, settings)
        battery.run(wanted)
        return battery.report(perf_counter() - began)


@dataclass
class Battery:
    """The cases on one server."""

    bench: Bench
    known: Known
    settings: Settings
    results: list[CaseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    over: str = ""
    left: set[Kind] = field(default_factory=set)

    def run(self, wanted: Sequence[tuple[Case, Collection[str]]]) -> None:
        """The control, the cases, the control again; nothing is judged where the first fails."""
        self.settings.begun(CASES[0])
        if not self._control():
            return
        for case, labels in wanted:
            if self.interrupted:
                return
            self.settings.begun(case)
            began = perf_counter()
            result = self._case(case, labels)
            if self.interrupted:
                return
            self._add(replace(result, seconds=perf_counter() - began))
            if result.verdict in (Found.FAIL, Found.WARN):
                self._avoid(result)
        self._control_again()

    def _avoid(self, result: CaseResult) -> None:
        """What fails once is not tried in other cases, too, and what /proc shows is told once."""
        case = result.id
        coalesced = case.startswith("coalesced")
        self.bench.apart = self.bench.apart or case == TOGETHER
        if result.fault in FINDINGS:
            self.bench.standing.add(Kind(result.fault))
            self.notes.append(f"{result.fault} is told once: no case after {case} looks at it")
        self.known = replace(
            self.known,
            failing=self.known.failing | {case},
            pipelining=self.known.pipelining and not coalesced,
        )

    @property
    def interrupted(self) -> bool:
        interrupts = self.settings.interrupts
        return interrupts is not None and interrupts.count > 0

    def _add(self, result: CaseResult) -> None:
        self.results.append(result)
        self.settings.ended(result)

    # --- the control ----------------------------------------------------------------------------

    def _control(self) -> bool:
        """Whether the exchange works; learns its bytes, its time, and what the server can do."""
        case, took = CASES[0], list[float]()
        restless = Kind.SPINNING in self.bench.look()
        for _ in range(WARM_UP):
            tap = Tap()
            (tried,) = self._runs([*case.make(self.known)], tap)
            if tried.fault is not None:
                self._not_known(tried.fault)
                return False
            took.append(tried.took)
            self.known = replace(self.known, sent=tap.sent, came=tap.came)
        self.known = replace(self.known, took=max(took))
        learned = Acquaintance(self.bench, self.known, self._runs)
        learned.learn(median(took), restless)
        self.known, self.left = learned.known, learned.left
        self.notes += learned.notes
        self._add(CaseResult("control", "must", Found.PASS, tried=WARM_UP))
        return True

    def _control_again(self) -> None:
        """After everything."""
        fault = None if self.over else self.bench.ask(self.known.waiting(CROWD))
        if fault is not None and self.bench.ask(self.known.waiting(FLOOD)) is not None:
            text = f"after all cases: {fault.message}"
            failed = CaseResult("control", "must", Found.FAIL, 1, 1, "", str(fault.kind), text)
            self.results[0] = failed
            self.settings.ended(failed)

    def _not_known(self, fault: Evidence) -> None:
        died = self.bench.died()
        text = died.text if died is not None else fault.message
        remedy = "" if died is not None else REMEDIES.get(fault.kind, LOOK)
        self.over = f"the exchange does not work, so nothing was judged: {text}{remedy}"
        kind = str(fault.kind) if died is None else died.kind
        detail = text if died is not None else f"{fault.step}: {text}"
        control = CaseResult("control", "must", Found.FAIL, 1, 1, "", kind, detail)
        self._add(control)

    # --- a case ---------------------------------------------------------------------------------

    def _case(self, case: Case, labels: Collection[str]) -> CaseResult:
        case = replace(case, level=level_of(case, self.known))
        if self.over:
            return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=self.over)
        if case.tell is not None:
            return self._told(case, case.tell(self.bench, self.known))
        for one in case.needs:
            if one in self.known.failing:
                why = f"not tried: {one} fails"
                return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=why)
        try:
            variants = self._variants(case, labels)
        except Unsupported as unsupported:
            return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=str(unsupported))
        self.bench.standing -= self.left if case.id == LEAVES else set()
        suspects = self._suspects(variants)
        self.bench.standing |= self.left
        if not suspects:
            verdict = Found.INFO if case.level == "info" else Found.PASS
            detail = "served as ever" if case.level == "info" else ""
            return CaseResult(case.id, case.level, verdict, len(variants), detail=detail)
        return self._failed(case, variants, suspects)

    def _told(self, case: Case, told: Told) -> CaseResult:
        """What was seen of something that no scenario says."""
        if self.bench.aftermath(self.known, None, at_work=False) is not None:
            self._recover()
        verdict = Found.INFO if told.supported else Found.UNSUPPORTED
        return CaseResult(case.id, case.level, verdict, int(told.supported), detail=told.text)

    def _variants(self, case: Case, labels: Collection[str]) -> list[Variant]:
        """The variants as files say them. Raises Unsupported, UsageError."""
        known = self.known
        if case.id == INTERLEAVE and labels:
            known = replace(known, seeds=tuple(int(one) for one in labels if one.isdecimal()))
        try:
            made = self._reread(case, known)
        except ScenarioErrors as first:
            try:
                made = self._reread(case, known.raw())
            except ScenarioErrors:
                raise Unsupported(
                    f"the language has no such scenario: {first.errors[0].message}"
                ) from None
        found = [one for one in made if not labels or one.label in labels]
        if not found:
            raise UsageError(f"{case.id} has no variant {', '.join(sorted(labels))}")
        return found

    def _reread(self, case: Case, exchange: Known) -> list[Variant]:
        return [replace(one, scenario=exchange.reread(one.scenario)) for one in case.make(exchange)]

    def _runs(self, variants: Sequence[Variant], tap: Tap | None = None) -> list[Try]:
        """Run them; the faults that count."""
        tries = self.bench.run([one.scenario for one in variants], tap)
        counted = [one.judge(tried) for one, tried in zip(variants, tries, strict=True)]
        return [
            replace(tried, faults=() if fault is None else (fault,))
            for fault, tried in zip(counted, tries, strict=True)
        ]

    def _round(self, variants: Sequence[Variant]) -> tuple[list[Try], Trouble | None]:
        """All at once, and what the server is like afterwards."""
        bystander = self._bystander()
        self.bench.weigh(sum(one.stalls for one in variants), len(self.known.sent))
        tries = self._runs(variants)
        stalled = (one.sent for one, of in zip(tries, variants, strict=True) if of.stalls)
        self.bench.owed = sum(stalled) * len(self.known.came) // max(1, len(self.known.sent))
        late = any(one.fault is not None and one.fault.kind in LATE for one in tries)
        timeout = max(one.scenario.timeout for one in variants)
        known = replace(self.known, timeout=max(timeout, self.known.timeout))
        busy = self.bench.rests(known) if any(one.rests for one in variants) else None
        return tries, self.bench.aftermath(known, bystander, at_work=late) or busy

    def _bystander(self) -> Bystander | None:
        if not self.known.lasts or self.bench.width(2) < 2:
            return None
        bystander = self.bench.bystander(self.known)
        bystander.begin()
        return bystander

    def _suspects(self, variants: Sequence[Variant]) -> list[Suspect]:
        """The variants that fail, those that were tried again first."""
        tries, trouble = self._round(variants)
        found = [
            Suspect(variant, tried.fault)
            for variant, tried in zip(variants, tries, strict=True)
            if tried.fault is not None
        ]
        if trouble is not None:
            return self._each_alone(variants, trouble)
        if not found:
            return []
        self._recover()
        return self._confirmed(found)

    def _recover(self) -> None:
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
            tries = [tried for one in longer for tried in self._round([one])[0]]
        else:
            tries, _ = self._round(longer)
        for number, suspect in enumerate(chosen):
            again = tries[number * TRIES : (number + 1) * TRIES]
            faults = [one.fault for one in again if one.fault is not None]
            suspect.failed, suspect.tried = len(faults), TRIES
            if faults:
                suspect.fault = faults[0]
            elif not (suspect.late or suspect.kind in CROWDED):
                suspect.failed, suspect.tried = 1, TRIES + 1
        self._recover()
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
        """Whether it fails by itself, too."""
        longer = slower(suspect.variant, LONGER)
        alone = [self._runs([longer])[0].fault for _ in range(TRIES)]
        suspect.beside = not any(alone)
        if any(alone):
            self._recover()

    def _each_alone(self, variants: Sequence[Variant], first: Trouble) -> list[Suspect]:
        """The server, or somebody beside, was harmed: by which of them?"""
        found: list[Suspect] = []
        due = perf_counter() + ALONE_WITHIN
        for variant in [*variants]:
            self._recover()
            if self.over or (found and perf_counter() > due) or self.interrupted:
                break
            suspect = self._alone(variant)
            if suspect is not None:
                found.append(suspect)
        if found:
            self._repeat(found[0])
        elif not self.over and not first.late:
            variant = Variant("", variants[0].scenario)
            found = [Suspect(variant, first, 1, 1 + len(variants))]
        self._recover()
        return found

    def _alone(self, variant: Variant) -> Suspect | None:
        """One variant, alone; how it failed."""
        (tried,), trouble = self._round([variant])
        if trouble is not None:
            return Suspect(variant, trouble)
        return None if tried.fault is None else Suspect(variant, tried.fault)

    def _repeat(self, suspect: Suspect) -> None:
        for _ in range(TRIES - 1):
            self._recover()
            if self.over:
                return
            suspect.tried += 1
            suspect.failed += self._alone(slower(suspect.variant, LONGER)) is not None

    # --- what is told ---------------------------------------------------------------------------

    def _failed(
        self, case: Case, variants: Sequence[Variant], suspects: list[Suspect]
    ) -> CaseResult:
        first = suspects[0]
        failing = [one for one in variants if any(one.label == s.variant.label for s in suspects)]
        verdict = Found.FAIL
        if case.level == "should" and not self.settings.strict:
            verdict = Found.WARN
        if case.level == "info":
            verdict = Found.INFO
        return CaseResult(
            case.id,
            case.level,
            verdict,
            len(variants),
            max(1, len(failing)),
            folded(variants, failing) if case.offsets else "",
            first.kind,
            first.text,
            self._small(case, self._written(first, beside=len(variants) > 1)),
            first.failed,
            first.tried,
            evidence=tuple(evidence_of(first)),
        )

    def _written(self, suspect: Suspect, beside: bool) -> str:
        """The file of a failure. `beside`: others were tried at once."""
        if self.settings.failures is None:
            return ""
        watch = isinstance(suspect.fault, Trouble) and suspect.fault.kind in FINDINGS
        told = f"{suspect.kind}: {suspect.text}"
        scenario = suspect.variant.scenario
        if isinstance(suspect.fault, Trouble) and not watch:
            scenario = self.known.among_others(scenario)
        elif beside and not self.over and not isinstance(suspect.fault, Trouble):
            scenario = self._repeated(suspect.variant)
        return files.write(self.settings.failures, scenario, self.bench.target, told, watch)

    def _repeated(self, variant: Variant) -> Scenario:
        """The scenario if it fails alone, too; what needs others beside has as many users."""
        for users in (1, BESIDE):
            load = replace(variant.scenario.load, users=users * variant.scenario.load.users)
            made = replace(variant.scenario, load=load)
            for _ in range(ALONE):
                (tried,) = self._runs([replace(variant, scenario=made)])
                self._recover()
                if tried.fault is not None:
                    return made
            if crowded(self.known, BESIDE * len(made.sockets)) or self.over:
                break
        return variant.scenario

    def _small(self, case: Case, path: str) -> str:
        """The file of what chance has drawn, made as small as it can be, if it can."""
        if case.id != INTERLEAVE or not path:
            return path
        if self.bench.ours:
            self.bench.stop()
        found = smallest(load(path), SHRUNK_WITHIN, self.bench.interrupts)
        self._recover()
        if found is None:
            return path
        small = Path(path).with_suffix(".shrunk.yaml")
        small.write_text(found, encoding="utf-8")
        return str(small)

    def report(self, duration: float) -> ProbeReport:
        """The verdict on all that was tried."""
        code, reason = self._verdict()
        sent, came = len(self.known.sent), len(self.known.came)
        told = f"{plural(sent, 'byte')} answered by {came}" if sent else "not known"
        return ProbeReport(
            self.bench.target.called,
            str(self.bench.url),
            told,
            self.known.seed,
            tuple(self.results),
            code,
            reason,
            duration,
            tuple(self.notes),
        )

    def _verdict(self) -> tuple[ExitCode, str]:
        if self.interrupted:
            return ExitCode.INTERRUPTED, "interrupted; what was tried until then is told"
        failed = [one.id for one in self.results if one.verdict is Found.FAIL]
        if (
            failed == ["control"]
            and self.over
            and not (self.results[0].fault == "died" and self.known.came)
        ):
            unreached = self.results[0].fault in ("refused", "unreachable", "connect_timeout")
            return ExitCode.UNREACHABLE if unreached else ExitCode.INCONCLUSIVE, self.over
        if failed:
            return ExitCode.FAIL, f"{plural(len(failed), 'case')} failed: {', '.join(failed)}"
        if self.over:
            return ExitCode.INCONCLUSIVE, self.over
        warned = [one.id for one in self.results if one.verdict is Found.WARN]
        passed = sum(one.verdict is Found.PASS for one in self.results)
        text = f"{plural(passed, 'case')} passed"
        return ExitCode.PASS, f"{text}; warned: {', '.join(warned)}" if warned else text


__all__ = ["Battery", "Settings", "TargetFailed", "probe", "selected"]
