"""The commands about the language: `schema`, `init`, `check --print`; mistakes in real files."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import needs
import pytest
from commands import ROOT, loadmux, run
from loader_cases import mistakes, values

from loadmux.language.describing.schema import schema
from loadmux.running.catalog import models


def test_schema_is_printed_as_json(tmp_path: Path) -> None:
    done = loadmux("schema", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out) == schema(models())


def test_init_writes_a_scenario_that_runs_and_is_never_overwritten(tmp_path: Path) -> None:
    done = loadmux("init", cwd=tmp_path)
    assert done.code == 0, done.err
    path = tmp_path / "scenario.yaml"
    written = path.read_text()
    assert not list(needs.validator(schema(models())).iter_errors(values(path)))

    again = loadmux("init", cwd=tmp_path)
    assert again.code == 2
    assert again.err == "loadmux: init: scenario.yaml is there already; name another file\n"
    assert path.read_text() == written

    done = run(path, "-t", "500ms", "--iterations", "20", folder=tmp_path)
    assert done.code == 0, done.out + done.err


def test_init_takes_a_name_and_tells_it(tmp_path: Path) -> None:
    done = loadmux("init", "my first.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "loadmux run 'my first.yaml'" in (tmp_path / "my first.yaml").read_text()
    done = loadmux("init", "no/such/folder.yaml", cwd=tmp_path)
    assert done.code == 2
    assert (
        done.err == "loadmux: init: cannot write no/such/folder.yaml: no such file or directory\n"
    )


def test_the_first_scenario_takes_the_schema_when_its_comment_is_opened() -> None:
    text = (ROOT / "loadmux" / "language" / "first.yaml").read_text()
    assert "\n## yaml-language-server: $schema=" in text


def test_check_prints_what_it_understood_and_that_runs_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "target: {bundled: epoll}\nsteps: [{send: a, expect: reply}]\n"
    )
    done = loadmux("check", "--print", "a.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "  main: {nodelay: true, idle_close: fault}\n" in done.out
    (tmp_path / "b.yaml").write_text(done.out)
    done = run(tmp_path / "b.yaml", folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["exchanges"]["count"] == 1


def test_check_prints_the_right_ones_of_several(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("steps: 5\n")
    done = loadmux("check", "--print", "echo", "wrong.yaml", "parts", cwd=tmp_path)
    assert done.code == 2
    assert done.out.count("\nsteps:\n") == 2
    assert done.err.splitlines()[0].startswith("wrong.yaml:1:1: no target")


def test_a_python_scenario_is_printed_as_one_that_calls_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "scenarios" / "chat.py", tmp_path)
    done = loadmux("check", "--print", "chat.py", cwd=tmp_path)
    assert done.code == 0, done.err
    (tmp_path / "calls.yaml").write_text(done.out)
    done = run(tmp_path / "calls.yaml", "-t", "500ms", "-u", "2", folder=tmp_path)
    assert done.told["exchanges"]["errors"] == 0
    assert {row["name"] for row in done.told["steps"]} >= {"alice shouts", "bob shouts"}


@cache
def sample() -> list[tuple[str, list[str]]]:
    """Some of the texts with mistakes, and what is told of them."""
    return [one for one in sorted(mistakes().items()) if "models are" not in one[1][0]][::45]


PARTS = 5


@pytest.mark.parametrize("part", range(PARTS))
def test_a_mistake_is_a_line_and_exit_code_2_and_never_a_traceback(
    part: int, tmp_path: Path
) -> None:
    assert len(sample()) > PARTS
    for text, lines in sample()[part::PARTS]:
        (tmp_path / "s.yaml").write_bytes(text.encode())
        for command in ("check", "run"):
            done = loadmux(command, "s.yaml", cwd=tmp_path)
            assert done.code == 2
            assert not done.out
            assert done.err.splitlines() == [f"s.yaml:{line}" for line in lines]


def test_a_file_without_a_target_is_whole(tmp_path: Path) -> None:
    """Whoever runs it says where; what needs to know more of the target is told."""
    (tmp_path / "ask.yaml").write_text("steps: [{send: a, expect: a}]\n")
    (tmp_path / "rule.yaml").write_text("steps: [{send: a, expect: reply}]\n")
    (tmp_path / "wrong.yaml").write_text("steps: [{sned: a}]\n")
    done = loadmux("check", "ask.yaml", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == "ask.yaml: no target; give one with --target when it is run\n"
    assert loadmux("check", "rule.yaml", "--reply", "echo", cwd=tmp_path).code == 0
    done = loadmux("check", "rule.yaml", "wrong.yaml", cwd=tmp_path)
    assert done.code == 2
    assert "rule.yaml:1:27: 'reply' needs to know the target's rule" in done.err
    assert "wrong.yaml:1:1: no target" in done.err
    assert "wrong.yaml:1:10: unknown key 'sned'" in done.err
    assert loadmux("run", "ask.yaml", cwd=tmp_path).code == 2
