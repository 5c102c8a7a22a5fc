"""The command line: which commands and options there are, and nothing of what they do.

Whatever a command needs is imported when it runs: `--version`, `--help` and the shell's completion
need nothing but typer. Of the commands that are not asked for only the names and what lists show
are made: the options of all of them would take as long as a third of typer's import. Only this
folder exits. Whatever is wrong with the input is told in one line on standard error (a line for
each mistake of a scenario file) and ends with code 2; see `ending`.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command
from typer.models import CommandInfo

from loadmux import __version__
from loadmux.cli import experiments
from loadmux.cli.options import (
    EXIT_CODES,
    Command,
    Fault,
    File,
    Files,
    Poller,
    Reply,
    Seed,
    Target,
    Var,
)
from loadmux.cli.overriding import overrides_of
from loadmux.running.interrupts import Interrupts

app = typer.Typer(
    help="Load tests for socket servers: several sockets a user, every byte checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FIRST = Path("scenario.yaml")
INVALID = 2

WEB_HELP = """\
Usage: loadmux web [SCENARIO...] [OPTIONS]

  Run scenarios in Locust's web UI (http://127.0.0.1:8089), with Locust's statistics, charts,
  masters and workers. The first SCENARIO is what the start form begins with.

  --target MODEL   a bundled target server in place of the scenario's own
  --host URL       a server of your own, such as tcp://127.0.0.1:7000
  --command WORDS  starts a server of your own, with {port} where its port stands
  --reply RULE     how the target replies
  --fault NAME     have the bundled target lie
  --poller NAME    how the driver waits
  --seed N         all chance comes from it
  --var NAME=VALUE sets one of the scenario's variables; repeatable
  --processes N    workers on this machine (1 unless --master or --worker is given)

  And every option of Locust (locust --help): --headless, -u, -r, -t, --web-port, --csv, --master,
  --worker, ...
"""


@app.command("run", epilog=EXIT_CODES)
def run_command(
    context: typer.Context,
    files: Files,
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    users: Annotated[
        int | None, typer.Option("-u", "--users", min=1, help="At once; of open load at most.")
    ] = None,
    spawn_rate: Annotated[
        str | None, typer.Option("-r", "--spawn-rate", metavar="RATE", help="Users a second: 50/s.")
    ] = None,
    run_time: Annotated[
        str | None, typer.Option("-t", "--run-time", metavar="DURATION", help="Such as 10s or 2m.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="For each user.")] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Iterations a second on a schedule: 500/s (open load)."),
    ] = None,
    fault: Fault = None,
    workers: Annotated[
        str, typer.Option(metavar="N|auto", help="Generator processes; auto: one a core.")
    ] = "1",
    seed: Seed = None,
    poller: Poller = None,
    threshold: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Added; 'p(99) < 50ms'. Repeatable.")
    ] = None,
    var: Var = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look at the process of a server that is there already.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only.")] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all as JSON; - to standard output, alone."),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FILE]",
            help="Also as junit, html, otel, …: print, write, send. Repeatable.",
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="So many runs.")] = 1,
    save_baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save rates and latencies, to compare with.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with what was saved.")
    ] = None,
    max_regression: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="How much worse is too much: p(99)=20%. Repeatable."),
    ] = None,
) -> None:
    """Run scenarios against their targets and judge the targets."""
    from loadmux.running.generators.nursery import Nursery

    overrides = overrides_of(
        target,
        reply,
        command,
        var,
        users=users,
        spawn_rate=spawn_rate,
        run_time=run_time,
        iterations=iterations,
        seed=seed,
        thresholds=tuple(threshold or ()),
        rate=rate,
    )
    ways = (workers, poller, watch)
    compared = (repeat, save_baseline, baseline, max_regression or ())
    puts = quiet, json_file, report or ()
    with Nursery(context.obj) as nursery:  # it gets ready while this process imports and reads
        from loadmux.cli.running import run_files

        code = run_files(files, overrides, fault, ways, puts, compared, nursery)
    raise typer.Exit(code)


@app.command()
def trace(
    context: typer.Context,
    file: File,
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    fault: Fault = None,
    seed: Seed = None,
    poller: Poller = None,
    var: Var = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Only show what comes, whatever was expected.")
    ] = False,
) -> None:
    """Show all that goes over the wire in one iteration of one user, step by step.

    Ends with an `expect` for what came and was not expected. Exit codes as for `run`.
    """
    from loadmux.cli.tracing import trace_file

    overrides = overrides_of(target, reply, command, var, seed=seed)
    raise typer.Exit(trace_file(file, overrides, fault, poller, not no_check, context.obj))


experiments.add_to(app)


@app.command()
def check(
    files: Files,
    target: Target = None,
    command: Command = None,
    reply: Reply = None,
    var: Var = None,
    shown: Annotated[
        bool, typer.Option("--print", help="Print each as it is understood, with all defaults.")
    ] = False,
) -> None:
    """Validate scenario files without sending anything."""
    from loadmux.cli.reading import check_files

    overrides = overrides_of(target, reply, command, var)
    if not check_files(files, overrides, shown):
        raise typer.Exit(INVALID)


@app.command()
def init(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Must not exist; - prints it.")
    ] = FIRST,
    server: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Asks this server, and expects its answers."),
    ] = None,
    command: Annotated[
        str | None, typer.Option(metavar="WORDS", help="As --from, of a server that this starts.")
    ] = None,
    send: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="What to send (\\r, \\n, \\xNN); else it is asked. Repeatable."
        ),
    ] = None,
) -> None:
    """Write a first scenario: one with comments, or one of what a server answers (--from)."""
    if server is None and command is None:
        from loadmux.cli.reading import write_first

        write_first(path)
    else:
        from loadmux.cli.asking import write_answered

        write_answered(path, server, command, send or (), context.obj)


def topics_like(incomplete: str) -> list[str]:
    from loadmux.cli.pages import names

    return [topic for topic in names() if topic.startswith(incomplete.lower())]


Topic = Annotated[
    str | None,
    typer.Argument(
        help="A page of the manual, a key of the language, or none.", autocompletion=topics_like
    ),
]


@app.command("help")
def help_command(topic: Topic = None) -> None:
    """Print a page of the manual, or explain a key of the scenario language."""
    from loadmux.cli.pages import explain

    explain(topic)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from loadmux.cli.reading import print_schema

    print_schema()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A name that `loadmux targets` lists.")],
) -> None:
    """Run a bundled target server; what follows MODEL is its own (try --help)."""
    if model in ("--help", "-h"):
        print(context.get_help() + "\nThe target's own options: loadmux serve MODEL --help")
        return
    from loadmux.cli.serving import serve_model

    serve_model(model, context.args)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def web(context: typer.Context) -> None:
    """Run scenarios in Locust's web UI; every option of `locust` can follow (try --help)."""
    if {"--help", "-h"} & set(context.args):
        print(WEB_HELP)
        return
    from loadmux.cli.serving import begin_web

    begin_web(context.args)


@app.command()
def targets() -> None:
    """List the bundled target servers."""
    from loadmux.cli.serving import list_targets

    list_targets()


def version(wanted: bool) -> None:
    if wanted:
        print(f"loadmux {__version__}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def asked(words: Sequence[str], env: Mapping[str, str]) -> str:
    """The command that is called, or of which a shell completes the options; "" for none."""
    if "_LOADMUX_COMPLETE" in env:
        words = (env.get("COMP_WORDS") or env.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]
    return next((word for word in words if not word.startswith("-")), "")


@cache
def commands(name: str) -> Any:
    """All commands, of which the one of this name has its options."""
    made = copy(app)
    made.registered_commands = [
        one if _name(one) == name else _sketched(one) for one in app.registered_commands
    ]
    return get_command(made)


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


def _sketched(command: CommandInfo) -> CommandInfo:
    """What lists of commands show of it."""
    return CommandInfo(_name(command), callback=lambda: None, help=inspect.getdoc(command.callback))


def main(interrupts: Interrupts) -> None:
    """The command line; ends the process."""
    try:
        commands(asked(sys.argv[1:], os.environ))(prog_name="loadmux", obj=interrupts)
    except Exception as error:
        from loadmux.cli.ending import end

        end(error)
    finally:
        with suppress(Exception):
            sys.stdout.flush()  # while a signal still ends what waits here
        interrupts.over()
