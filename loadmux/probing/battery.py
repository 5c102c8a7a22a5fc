"""Tries the cases on a server, one after the other, and tells what came of each."""

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
from loadmux.probing.bench import Bench, Trouble
from loadmux.probing.beyond import Told
from loadmux.probing.cases import CASES, level_of
from loadmux.probing.cases.crowds import FLOOD
from loadmux.probing.cases.variants import CROWD, Case, Unsupported, Variant, crowded
from loadmux.probing.known import Known, pick
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.probing.selecting import DEFAULTS, Settings, selected
from loadmux.probing.smallest import smallest
from loadmux.probing.suspects import Suspect, evidence_of, folded
from loadmux.probing.trials import LONGER, Trials
from loadmux.probing.trying import Tap
from loadmux.report.figures import plural
from loadmux.running.generators.process import raise_descriptor_limit
from loadmux.running.seeds import draw_seed

BESIDE, ALONE = 8, 2
"""Users at once, where a failure is not repeated in so many tries alone."""
WARM_UP = 3
LOOK = "; 'loadmux trace' shows all that the server says"
REMEDIES = dict.fromkeys(
    (Kind.REFUSED, Kind.UNREACHABLE, Kind.CONNECT_TIMEOUT),
    "; start the server, or name it with --target URL or --command WORDS",
)
"""What to do where the exchange itself fails."""
FINDINGS = (
    *("spinning", "leaked_descriptors", "leaked_threads", "memory_growth", "not_read"),
    *("not_accepted", "zombies"),
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
        battery = Battery(bench, Trials(bench, found), settings)
        battery.run(wanted)
        return battery.report(perf_counter() - began)


@dataclass
class Battery:
    """The cases on one server."""

    bench: Bench
    trials: Trials
    settings: Settings
    results: list[CaseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
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
        self.trials.known = replace(
            self.trials.known,
            failing=self.trials.known.failing | {case},
            pipelining=self.trials.known.pipelining and not coalesced,
        )

    @property
    def interrupted(self) -> bool:
        return self.trials.interrupted

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
            (tried,) = self.trials.runs([*case.make(self.trials.known)], tap)
            if tried.fault is not None:
                self._not_known(tried.fault)
                return False
            if self._at_a_loss():
                return False
            took.append(tried.took)
            self.trials.known = replace(self.trials.known, sent=tap.sent, came=tap.came)
        self.trials.known = replace(self.trials.known, took=max(took))
        learned = Acquaintance(
            self.bench, self.trials.known, self.trials.runs, self.settings.patience
        )
        learned.learn(median(took), restless)
        self.trials.known, self.left = learned.known, learned.left
        self.notes += learned.notes
        if self._at_a_loss():
            return False
        self._add(CaseResult("control", "must", Found.PASS, tried=WARM_UP))
        return True

    def _at_a_loss(self) -> bool:
        """Whether nothing is known of the exchange, though it did not fail."""
        if self.bench.unknown:
            self.trials.over = f"nothing was judged: {self.bench.unknown[0]}"
            self._add(CaseResult("control", "must", Found.INCONCLUSIVE, detail=self.trials.over))
        return bool(self.trials.over)

    def _control_again(self) -> None:
        """After everything."""
        self.bench.unknown.clear()
        fault = None if self.trials.over else self.bench.ask(self.trials.known.waiting(CROWD))
        failed = None
        if fault is not None and self.bench.ask(self.trials.known.waiting(FLOOD)) is not None:
            text = f"after all cases: {fault.message}"
            failed = CaseResult("control", "must", Found.FAIL, 1, 1, "", str(fault.kind), text)
        elif self.bench.unknown:
            text = f"after all cases: {self.bench.unknown[0]}"
            failed = CaseResult("control", "must", Found.INCONCLUSIVE, detail=text)
        if failed is not None:
            self.results[0] = failed
            self.settings.ended(failed)

    def _not_known(self, fault: Evidence) -> None:
        died = self.bench.died()
        text = died.text if died is not None else fault.message
        remedy = "" if died is not None else REMEDIES.get(fault.kind, LOOK)
        self.trials.over = f"the exchange does not work, so nothing was judged: {text}{remedy}"
        kind = str(fault.kind) if died is None else died.kind
        detail = text if died is not None else f"{fault.step}: {text}"
        control = CaseResult("control", "must", Found.FAIL, 1, 1, "", kind, detail)
        self._add(control)

    # --- a case ---------------------------------------------------------------------------------

    def _case(self, case: Case, labels: Collection[str]) -> CaseResult:
        case = replace(case, level=level_of(case, self.trials.known))
        if self.trials.over:
            return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=self.trials.over)
        if case.tell is not None:
            return self._told(case, case.tell(self.bench, self.trials.known))
        for one in case.needs:
            if one in self.trials.known.failing:
                why = f"not tried: {one} fails"
                return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=why)
        try:
            variants = self._variants(case, labels)
        except Unsupported as unsupported:
            return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=str(unsupported))
        self.bench.standing -= self.left if case.id == LEAVES else set()
        self.bench.unknown.clear()
        suspects = self.trials.suspects(variants)
        self.bench.standing |= self.left
        return self._failed(case, variants, suspects) if suspects else self._stood(case, variants)

    def _stood(self, case: Case, variants: Sequence[Variant]) -> CaseResult:
        """Nothing was wrong in what is known."""
        told, count = self.bench.unknown, len(variants)
        if told:
            return CaseResult(case.id, case.level, Found.INCONCLUSIVE, count, detail=told[0])
        short = [one for one in variants if self.trials.short.get(one.label)]
        if len(short) == count:
            detail = self.trials.short[short[0].label]
            return CaseResult(case.id, case.level, Found.UNSUPPORTED, detail=detail)
        verdict = Found.INFO if case.level == "info" else Found.PASS
        said = [f"{one.label} was not tried: {self.trials.short[one.label]}" for one in short]
        detail = "; ".join(said) or ("served as ever" if case.level == "info" else "")
        return CaseResult(case.id, case.level, verdict, count, detail=detail)

    def _told(self, case: Case, told: Told) -> CaseResult:
        """What was seen of something that no scenario says."""
        if self.bench.aftermath(self.trials.known, None, False, LONGER) is not None:
            self.trials.recover()
        verdict = Found.INFO if told.supported else Found.UNSUPPORTED
        return CaseResult(case.id, case.level, verdict, int(told.supported), detail=told.text)

    def _variants(self, case: Case, labels: Collection[str]) -> list[Variant]:
        """The variants as files say them. Raises Unsupported, UsageError."""
        known = self.trials.known
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
            scenario = self.trials.known.among_others(scenario)
        elif beside and not self.trials.over and not isinstance(suspect.fault, Trouble):
            scenario = self._repeated(suspect.variant)
        return files.write(self.settings.failures, scenario, self.bench.target, told, watch)

    def _repeated(self, variant: Variant) -> Scenario:
        """The scenario if it fails alone, too; what needs others beside has as many users."""
        for users in (1, BESIDE):
            load = replace(variant.scenario.load, users=users * variant.scenario.load.users)
            made = replace(variant.scenario, load=load)
            for _ in range(ALONE):
                (tried,) = self.trials.runs([replace(variant, scenario=made)])
                self.trials.recover()
                if tried.fault is not None:
                    return made
            if crowded(self.trials.known, BESIDE * len(made.sockets)) or self.trials.over:
                break
        return variant.scenario

    def _small(self, case: Case, path: str) -> str:
        """The file of what chance has drawn, made as small as it can be, if it can."""
        if case.id != INTERLEAVE or not path:
            return path
        if self.bench.ours:
            self.bench.stop()
        found = smallest(load(path), SHRUNK_WITHIN, self.bench.interrupts)
        self.trials.recover()
        if found is None:
            return path
        small = Path(path).with_suffix(".shrunk.yaml")
        small.write_text(found, encoding="utf-8")
        return str(small)

    def report(self, duration: float) -> ProbeReport:
        """The verdict on all that was tried."""
        code, reason = self._verdict()
        sent, came = len(self.trials.known.sent), len(self.trials.known.came)
        told = f"{plural(sent, 'byte')} answered by {came}" if sent else "not known"
        return ProbeReport(
            self.bench.target.called,
            str(self.bench.url),
            told,
            self.trials.known.seed,
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
        unknown = [one for one in self.results if one.verdict is Found.INCONCLUSIVE]
        if (
            failed == ["control"]
            and self.trials.over
            and not (self.results[0].fault == "died" and self.trials.known.came)
        ):
            unreached = self.results[0].fault in ("refused", "unreachable", "connect_timeout")
            return ExitCode.UNREACHABLE if unreached else ExitCode.INCONCLUSIVE, self.trials.over
        if failed:
            return ExitCode.FAIL, f"{plural(len(failed), 'case')} failed: {', '.join(failed)}"
        if self.trials.over:
            return ExitCode.INCONCLUSIVE, self.trials.over
        if unknown:
            names = ", ".join(one.id for one in unknown)
            return ExitCode.INCONCLUSIVE, f"nothing is known of {names}: {unknown[0].detail}"
        warned = [one.id for one in self.results if one.verdict is Found.WARN]
        passed = sum(one.verdict is Found.PASS for one in self.results)
        text = f"{plural(passed, 'case')} passed"
        return ExitCode.PASS, f"{text}; warned: {', '.join(warned)}" if warned else text


__all__ = ["Battery", "Settings", "TargetFailed", "probe", "selected"]
