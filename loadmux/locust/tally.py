"""All that the workers of one test measured, kept where the verdict is spoken: master, or alone.

Beside Locust's own statistics, which know neither evidence nor thresholds. Each class of users is
a part of the run, as each scenario file is one in `loadmux run` with several, and is judged and
reported by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

from loadmux.driver.pacer import Rate
from loadmux.driver.standstill import Standstill
from loadmux.language.meaning.scenario import Load
from loadmux.measuring.stats import Stats
from loadmux.measuring.timeline import Timeline
from loadmux.measuring.verdict import Verdict, combined
from loadmux.report import standstills
from loadmux.report.model import Listener, Report, WorkerReport
from loadmux.running.notes import notes_on
from loadmux.running.reporting import labelled_stats, part_report
from loadmux.running.state import Part, State


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker's loop fares: see `WorkerReport`; `users` are those of the moment.

    `standstills` are those since the last time.
    """

    busy: float = 0.0
    late: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    users: int = 0
    stood_still: int = 0
    stood: float = 0.0
    standstills: Sequence[Standstill] = ()

    @classmethod
    def of(cls, values: Sequence[Any]) -> Health:
        """From what `astuple` made of one."""
        made = cls(*values)
        return replace(made, standstills=[Standstill(*one) for one in values[-1]])


def users_only(stats: Stats) -> Stats:
    """Of all that was measured only how many users there were: they are the same ones still."""
    return Stats(started=stats.started, served=stats.served)


@dataclass(slots=True)
class Tally:
    """`parts` by class name, `workers` by client id; `failed` is why the generator could not go on.
    `command` repeats the test. `resets` tells of figures that were thrown away. A load with phases
    `lasted` so long (seconds), its last iterations included.

    `reached` and `unreachable` are those of the workers' `Control`.
    """

    parts: Mapping[str, Part]
    poller: str
    began: float = field(default_factory=monotonic)
    started: float = field(default_factory=time)
    ended: float | None = None
    workers: dict[str, Health] = field(default_factory=dict)
    standstills: dict[str, list[Standstill]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    interrupted: bool = False
    timeline: Timeline = field(default_factory=Timeline)
    listeners: Sequence[Listener] = ()
    command: str = ""
    resets: list[str] = field(default_factory=list)
    lasted: float = 0.0

    def reset(self) -> None:
        """Forget what was measured, and begin anew: somebody asked Locust to."""
        now = monotonic()
        for part in self.parts.values():
            gone = part.stats
            part.stats, part.phases = users_only(gone), {}
            rows = gone.steps.values()
            if count := sum(row.count for row in rows):
                wrong = sum(group.count for group in gone.faults.values())
                text = f"the statistics were reset after {now - self.began:.1f} s: {count} attempts"
                self.resets.append(part.say(f"{text} and {wrong} faults are in no figure"))
        self.began, self.started = now, time()
        self.timeline = Timeline(interval=self.timeline.interval)

    def add(
        self, name: str, stats: Stats, client: str = "local", users: int = 0, phase: int = 0
    ) -> None:
        """A client, which has so many users now, measured this in a part, in a phase of it."""
        part = self.parts.get(name)
        if part is None:
            return
        part.stats.merge(stats)
        if phase in range(len(part.scenario.load.phases)):
            part.phase_stats(phase).merge(stats)
        elapsed = (self.ended or monotonic()) - self.began
        self.timeline.add(client, elapsed, stats, users, part.kind_of)
        for hear in self.listeners:
            running = self.workers.keys() - self.lost
            late = self.workers[client].late if client in self.workers else 0.0
            hear(client, elapsed, stats.labelled(part.label), users, running, late)

    def note_reach(self, reach: Mapping[str, Sequence[Any]]) -> None:
        """What a worker reached and what not: by class, URLs and failed connects' texts by URL."""
        for reached, unreachable in reach.values():
            self.reached.update(reached)
            self.unreachable.update(unreachable)

    def expect(self, clients: Iterable[str]) -> None:
        """Workers that take part, whether or not they will ever tell anything."""
        for client in clients:
            self.note(client, Health())

    def note(self, client: str, health: Health) -> None:
        """A worker's latest; of its users the most that it had at once."""
        before = self.workers.get(client)
        most = max(health.users, before.users if before is not None else 0)
        self.workers[client] = replace(health, users=most)
        self.standstills.setdefault(client, []).extend(health.standstills)

    def took_part(self) -> list[Part]:
        """The parts that had a user; all of them where none had."""
        parts = list(self.parts.values())
        return [part for part in parts if part.stats.started] or parts

    def verdict(self) -> Verdict:
        """The verdict on the whole test."""
        return self.report().verdict

    def report(self) -> Report:
        duration = (self.ended or monotonic()) - self.began
        if self.ended is not None and not self.resets:
            duration = self.lasted or duration
        parts = [self._fitted(part, duration) for part in self.took_part()]
        gaps = [part.say(gap) for part in parts for gap in self._gap(part)]
        failed = self.failed or self._loss() or next(iter(gaps), None)
        state = State(parts, interrupted=self.interrupted, failed=failed)
        failures = self.unreachable.items()
        unreached = {url: text for url, text in failures if url not in self.reached}
        seed = parts[0].scenario.seed or 0
        workers = tuple(self._workers())
        stood = standstills.stood(workers)
        reports = tuple(part_report(part, seed, state, unreached, stood) for part in parts)
        stats = labelled_stats(reports)
        verdicts = [(one.label, one.verdict) for one in reports]
        notes = [*standstills.told(workers), *self.resets, *gaps]
        notes += [part.say(note) for part in parts for note in notes_on(part, state, 1)]
        if self.lost:
            notes.append(f"{self._loss()}; what they had told until then is in the figures")
        return Report(
            parts=reports,
            poller=self.poller,
            duration=duration,
            stats=stats,
            verdict=combined(verdicts, stats, duration),
            seed=seed,
            command=self.command,
            workers=workers,
            notes=tuple(notes),
            timeline=self.timeline,
            started=self.started,
            findings=tuple(one for part in parts for one in part.findings),
        )

    def _gap(self, part: Part) -> Iterator[str]:
        """Starts of an open load that went to its end, which are in no figures."""
        load = part.scenario.load
        planned = sum(one.pacer.seconds for one in load.phases)
        whole = self.ended is not None and part.elapsed >= planned and not self.resets
        if load.open and whole and not self.interrupted:
            count, intended = unaccounted(load, part.stats)
            if count > 0:
                yield f"{count} of {intended} starts of the schedule are in no figures"

    def _fitted(self, part: Part, duration: float) -> Part:
        """With the users that there were: how many to start was Locust's business."""
        load = replace(part.scenario.load, users=part.stats.started, run_time=None)
        return replace(part, scenario=replace(part.scenario, load=load), elapsed=duration)

    def _workers(self) -> Sequence[WorkerReport]:
        everyone = sorted(self.workers.items())
        return [
            WorkerReport(
                number,
                one.users,
                one.busy,
                one.late,
                one.cpu,
                one.memory,
                one.stood_still,
                one.stood,
                tuple(self.standstills.get(client, ())),
                "is gone" if client in self.lost else None,
            )
            for number, (client, one) in enumerate(everyone)
        ]

    def _loss(self) -> str | None:
        """What a lost worker measured last is unknown: faults may be among it."""
        if not self.lost:
            return None
        return f"{len(self.lost)} of {len(self.workers)} workers were lost"


def unaccounted(load: Load, stats: Stats) -> tuple[int, int]:
    """How many starts of a whole open load are in no figure, and how many there are in all."""
    intended = sum(one.pacer.count for one in load.phases if isinstance(one.pacer, Rate))
    return intended - stats.begun - stats.dropped - stats.missed, intended
