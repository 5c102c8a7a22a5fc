"""`loadmux probe`: the known exchange, the battery, and what is told of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadmux.cli.asking import unescaped
from loadmux.cli.printing import STREAM, deliver
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.errors import UsageError
from loadmux.language.loading import load
from loadmux.language.options import checked_command
from loadmux.language.scenario import Overrides, Scenario
from loadmux.language.suggesting import constant
from loadmux.language.urls import parse_url
from loadmux.language.yamltext import flow
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.battery import Settings, probe
from loadmux.probing.cases import CASES
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.report import figures
from loadmux.running.interrupts import Interrupts

STYLES = {
    Found.PASS: "green",
    Found.FAIL: "bold red",
    Found.WARN: "yellow",
    Found.UNSUPPORTED: "dim",
    Found.INFO: "cyan",
}
WIDTH = max(len(case.id) for case in CASES)
NEEDED = (
    "probe: give an exchange that works: a FILE whose first step sends and expects, or --send TEXT"
    " --expect TEXT with a URL or --command WORDS"
)


def list_cases() -> None:
    """Print the ids, levels and what they do."""
    lines = [f"{case.id:{WIDTH}}  {case.level:6}  {case.line}" for case in CASES]
    deliver(partial(print, "\n".join(lines)))


def scenario_for(
    words: Sequence[str],
    overrides: Overrides,
    send: str | None,
    expect: str | None,
) -> tuple[Scenario, list[str]]:
    """What is probed, and the cases that are asked for. Raises LoadmuxError."""
    commands = overrides.command or ()
    command = commands if isinstance(commands, str) else next(iter(commands), None)
    if send is None:
        if not words or "://" in words[0]:
            raise UsageError(NEEDED)
        return scenarios_of(sources_of(words[:1]), overrides)[0], list(words[1:])
    if expect is None:
        raise UsageError("probe: --send needs --expect TEXT, the whole reply")
    url = words[0] if words and "://" in words[0] else None
    if (url is None) == (command is None):
        raise UsageError("probe: --send needs one server: a URL, or --command WORDS")
    target: object = url
    if command is not None:
        target = {"command": list(checked_command(command).words)}
    elif url is not None:
        checked_url(url)
    step = f"{{send: {constant(unescaped(send))}, expect: {constant(unescaped(expect))}}}"
    text = f"target: {flow(target)}\nsteps: [{step}]\n"
    return load("probe.yaml", text=text), list(words if url is None else words[1:])


def checked_url(url: str) -> None:
    """Raises UsageError."""
    try:
        parse_url(url)
    except ValueError as error:
        raise UsageError(f"probe: {error}") from None


def probe_words(
    words: Sequence[str],
    overrides: Overrides,
    exchange: tuple[str | None, str | None],
    ways: tuple[Sequence[str], bool, bool],
    failures: Path,
    json_file: Path | None,
    interrupts: Interrupts,
) -> ExitCode:
    """Probe what the command line names; the exit code. Raises LoadmuxError before it begins.

    `exchange`: what is sent and expected. `ways`: what is skipped, whether strict, and pipelined.
    """
    scenario, cases = scenario_for(words, overrides, *exchange)
    skip, strict, pipelining = ways
    quiet = json_file == STREAM
    console = Console(highlight=False, stderr=quiet)
    plain = figures.plain_for(console.encoding)

    def say(line: str, style: str = "") -> None:
        console.print(Text(plain(line), style), soft_wrap=True)
        sys.stdout.flush()

    def tell(result: CaseResult) -> None:
        for line in told(result, WIDTH):
            say(*line)

    settings = Settings(
        cases=cases,
        skip=skip,
        strict=strict,
        pipelining=pipelining,
        seed=overrides.seed,
        failures=failures,
        interrupts=interrupts,
        ended=tell,
    )
    report = probe(scenario, settings)
    interrupts.delivering(report.code)
    for line in summary(report):
        say(line, STYLES[Found.PASS if not report.code else Found.FAIL])
    if json_file is not None:
        text = json.dumps(report.as_dict(), indent=2)
        if quiet:
            deliver(partial(print, text))
        else:
            json_file.write_text(text + "\n", encoding="utf-8")
    return report.code


def told(result: CaseResult, width: int) -> list[tuple[str, str]]:
    """The lines of one case, each with its style."""
    word = result.verdict.upper() if result.verdict is Found.FAIL else str(result.verdict)
    style = STYLES[result.verdict]
    head = f"{word:11} {result.id:{width}}  {result.level:6} "
    if result.failed == 0:
        tried = f"{result.tried} of {result.tried}" if result.tried > 1 else ""
        return [(f"{head} {result.detail or tried}".rstrip(), style)]
    where = f"at {result.where}" if result.where else ""
    count = f"fails {result.failed} of {result.tried}" if result.tried > 1 else "fails"
    flaky = f"; flaky: {result.again} of {result.times} times" if result.flaky else ""
    lines = [(f"{head} {count} {where}".rstrip() + flaky, style)]
    lines.append((f"{'':11} {result.fault}: {result.detail}", style))
    if result.file:
        lines.append((f"{'':11} again: loadmux run {result.file}", "dim"))
    return lines


def summary(report: ProbeReport) -> list[str]:
    """The last lines."""
    notes = [f"note: {one}" for one in report.notes]
    code = report.code.name
    return [*notes, f"{code}: {report.reason} ({report.duration:.1f} s, seed {report.seed})"]
