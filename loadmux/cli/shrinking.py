"""`loadmux shrink`: from a scenario that fails to the smallest that fails in the same way."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from loadmux import units
from loadmux.cli.printing import STREAM, deliver
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.smallest import Shrinking
from loadmux.probing.written import FIRST_WORDS
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.starting import lying

PASSES = "there is nothing to shrink"


def shrink_file(
    name: str,
    overrides: Overrides,
    fault: str | None,
    how: tuple[str, int, Path | None],
    interrupts: Interrupts,
) -> ExitCode:
    """Shrink what the command line names; the exit code. Raises LoadmuxError before it begins.

    `how`: the longest time, how often each candidate is tried, where to write.
    """
    scenarios = scenarios_of(sources_of([name]), overrides)
    scenario = (lying(scenarios, fault) if fault is not None else scenarios)[0]
    budget, tries, output = how
    path = output or default_output(name, scenario)
    check_free(path, asked=output is not None)
    shrinking = Shrinking(scenario, seconds_of(budget), tries, interrupts, complain)
    interrupts.measuring()
    shrinking.search()
    return finish(shrinking, path)


def complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds_of(text: str) -> float:
    try:
        found = units.plain_duration(text)
    except ValueError as error:
        raise UsageError(f"--budget: {error}") from None
    if not found:
        raise UsageError("--budget: must be more than zero")
    return found


def default_output(name: str, scenario: Scenario) -> Path:
    """Beside the file, whose own files it may name; of a bundled one here."""
    folder = Path(name).parent if Path(name).is_file() else Path()
    stem = "scenario" if name == str(STREAM) else Path(scenario.path).stem
    return folder / f"{stem}-shrunk.yaml"


def check_free(path: Path, asked: bool) -> None:
    """Raises UsageError where something else than an earlier result is there."""
    if path == STREAM or not path.exists():
        return
    try:
        ours = path.read_text("utf-8").startswith(FIRST_WORDS)
    except (OSError, ValueError):
        ours = False
    if not ours:
        remedy = "name another file" if asked else "say where with --output FILE"
        raise UsageError(f"shrink: {path} is there already; {remedy}")


def finish(shrinking: Shrinking, path: Path) -> ExitCode:
    """Write the smallest, and say how small it is; the exit code."""
    hunt, interrupted = shrinking.hunt, shrinking.interrupts.count > 0
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.PASS
    shrinking.interrupts.delivering(code)
    name = shrinking.scenario.path
    if not hunt.failed:
        if interrupted:
            complain("loadmux: interrupted before the scenario had failed")
            return code
        times = f"{hunt.baseline} of {hunt.baseline} times"
        print(f"{name} passed {times}: {PASSES}" if hunt.baseline else f"{name}: {LATE}")
        return ExitCode.INCONCLUSIVE
    text = shrinking.text()
    lost = deliver(lambda: put(path, text))
    return lost or code


LATE = "its first run was not over in the time of --budget; give it more"


def put(path: Path, text: str) -> None:
    """Write the file and show it."""
    if path != STREAM:
        path.write_text(text, encoding="utf-8")
    print(text, end="")
    if path != STREAM:
        print(f"\n{path} is written; now: loadmux run {shlex.quote(str(path))}")
