"""Options and arguments that several commands take, each told the same way; see `app`."""

from __future__ import annotations

from typing import Annotated

import typer

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="A scenario file, - for standard input, or a bundled one's name."
    ),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL|URL", help="Instead of the file's target; NAME=... for several."),
]
ReplyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="How the target replies, e.g. echo; NAME=... for several."),
]
CommandOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORDS", help="Starts your server: 'python server.py --port {port}'; NAME=..."
    ),
]
VarOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Sets one of the file's variables. Repeatable."),
]
FaultOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Have the bundled target lie, e.g. flip:20.")
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="All chance comes from it.")]
PollerOption = Annotated[
    str | None,
    typer.Option(metavar="epoll|kqueue|poll|select", help="Instead of the best one here."),
]
