"""`loadmux probe` on the command line, and its pages of the manual."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import ROOT, loadmux
from probing_servers import CHUNKS, LINES, SERVER

from loadmux.cli.pages import section_of, text
from loadmux.errors import UsageError
from loadmux.probing.cases import CASES


def server(folder: Path, name: str, read: str) -> str:
    (folder / name).write_text(SERVER.format(read=read))
    return f"{sys.executable} {folder / name} {{port}}"


def test_several_servers_make_a_grid(tmp_path: Path) -> None:
    commands = [server(tmp_path, "right.py", LINES), server(tmp_path, "wrong.py", CHUNKS)]
    words = [one for command in commands for one in ("--command", command)]
    words += ["--send", r"hello\n", "--expect", r"<hello>\n", "--json-file", "out.json"]
    done = loadmux("probe", "bytewise", *words, "--report", "html=out.html", cwd=tmp_path)
    assert done.code == 1, done.out
    assert "bytewise          pass          fail" in done.out
    told = json.loads((tmp_path / "out.json").read_text())
    assert [one["verdict"] for one in told["servers"]] == ["pass", "fail"]
    assert "<!doctype html>" in (tmp_path / "out.html").read_text()
    replayed = loadmux("check", "probe-failures/2/bytewise.yaml", cwd=tmp_path)
    assert replayed.code == 0, replayed.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give an exchange that works"),
        (("tcp://127.0.0.1:1",), "give an exchange that works"),
        (("--send", "a", "--expect", "a"), "--send needs a server"),
        (("tcp:/h", "--send", "a", "--expect", "a"), "--send needs a server"),
        (("udp://127.0.0.1:1", "--send", "a", "--expect", "a"), "probe needs a stream"),
        (("tcp://127.0.0.1:1", "splt", "--send", "a", "--expect", "a"), "did you mean 'split'"),
        (("tcp://127.0.0.1:1", "--send", "a", "--expect", "a", "--report", "x"), "no reporter"),
    ],
)
def test_what_cannot_be_probed_is_told_in_a_line(words: tuple[str, ...], told: str) -> None:
    done = loadmux("probe", *words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_without_an_expect_the_answer_is_what_comes(tmp_path: Path) -> None:
    words = ["--command", server(tmp_path, "right.py", LINES), "--send", r"hello\n"]
    done = loadmux("probe", "bytewise", *words, "--report", "markdown", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "| bytewise | pass |" in done.out


def test_the_cases_are_listed() -> None:
    done = loadmux("probe", "--list")
    assert [line.split()[0] for line in done.out.splitlines()] == [case.id for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.id))
def test_each_case_has_a_page(case: object) -> None:
    name = getattr(case, "id", "")
    page = section_of(name)
    assert page.startswith(f"# {name}\n")
    level = str(getattr(case, "level", ""))
    assert name == "control" or f"*{level.capitalize()}" in page
    assert text(name).startswith(f"# {name}")


def test_no_page_is_of_a_case_that_is_gone() -> None:
    page = (ROOT / "loadmux/manual/probe-cases.md").read_text()
    titles = [one.partition("\n")[0] for one in page.split("\n## ")[1:]]
    assert titles == [case.id for case in CASES]
    with pytest.raises(UsageError):
        text("splitt")
