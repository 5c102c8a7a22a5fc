"""The manual's page on many machines: its compose file's commands as plain processes.

Each in a folder of its own, which is empty but for the master's.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from commands import ROOT
from locusting import Page, Process, eventually, free_port, process, rows

PAGE = (ROOT / "loadmux/manual/machines.md").read_text()
FILES = ("meeting.yaml", "guests.csv", "talk.py")


def block(name: str) -> str:
    """The block of the page that begins with `# NAME`, without that line."""
    (found,) = re.findall(rf"^```\w+\n# {re.escape(name)}\n(.*?)^```", PAGE, re.M | re.S)
    return str(found)


class Composed:
    """The services of the compose file, on free ports of this machine."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.services = yaml.safe_load(block("compose.yaml"))["services"]
        self.page, self.rpc, self.target = free_port(), str(free_port()), str(free_port())
        (self.entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', block("Dockerfile"), re.M)
        self.count = 0

    def up(self, service: str, *more: str) -> Process:
        """One more of a service, in a folder with its volume, if it has one."""
        self.count += 1
        folder = self.folder / f"{service}{self.count}"
        folder.mkdir()
        for name in FILES if "volumes" in self.services[service] else ():
            (folder / name).write_text(
                block(name).replace("target:7000", f"127.0.0.1:{self.target}")
            )
        words = [sys.executable, "-m", self.entry, *self.words(service), *more]
        return self.stack.enter_context(process(words, folder))

    def words(self, service: str) -> Iterator[str]:
        here = {"master": "127.0.0.1", "0.0.0.0": "127.0.0.1", "7000": self.target}
        for word in shlex.split(self.services[service]["command"]):
            yield here.get(word, word)


def test_the_compose_file_as_plain_processes(tmp_path: Path) -> None:
    """A worker comes late, one leaves in order; rows, barrier and code do what they do on one."""
    with contextlib.ExitStack() as stack:
        made = Composed(tmp_path, stack)
        made.up("target").says("listening")
        at = ["--web-port", str(made.page), "--master-bind-host", "127.0.0.1"]
        main = made.up("master", *at, "--master-bind-port", made.rpc)
        first = made.up("worker", "--master-port", made.rpc)
        page = Page(made.page).up(workers=1)
        refused = page.swarm(5)
        assert not refused["success"]
        assert "4 rows for 5 users" in refused["message"]
        assert page.swarm(4)["success"]
        page.until(lambda now: rows(now).get("who", 0) > 4, "four guests meet")
        second = made.up("worker", "--master-port", made.rpc)
        page.until(lambda now: [one["user_count"] for one in now["workers"]] == [2, 2], "halves")
        before = rows(page.stats())["who"]
        page.until(lambda now: rows(now)["who"] > before + 8, "they meet over two workers")
        first.popen.terminate()
        page.until(lambda now: now["worker_count"] == 1 and now["user_count"] == 4, "one leaves")
        before = rows(page.stats())["who"]
        page.until(lambda now: rows(now)["who"] > before + 8, "they meet on the other")
        page.stop()
        assert page.stats()["errors"] == []
        main.says("loadmux: PASS")
        main.popen.terminate()
        assert main.wait() == 0, main.text
        assert second.wait() == first.wait() == 0
        left = {one.name for one in tmp_path.glob("worker*/*")}
        assert left == set()
        eventually(lambda: "Traceback" not in main.text + first.text + second.text, "a traceback")


def test_the_page_names_every_option_that_there_is() -> None:
    """The console's commands are those of the compose file, without the container's."""
    (master,) = re.findall(r"^\$ loadmux (web meeting.yaml --master --host .*?)  +#", PAGE, re.M)
    (worker,) = re.findall(r"^\$ loadmux (web --worker .*?)  +#", PAGE, re.M)
    services = yaml.safe_load(block("compose.yaml"))["services"]
    assert options(worker) == options(services["worker"]["command"])
    assert options(master) - {"--host"} == options(services["master"]["command"]) - {"--web-host"}


def options(command: str) -> set[str]:
    return {word for word in shlex.split(command) if word.startswith("--")}
