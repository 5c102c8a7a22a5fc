"""The command line: options become an `Overrides` and `Settings`, a verdict becomes the exit code.

The only module that exits. Whatever is wrong with the input is told in one line on standard error
(a line for each mistake of a scenario file) and ends with code 2; a target that cannot be started
or reached ends with 4. Traceback-free by construction: every error that a user can cause is a
`LoadmuxError`; what else is raised is our own breakdown, and ends with 70.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadmux import __version__
from loadmux.cli.delivery import BUG, STREAM, Wanted, complain, deliver, put_out
from loadmux.driver.poller import POLLERS
from loadmux.errors import Broken, DriverFault, LoadmuxError, TargetFailed, UsageError
from loadmux.language.loading import Bundle, load_all, piped
from loadmux.language.manual import about, topics
from loadmux.language.printing import dump
from loadmux.language.scenario import Overrides, Scenario
from loadmux.language.schema import schema
from loadmux.measuring.verdict import ExitCode
from loadmux.report import jsonfile
from loadmux.report.aside import Aside
from loadmux.report.live import live_view
from loadmux.report.reporters import chosen
from loadmux.running import breakdown
from loadmux.running.catalog import find, models
from loadmux.running.description import describe_all
from loadmux.running.interrupts import Interrupts, blocked
from loadmux.running.run import Settings, lying, run
from loadmux.running.target import command

app = typer.Typer(
    help="Load tests for socket servers: several sockets a user, every byte checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FIRST = Path("scenario.yaml")
ONCE = "standard input ('-') can be read only once"

EXIT_CODES = (
    "Exit codes: 0 pass; 1 fail; 2 invalid, nothing was sent; 3 inconclusive; 4 target not started"
    " or not reached; 70 loadmux itself broke; 99 a threshold crossed; 130 interrupted."
)
WEB_HELP = """\
Usage: loadmux web [SCENARIO...] [OPTIONS]

  Run scenarios in Locust's web UI (http://127.0.0.1:8089), with Locust's statistics, charts,
  masters and workers. The first SCENARIO is what the start form begins with.

  --target MODEL   a bundled target server in place of the scenario's own
  --host URL       a server of your own, such as tcp://127.0.0.1:7000
  --reply RULE     how the target replies
  --fault NAME     have the bundled target lie
  --poller NAME    how the driver waits
  --seed N         all chance comes from it
  --processes N    workers on this machine (1 unless --master or --worker is given)

  And every option of Locust (locust --help): --headless, -u, -r, -t, --web-port, --csv, --master,
  --worker, ...
"""

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


def sources_of(files: Sequence[str]) -> list[Path | Bundle]:
    """The files that the command line names; `-` is standard input. Raises LoadmuxError."""
    if files.count(str(STREAM)) > 1:
        raise UsageError(ONCE)
    return [_source(name) for name in files]


def _source(name: str) -> Path | Bundle:
    if name != str(STREAM):
        return find(name)
    return piped(None if sys.stdin is None else sys.stdin.buffer)


def scenarios_of(sources: Sequence[Path | Bundle], overrides: Overrides) -> tuple[Scenario, ...]:
    """The scenarios; what in them is hardly meant is told on standard error."""
    scenarios = load_all(sources, overrides, models=models())
    for notice in (one for scenario in scenarios for one in scenario.notices):
        print(notice, file=sys.stderr)
    return scenarios


def repeat_command(seed: int) -> str:
    """The command line of this run, with the seed that was drawn."""
    words = ["loadmux", *sys.argv[1:]]
    if not any(word == "--seed" or word.startswith("--seed=") for word in words):
        words += ["--seed", str(seed)]
    return shlex.join(words)


@app.command("run", epilog=EXIT_CODES)
def run_command(
    context: typer.Context,
    files: Files,
    target: TargetOption = None,
    reply: ReplyOption = None,
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
    fault: Annotated[
        str | None, typer.Option(metavar="NAME", help="Have the bundled target lie, e.g. flip:20.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Generator processes.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="All chance comes from it.")] = None,
    poller: Annotated[
        str | None, typer.Option(metavar="|".join(POLLERS), help="Instead of the best one here.")
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Added; 'p(99) < 50ms'. Repeatable.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only.")] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all as JSON; - to standard output, alone."),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=FILE]", help="Print or write a plugin's report. Repeatable."),
    ] = None,
) -> None:
    """Run scenarios against their targets and judge the targets."""
    overrides = Overrides(
        tuple(target or ()),
        tuple(reply or ()),
        users,
        spawn_rate,
        run_time,
        iterations,
        seed,
        tuple(threshold or ()),
        rate,
    )
    scenarios = scenarios_of(sources_of(files), overrides)
    if fault is not None:
        scenarios = lying(scenarios, fault)
    extra = chosen(report or ())
    if json_file == STREAM and any(one.file is None for one in extra):
        raise UsageError(
            "--json-file -: a --report is printed there, too; write --report NAME=FILE"
        )
    if json_file is not None and json_file != STREAM:
        jsonfile.check_writable(json_file)
    settings = Settings(workers, poller, repeat_command, context.obj)
    raise typer.Exit(perform(scenarios, settings, Wanted(quiet, json_file, extra)))


def perform(scenarios: Sequence[Scenario], settings: Settings, wanted: Wanted) -> ExitCode:
    """Run, show, report; the exit code."""
    servers = [one for scenario in scenarios for one in scenario.servers.values()]
    targets = ", ".join(dict.fromkeys(str(one.url or one.bundled) for one in servers))
    names = ", ".join(scenario.name for scenario in scenarios)
    with Aside(sys.stderr) as aside:
        console = Console(file=cast(IO[str], aside), highlight=False)
        view = live_view(console, wanted.quiet, names, targets)
        with settings.interrupts.undone_by(lambda: view.__exit__(None, None, None)), view:
            report = run(scenarios, settings, view.update)
    settings.interrupts.delivering(report.verdict.code)
    return put_out(report, wanted)


@app.command()
def check(
    files: Files,
    target: TargetOption = None,
    reply: ReplyOption = None,
    shown: Annotated[
        bool, typer.Option("--print", help="Print each as it is understood, with all defaults.")
    ] = False,
) -> None:
    """Validate scenario files without sending anything."""
    failed = False
    overrides = Overrides(tuple(target or ()), tuple(reply or ()))
    if files.count(str(STREAM)) > 1:
        raise UsageError(ONCE)
    for name in files:
        try:
            (scenario,) = scenarios_of(sources_of([name]), overrides)
            if shown:
                separator = "---\n" if name != files[0] else ""
                deliver(partial(print, f"{separator}# {scenario.path}\n{dump(scenario)}", end=""))
        except LoadmuxError as error:
            failed = True
            print(error, file=sys.stderr)
    if failed:
        raise typer.Exit(ExitCode.INVALID)


@app.command()
def init(
    path: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Must not exist; - prints it.")
    ] = FIRST,
) -> None:
    """Write a first scenario, with comments, that runs at once."""
    text = (Path(__file__).parents[1] / "language" / "first.yaml").read_text(encoding="utf-8")
    if path == STREAM:
        deliver(partial(print, text, end=""))
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace(str(FIRST), shlex.quote(str(path))))
    except FileExistsError:
        raise UsageError(f"init: {path} is there already; name another file") from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UsageError(f"init: cannot write {path}: {reason.lower()}") from None
    print(f"{path} is written; now: loadmux run {shlex.quote(str(path))}")


def topics_like(incomplete: str) -> list[str]:
    return [topic for topic in topics() if topic.startswith(incomplete.lower())]


Topic = Annotated[
    str | None,
    typer.Argument(help="A key of the language, all, or none.", autocompletion=topics_like),
]


@app.command("help")
def help_command(topic: Topic = None) -> None:
    """Explain the scenario language, with examples."""
    text = about(topic)
    deliver(partial(print, text))


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    text = json.dumps(schema(models()), indent=2)
    deliver(partial(print, text))


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
    become(command(model, context.args))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def web(context: typer.Context) -> None:
    """Run scenarios in Locust's web UI; every option of `locust` can follow (try --help)."""
    if {"--help", "-h"} & set(context.args):
        print(WEB_HELP)
        return
    locustfile = Path(__file__).parents[1] / "locust" / "file" / "locustfile.py"
    become([sys.executable, "-P", "-m", "loadmux.cli.web", "-f", str(locustfile), *context.args])


def become(words: list[str]) -> NoReturn:
    """Run another program in place of this one; it hears signals when it has got ready for them."""
    with blocked():
        os.execv(words[0], words)


@app.command()
def targets() -> None:
    """List the bundled target servers."""
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


def fail(error: Exception, code: ExitCode) -> NoReturn:
    print(f"loadmux: {error}" if isinstance(error, UsageError) else error, file=sys.stderr)
    sys.exit(code)


def break_down(error: Exception) -> NoReturn:
    """End with what broke in loadmux itself."""
    complain(f"loadmux: loadmux itself broke: {breakdown.told(error)}")
    if trace := breakdown.traced(error):
        complain(BUG, trace)
    sys.exit(ExitCode.BROKEN)


def main(interrupts: Interrupts) -> None:
    """The command line; ends the process."""
    try:
        app(prog_name="loadmux", obj=interrupts)
    except Broken as error:
        fail(error, ExitCode.BROKEN)
    except DriverFault as error:
        fail(error, ExitCode.INCONCLUSIVE)
    except TargetFailed as error:
        fail(error, ExitCode.UNREACHABLE)
    except LoadmuxError as error:
        fail(error, ExitCode.INVALID)
    except Exception as error:
        break_down(error)
