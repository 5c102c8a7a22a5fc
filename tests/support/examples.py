"""The examples of the language's reference, and a way to run many of them in one process.

Bundled targets are started once for each way of replying; where an example names a URL, one listens
there. Everything else is the example's own.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from driving import drive_scenario
from own_server import SERVER
from transports import StartTlsServer

from loadmux.language.describing.manual import about
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.servers import Command, Target, Url
from loadmux.language.sources import usercode
from loadmux.measuring.verdict import Outcome, Verdict, judge
from loadmux.running.catalog import bundled, models
from loadmux.running.servers.bundled import TargetProcess
from loadmux.running.servers.commands import CommandProcess
from loadmux.running.servers.ports import free_port

DEFAULT_TARGET = "target: {bundled: epoll, reply: echo}\n"
DEFAULT_STEPS = "steps: [{send: hello, expect: reply}]\n"
SHORT = "200ms"
"""Seconds that an example may take whose load has a `run_time`."""

STARTTLS = 587
"""The port at which a server begins in plain text and can go on in TLS."""

_PART = re.compile(
    r"^##+ (?P<topic>[^\n]+)$|^```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """`text` as it stands there; `line` counts from 1."""

    topic: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.topic}:{self.line}"

    @property
    def whole(self) -> str:
        """A complete file: what is missing is added, as the reference's first lines say."""
        text = self.text
        if text.startswith("- "):
            text = "steps:\n" + text
        if not re.search(r"^steps:", text, re.MULTILINE):
            text += DEFAULT_STEPS
        if not re.search(r"^target:", text, re.MULTILINE):
            text += DEFAULT_TARGET
        return text


def examples() -> list[Example]:
    """All of them, in their order."""
    text, topic, found = about("all"), "", []
    for part in _PART.finditer(text):
        if part["topic"]:
            topic = part["topic"]
        else:
            line = text.count("\n", 0, part.start()) + 2
            found.append(Example(topic, line, part["text"]))
    return found


class Runner:
    """Runs examples that stand in `folder`, which has the files they name."""

    def __init__(self, folder: Path, processes: contextlib.ExitStack) -> None:
        self.folder = folder
        self._processes = processes
        self._urls: dict[tuple[object, ...], Url] = {}
        self._started: dict[Command, Url] = {}
        shipped = bundled("targets")
        shutil.copy(shipped / "localhost-testing-ca.pem", folder / "ca.pem")
        shutil.copy(shipped / "localhost-testing.pem", folder / "client.pem")
        shutil.copy(bundled("scenarios") / "accounts.csv", folder / "accounts.csv")
        (folder / "body.bin").write_bytes(bytes(range(256)))
        (folder / "server.py").write_text(SERVER)
        (folder / "login.yaml").write_text("- {send: log in, expect: reply}\n")
        (folder / "helpers.py").write_text("".join(_PYTHON.findall(about("all"))))

    def load(self, text: str) -> Scenario:
        """An example as it would be run, shortened."""
        path = self.folder / "scenario.yaml"
        scenario = load(path, text=text, models=models())
        if scenario.load.run_time is None:
            return scenario
        return load(path, Overrides(run_time=SHORT), text=text, models=models())

    def run(self, text: str) -> Verdict:
        """The verdict on a run of an example."""
        scenario = self.load(text)
        urls = {name: self._listening(one) for name, one in scenario.servers.items()}
        driven = drive_scenario(scenario, urls)
        outcome = Outcome(1.0, unreachable=driven.unreachable)
        verdict = judge(driven.stats, scenario.thresholds, outcome)
        assert not driven.faults, driven.faults
        return verdict

    def _listening(self, target: Target) -> Url:
        """Where such a target listens; for a URL one that we start."""
        if target.command is not None:
            return self._own(target.command)
        if target.url is not None and target.url.port == STARTTLS:
            return self._upgrading()
        if target.url is not None:
            target = self._instead(target.url, target.rule or "echo")
        key = (target.bundled, target.rule, *sorted(target.options.items()))
        if key not in self._urls:
            process = self._processes.enter_context(TargetProcess(target))
            self._urls[key] = process.url
        return self._urls[key]

    def _own(self, command: Command) -> Url:
        """A server of one's own, on another port than is written: tests run at once."""
        if command not in self._started:
            port = free_port()
            words = tuple(word.replace(str(command.port), str(port)) for word in command.words)
            elsewhere = replace(command, words=words, port=command.port and port)
            started = self._processes.enter_context(CommandProcess(elsewhere, self.folder))
            self._started[command] = started.url
        return self._started[command]

    def _upgrading(self) -> Url:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "client.pem")
        server = self._processes.enter_context(StartTlsServer(context))
        return Url("tcp", "127.0.0.1", int(server.url.rpartition(":")[2]))

    def _instead(self, url: Url, rule: str) -> Target:
        path = str(self.folder / "socket")
        options = {"unix": {"unix": path}, "tls": {"tls": ""}}.get(url.scheme, {})
        model = "udp" if url.scheme == "udp" else "epoll"
        return Target(bundled=model, rule=rule, options=MappingProxyType(options))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Runner]:
    """A runner whose targets end with the `with` block."""
    with contextlib.ExitStack() as processes:
        processes.callback(usercode.forget)
        yield Runner(folder, processes)
