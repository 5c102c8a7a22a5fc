"""Results of many runs as JSON files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadmux.comparing.capacity import Capacity
from loadmux.report.baseline import machine
from loadmux.report.jsonfile import write_text

CAPACITY_VERSION = 1


def of_capacity(found: Capacity) -> dict[str, Any]:
    """What `--json-file` of `loadmux capacity` holds; times are in seconds."""
    return {
        "loadmux_capacity": CAPACITY_VERSION,
        "machine": machine(),
        "scenario": found.scenario.path,
        "targets": {name: one.called for name, one in found.scenario.servers.items()},
        "objectives": [one.text for one in found.objectives],
        "axis": found.axis,
        "verdict": found.code.name.lower(),
        "answer": asdict(found.answer),
        "seconds": found.seconds,
        "budget_spent": found.spent,
        "law": asdict(found.law) if found.law and not isinstance(found.law, str) else found.law,
        "fault": found.ended.verdict.reason if found.ended is not None else None,
        "points": [asdict(one) for one in found.points],
    }


def write_capacity(found: Capacity, path: Path) -> None:
    """Raises UsageError where the file cannot be written."""
    write_text(path, json.dumps(of_capacity(found), indent=2, allow_nan=False) + "\n")
