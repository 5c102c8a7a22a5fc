"""The shipped scenario of IRC, against a small server that is right, and as ones lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import loadmux, run

SERVER = str(Path(__file__).parents[1] / "support" / "irc_server.py")


def words(mode: str = "right") -> list[str]:
    return ["--command", f"{sys.executable} {SERVER} {{port}} {mode}", "-t", "2s"]


def test_it_passes(tmp_path: Path) -> None:
    done = run("irc", *words(), folder=tmp_path)
    assert done.code == 0, done.out + done.err
    rows = {row["name"]: row for row in done.told["steps"]}
    assert rows["hear"]["count"] == rows["say"]["count"] > 0
    assert rows["ignored speaker"]["count"] > 0


@pytest.mark.parametrize(
    ("mode", "kinds"), [("deaf", {"timeout"}), ("garbles", {"corrupt"}), ("twice", set[str]())]
)
def test_what_lies_is_found(mode: str, kinds: set[str], tmp_path: Path) -> None:
    done = run("irc", *words(mode), folder=tmp_path)
    assert done.code == 1, done.out + done.err
    assert kinds <= {group["kind"] for group in done.told["faults"]}
    assert {group["step"] for group in done.told["faults"]} >= {"hear"}


def test_one_iteration_is_traced(tmp_path: Path) -> None:
    done = loadmux("trace", "irc", *words()[:2], cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert ":speaker0!speaker0@test PRIVMSG #loadmux :" in done.out
