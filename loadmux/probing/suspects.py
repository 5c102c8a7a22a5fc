"""Variants of a case that have failed: how often, by what, and how they are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loadmux.errors import Evidence
from loadmux.probing.bench import Trouble
from loadmux.probing.cases.variants import Variant
from loadmux.probing.trying import LATE


@dataclass
class Suspect:
    """A variant that has failed: `failed` of `tried` times, first by `fault`; `beside`: only while
    others did alike.
    """

    variant: Variant
    fault: Evidence | Trouble
    failed: int = 1
    tried: int = 1
    beside: bool = False

    @property
    def kind(self) -> str:
        return str(self.fault.kind)

    @property
    def text(self) -> str:
        if isinstance(self.fault, Trouble):
            return self.fault.text
        shared = "; alone it is served: connections share something" if self.beside else ""
        return f"{self.fault.step}: {self.fault.message}{shared}"

    @property
    def late(self) -> bool:
        """Whether by time alone."""
        if isinstance(self.fault, Trouble):
            return self.fault.late
        return self.fault.kind in LATE


def spread(found: Sequence[Suspect], most: int) -> list[Suspect]:
    """So many at most, the first and the last among them."""
    if len(found) <= most:
        return list(found)
    return [found[(len(found) - 1) * place // (most - 1)] for place in range(most)]


def slower(variant: Variant, times: int) -> Variant:
    """The same with longer deadlines."""
    longer = replace(variant.scenario, timeout=times * variant.scenario.timeout)
    return replace(variant, scenario=longer)


def folded(variants: Sequence[Variant], failing: Sequence[Variant]) -> str:
    """The labels of those that failed, neighbours joined: `3-19, 22`."""
    places = [variants.index(one) for one in failing]
    runs: list[list[int]] = []
    for place in places:
        number = variants[place].label.isdecimal()
        if number and runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(_run(variants[one[0]].label, variants[one[-1]].label) for one in runs)


def _run(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"


def evidence_of(suspect: Suspect) -> Iterator[str]:
    """What is known of a fault, line by line."""
    if isinstance(suspect.fault, Trouble):
        yield from suspect.fault.lines
        return
    from loadmux.report.faults import evidence_as_text

    yield from evidence_as_text(suspect.fault)
