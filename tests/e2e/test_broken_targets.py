"""A target that is broken on this machine is a row of a list and a line of its own run, no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from broken_targets import BROKEN, write
from commands import ROOT, Done, loadmux
from once import once


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of loadmux whose folder of targets has broken ones, too."""
    return once(tmp_path_factory, "house", copy)


def copy(folder: Path) -> None:
    for name in ("loadmux", "targets", "scenarios"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.png"))
    for name, (text, _) in BROKEN.items():
        write(folder / "targets", name, text)


def within(house: Path, *words: str) -> Done:
    return loadmux(*words, cwd=house, env={"PYTHONPATH": str(house), "COLUMNS": "200"})


def test_each_is_one_row_of_the_list(house: Path) -> None:
    done = within(house, "targets")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("one thread asks epoll who is ready, level-triggered") == 1
    assert "not here: killed by SIGILL (Illegal instruction)" in done.out
    rows = [line for line in done.out.splitlines() if line[:1] not in ("", " ")]
    assert {row.split()[0] for row in rows} >= {*BROKEN, "blocking", "udp"}
    for name, (_, reason) in BROKEN.items():
        at = next(i for i, line in enumerate(done.out.splitlines()) if line.split()[:1] == [name])
        assert done.out.splitlines()[at + 1].strip().startswith(f"not here: {reason}")


@pytest.mark.parametrize("name", ["illegal", "unimportable", "rubbish"])
def test_a_run_with_it_ends_with_4_and_one_line(name: str, house: Path) -> None:
    done = within(house, "run", "echo", "--target", name, "-t", "200ms", "-q")
    assert (done.code, done.out) == (4, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"target {name} cannot run here: {BROKEN[name][1]}")


def test_a_run_with_another_is_none_the_worse(house: Path) -> None:
    done = within(house, "run", "echo", "--target", "epoll", "-u", "2", "-t", "200ms")
    assert done.code == 0, done.out + done.err


def test_the_schema_names_them_without_asking_them(house: Path) -> None:
    done = within(house, "schema")
    assert (done.code, done.err) == (0, "")
    assert '"illegal"' in done.out


def test_what_was_asked_for_is_written_where_no_target_starts(tmp_path: Path) -> None:
    (tmp_path / "ask.yaml").write_text("steps: [{send: a, expect: a}]\n")
    kinds = ("junit", "html", "markdown", "csv", "ndjson", "hgrm")
    reports = [word for kind in kinds for word in ("--report", f"{kind}={kind}")]
    words = ["run", "ask.yaml", "--command", "no-such-program {port}", *reports]
    done = loadmux(*words, "--json-file", "-", "--seed", "5", cwd=tmp_path)
    assert done.code == 4
    told = json.loads(done.out)
    assert (told["verdict"], told["exit_code"], told["seed"]) == ("unreachable", 4, 5)
    assert "cannot run 'no-such-program'" in told["reason"]
    assert "cannot run 'no-such-program'" in done.err
    assert all((tmp_path / kind).exists() for kind in kinds)
    verdict = Xml.parse(tmp_path / "junit").find(".//testcase[@name='verdict']/error")
    assert verdict is not None
    assert verdict.get("message") == told["reason"]
