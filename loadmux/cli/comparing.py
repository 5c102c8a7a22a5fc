"""`--repeat`, `--save-baseline`, `--baseline`, `--max-regression`: what several runs tell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadmux.cli.printing import deliver
from loadmux.errors import UsageError
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import baseline
from loadmux.report.baseline import Baseline, Rule
from loadmux.report.model import Report
from loadmux.report.writing import check_writable


@dataclass(frozen=True, slots=True)
class Comparing:
    """`repeat` runs, compared with `before`, saved to `file`."""

    repeat: int = 1
    file: Path | None = None
    before: Baseline | None = None
    rules: Sequence[Rule] = ()
    reports: list[Report] = field(default_factory=list)

    def run(self, once: Callable[[], Report], interrupted: Callable[[], bool]) -> Report:
        """As often as asked, until a run has no verdict on the target; the report to show."""
        while len(self.reports) < self.repeat and not interrupted():
            self.reports.append(once())
            if self.reports[-1].verdict.code not in (ExitCode.PASS, ExitCode.THRESHOLD):
                break
            if self.repeat > 1:
                word, number = self.reports[-1].verdict.code.name, len(self.reports)
                print(f"run {number} of {self.repeat}: {word}", file=sys.stderr, flush=True)
        shown = baseline.worst(self.reports)
        if self.before is None:
            return shown
        return baseline.compared(shown, baseline.of(self.reports), self.before, self.rules)

    def save(self, report: Report) -> ExitCode:
        """Write the baseline of the runs, if they passed; INCONCLUSIVE where it is lost."""
        file = self.file
        if file is None:
            return ExitCode.PASS
        if report.verdict.code is not ExitCode.PASS:
            print(f"loadmux: {file} is not written: the run did not pass", file=sys.stderr)
            return ExitCode.PASS
        return deliver(lambda: baseline.write(baseline.of(self.reports), file))


def comparing(
    repeat: int, save: Path | None, before: Path | None, limits: Sequence[str]
) -> Comparing:
    """What the options ask for. Raises UsageError."""
    if limits and before is None:
        raise UsageError("--max-regression: name what to compare with: --baseline FILE")
    rules = [baseline.rule(limit) for limit in limits]
    if save is not None:
        check_writable(save)
    read = None if before is None else baseline.read(before, rules)
    return Comparing(repeat, save, read, rules)
