"""The built wheel, away from the checkout: it brings its scenarios and targets with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, loadmux
from once import once


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put on PYTHONPATH that holds what the wheel installs, and nothing else."""
    return once(tmp_path_factory, "wheel", install) / "site"


def install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(wheel, check=True, stderr=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    site = str(folder / "site")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, str(built)], check=True)


def test_it_claims_one_top_level_name(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names - {"bin"} == {"loadmux"}


@pytest.mark.parametrize("name", ["parts", "chat"])
def test_it_runs_a_bundled_scenario_against_a_bundled_target(
    name: str, installed: Path, tmp_path: Path
) -> None:
    words = ("run", name, "-t", "500ms", "-u", "5")
    done = loadmux(*words, cwd=tmp_path, env={"PYTHONPATH": str(installed)})
    assert done.code == 0, done.out + done.err
    assert str(installed) in done.out


def test_it_lists_its_targets(installed: Path, tmp_path: Path) -> None:
    done = loadmux("targets", cwd=tmp_path, env={"PYTHONPATH": str(installed)})
    assert done.code == 0, done.err
    for model in ("select", "poll", "epoll", "selectors", "threads"):
        assert model in done.out


def test_it_brings_the_reference_and_a_first_scenario(installed: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(installed)}
    told = loadmux("help", "half_close", cwd=tmp_path, env=env)
    assert told.code == 0, told.err
    assert loadmux("init", cwd=tmp_path, env=env).code == 0
    checked = loadmux("check", "scenario.yaml", cwd=tmp_path, env=env)
    assert checked.code == 0, checked.err
