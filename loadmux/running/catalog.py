"""What ships with loadmux, by name: target servers and scenarios, in the package or beside it."""

from __future__ import annotations

import os
from pathlib import Path

from loadmux.errors import UsageError

SUFFIX = "_server.py"
SCENARIOS = ("*.yaml", "*.py")


def bundled(kind: str) -> Path:
    """The folder of the shipped `targets` or `scenarios`: in the package, or beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "bundled" / kind
    return installed if installed.is_dir() else package.parent / kind


def models() -> list[str]:
    """Names of the bundled target servers."""
    return sorted(path.name.removesuffix(SUFFIX) for path in bundled("targets").glob(f"*{SUFFIX}"))


def scenarios() -> dict[str, Path]:
    """The bundled scenarios by name, in the order of their names."""
    folder = bundled("scenarios")
    found = {path.stem: path for kind in SCENARIOS for path in folder.glob(kind)}
    return dict(sorted(found.items()))


def find(name: str) -> Path:
    """The scenario file that a user means: a path, or the name of a bundled one.

    Raises UsageError for a bare name that is neither.
    """
    path = Path(name)
    if path.exists() or os.sep in name:
        return path
    if path.suffix:
        beside = bundled("scenarios") / name
        return beside if beside.is_file() else path
    every = scenarios()
    if name not in every:
        names = ", ".join(every)
        raise UsageError(f"{name}: no such file, and no bundled scenario; bundled: {names}")
    return every[name]
