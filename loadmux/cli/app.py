"""The command line: options become an `Overrides` and `Settings`, a verdict becomes the exit code.

The only module that exits. Whatever is wrong with the input is told in one line on standard error
(a line for each mistake of a scenario file) and ends with code 2; a target that cannot be started
or reached ends with 4. Traceback-free by construction: every error that a user can cause is a
`LoadmuxError`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadmux import __version__
from loadmux.driver.poller import POLLERS
from loadmux.errors import LoadmuxError, TargetFailed, UsageError
from loadmux.language.loading import Bundle, load_all, piped
from loadmux.language.manual import about, topics
from loadmux.language.printing import dump
from loadmux.language.scenario import Overrides, Scenario
from loadmux.language.schema import schema
from loadmux.measuring.verdict import ExitCode
from loadmux.report import jsonfile, terminal
from loadmux.report.live import live_view
from loadmux.report.reporters import Reporter, chosen
from loadmux.running.catalog import find, models
from loadmux.running.description import describe_all
from loadmux.running.run import Settings, lying, run
from loadmux.running.target import command

app = typer.Typer(
    help="Load tests for socket servers: several sockets a user, every byte checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FIRST = Path("scenario.yaml")
STREAM = "-"
"""In place of a file: standard input or output."""
ONCE = "standard input ('-') can be read only once"

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
    if files.count(STREAM) > 1:
        raise UsageError(ONCE)
    return [_source(name) for name in files]


def _source(name: str) -> Path | Bundle:
    if name != STREAM:
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


@app.command("run")
def run_command(
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
    if json_file == Path(STREAM) and any(one.file is None for one in extra):
        raise UsageError(
            "--json-file -: a --report is printed there, too; write --report NAME=FILE"
        )
    if json_file is not None and json_file != Path(STREAM):
        jsonfile.check_writable(json_file)
    code = perform(scenarios, Settings(workers, poller, repeat_command), quiet, json_file, extra)
    raise typer.Exit(code)


def perform(
    scenarios: Sequence[Scenario],
    settings: Settings,
    quiet: bool,
    json_file: Path | None,
    reporters: Sequence[Reporter] = (),
) -> int:
    """Run, show, report; the exit code."""
    streamed = json_file == Path(STREAM)
    out, err = Output(highlight=False, stderr=streamed), Console(stderr=True, highlight=False)
    servers = [one for scenario in scenarios for one in scenario.servers.values()]
    targets = ", ".join(dict.fromkeys(str(one.url or one.bundled) for one in servers))
    names = ", ".join(scenario.name for scenario in scenarios)
    with live_view(err, quiet, names, targets) as view:
        report = run(scenarios, settings, view.update)
    delivered = deliver(lambda: terminal.render(report, out, quiet=quiet))
    if streamed:
        delivered &= deliver(lambda: print(jsonfile.text(report), end=""))
    elif json_file is not None:
        delivered &= deliver(lambda: jsonfile.write(report, json_file))
    for reporter in reporters:
        delivered &= deliver(partial(reporter.deliver, report, sys.stdout.write))
    passed = report.verdict.code is ExitCode.PASS
    return ExitCode.INCONCLUSIVE if passed and not delivered else report.verdict.code


class Output(Console):
    """Standard output; a reader that has left is told to `deliver`; rich would end the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def deliver(write: Callable[[], None]) -> bool:
    """Print or write a report. A full disk must not hide the verdict: it is told, and False.

    That whoever reads our output has left (`| head -1`) is no failure; no more is said to them.
    """
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except UsageError as error:
        print(f"loadmux: the report could not be written: {error}", file=sys.stderr)
        return False
    except OSError as error:
        print(f"loadmux: the report could not be written: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


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
    if files.count(STREAM) > 1:
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
    if path == Path(STREAM):
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
    words = command(model, context.args)
    os.execv(words[0], words)


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
    words = [sys.executable, "-P", "-m", "locust", "-f", str(locustfile), *context.args]
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


def main() -> None:
    """The console script."""
    try:
        app(prog_name="loadmux")
    except TargetFailed as error:
        fail(error, ExitCode.UNREACHABLE)
    except LoadmuxError as error:
        fail(error, ExitCode.INVALID)
    except KeyboardInterrupt:
        print("loadmux: interrupted, nothing is reported", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
