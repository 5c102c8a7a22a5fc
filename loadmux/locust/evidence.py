"""The evidence of faults as rows of a table, for a tab of Locust's page and its download."""

from __future__ import annotations

import csv
import io
from typing import Any

from loadmux.errors import Evidence, Moment
from loadmux.locust.here import Here
from loadmux.measuring.consequences import Consequences
from loadmux.measuring.stats import FaultGroup
from loadmux.report import figures

TAB = "evidence"
SHOWN_BEFORE = 12
WIDTH = 60
COLUMNS = {
    "row": "Step",
    "kind": "Kind",
    "count": "# of its kind",
    "who": "User, iteration, socket",
    "offset": "Offset",
    "expected": "Expected there",
    "received": "Received there",
    "said": "The server said",
    "message": "What happened",
    "transcript": "Transcript",
}


def rows(here: Here) -> list[dict[str, Any]]:
    """The first occurrences of every kind of fault at every step, as rows."""
    if here.tally is None:
        return []
    found = [
        (group, name, part.stats.consequences)
        for name, part in here.tally.parts.items()
        for group in part.stats.faults.values()
    ]
    found.sort(key=lambda one: one[0].first)
    return [
        row_of(f"{name}: {group.step}" if here.prefixed else group.step, group, example)
        | {"message": followed(example, group, consequences)}
        for group, name, consequences in found
        for example in group.examples
    ]


def as_csv(here: Here) -> str:
    """All the rows below a head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writerow(COLUMNS)
    writer.writerows(rows(here))
    return text.getvalue()


def followed(example: Evidence, group: FaultGroup, consequences: Consequences) -> str:
    """What happened, and what that followed from."""
    cause = next(consequences.causes_of((group.kind, group.step)), None)
    if not example.follows or cause is None:
        return example.message
    return f"{example.message} (follows from {cause.kind} at step '{cause.step}')"


def row_of(step: str, group: FaultGroup, example: Evidence) -> dict[str, Any]:
    expected, received = (around(example, data) for data in (example.expected, example.received))
    return {
        "row": step,
        "kind": str(group.kind),
        "count": group.count,
        "who": f"{example.user}, {example.iteration}, {example.socket}",
        "offset": "" if example.offset is None else example.offset,
        "expected": expected,
        "received": received,
        "said": figures.shortened(example.said, WIDTH) if example.said else "",
        "message": example.message,
        "transcript": " | ".join(told(moment) for moment in example.transcript),
    }


def around(example: Evidence, data: bytes | None) -> str:
    """An excerpt's bytes from shortly before the first wrong one on."""
    if data is None:
        return ""
    wrong = (example.offset or 0) - example.excerpt_at
    return figures.shortened(data[max(0, wrong - SHOWN_BEFORE) :], WIDTH)


def told(moment: Moment) -> str:
    text = f"{moment.at:.6f} s {moment.what}"
    return (
        f"{text} {moment.size} B {figures.shortened(moment.data, WIDTH)}" if moment.size else text
    )
