"""`loadmux serve`, `targets` and `web`: other programs, in place of this one or asked by it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadmux.running.catalog import models
from loadmux.running.interrupts import blocked
from loadmux.running.servers.bundled import command
from loadmux.running.servers.description import describe_all


def serve_model(model: str, words: Sequence[str]) -> NoReturn:
    """Become a bundled target. Raises LoadmuxError where there is none of that name."""
    become(command(model, words))


def begin_web(words: Sequence[str]) -> NoReturn:
    """Become Locust, with our locustfile."""
    locustfile = Path(__file__).parents[1] / "locust" / "file" / "locustfile.py"
    become([sys.executable, "-P", "-m", "loadmux.cli.web", "-f", str(locustfile), *words])


def become(words: list[str]) -> NoReturn:
    """Run another program in place of this one; it hears signals when it has got ready for them."""
    with blocked():
        os.execv(words[0], words)


def list_targets() -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for told in describe_all(models()):
        table.add_row(told.model, Text(told.summary))
        about = (("waits", told.waits), ("connections", told.limit), ("runs on", told.platforms))
        for name, words in about:
            if words:
                table.add_row("", Text(f"{name}: {words}", style="dim"))
        if told.reason is not None:
            table.add_row("", Text(f"not here: {told.reason}", style="yellow"))
    console.print(table)
