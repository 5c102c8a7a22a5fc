"""`loadmux trace`: one iteration of one user, printed as it happens."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.language.meaning.scenario import Overrides
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report import figures
from loadmux.running.interrupts import Interrupts
from loadmux.running.servers.starting import lying
from loadmux.running.tracing.trace import trace

STYLES = {"good": "green", "bad": "bold red"}


def trace_file(
    name: str,
    overrides: Overrides,
    fault: str | None,
    poller: str | None,
    check: bool,
    interrupts: Interrupts,
) -> ExitCode:
    """Trace what the command line names; the exit code. Raises LoadmuxError before it begins."""
    scenarios = scenarios_of(sources_of([name]), overrides)
    if fault is not None:
        scenarios = lying(scenarios, fault)
    console = Console(highlight=False)
    plain = figures.plain_for(console.encoding)

    def say(line: str, style: str) -> None:
        console.print(Text(plain(line), STYLES.get(style, style)), soft_wrap=True)
        sys.stdout.flush()

    return trace(scenarios[0], say, check=check, poller=poller, interrupts=interrupts)
