"""Reads one threshold, `[STEP:] METRIC OP VALUE`, as a `Threshold`.

Pure text in, value out; whether the step exists is the loader's business, whether the threshold was
met the verdict's. Raises ValueError with one line that says what is wrong and what is right.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast, get_args

from loadmux import units

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Metric = Literal["errors", "error_rate", "p", "min", "mean", "max", "rate", "iterations", "dropped"]

CONNECT = "connect"
NAMED_CONNECT = "connect (step)"
"""What the report calls a step that its scenario calls `connect`."""
METRICS: tuple[str, ...] = get_args(Metric)
OPERATORS: tuple[str, ...] = get_args(Operator)

FORMS = "write [STEP:] METRIC OP VALUE, such as 'errors == 0' or 'p(99) < 250ms'"

_SHAPE = re.compile(
    r"(?:(?P<connect>connect)\s+)?(?P<metric>[A-Za-z_][A-Za-z0-9_]*)\s*(?:\((?P<argument>[^()]*)\))?"
    r"\s*(?P<op>[=!<>]+)\s*(?P<value>[^\s=!<>]\S*)"
)
_PERCENTAGE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,12})?")
_COUNT = re.compile(r"[0-9]{1,15}")
WHOLE_RUN = frozenset({"iterations", "dropped"})


@dataclass(frozen=True, slots=True)
class Threshold:
    """`[STEP:] METRIC OP VALUE`. `step` None is the whole run, "connect" the connects.

    `value` is in the metric's own unit: seconds, errors, a fraction (`error_rate`), or a second.
    `quantile` is 0..1, for metric "p" only. `text` is as the user wrote it. `implied`: the loader's
    own `errors == 0`, there because no threshold of the user's counts the whole run's errors.
    """

    text: str
    step: str | None
    metric: Metric
    op: Operator
    value: float
    quantile: float = 0.0
    implied: bool = False


def parse(text: str) -> Threshold:
    """A threshold with its value in the metric's own unit (`Threshold`)."""
    scope, colon, condition = text.rpartition(":")
    match = _SHAPE.fullmatch(condition.strip())
    if match is None:
        raise ValueError(f"{units.quoted(text)} is not a threshold; {FORMS}")
    metric, quantile = _metric(match["metric"], match["argument"])
    step = _step(scope.strip(), text) if colon else match["connect"]
    if colon and match["connect"]:
        raise ValueError(f"{units.quoted(text)} names both a step and 'connect'; write one of them")
    if step is not None and metric in WHOLE_RUN:
        raise ValueError(f"'{metric}' counts the whole run; write it without a step")
    return Threshold(
        text, step, metric, _operator(match["op"]), _value(metric, match["value"]), quantile
    )


def _step(scope: str, text: str) -> str:
    if len(scope) >= 2 and scope[0] == scope[-1] and scope[0] in "'\"":
        scope = scope[1:-1]
    if not scope:
        raise ValueError(f"{units.quoted(text)} has no step before the ':'; {FORMS}")
    return scope


def _metric(name: str, argument: str | None) -> tuple[Metric, float]:
    if name == "p":
        return "p", _quantile(argument)
    if name not in METRICS:
        raise ValueError(f"unknown metric {units.quoted(name)}; {_nearest_metric(name)}")
    if argument is not None:
        raise ValueError(f"'{name}' takes nothing in brackets; write '{name}'")
    return cast(Metric, name), 0.0


def _nearest_metric(name: str) -> str:
    percentile = re.fullmatch(r"[pP]_?([0-9]{1,2})", name)
    if percentile is not None:
        return f"did you mean 'p({percentile[1]})'?"
    near = difflib.get_close_matches(name[:40].lower(), METRICS, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return "metrics are " + ", ".join("p(99)" if m == "p" else m for m in METRICS)


def _quantile(argument: str | None) -> float:
    number = (argument or "").strip()
    percent = Decimal(number) if _PERCENTAGE.fullmatch(number) else Decimal(0)
    if not 0 < percent <= 100:
        raise ValueError("'p' needs a percentile above 0 and up to 100; write it as in 'p(99)'")
    return float(percent / 100)


def _operator(op: str) -> Operator:
    if op not in OPERATORS:
        raise ValueError(
            f"unknown operator {units.quoted(op)}; operators are {' '.join(OPERATORS)}"
        )
    return cast(Operator, op)


def _value(metric: Metric, text: str) -> float:
    if metric == "rate":
        return units.rate(text)
    if metric == "error_rate":
        return _fraction(text)
    if metric in ("p", "min", "mean", "max"):
        return units.duration(text)
    if _COUNT.fullmatch(text) is None:
        raise ValueError(
            f"{units.quoted(text)} is not a count; compare '{metric}' with a whole number"
        )
    return float(text)


def _fraction(text: str) -> float:
    number = text.removesuffix("%")
    if _PERCENTAGE.fullmatch(number):
        share = Decimal(number) / (100 if text.endswith("%") else 1)
        if share <= 1:
            return float(share)
    raise ValueError(f"{units.quoted(text)} is not a share; write a percentage such as 1%, or 0.01")
