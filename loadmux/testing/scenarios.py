"""Do the forms of a framer, or a step, read what they should of a scenario, and refuse the rest?

The values are YAML texts, as they stand after `NAME: ` in flow style, for the same loader that
reads scenario files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.plugins.contracts import Framer, Group, Plugin, Step
from loadmux.plugins.registry import Registry, unfit

URL = "tcp://127.0.0.1:9"


class Provided(Registry):
    """A registry in which one object is a plugin, besides those that are installed."""

    def __init__(self, group: Group, name: str, found: object) -> None:
        super().__init__()
        reason = unfit(group, name, found)
        assert not reason, reason
        self._own = (group, name)
        self._object = found

    def names(self, group: Group) -> Collection[str]:
        own = [self._own[1]] if group == self._own[0] else []
        return dict.fromkeys([*super().names(group), *own]).keys()

    def load(self, group: Group, name: str) -> Any:
        if (group, name) != self._own:
            return super().load(group, name)
        entry = f"{type(self._object).__module__}:OBJECT"
        self.used[self._own] = Plugin(group, name, "under test", "0", entry)
        return self._object


def check_forms(
    name: str,
    framer: Framer,
    *,
    payloads: Sequence[str] = (),
    replies: Sequence[str] = (),
    wrong: Sequence[str] = (),
    wrong_replies: Sequence[str] = (),
    framing: str | None = None,
) -> None:
    """Check what a framer reads. Raises AssertionError.

    `wrong` are values that are no payload form. `framing` is the socket's, `NAME` by default.
    """
    registry = Provided("framers", name, framer)
    head = f"sockets: {{main: {{framing: {framing or name}}}}}\n"
    some = payloads[0] if payloads else None
    for value in payloads:
        _loads(registry, f"{head}steps: [{{send: {{{name}: {value}}}, expect: {{length: 1}}}}]\n")
    for value in wrong:
        text = f"{head}steps: [{{send: {{{name}: {value}}}, expect: {{length: 1}}}}]\n"
        _is_told(registry, text)
    sends = "" if some is None else f"send: {{{name}: {some}}}, "
    for value in replies:
        _loads(registry, f"{head}steps: [{{{sends}expect: {{{name}: {value}}}}}]\n")
    for value in wrong_replies:
        _is_told(registry, f"{head}steps: [{{{sends}expect: {{{name}: {value}}}}}]\n")


def check_step(name: str, step: Step, *, right: Sequence[str], wrong: Sequence[str] = ()) -> None:
    """Check what a step reads. Raises AssertionError."""
    registry = Provided("steps", name, step)
    for value in right:
        _loads(registry, f"steps: [{{{name}: {value}}}]\n")
    for value in wrong:
        _is_told(registry, f"steps: [{{{name}: {value}}}]\n")


def _loads(registry: Registry, text: str) -> Scenario:
    text = f"target: {URL}\n{text}"
    try:
        return load("checked.yaml", text=text, registry=registry)
    except ScenarioErrors as error:
        raise AssertionError(f"{text!r} should load: {error}") from None


def _is_told(registry: Registry, text: str) -> None:
    """A wrong value is told by the plugin, at its place; what it raises otherwise is no answer."""
    text = f"target: {URL}\n{text}"
    try:
        load("checked.yaml", text=text, registry=registry)
    except ScenarioErrors as error:
        for one in error.errors:
            assert not one.message.startswith("plugin "), f"for {text!r}: {one.message}"
            assert one.where.line >= 2, f"for {text!r}: {one} stands nowhere in it"
        return
    raise AssertionError(f"{text!r} is wrong, and was accepted")
