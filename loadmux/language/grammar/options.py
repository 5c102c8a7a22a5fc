"""Checks what the command line puts in place of the file's words, before the file is opened.

Raises UsageError, which names the option: these mistakes have no place in the file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from loadmux import units
from loadmux.checking.frozen import dataclass
from loadmux.checking.rules import RULES
from loadmux.errors import UsageError
from loadmux.language.grammar.names import NAME
from loadmux.language.meaning.scenario import Overrides
from loadmux.language.meaning.servers import PORT, Command, Target
from loadmux.language.meaning.urls import URL_FORMS, parse_url
from loadmux.language.text.nodes import suggestion
from loadmux.measuring import thresholds
from loadmux.measuring.thresholds import Threshold
from loadmux.plugins.registry import PluginError, Registry
from loadmux.units import quoted

# What a bundled target answers when nobody says otherwise.
DEFAULT_RULE = "echo"
ONLY = ""
UNBUNDLED = "the rule {} is a plugin's, and bundled targets know the built-in rules only"
MODEL = re.compile(r"[A-Za-z0-9_]+")
_NAMED = re.compile(r"([\w.-]+)=(.+)")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """`Overrides` with every unit converted and every name checked; None leaves the file's word.

    `models` and `rules` are the names that there are; no models leaves them unchecked.
    """

    models: Collection[str]
    rules: Collection[str]

    targets: Mapping[str, Target]
    commands: Mapping[str, Command]
    replies: Mapping[str, str]
    users: int | None
    spawn_rate: float | None
    run_time: float | None
    iterations: int | None
    seed: int | None
    rate: float | None
    thresholds: tuple[Threshold, ...]
    variables: Mapping[str, str]


def check(overrides: Overrides, models: Collection[str], rules: Collection[str]) -> Options:
    return Options(
        models=models,
        rules=rules,
        targets=by_name(_words(overrides.target), lambda text: checked_target(text, models)),
        commands=by_name(_words(overrides.command), checked_command),
        replies=by_name(_words(overrides.reply), lambda text: checked_rule(text, rules)),
        users=_at_least("--users", overrides.users, 1),
        spawn_rate=_positive("--spawn-rate", overrides.spawn_rate, units.plain_rate),
        run_time=_positive("--run-time", overrides.run_time, units.plain_duration),
        iterations=_at_least("--iterations", overrides.iterations, 1),
        seed=_at_least("--seed", overrides.seed, 0),
        rate=_positive("--rate", overrides.rate, units.plain_rate),
        thresholds=tuple(map(_threshold, overrides.thresholds)),
        variables=dict(map(_variable, overrides.variables)),
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


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or NAME.fullmatch(name) is None:
        raise UsageError(f"--var: {quoted(text)} is no variable; write NAME=VALUE")
    return name, value


# --- targets ------------------------------------------------------------------------------------


def checked_target(text: str, models: Collection[str]) -> Target:
    """What `--target` says; raises UsageError."""
    if "://" in text:
        try:
            return Target(url=parse_url(text))
        except ValueError as error:
            raise UsageError(f"--target: {error}") from None
    if MODEL.fullmatch(text) is None:
        raise UsageError(f"--target: {quoted(text)} is neither a model nor a URL; {URL_FORMS}")
    if models and text not in models:
        hint = suggestion(text, sorted(models), "models are")
        raise UsageError(f"--target: unknown model {quoted(text)}{hint}")
    return Target(bundled=text)


def checked_command(text: str) -> Command:
    """What `--command` says; raises UsageError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--command: {quoted(text)}: {str(error).lower()}") from None
    if not words:
        raise UsageError("--command: it is empty; write the words of a command")
    return Command(words)


def checked_rule(text: str, rules: Collection[str]) -> str:
    """What `--reply` says; raises UsageError."""
    if text in rules:
        return text
    hint = suggestion(text, rules, "it is one of")
    raise UsageError(f"--reply: unknown rule {quoted(text)}{hint}")


def by_name(words: tuple[str, ...], checked: Callable[[str], T]) -> dict[str, T]:
    """`NAME=WORD`s, or a word for the only target; of two for the same one the last wins."""
    found: dict[str, T] = {}
    for word in words:
        match = _NAMED.fullmatch(word)
        name, value = (match[1], match[2]) if match is not None else (ONLY, word)
        found[name] = checked(value)
    return found


def in_force(file: Mapping[str, Target], line: Options) -> dict[str, Target]:
    """The file's targets with the command line's words in place of theirs. Raises UsageError."""
    targets = dict(_settled("--target", line.targets, file))
    for name, command in _settled("--command", line.commands, file).items():
        if name in targets:
            raise UsageError("--command: --target names another target; leave one of them out")
        targets[name] = Target(command=placed(command, file.get(name)))
    rules = _settled("--reply", line.replies, file)
    found = {
        name: overridden(file.get(name), targets.get(name), rules.get(name))
        for name in (file or targets)
    }
    return {name: target for name, target in found.items() if target is not None}


def placed(command: Command, file: Target | None) -> Command:
    """A command with what the file's target says of where it listens. Raises UsageError."""
    if file is not None and file.command is not None:
        command = replace(file.command, words=command.words)
    elif file is not None and file.url is not None:
        url = file.url
        command = replace(command, url=replace(url, port=0) if command.told_port else url)
    if not (command.told_port or command.fixed):
        shown = quoted(shlex.join(command.words))
        raise UsageError(f"--command: {shown} is not told its port; write {PORT} where it stands")
    return command


def _settled(option: str, given: Mapping[str, T], file: Mapping[str, Target]) -> Mapping[str, T]:
    """What an option gives, by the names of the file's targets. Raises UsageError."""
    names = list(file) or [ONLY]
    if ONLY in given and len(given) == len(names) == 1:
        return {names[0]: given[ONLY]}
    for name in given:
        if name == ONLY and names != [ONLY]:
            raise UsageError(
                f"{option}: the scenario has several targets; write NAME=... for one or more of"
                f" {', '.join(names)}"
            )
        if name not in names and names == [ONLY]:
            raise UsageError(f"{option}: the scenario has one target; leave '{name}=' out")
        if name not in names:
            hint = suggestion(name, names, "targets are")
            raise UsageError(f"{option}: unknown target {quoted(name)}{hint}")
    return given


def check_rules(
    registry: Registry, targets: Mapping[str, Target], replies: Mapping[str, str]
) -> None:
    """Loads the rules that are plugins'; raises UsageError for a wrong one.

    `replies` are the rules of `--reply`, by the names that it gives them. A rule of the file can be
    wrong here too, where `--target` has put a bundled target, which does not know it, in the place
    of the file's.
    """
    for target in targets.values():
        rule = target.rule
        if rule is None or rule in RULES or rule not in registry.names("rules"):
            continue
        option = "--reply" if rule in replies.values() else "--target"
        if target.bundled is not None:
            raise UsageError(f"{option}: {UNBUNDLED.format(quoted(rule))}")
        try:
            registry.rule(rule)
        except PluginError as error:
            raise UsageError(f"{option}: {error}") from None


def overridden(file: Target | None, line: Target | None, rule: str | None) -> Target | None:
    """The one target in force.

    Another target keeps the file's rule (what the scenario expects does not change with who
    answers), but not the options of a bundled target of another model. The file's `read_size`
    holds at another URL too; a bundled target that takes its place reads as it always does.
    """
    target = line or file
    if target is None:
        return None
    kept = None if file is None else file.rule
    rule = rule or kept or (DEFAULT_RULE if target.bundled else None)
    options = file.options if file is not None and file.bundled == target.bundled else {}
    read_size = None if file is None or target.bundled else file.read_size
    watch = None if file is None else file.watch
    return Target(target.url, target.bundled, rule, options, read_size, target.command, watch)
