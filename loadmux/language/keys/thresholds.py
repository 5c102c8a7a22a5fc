"""The key `thresholds`: texts that `measuring.thresholds` reads, of steps that there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadmux.language.grammar.contract import Schema, Schemas, Writing
from loadmux.language.grammar.patterns import DURATION, NOT_ZERO, RATE
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.types import Words
from loadmux.language.text import nodes
from loadmux.language.text.nodes import suggestion
from loadmux.language.text.yamltree import MappingNode, Node
from loadmux.measuring import thresholds
from loadmux.measuring.thresholds import CONNECT, NAMED_CONNECT, Threshold
from loadmux.units import quoted

_PERCENT = r"[0-9]{1,2}(?:\.[0-9]{1,12})?|0[0-9]{2}(?:\.[0-9]{1,12})?|100(?:\.0{1,12})?"
_SHARE = rf"(?:(?:{_PERCENT})%|0{{1,3}}(?:\.[0-9]{{1,12}})?|0{{0,2}}1(?:\.0{{1,12}})?)"
_COUNT = "[0-9]{1,15}"
VALUES = {
    **{"errors": _COUNT, "error_rate": _SHARE, "rate": RATE, "iterations": _COUNT},
    **{"dropped": _COUNT, "p": DURATION, "min": DURATION, "mean": DURATION, "max": DURATION},
}
"""What each metric is compared with."""


def _condition(metric: str) -> str:
    argument = rf"\s*\(\s*{NOT_ZERO}(?:{_PERCENT})\s*\)" if metric == "p" else ""
    operators = "|".join(sorted(thresholds.OPERATORS, key=len, reverse=True))
    return rf"{metric}{argument}\s*(?:{operators})\s*{VALUES[metric]}"


def pattern() -> str:
    """`[STEP:] METRIC OP VALUE`."""
    of_run = sorted(thresholds.WHOLE_RUN)
    of_step = [metric for metric in thresholds.METRICS if metric not in thresholds.WHOLE_RUN]
    rows = "|".join(map(_condition, of_step))
    run = "|".join(map(_condition, of_run))
    scope = r"""(?!\s*(?:''|"")\s*:)[\s\S]*\S[\s\S]*:\s*"""
    return rf"^(?:(?:{scope}|\s*(?:{CONNECT}\s+)?)(?:{rows})|\s*(?:{run}))\s*$"


class OneThreshold(Words):
    word = "thresholds"

    def __init__(self) -> None:
        super().__init__(pattern(), forms=thresholds.FORMS)

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, MappingNode):
            message = "a threshold must be a text; put the whole of it in quotes, as in"
            return r.refuse(node, f"{message} \"'login': p(95) < 20ms\"")
        return super().read(r, node, what)

    def made(self, r: Reading, node: Node, text: str, what: str) -> Threshold:
        threshold = of_step(r, thresholds.parse(text))
        problem = step_problem(r, threshold)
        if problem is not None:
            raise ValueError(problem)
        return threshold

    def schema(self, s: Schemas) -> Schema:
        metrics = ", ".join(thresholds.METRICS)
        told = f"[STEP:] METRIC OP VALUE. Metrics are {metrics}, p as in p(99)."
        return {"description": told, **super().schema(s)}

    def write(self, value: Any, w: Writing) -> Any:
        return nodes.escaped(value if isinstance(value, str) else value.text)


def of_step(r: Reading, threshold: Threshold) -> Threshold:
    """The same; of the step `connect` where the scenario has one, and the text names it."""
    named = threshold.step == CONNECT and ":" in threshold.text
    if not named or NAMED_CONNECT not in r.row_names:
        return threshold
    return replace(threshold, step=NAMED_CONNECT)


def step_problem(r: Reading, threshold: Threshold) -> str | None:
    """Why the report will have no row for the threshold's step."""
    step = threshold.step
    if step is None or step == CONNECT or step in r.row_names or not r.complete:
        return None
    if step in r.untimed:
        return f"the step {quoted(step)} is not timed; a threshold needs a step on a socket"
    hint = suggestion(step, sorted(r.row_names), "steps are")
    return f"unknown step {quoted(step)} in the threshold{hint}"
