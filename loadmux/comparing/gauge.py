"""Measures one entrant of a comparison at one point, by a real run against a server of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from loadmux.comparing import crowd
from loadmux.comparing.bench import Bench, Measured
from loadmux.comparing.contest import Figures, Out, Point
from loadmux.comparing.cores import Pinning
from loadmux.comparing.entrants import Entrant
from loadmux.comparing.objectives import ended_by
from loadmux.errors import Broken, TargetFailed, UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target
from loadmux.measuring.exitcodes import ExitCode
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.settings import Settings

WITHIN = 2.0
"""Seconds in which a server that has no room says so."""


@dataclass
class Measuring:
    """Measures an entrant at a point, by real runs."""

    load: Callable[[Entrant, Point], Scenario]
    settings: Settings
    seconds: float
    pinning: Pinning | None = None

    def __call__(self, entrant: Entrant, point: Point) -> Figures | Out:
        """Raises LoadmuxError only for what is no entrant's doing."""
        try:
            scenario = self.load(entrant, point)
            with ExitStack() as stack:
                bench = stack.enter_context(Bench(scenario, self.settings, spare=point.idle))
                lying = self._idle(bench, point, stack)
                measured = self._run(bench, point)
                gone = lying.gone if lying is not None else 0
        except (TargetFailed, UsageError) as error:
            return Out(str(error))
        verdict = measured.report.verdict
        if verdict.code is ExitCode.UNREACHABLE:
            return Out(verdict.reason)
        if verdict.code is ExitCode.BROKEN:
            raise Broken(verdict.reason)
        if ended_by(measured) or verdict.code is ExitCode.FAIL:
            return Out(verdict.reason, True, measured.report)
        return figures(measured, gone)

    def _run(self, bench: Bench, point: Point) -> Measured:
        if self.pinning is not None:
            self.pinning.pin_servers(bench.roots)
        if point.rate is not None:
            return bench.open(point.rate, point.users, self.seconds)
        return bench.closed(point.users, self.seconds)

    def _idle(self, bench: Bench, point: Point, stack: ExitStack) -> crowd.Crowd | None:
        held = bench.start(point.users)
        if not point.idle:
            return None
        ((name, target),) = bench.scenario.servers.items()
        url = held[name].url if name in held else target.url
        assert url is not None
        if url.scheme == "udp":
            raise UsageError("--idle: UDP has no connections")
        return stack.enter_context(crowd.Crowd(url, point.idle))


def kept(model: str, count: int, settings: Settings) -> int | None:
    """How many of so many connections a bundled model lets in; None where it cannot run here."""
    crowd.allow(count)
    try:
        target = Target(bundled=model, rule="echo")
        with (
            TargetProcess(target, settings.interrupts) as process,
            crowd.Crowd(process.url, count) as lying,
        ):
            lying.await_end_of_one(WITHIN)
            return count - lying.gone
    except TargetFailed:
        return None


def figures(measured: Measured, idle_gone: int) -> Figures:
    return Figures(
        measured.rate,
        measured.percentile(0.5),
        measured.percentile(0.99),
        measured.cpu,
        measured.report.limited or measured.report.verdict.code is ExitCode.INCONCLUSIVE,
        idle_gone,
        measured.alone,
    )
