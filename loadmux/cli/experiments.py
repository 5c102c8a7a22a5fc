"""The commands that make many runs for one answer, or try out one after the other; see `app`.

Whatever they need is imported when they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadmux.cli.options import EXIT_CODES, Command, Fault, File, Reply, Seed, Target, Var
from loadmux.cli.overriding import overrides_of

Budget = Annotated[
    str, typer.Option("--budget", metavar="DURATION", help="How long it may take at most.")
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json-file", metavar="FILE", help="Write all as JSON; - to standard output, alone."
    ),
]
Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="NAME[=FILE]",
        help="Also as html, svg, markdown, csv, junit or another reporter. Repeatable.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer only.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Generator processes.")]


def probe(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|URL [CASE...]", help="A scenario, or where a server listens; which cases."
        ),
    ] = None,
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    send: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What is sent (\\r, \\n, \\xNN).")
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The whole right reply, written as --send.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the cases.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="What a server should do, it must.")
    ] = False,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="CASE", help="Not this one. Repeatable.")
    ] = None,
    no_pipelining: Annotated[
        bool, typer.Option("--no-pipelining", help="A request must be answered before the next.")
    ] = False,
    seed: Seed = None,
    var: Var = None,
    failures: Annotated[
        Path, typer.Option(metavar="DIR", help="Where what fails is written, as scenarios.")
    ] = Path("probe-failures"),
    json_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all as JSON; - to standard output, alone."),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=FILE]", help="Also as junit, html, markdown. Repeatable."),
    ] = None,
) -> None:
    """Try every way in which a socket server goes wrong, from one exchange that works.

    The exchange is the first of FILE that sends and expects, or --send and --expect; FILE may be
    what `loadmux trace` has printed. CASE is an id that --list prints, or how one begins. What
    fails is written as a scenario that repeats it.
    """
    from loadmux.cli.probing import list_cases, probe_words

    if listed:
        list_cases()
        return
    overrides = overrides_of(target, reply, command, var, seed=seed)
    ways = (tuple(skip or ()), strict, not no_pipelining)
    found, puts = words or [], (json_file, tuple(report or ()))
    raise typer.Exit(
        probe_words(found, overrides, (send, expect), ways, failures, puts, context.obj)
    )


SHRINK_CODES = (
    "Exit codes: 0 a scenario that fails was written; 2 invalid; 3 FILE does not fail; 4 target not"
    " started or not reached; 130 interrupted, and the smallest so far was written."
)


def shrink(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario that fails.")],
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    fault: Fault = None,
    seed: Seed = None,
    var: Var = None,
    budget: Annotated[
        str, typer.Option(metavar="DURATION", help="The longest that it may take.")
    ] = "60s",
    tries: Annotated[
        int, typer.Option(min=1, help="So often must a smaller one fail to be kept.")
    ] = 3,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instead of NAME-shrunk.yaml; - prints it only."),
    ] = None,
) -> None:
    """Make a scenario that fails as small as it can be and still fail in the same way."""
    from loadmux.cli.shrinking import shrink_file

    overrides = overrides_of(target, reply, command, var, seed=seed)
    raise typer.Exit(shrink_file(file, overrides, fault, (budget, tries, output), context.obj))


CAPACITY_CODES = (
    "Exit codes: 0 found; 1 the target was wrong; 2 invalid, nothing was sent; 3 nothing confirmed;"
    " 4 target not started or not reached; 99 no load keeps the objectives; 130 interrupted."
)


def capacity(
    context: typer.Context,
    file: File,
    slo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="An objective, as a threshold: 'p(99) < 5ms'. Repeatable."
        ),
    ] = None,
    rates: Annotated[
        bool, typer.Option("--rates/--users", help="Search iterations a second, or users.")
    ] = True,
    first: Annotated[
        float | None, typer.Option("--from", min=0.001, help="Where the search begins.")
    ] = None,
    last: Annotated[
        float | None, typer.Option("--to", min=0.001, help="The highest load to be tried.")
    ] = None,
    max_users: Annotated[
        int | None, typer.Option(min=1, help="With --rates: users that carry them out at most.")
    ] = None,
    trial: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a trial is that decides.")
    ] = "3s",
    budget: Budget = "5m",
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    fault: Fault = None,
    workers: Workers = 1,
    seed: Seed = None,
    var: Var = None,
    json_file: Json = None,
    report: Reports = None,
    quiet: Quiet = False,
) -> None:
    """Find the highest load under which a server keeps its objectives."""
    from loadmux.cli.capacities import Wanted, find_capacity

    overrides = overrides_of(target, reply, command, var, users=max_users, seed=seed)
    wanted = Wanted(slo or (), "rate" if rates else "users", first, last, trial, budget)
    puts = quiet, json_file, report or ()
    code = find_capacity(file, overrides, fault, workers, wanted, puts, context.obj)
    raise typer.Exit(code)


COMPARE_CODES = (
    "Exit codes: 0 compared; 1 one of them was wrong; 2 invalid, nothing was sent; 3 nothing was"
    " measured; 130 interrupted: what was compared until then is shown."
)


def compare(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="SERVER... [FILE]",
            help="MODEL, MODEL,OPTION=VALUE, URL, or a command with {port}; NAME=... names one.",
        ),
    ],
    users: Annotated[
        str | None, typer.Option("-u", "--users", metavar="N,...", help="At once; default 10.")
    ] = None,
    idle: Annotated[
        str | None, typer.Option(metavar="N,...", help="Idle connections beside them.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="R,...", help="Iterations a second, on a schedule.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="S,...", help="Of the messages, where there is no FILE.")
    ] = None,
    trial: Annotated[
        str, typer.Option(metavar="DURATION", help="How long each turn is.")
    ] = "500ms",
    budget: Budget = "5m",
    pin: Annotated[
        bool, typer.Option("--pin", help="The last core for generators, the others for servers.")
    ] = False,
    reply: Reply = None,
    workers: Workers = 1,
    seed: Seed = None,
    var: Var = None,
    json_file: Json = None,
    report: Reports = None,
    quiet: Quiet = False,
) -> None:
    """Compare servers in interleaved rounds, until they can be told apart.

    Of --users, --idle, --rate and --size one may be a list: a sweep.

    `compare models` compares all bundled models, and tests what is said of them.

    `compare A.json B.json` merges and shows files of --json-file.
    """
    from loadmux.cli.contests import Wanted
    from loadmux.cli.contests import compare as contest

    wanted = Wanted(
        users, idle, rate, size, trial, budget, pin, workers, reply or (), var or (), seed
    )
    puts = quiet, json_file, report or ()
    raise typer.Exit(contest(words, wanted, puts, context.obj))


def add_to(app: typer.Typer) -> None:
    app.command("probe", epilog=EXIT_CODES)(probe)
    app.command("shrink", epilog=SHRINK_CODES)(shrink)
    app.command("compare", epilog=COMPARE_CODES)(compare)
    app.command("capacity", epilog=CAPACITY_CODES)(capacity)
