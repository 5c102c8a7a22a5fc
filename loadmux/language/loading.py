"""The scenario language: text in, one frozen `Scenario` out, or every mistake in it at once.

The file's syntax is `yamltree`'s. Here each key is declared once (`shapes.Key`: its type, help,
default, examples), and reading, the JSON Schema (`schema`), `check --print` (`printing`) and `help`
(`manual`) are derived from that. Reading reports into one `Mistakes` and goes on; nothing is
returned while there is one mistake. The command line's words (`Overrides`) are checked first and
win over the file's. What a scenario reads beside its text goes through one `Files`, so that it can
be handed on whole (`bundle`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from loadmux.checking.frozen import dataclass
from loadmux.checking.rules import RULES
from loadmux.errors import Position, ScenarioError, ScenarioErrors, UsageError
from loadmux.language import flow, transports
from loadmux.language.grammar import options
from loadmux.language.grammar.options import Options
from loadmux.language.grammar.reading import Reading
from loadmux.language.keys.file import File
from loadmux.language.meaning.feeders import shortage
from loadmux.language.meaning.scenario import Overrides, Scenario
from loadmux.language.meaning.shares import shared
from loadmux.language.meaning.stepvalues import Barrier
from loadmux.language.messages.payloads import PAYLOAD
from loadmux.language.sources.files import Bundle, Files
from loadmux.language.text import yamltree
from loadmux.language.text.nodes import Mistakes, kind_of
from loadmux.language.text.yamltree import MappingNode, Node, ScalarNode
from loadmux.measuring.thresholds import Threshold
from loadmux.plugins.registry import Registry, RuleNames

__all__ = ["RULES", "Bundle", "bundle", "load", "load_all", "piped"]

Parse = Callable[[str, str], tuple[Node | None, list[ScenarioError]]]

LARGEST_FILE = 2**24
PIPED = "<stdin>"


def load(
    path: Path | str,
    overrides: Overrides = Overrides(),  # noqa: B008 (frozen)
    *,
    text: str | None = None,
    files: Mapping[str, bytes] | None = None,
    models: Collection[str] = (),
    rules: Collection[str] | None = None,
    registry: Registry | None = None,
) -> Scenario:
    """The scenario in the file at `path`, or in `text`, which then is only called `path`.

    A file whose name ends in `.py` is a Python scenario: reading it runs it.

    `files`: the contents of the files that it names; without it they are looked for beside `path`,
    with it (it needs `text` as well) nothing is read from disk. `models`: the names of the bundled
    targets, not checked when empty. `rules`: the reply rules; by default the built-in ones and
    those of plugins. `registry`: where plugins are looked for.
    Raises ScenarioErrors with all the mistakes of the file, UsageError for a wrong override.
    """
    if files is not None and text is None:
        raise TypeError("'files' needs 'text': nothing is read from disk")
    name = str(path)
    registry = Registry() if registry is None else registry
    checked = options.check(overrides, models, RuleNames(registry) if rules is None else rules)
    found = Files(Path(name).parent, files)
    draft = _draft(name, _read(name) if text is None else text, checked, found, registry)
    return _finished([draft], checked)[0]


def load_all(
    sources: Sequence[Path | str | Bundle],
    overrides: Overrides = Overrides(),  # noqa: B008 (frozen)
    *,
    models: Collection[str] = (),
    rules: Collection[str] | None = None,
) -> tuple[Scenario, ...]:
    """The scenarios of one run, with their shares of the load (`shares`); files or bundles.

    Raises ScenarioErrors with all the mistakes of all files, UsageError for a wrong override.
    """
    checked = options.check(overrides, models, RuleNames(Registry()) if rules is None else rules)
    alone = len(sources) == 1
    own = checked if alone else replace(checked, spawn_rate=None)
    drafts = []
    for source in sources:
        function = None
        if isinstance(source, Bundle):
            path, text, function = source.path, source.text, source.function
            found = Files(Path(path).parent, source.files)
        else:
            path = str(source)
            text, found = _read(path), Files(Path(path).parent)
        drafts.append(_draft(path, text, own, found, Registry(), function))
    return _finished(drafts, checked)


def bundle(
    path: Path | str,
    overrides: Overrides = Overrides(),  # noqa: B008 (frozen)
    *,
    text: str | None = None,
    models: Collection[str] = (),
    rules: Collection[str] | None = None,
) -> Bundle:
    """The scenario's text with all the files that it reads. Raises what `load` raises."""
    name = str(path)
    text = _read(name) if text is None else text
    files, registry = Files(Path(name).parent), Registry()
    checked = options.check(overrides, models, RuleNames(registry) if rules is None else rules)
    _finished([_draft(name, text, checked, files, registry)], checked)
    return Bundle(name, text, dict(files.contents))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A scenario as one file alone gives it: of no worth where there are mistakes."""

    scenario: Scenario | None
    mistakes: Mistakes
    unmatched: Mapping[Threshold, str]
    strays: Mapping[str, str]


def _draft(
    path: str,
    text: str,
    checked: Options,
    files: Files,
    registry: Registry,
    function: str | None = None,
) -> _Draft:
    """`registry` is the scenario's own: what it has loaded is what the scenario needs."""
    with _no_collection():
        parse = _read_python(function) if path.endswith(".py") else yamltree.parse
        return _read_draft(path, text, checked, files, registry, parse)


def _read_python(function: str | None) -> Parse:
    from loadmux.language import pyfile  # with what runs an author's code; YAML does without

    return partial(pyfile.read, function=function)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A tree has no cycles: looking for them time and again took a third of a large file's time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_draft(
    path: str,
    text: str,
    checked: Options,
    files: Files,
    registry: Registry,
    parse: Parse,
) -> _Draft:
    mistakes = Mistakes()
    try:
        tree, errors = parse(path, text)
    except ScenarioErrors as error:
        mistakes.extend(error.errors)
        return _Draft(None, mistakes, {}, {})
    mistakes.extend(errors)
    if not isinstance(tree, MappingNode):
        mistakes.extend([_no_mapping(path, tree)])
        return _Draft(None, mistakes, {}, {})
    reading = Reading(path, mistakes, checked, files, registry)
    reading.read_payload = lambda node: PAYLOAD.read(reading, node, "a payload")
    file = File(reading, tree)
    scenario = file.read()
    if not mistakes.errors:
        flow.check(scenario, mistakes)
        transports.check(scenario, mistakes)
        _check_barriers(scenario, mistakes)
    return _Draft(scenario, mistakes, file.unmatched, file.strays)


def _check_barriers(scenario: Scenario, mistakes: Mistakes) -> None:
    """Where the number of users goes up and down, who is waited for would be left to chance."""
    for step in scenario.every_step if scenario.load.phases else ():
        if isinstance(step, Barrier):
            message = "a 'barrier' needs a fixed number of users; leave out 'rate', ramps, 'phases'"
            mistakes.add(step.where, message)


def _finished(drafts: Sequence[_Draft], checked: Options) -> tuple[Scenario, ...]:
    """What can be judged only with all the files at hand: thresholds, and rows for all users."""
    _raise_any(drafts)
    for threshold in checked.thresholds:
        problems = [draft.unmatched.get(threshold) for draft in drafts]
        if problems[0] is not None and None not in problems:
            raise UsageError(f"--threshold: {problems[0]}")
    for name in checked.variables:
        told = [draft.strays.get(name) for draft in drafts]
        if told[0] is not None and None not in told:
            raise UsageError(f"--var: {told[0]}")
    scenarios = tuple(draft.scenario for draft in drafts if draft.scenario is not None)
    if len(scenarios) > 1:
        scenarios = shared(scenarios, checked.users, checked.rate, checked.spawn_rate)
    for scenario, draft in zip(scenarios, drafts, strict=True):
        _check_feeders(scenario, draft.mistakes)
    _raise_any(drafts)
    return scenarios


def _raise_any(drafts: Sequence[_Draft]) -> None:
    every = Mistakes()
    for draft in drafts:
        every.extend(draft.mistakes.errors)
    if every.errors:
        raise ScenarioErrors(every.errors)


def _check_feeders(scenario: Scenario, mistakes: Mistakes) -> None:
    """Every user has a row; which users there are is known only now."""
    for feeder in scenario.feeders.values():
        problem = shortage(feeder, scenario.load.users)
        if problem is not None:
            mistakes.add(feeder.where, problem)


def piped(stream: BinaryIO | None) -> Bundle:
    """The YAML scenario on standard input; what it names is looked for in the working folder."""
    if stream is None:
        raise _unreadable(PIPED, "it is closed")
    return Bundle(PIPED, _text(PIPED, lambda: nullcontext(stream)), None)


def _read(path: str) -> str:
    """The text of a file; raises ScenarioErrors where there is none."""
    return _text(path, lambda: open(path, "rb"))


def _unreadable(path: str, reason: str) -> ScenarioErrors:
    message = f"cannot read the scenario: {reason}"
    return ScenarioErrors([ScenarioError(Position(path, 1, 1), message)])


def _text(path: str, opened: Callable[[], AbstractContextManager[BinaryIO]]) -> str:
    try:
        with opened() as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise _unreadable(path, reason.lower()) from None
    if len(data) > LARGEST_FILE:
        message = f"the scenario is larger than {LARGEST_FILE} bytes"
        raise ScenarioErrors([ScenarioError(Position(path, 1, 1), message)])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        index = len(data[: error.start].decode())
        where = yamltree.position(path, data.decode(errors="replace"), index)
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ScenarioErrors([ScenarioError(where, message)]) from None


def _no_mapping(path: str, tree: Node | None) -> ScenarioError:
    if tree is None or (isinstance(tree, ScalarNode) and tree.value is None):
        where = Position(path, 1, 1) if tree is None else tree.where
        message = "the scenario is empty; it needs at least a 'target:' and 'steps:'"
        return ScenarioError(where, message)
    message = f"a scenario is a mapping with keys such as 'steps:', not {kind_of(tree)}"
    return ScenarioError(tree.where, message)
