"""`loadmux compare`: who is compared, under what; rounds; and the result in all its forms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from loadmux import units
from loadmux.cli.answers import Answer, command, put_out, wanted_of
from loadmux.cli.capacities import seconds
from loadmux.cli.printing import STREAM
from loadmux.cli.running import repeat_command
from loadmux.cli.sources import sources_of
from loadmux.comparing import claims, contest_forms, contest_text, cores, crowd, paired, results
from loadmux.comparing.contest import Axis, Cell, Contest, Figures, Out, Point, plan
from loadmux.comparing.entrants import Entrant, entrants
from loadmux.comparing.gauge import Measuring, kept
from loadmux.comparing.rounds import compete, settled
from loadmux.errors import UsageError
from loadmux.language.loading import Bundle, load_all
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.stepvalues import Barrier
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import figures
from loadmux.report.baseline import machine
from loadmux.running.catalog import models, scenarios
from loadmux.running.generators.nursery import Nursery
from loadmux.running.interrupts import Interrupts
from loadmux.running.settings import Settings

OWN = "a small echo"
MODELS = "models"
USERS, SIZE = 10, 64
ECHO = """\
description: Messages of {size} bytes, each with its user's number, are echoed.
target: {{bundled: epoll, reply: {rule}}}
steps: [{{name: echo, send: "${{user}} {filler}", expect: reply}}]
load: {{users: 1, run_time: 1s}}
"""
LARGEST = 2**20
SWEEPS: tuple[Axis, ...] = ("users", "idle", "rate", "size")
WORDS = {ExitCode.PASS: ("COMPARED", "bold white on green")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line's words; of the lists one at most has several values."""

    users: str | None = None
    idle: str | None = None
    rate: str | None = None
    size: str | None = None
    trial: str = "500ms"
    budget: str = "5m"
    pin: bool = False
    workers: int = 1
    reply: Sequence[str] = ()
    variables: Sequence[str] = ()
    seed: int | None = None


def compare(
    words: Sequence[str],
    wanted: Wanted,
    puts: tuple[bool, Path | None, Sequence[str]],
    interrupts: Interrupts,
) -> ExitCode:
    """Compare and put out; the exit code. Raises LoadmuxError before it has begun.

    `puts`: whether quiet, the file of the JSON, and reports.
    """
    paired.ready()
    out = wanted_of(*puts, contest_forms.FORMS)
    contest = contest_of(words, wanted, out.quiet, interrupts)
    contest.command = command()
    return put_out(answer(contest), out, interrupts)


def contest_of(
    words: Sequence[str], wanted: Wanted, quiet: bool, interrupts: Interrupts
) -> Contest:
    """What is compared, as it came out. Raises LoadmuxError."""
    if words and all(one.endswith(".json") for one in words):
        return results.merged([results.read_contest(Path(one)) for one in words])
    if list(words) == [MODELS]:
        return models_compared(wanted, quiet, interrupts)
    named, file = split(words)
    found = entrants(named, models())
    if len(found) < 2:
        raise UsageError("compare: name two servers or more; `loadmux targets` lists the models")
    return run_contest(found, file, wanted, quiet, interrupts)


def run_contest(
    found: Sequence[Entrant],
    file: str | None,
    wanted: Wanted,
    quiet: bool,
    interrupts: Interrupts,
) -> Contest:
    axis, points = sweep(wanted, file)
    load = loader(file, axis, wanted)
    for entrant in found:
        check(load(entrant, points[0]), points)
    contest = Contest(found, points, axis, file or OWN, seconds("--trial", wanted.trial))
    return competed(contest, load, wanted, quiet, interrupts, settled)


def models_compared(wanted: Wanted, quiet: bool, interrupts: Interrupts) -> Contest:
    """All bundled models, and what is claimed of them. Raises UsageError."""
    if any((wanted.users, wanted.idle, wanted.rate, wanted.size)):
        raise UsageError("compare models: it has points of its own; leave out the sweep")
    names = [one for one in models() if one not in claims.NO_CONNECTIONS]
    found, trial = entrants(names, models()), seconds("--trial", wanted.trial)
    contest = Contest(found, claims.points(), "users", OWN, trial, skipped=claims.skipped(names))
    load = loader(None, "users", wanted)
    settings = Settings(interrupts=interrupts)
    for name in ("select", "poll"):
        count = kept(name, claims.TRIED, settings)
        if count is not None:
            contest.kept[name] = count
    return competed(contest, load, wanted, quiet, interrupts, claims.decided, claims.plan)


def competed(
    contest: Contest,
    load: Callable[[Entrant, Point], Scenario],
    wanted: Wanted,
    quiet: bool,
    interrupts: Interrupts,
    done: Callable[[Contest], bool],
    planned: Callable[[Contest], list[list[Cell]]] = plan,
) -> Contest:
    """The contest with all its rounds."""
    budget, points = seconds("--budget", wanted.budget), contest.points
    crowd.allow(max(point.idle for point in points))
    before = cores.Cores.look()
    contest.machine = machine()
    pinning = cores.pinned() if wanted.pin else None
    contest.pinned = "" if pinning is None else str(pinning)
    tell = no_word if quiet else partial(tell_turn, contest.axis)
    with Nursery(interrupts) as nursery:
        settings = Settings(wanted.workers, None, repeat_command, interrupts, nursery=nursery)
        measuring = Measuring(load, settings, contest.seconds, pinning)
        compete(contest, measuring, budget, lambda: interrupts.count > 0, tell, done, planned)
    contest.others = before.others()
    return contest


def split(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The servers, and the scenario that may stand last."""
    *before, last = words or [""]
    is_file = last == str(STREAM) or last.endswith((".yaml", ".yml", ".py"))
    if " " not in last and (is_file or (last in scenarios() and last not in models())):
        return before, last
    return [*before, last], None


def sweep(wanted: Wanted, file: str | None) -> tuple[Axis, list[Point]]:
    """The axis and its points. Raises UsageError."""
    lists = {
        "users": numbers("--users", wanted.users or str(USERS), whole),
        "idle": numbers("--idle", wanted.idle or "0", whole),
        "rate": numbers("--rate", wanted.rate, units.plain_rate) if wanted.rate else [],
        "size": numbers("--size", wanted.size or str(SIZE), units.size),
    }
    if wanted.size is not None and file is not None:
        raise UsageError("--size: it is of the echo that is measured where no FILE is named")
    several: list[Axis] = [axis for axis in SWEEPS if len(lists[axis]) > 1]
    if len(several) > 1:
        raise UsageError(f"compare: sweep one of {', '.join('--' + one for one in several)}")
    given: list[Axis] = [axis for axis in SWEEPS if getattr(wanted, axis) is not None]
    axis: Axis = several[0] if several else next(iter(given), "users")
    if min(lists["users"]) < 1:
        raise UsageError("--users: at least 1")
    return axis, [point_of(axis, value, lists) for value in lists[axis]]


def point_of(axis: Axis, value: float, lists: dict[str, list[float]]) -> Point:
    one = {name: values[0] if values else None for name, values in lists.items()} | {axis: value}
    users, idle = one["users"], one["idle"]
    assert users is not None
    assert idle is not None
    return Point(value, int(users), int(idle), one["rate"])


def whole(text: str) -> float:
    if not text.isdecimal() or len(text) > 7:
        raise ValueError(f"{text!r} is not a whole number")
    return float(text)


def numbers(option: str, text: str, convert: Callable[[str], float]) -> list[float]:
    try:
        found = [convert(one.strip()) for one in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option}: {error}; write one, or several as in 1,10,100") from None
    return list(dict.fromkeys(found))


def loader(file: str | None, axis: Axis, wanted: Wanted) -> Callable[[Entrant, Point], Scenario]:
    """Makes the scenario of an entrant at a point; each is read once."""
    known: dict[tuple[Entrant, float], Scenario] = {}
    piped = sources_of([file]) if file is not None else None
    rule = wanted.reply[0] if wanted.reply else "echo"

    def load(entrant: Entrant, point: Point) -> Scenario:
        size = point.value if axis == "size" else units.size(wanted.size or str(SIZE))
        key = (entrant, size)
        if key not in known:
            source = piped or [Bundle("compare", echo(int(size), rule), None)]
            known[key] = entrant.scenario(partial(_load, source))
        return known[key]

    def _load(sources: list[Path | Bundle], given: Overrides) -> Scenario:
        overrides = replace(
            given, reply=tuple(wanted.reply), variables=tuple(wanted.variables), seed=wanted.seed
        )
        return load_all(sources, overrides, models=models())[0]

    return load


def echo(size: int, rule: str) -> str:
    if not 8 <= size <= LARGEST:
        raise UsageError(f"--size: from 8 to {LARGEST} bytes, not {size}")
    return ECHO.format(size=size, rule=rule, filler="x" * (size - 2))


def check(scenario: Scenario, points: Sequence[Point]) -> None:
    if any(point.rate is not None for point in points) and any(
        isinstance(one, Barrier) for one in scenario.every_step
    ):
        raise UsageError("compare: a 'barrier' needs a fixed number of users; leave out --rate")


def no_word(entrant: Entrant, point: Point, found: Figures | Out, number: int) -> None:
    pass


def tell_turn(
    axis: Axis, entrant: Entrant, point: Point, found: Figures | Out, number: int
) -> None:
    plain = figures.plain_for(sys.stderr.encoding)
    line = contest_text.turn_line(axis, entrant, point, found, number)
    print(plain(line), file=sys.stderr, flush=True)


def answer(contest: Contest) -> Answer:
    return Answer(
        contest,
        contest.code,
        WORDS,
        contest_text.headline(contest),
        lambda: contest_text.lines(contest),
        lambda: results.text(results.of_contest(contest)),
        lambda: contest_forms.as_report(contest),
    )
