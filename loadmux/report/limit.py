"""What the rate of a run was limited by: the generator, the target, the machine, or none of them.

Never a guess: the generator is named only where its process used a core all the time, the target
only where each thread that does its work did. Where one of them had to wait for a free core, it is
the machine, which others use as well, or which has too few. A server of many threads that hold
each other up is none of that, so "neither" has the figures beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loadmux.measuring.cpu import Cpu
from loadmux.report.model import BUSY_LIMIT, Report

RAN = 0.85
"""Share of a core from which on a busy process was not held up by others."""
GENERATOR, TARGET, BOTH = "generator", "target", "both"
MACHINE, NEITHER, UNKNOWN = "machine", "neither", "unknown"
LIMITS = (GENERATOR, TARGET, BOTH, MACHINE, NEITHER, UNKNOWN)
REMEDIES = {
    GENERATOR: "The generator itself was the limit: the rate is what this generator can do, and"
    " latencies hold time spent waiting for it: add --workers.",
    MACHINE: "Its cores are too few, or others use them: the figures are those of such a machine.",
}
NAMES = {
    GENERATOR: "the generator",
    TARGET: "the target",
    BOTH: "the generator and the target",
    MACHINE: "the machine",
    NEITHER: "neither generator nor target",
    UNKNOWN: "not the generator",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """`by`: one of LIMITS; UNKNOWN is not the generator, and more is not known. `figures` say why,
    `remedy` what to make of it, "" where there is nothing to say.
    """

    by: str
    figures: str

    @property
    def text(self) -> str:
        return f"{NAMES[self.by]}: {self.figures}"

    @property
    def remedy(self) -> str:
        return REMEDIES.get(self.by, "")


def limit(report: Report) -> Limit | None:
    """None where the run was too short, or too little ran, to tell."""
    if not report.telling or not report.workers:
        return None
    worker, target = max(report.workers, key=lambda one: one.busy), report.target_cpu
    busy, full = worker.busy > BUSY_LIMIT, target is not None and target.full
    waited = list(_waited(report, worker.cpu if busy else 0.0))
    if waited:
        return Limit(MACHINE, " and ".join(waited))
    figures = f"the generator was {worker.busy:.0%} busy, {_used(target)}"
    if busy and full:
        return Limit(BOTH, figures)
    if busy or full:
        return Limit(GENERATOR if busy else TARGET, figures)
    return Limit(UNKNOWN if target is None else NEITHER, figures)


def _waited(report: Report, cpu: float) -> Iterator[str]:
    """Who had to wait for a free core; `cpu` is the share of a core that a busy generator got, 0
    where it was none or nobody has measured.
    """
    for who, used in (("generator", report.generator_cpu), ("target", report.target_cpu)):
        if used is not None and used.starved:
            yield f"the {who} waited for a free core {used.held_up:.0%} of the time"
        elif used is None and who == "generator" and 0.0 < cpu < RAN:
            yield f"the generator always had work and got {cpu:.0%} of a core"


def _used(target: Cpu | None) -> str:
    return (
        "the target's CPU is not known"
        if target is None
        else f"the target used {target.cores:.2f} cores"
    )
