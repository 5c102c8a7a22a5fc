"""Options and arguments that several commands have, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

EXIT_CODES = (
    "Exit codes: 0 pass; 1 fail; 2 invalid, nothing was sent; 3 inconclusive; 4 target not started"
    " or not reached; 70 loadmux itself broke; 99 a threshold crossed; 130 interrupted."
)

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="A scenario file, - for standard input, or a bundled one's name."
    ),
]
File = Annotated[str, typer.Argument(metavar="FILE", help="As for `run`.")]
Target = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL|URL", help="Instead of the file's target; NAME=... for several."),
]
Reply = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="How the target replies, e.g. echo; NAME=... for several."),
]
Command = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORDS", help="Starts your server: 'python server.py --port {port}'; NAME=..."
    ),
]
Var = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Sets one of the file's variables. Repeatable."),
]
Fault = Annotated[
    str | None, typer.Option(metavar="NAME", help="Have the bundled target lie, e.g. flip:20.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="All chance comes from it.")]
Poller = Annotated[
    str | None,
    typer.Option(metavar="epoll|kqueue|poll|select", help="Instead of the best one here."),
]
