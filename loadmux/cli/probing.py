"""`loadmux probe`: the known exchange, the battery, and what is told of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadmux.cli.asking import unescaped
from loadmux.cli.printing import STREAM, deliver
from loadmux.cli.sources import scenarios_of, sources_of
from loadmux.errors import UsageError
from loadmux.language.describing.suggesting import as_text
from loadmux.language.grammar.options import checked_command
from loadmux.language.loading import Bundle, load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.servers import PORT
from loadmux.language.meaning.urls import parse_url
from loadmux.language.text.nodes import suggestion
from loadmux.language.text.yamltext import flow
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing.battery import Settings, probe
from loadmux.probing.cases import CASES
from loadmux.probing.outcome import CaseResult, Found, ProbeReport
from loadmux.probing.rendering import RENDERERS, as_json, code_of, grid
from loadmux.probing.traced import is_trace, scenario_text
from loadmux.report import figures
from loadmux.report.writing import check_writable
from loadmux.running.interrupts import Interrupts
from loadmux.running.probing import Probe, written

STYLES = {
    Found.PASS: "green",
    Found.FAIL: "bold red",
    Found.WARN: "yellow",
    Found.INCONCLUSIVE: "yellow",
    Found.UNSUPPORTED: "dim",
    Found.INFO: "cyan",
}
WIDTH = max(len(case.id) for case in CASES)
WORD = max(len(one) for one in Found)
NEEDED = (
    "probe: give an exchange that works: a FILE whose first step sends and expects, or --send TEXT"
    " --expect TEXT with a URL or --command WORDS; without --expect the server's answer is taken"
)

UNTRUSTED = (
    "loadmux: the server's certificate is not trusted, so it is not verified; a FILE can give its"
    " CA: 'tls: {ca: FILE}'"
)
UNANSWERED = (
    "probe: the server {} when '{}' was sent; send a whole request (its line end is \\n or \\r\\n),"
    " or say with --expect what must come"
)
ENDED = ", expect: closed}"


def list_cases() -> None:
    """Print the ids, levels and what they do."""
    lines = [f"{case.id:{WIDTH}}  {case.level:6}  {case.line}" for case in CASES]
    deliver(partial(print, "\n".join(lines)))


def scenarios_for(
    words: Sequence[str], overrides: Overrides, send: str | None, expect: str | None
) -> tuple[list[Scenario], list[str]]:
    """What is probed, a scenario for each server, and the cases that are asked for.

    Raises LoadmuxError.
    """
    targets, commands = _words(overrides.target), _words(overrides.command)
    urls = [one for one in words if "://" in one]
    others = [one for one in words if "://" not in one]
    if send is None:
        return _of_file(others, [*targets, *urls], commands, overrides)
    servers = servers_of([*urls, *targets], commands)
    if not servers:
        raise UsageError("probe: --send needs a server: a URL, or --command WORDS")
    texts = [text_of(one, send, expect) for one in servers]
    return [load("probe.yaml", text=text) for text in texts], others


def servers_of(urls: Sequence[str], commands: Sequence[str]) -> list[object]:
    """The targets. A URL with `{port}`, or the only one beside a command that is not told its port,
    says where commands listen. Raises UsageError.
    """
    told = [checked_command(one).told_port for one in commands]
    where = [one for one in urls if PORT in one]
    if len(urls) == len(told) == 1 and not told[0]:
        where = list(urls)
    if len(where) > 1 or (where and not commands):
        raise UsageError(f"probe: {where[-1]} is where a --command listens; give one of each")
    if not where and not all(told):
        raise UsageError(
            "--command: the server is not told its port: write {port} in it, or the URL where it"
            " listens beside it"
        )
    at = {"url": where[0]} if where else {}
    servers: list[object] = [checked_url(one) for one in urls if one not in where]
    return servers + [{"command": list(checked_command(one).words), **at} for one in commands]


def _words(given: str | tuple[str, ...] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _of_file(
    words: Sequence[str], targets: Sequence[str], commands: Sequence[str], overrides: Overrides
) -> tuple[list[Scenario], list[str]]:
    """The scenario of a file, for each server that is named."""
    if not words:
        raise UsageError(NEEDED)
    ways = [replace(overrides, target=(one,), command=None) for one in targets]
    ways += [replace(overrides, target=None, command=(one,)) for one in commands]
    if any("=" in one.partition("://")[0] for one in targets):
        ways = [overrides]  # NAME=...: the targets of one scenario
    sources = [_untraced(one) for one in sources_of(words[:1])]
    return [scenarios_of(sources, way)[0] for way in ways or [overrides]], list(words[1:])


def _untraced(source: Path | Bundle) -> Path | Bundle:
    """A scenario; of what `trace` has printed, that of what was seen. Raises UsageError."""
    if isinstance(source, Bundle):
        path, text = source.path, source.text
    else:
        path = str(source)
        try:
            text = source.read_text("utf-8")
        except (OSError, ValueError):
            return source  # whoever reads it as a scenario says why not
    return Bundle(path, scenario_text(text, path), None) if is_trace(text) else source


def text_of(server: object, send: str, expect: str | None) -> str:
    """The scenario of a message and its reply; or what the server answers now, asked twice."""
    asked = Probe(server)
    if expect is None or speaks_tls(server):
        asked.look()
    if not asked.verify:
        print(UNTRUSTED, file=sys.stderr, flush=True)
    if expect is None:
        text = written(asked, [unescaped(send)])
        if (silent := "# nothing came" in text) or ENDED in text:
            how = "answered nothing within 1 s" if silent else "closed the connection"
            raise UsageError(UNANSWERED.format(how, send))
        return text
    step = {"send": payload(send), "expect": payload(expect)}
    return flow({"target": server, **asked.sockets(), "steps": [step]}) + "\n"


def speaks_tls(server: object) -> bool:
    """Whether a handshake comes first, which needs a certificate that is trusted."""
    url = server.get("url", "") if isinstance(server, dict) else server
    return str(url).lower().startswith("tls:")


def payload(text: str) -> object:
    """A message of the command line, as a file has it."""
    data = unescaped(text)
    shown = as_text(data)
    return shown.replace("${", "$${") if shown else {"hex": data.hex(" ")}


def checked_url(url: str) -> str:
    """Raises UsageError."""
    try:
        parse_url(url)
    except ValueError as error:
        raise UsageError(f"probe: {error}") from None
    return url


@dataclass(frozen=True)
class Told:
    """Where the report goes: to the terminal, and to files."""

    json_file: Path | None
    reports: Sequence[tuple[str, Path | None]]

    @property
    def console(self) -> Console:
        """Where it is shown; standard output is not for it where something else is printed."""
        printed = self.json_file == STREAM or any(file is None for _, file in self.reports)
        return Console(highlight=False, stderr=printed)

    def put_out(self, reports: Sequence[ProbeReport]) -> ExitCode:
        """Print and write; what came of it."""
        found = [
            deliver(partial(self._one, RENDERERS[name], file, reports))
            for name, file in self.reports
        ]
        if self.json_file is not None:
            file = None if self.json_file == STREAM else self.json_file
            found.append(deliver(partial(self._one, as_json, file, reports)))
        return max(found, default=ExitCode.PASS)

    def _one(
        self,
        render: Callable[[Sequence[ProbeReport]], str],
        file: Path | None,
        reports: Sequence[ProbeReport],
    ) -> None:
        text = render(reports)
        if file is None:
            print(text.rstrip("\n"))
        else:
            file.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def wanted(json_file: Path | None, words: Sequence[str]) -> Told:
    """What `--json-file` and `--report` ask for. Raises UsageError."""
    found = []
    for word in words:
        name, _, file = word.partition("=")
        if name not in RENDERERS:
            hint = suggestion(name, list(RENDERERS), "there are")
            raise UsageError(f"--report: probe has no reporter {name!r}{hint}")
        found.append((name, Path(file) if file and file != "-" else None))
    for path in (json_file, *(file for _, file in found)):
        if path is not None and path != STREAM:
            check_writable(path)
    if (json_file == STREAM) + sum(file is None for _, file in found) > 1:
        raise UsageError("only one report can go to standard output; write --report NAME=FILE")
    return Told(json_file, found)


def probe_words(
    words: Sequence[str],
    overrides: Overrides,
    exchange: tuple[str | None, str | None],
    ways: tuple[Sequence[str], bool, bool],
    failures: Path,
    puts: tuple[Path | None, Sequence[str]],
    interrupts: Interrupts,
) -> ExitCode:
    """Probe what the command line names; the exit code. Raises LoadmuxError before it begins.

    `exchange`: what is sent and expected. `ways`: what is skipped, whether strict, and pipelined.
    `puts`: the file of the JSON, and reports.
    """
    scenarios, cases = scenarios_for(words, overrides, *exchange)
    out = wanted(*puts)
    console = out.console
    plain = figures.plain_for(console.encoding)

    def say(line: str, style: str = "") -> None:
        console.print(Text(plain(line), style), soft_wrap=True)
        sys.stdout.flush()

    def tell(result: CaseResult) -> None:
        for line in told(result, WIDTH):
            say(*line)

    skip, strict, pipelining = ways
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
    reports = []
    for number, scenario in enumerate(scenarios, 1):
        several = len(scenarios) > 1
        if several:
            say(f"server {number}: {scenario.servers[next(iter(scenario.servers))].called}", "bold")
        folder = failures / str(number) if several else failures
        reports.append(probe(scenario, replace(settings, failures=folder)))
        for line in summary(reports[-1]):
            say(line, STYLES[Found.FAIL if reports[-1].code else Found.PASS])
        if reports[-1].code is ExitCode.INTERRUPTED:
            break
    if len(reports) > 1:
        for line in ["", *grid(reports)]:
            say(line)
    code = code_of(reports)
    interrupts.delivering(code)
    lost = out.put_out(reports)
    return code or lost


def told(result: CaseResult, width: int) -> list[tuple[str, str]]:
    """The lines of one case, each with its style."""
    word = result.verdict.upper() if result.verdict is Found.FAIL else str(result.verdict)
    style = STYLES[result.verdict]
    head = f"{word:{WORD}} {result.id:{width}}  {result.level:6} "
    if result.failed == 0:
        tried = f"{result.tried} of {result.tried}" if result.tried > 1 else ""
        return [(f"{head} {result.detail or tried}".rstrip(), style)]
    where = f"at {result.where}" if result.where else ""
    count = f"fails {result.failed} of {result.tried}" if result.tried > 1 else "fails"
    flaky = f"; flaky: {result.again} of {result.times} times" if result.flaky else ""
    lines = [(f"{head} {count} {where}".rstrip() + flaky, style)]
    lines.append((f"{'':{WORD}} {result.fault}: {result.detail}", style))
    if result.file:
        lines.append((f"{'':{WORD}} again: loadmux run {result.file}", "dim"))
    return lines


def summary(report: ProbeReport) -> list[str]:
    """The last lines."""
    notes = [f"note: {one}" for one in report.notes]
    code = report.code.name
    return [*notes, f"{code}: {report.reason} ({report.duration:.1f} s, seed {report.seed})"]
