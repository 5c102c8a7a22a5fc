"""Checks what the command line puts in place of the file's words, before the file is opened.

Raises UsageError, which names the option: these mistakes have no place in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from loadmux import thresholds, units
from loadmux.errors import UsageError
from loadmux.loader import target
from loadmux.scenario import Overrides, Target, Threshold


@dataclass(frozen=True, slots=True)
class Options:
    """`Overrides` with every unit converted and every name checked; None leaves the file's word.

    `models` and `rules` are the names that there are; no models leaves them unchecked.
    """

    models: Collection[str]
    rules: Collection[str]

    targets: Mapping[str, Target]
    replies: Mapping[str, str]
    users: int | None
    spawn_rate: float | None
    run_time: float | None
    iterations: int | None
    seed: int | None
    rate: float | None
    thresholds: tuple[Threshold, ...]


def check(overrides: Overrides, models: Collection[str], rules: Collection[str]) -> Options:
    return Options(
        models=models,
        rules=rules,
        targets=target.by_name(
            _words(overrides.target), lambda text: target.checked_target(text, models)
        ),
        replies=target.by_name(
            _words(overrides.reply), lambda text: target.checked_rule(text, rules)
        ),
        users=_at_least("--users", overrides.users, 1),
        spawn_rate=_positive("--spawn-rate", overrides.spawn_rate, units.plain_rate),
        run_time=_positive("--run-time", overrides.run_time, units.plain_duration),
        iterations=_at_least("--iterations", overrides.iterations, 1),
        seed=_at_least("--seed", overrides.seed, 0),
        rate=_positive("--rate", overrides.rate, units.plain_rate),
        thresholds=tuple(map(_threshold, overrides.thresholds)),
    )


def _words(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else given


def _at_least(option: str, value: int | None, least: int) -> int | None:
    if value is not None and value < least:
        raise UsageError(f"{option}: must be at least {least}, not {value}")
    return value


def _positive(option: str, text: str | None, convert: Callable[[str], float]) -> float | None:
    if text is None:
        return None
    try:
        value = convert(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if value == 0:
        raise UsageError(f"{option}: must be more than zero")
    return value


def _threshold(text: str) -> Threshold:
    try:
        return thresholds.parse(text)
    except ValueError as error:
        raise UsageError(f"--threshold: {error}") from None
