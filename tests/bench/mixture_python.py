"""The steps of a mixture as a scenario in Python; what it does not have is left to YAML."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from mixture_steps import Step

HEAD = """\
from loadmux.scripting import User, scenario


@scenario({options})
async def mixture(user: User) -> None:
"""
UNKNOWN = ("for", "barrier", "set")
MODIFIERS = ("name", "pieces", "gap", "within", "until", "at_most", "oneway")
ACTIONS = ("close", "connect", "reset", "half_close", "stop_reading", "resume_reading")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class NotInPython(Exception):
    """This step is YAML's alone."""


def seconds(text: str) -> float:
    unit = next(one for one in SECONDS if text.endswith(one))
    return float(text.removesuffix(unit)) * SECONDS[unit]


CALLED = """\
from loadmux.scripting import User


"""


class Functions:
    """What a scenario in YAML calls; `text` is their module."""

    def __init__(self) -> None:
        self.text = CALLED

    def steps(self, steps: Any) -> Any:
        """The same steps, those of a `call` put into a function where that can be."""
        if isinstance(steps, dict):
            if "call" in steps:
                return self._call(steps)
            return {key: self.steps(value) if key in NESTING else value
                    for key, value in steps.items()}  # fmt: skip
        if not isinstance(steps, list):
            return steps
        found: list[Any] = []
        for one in map(self.steps, steps):
            found += one if isinstance(one, Inline) else [one]
        return found

    def _call(self, step: Step) -> Any:
        name, writer = step["call"], Writer.__new__(Writer)
        try:
            lines = "\n".join(writer.lines(step["do"]))
        except NotInPython:
            return Inline(self.steps(step["do"]))
        self.text += f"async def {name}(user: User) -> None:\n{lines or '    pass'}\n\n\n"
        return {"call": f"helpers:{name}"}


class Inline(list[Any]):
    """Steps in place of one."""


NESTING = ("do", "together", "background", "steps", "before", "after")


class Writer:
    def __init__(self, document: dict[str, Any]) -> None:
        steps = document["steps"]
        options = {k: v for k, v in document.items() if k not in ("steps", "load")}
        options |= document["load"]
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        self.text = HEAD.format(options=given) + "\n".join(self.lines(steps)) + "\n"

    def lines(self, steps: Sequence[Step]) -> Iterator[str]:
        """The body of a function."""
        self._numbers = itertools.count()
        yield from self._lines(steps, "    ")

    def _lines(self, steps: Sequence[Step], margin: str) -> Iterator[str]:
        for step in steps:
            yield from self._step(step, margin)

    def _step(self, step: Step, margin: str) -> Iterator[str]:
        if any(word in step for word in UNKNOWN):
            raise NotInPython
        if "repeat" in step:
            yield f"{margin}for _ in range({step['repeat']}):"
            yield from self._lines(step["do"], margin + "    ")
        elif "transaction" in step:
            yield f"{margin}async with user.transaction({step['transaction']!r}):"
            yield from self._lines(step["do"], margin + "    ")
        elif "call" in step:
            yield from self._lines(step["do"], margin)
        elif "together" in step:
            yield from self._together(step["together"], margin)
        elif "wait" in step:
            yield f"{margin}await user.sleep({seconds(step['wait'])})"
        else:
            yield f"{margin}await {self._call(step)}"

    def _together(self, branches: Sequence[Any], margin: str) -> Iterator[str]:
        names = []
        for branch in branches:
            if isinstance(branch, dict):
                raise NotInPython
            names.append(f"branch_{next(self._numbers)}")
            yield f"{margin}async def {names[-1]}() -> None:"
            yield from self._lines(branch, margin + "    ")
        yield f"{margin}await user.together({', '.join(f'{one}()' for one in names)})"

    def _call(self, step: Step) -> str:
        for action in ACTIONS:
            if action in step:
                more = f"pending={step['pending']!r}" if "pending" in step else ""
                return f"user[{step[action]!r}].{action}({more})"
        words = "".join(f", {key}={step[key]!r}" for key in MODIFIERS if key in step)
        if "save" in step:
            raise NotInPython
        on = step["on"]
        sockets = f"user[{on!r}]" if isinstance(on, str) else f"user[{', '.join(map(repr, on))}]"
        if "send" not in step:
            return f"{sockets}.expect({form(step['expect'])}{words})"
        if "expect" not in step:
            return f"{sockets}.send({form(step['send'])}{words})"
        return f"{sockets}.exchange({form(step['send'])}, {form(step['expect'])}{words})"


def form(value: Any) -> str:
    """A text is exactly its bytes there, a form's text is as in YAML."""
    if value == "any":
        return repr({"any": True})
    plain = isinstance(value, str) and value not in ("reply", "closed")
    return repr({"text": value} if plain else value)
