"""What ships with loadmux, by name: target servers and scenarios, in the package or beside it."""

from __future__ import annotations

import os
from pathlib import Path

from loadmux.errors import UsageError

SUFFIX = "_server.py"


def bundled(kind: str) -> Path:
    """The folder of the shipped `targets` or `scenarios`: in the package, or beside it."""
    package = Path(__file__).resolve().parent
    installed = package / "bundled" / kind
    return installed if installed.is_dir() else package.parent / kind


def models() -> list[str]:
    """Names of the bundled target servers."""
    return sorted(path.name.removesuffix(SUFFIX) for path in bundled("targets").glob(f"*{SUFFIX}"))


def scenarios() -> list[str]:
    """Names of the bundled scenarios."""
    return sorted(path.stem for path in bundled("scenarios").glob("*.yaml"))


def find(name: str) -> Path:
    """The scenario file that a user means: a path, or the name of a bundled one.

    Raises UsageError for a bare name that is neither.
    """
    path = Path(name)
    if path.exists() or path.suffix or os.sep in name:
        return path
    found = bundled("scenarios") / f"{name}.yaml"
    if not found.is_file():
        names = ", ".join(scenarios())
        raise UsageError(f"{name}: no such file, and no bundled scenario; bundled: {names}")
    return found
