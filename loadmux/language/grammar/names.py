"""Which `${name}`s a step may use: what the file defines, in the order in which a user meets it.

A name is known from its definition on: `variables` everywhere, what `save` and `set` define in
all the steps that follow, a `for`'s variable inside its `do`. A use before the definition cannot
be told from a misspelling until the whole file is read, so unknown names are judged at the end
(`finish`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from loadmux.checking.frozen import dataclass
from loadmux.errors import Position
from loadmux.language.grammar import formulas
from loadmux.language.text.nodes import REFERENCE, Mistakes, suggestion
from loadmux.plugins.formulas import Formula, Term, Variable
from loadmux.plugins.payloads import Text
from loadmux.units import quoted

SENT = "sent"
BUILT_INS = ("user", "iteration", "socket", "uuid", SENT)

LATER = ("connection", "now", "worker")
"""Built in since version 2; a scenario may give these names to something of its own."""
ENV = "env"

NAME = re.compile(r"[^\W\d]\w*")
_COLUMN = re.compile(r"([^\W\d]\w*)\.(.+)")
_ENVIRONMENT = re.compile(r"env\.([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Use:
    where: Position
    name: str
    anytime: bool


@dataclass(frozen=True, slots=True)
class Apart:
    """Names known before branches, those that they define, and those of branches around them."""

    before: dict[str, None]
    fresh: dict[str, None]
    branches: dict[str, Position]


class Names:
    """The names known so far; all is called in the order of the steps.

    `incomplete`: something that may define names could not be read; an unknown one proves nothing.
    `used` are the names that texts use. `feeders` maps each to its columns, None where a mistake
    hides them. `anytime`: what is read now may be carried out at any time, so whatever the file
    defines may have a value.
    """

    def __init__(self, mistakes: Mistakes) -> None:
        self.lists: dict[str, tuple[Text, ...]] = {}
        self.feeders: dict[str, tuple[str, ...] | None] = {}
        self.environment: Callable[[str], str | None] = os.environ.get
        self._mistakes = mistakes
        self._known: dict[str, None] = {}
        self._defined: dict[str, Position] = {}
        self._loops: set[str] = set()
        self._branches: dict[str, Position] = {}
        self._unknown: list[_Use] = []
        self.incomplete = self.anytime = False
        self.used: set[str] = set()

    def give_up(self) -> None:
        """From here on unknown names are no mistakes: see `incomplete`."""
        self.incomplete = True

    def check(self, where: Position, name: str, what: str) -> bool:
        """Whether `name` may be given to something of the scenario's own."""
        if NAME.fullmatch(name) is None:
            message = (
                f"{what} {quoted(name)} is not a name; use letters, digits and '_', no digit first"
            )
            self._mistakes.add(where, message)
        elif name in BUILT_INS:
            self._mistakes.add(where, f"{what} {quoted(name)} is built in; choose another name")
        elif name in self.lists:
            message = f"{what} {quoted(name)} is a list in 'variables' already; choose another name"
            self._mistakes.add(where, message)
        elif name in self.feeders:
            message = f"{what} {quoted(name)} is a feeder in 'variables'; choose another name"
            self._mistakes.add(where, message)
        else:
            return True
        return False

    def define(self, where: Position, name: str) -> None:
        """`name` is known from here on."""
        self._known[name] = None
        self._defined.setdefault(name, where)

    def begin_loop(self, name: str) -> bool:
        """`name` is known until `end_loop`, which takes what this returns."""
        outer = name in self._known
        self._known[name] = None
        self._loops.add(name)
        return outer

    def end_loop(self, name: str, outer: bool) -> None:
        if not outer and name not in self._defined:
            self._known.pop(name, None)

    def begin_branches(self) -> Apart:
        """What follows runs at once: a name that one branch defines is no value for the others."""
        return Apart(dict(self._known), {}, dict(self._branches))

    def next_branch(self, apart: Apart) -> None:
        """One branch is read; its names are kept away from the next."""
        fresh = {name: None for name in self._known if name not in apart.before}
        apart.fresh.update(fresh)
        self._branches.update({name: self._defined[name] for name in fresh})
        self._known = dict(apart.before)

    def end_branches(self, apart: Apart) -> None:
        """After the last branch all their names have a value."""
        self._known.update(apart.fresh)
        self._branches = apart.branches

    def text(self, where: Position, text: str, *, sent: bool = False) -> Text:
        """A text with its `${name}`s; `sent` says whether `${sent}` has a meaning here."""
        if "${" not in text:
            return Text((text,) if text else ())
        parts: list[str | Variable | Formula] = []
        literal, end = "", 0
        for match in REFERENCE.finditer(text):
            literal += text[end : match.start()]
            end = match.end()
            if match[1] is None:
                literal += "${"
                continue
            found = self._use(where, match, sent)
            if isinstance(found, str):
                literal += found
                continue
            parts += [literal, found] if literal else [found]
            literal = ""
        literal += text[end:]
        return Text((*parts, literal) if literal else tuple(parts))

    def constant(self, where: Position, text: str) -> str:
        """A text of `variables`, in which nothing is replaced; `$${` is a literal `${` here too."""
        found, end = "", 0
        for match in REFERENCE.finditer(text):
            found += text[end : match.start()]
            end = match.end()
            if match[1] is None:
                found += "${"
            elif match[2] and _ENVIRONMENT.fullmatch(match[1]):
                found += self._environment(where, match[1])
            else:
                message = f"{quoted(match[0])} is not replaced in 'variables'"
                message += "; write it in a step, or $${ for a literal '${'"
                self._mistakes.add(where, message)
                return text
        return found + text[end:]

    def _of_environment(self, written: str) -> bool:
        """Whether it names a variable of the environment; a feeder called so comes first."""
        return ENV not in self.feeders and _ENVIRONMENT.fullmatch(written) is not None

    def _environment(self, where: Position, written: str) -> str:
        """The value of `env.NAME` or `env.NAME:-default`."""
        match = _ENVIRONMENT.fullmatch(written)
        assert match is not None
        found = self.environment(match[1])
        if match[2] is not None:
            return found or match[2]
        if found is None:
            message = f"the environment has no variable {quoted(match[1])}; set it, or write"
            self._mistakes.add(where, f"{message} ${{env.{match[1]}:-DEFAULT}}")
        return found or ""

    def _use(self, where: Position, match: re.Match[str], sent: bool) -> str | Variable | Formula:
        """What a `${...}` stands for; a text where that is known now."""
        name = match[1]
        column = _COLUMN.fullmatch(name)
        if not match[2]:
            message = "'${' without '}'; write ${NAME}, or $${ for a literal '${'"
            self._mistakes.add(where, message)
        elif self._of_environment(name):
            return self._environment(where, name)
        elif column and (re.fullmatch(r"\w+", column[2]) or self._has(column[1], column[2])):
            self._column(where, column[1], column[2])
        elif NAME.fullmatch(name):
            self._name(where, name, sent)
        elif column and not formulas.SIGNS.search(name):
            self._column(where, column[1], column[2])
        else:
            return self._formula(where, name, sent)
        return Variable(name)

    def _has(self, feeder: str, column: str) -> bool:
        return column in (self.feeders.get(feeder) or ())

    def _formula(self, where: Position, written: str, sent: bool) -> Variable | Formula:
        def named(name: str) -> Term:
            if self._of_environment(name):
                return self._environment(where, name)
            if column := _COLUMN.fullmatch(name):
                self._column(where, column[1], column[2])
            else:
                self._name(where, name, sent)
            return Variable(name)

        try:
            formulas.parse(written, Variable)  # names in what is malformed are told no mistakes of
            term = formulas.parse(written, named)
        except ValueError as error:
            shown = quoted("${" + written + "}")
            message = f"{shown}: {error}"
            if not formulas.SIGNS.search(written):
                message = f"{shown} holds no name; use letters, digits and '_'"
            self._mistakes.add(where, f"{message}, or write $${{ for a literal '${{'")
            return Variable(written)
        return term if isinstance(term, Variable) else Formula(written, term)

    def _name(self, where: Position, name: str, sent: bool) -> None:
        self.used.add(name)
        if name == SENT and not sent:
            message = "'${sent}' has a value only in the 'expect' of a step that sends"
            self._mistakes.add(where, message)
        elif name in self.lists:
            message = f"'{name}' is a list; go through it with 'for: {{item: \"${{{name}}}\"}}'"
            self._mistakes.add(where, message)
        elif name in self.feeders:
            message = (
                f"{quoted(name)} is a feeder; name one of its columns as in ${{{name}.COLUMN}}"
            )
            self._mistakes.add(where, message + self._columns_of(name))
        elif name in self._branches and name not in self._known:
            line = self._branches[name].line
            message = f"{quoted('${' + name + '}')} is set in another branch, which runs at the"
            self._mistakes.add(where, f"{message} same time (line {line}); it has no value yet")
        elif name not in (*BUILT_INS, *LATER) and name not in self._known:
            self._unknown.append(_Use(where, name, self.anytime))

    def _column(self, where: Position, feeder: str, column: str) -> None:
        """`${feeder.column}`; feeders are all known before the first step."""
        columns = self.feeders.get(feeder)
        if columns is not None and column not in columns:
            hint = suggestion(column, columns, "its columns are")
            message = f"{quoted(feeder)} has no column {quoted(column)}{hint}"
            self._mistakes.add(where, message)
        elif feeder not in self.feeders and not self.incomplete:
            hint = suggestion(feeder, self.feeders, "feeders are")
            hint = hint or "; a feeder is 'NAME: {csv: FILE}' in 'variables'"
            name = quoted("${" + feeder + "." + column + "}")
            self._mistakes.add(where, f"{quoted(feeder)} in {name} is no feeder{hint}")

    def _columns_of(self, feeder: str) -> str:
        columns = self.feeders[feeder]
        return "" if columns is None else suggestion("", columns, "its columns are")

    def finish(self) -> None:
        """Reports the names that no step before their use defines."""
        if self.incomplete:
            return
        columns = [f"{name}.{one}" for name, found in self.feeders.items() for one in found or ()]
        everything = [*self._known, *BUILT_INS, *self.lists, *columns]
        for use in self._unknown:
            name = quoted("${" + use.name + "}")
            if use.anytime and use.name in self._defined:
                continue
            if use.name in self._defined:
                line = self._defined[use.name].line
                message = f"{name} has no value yet here; it is set only later, at line {line}"
            elif use.name in self._loops:
                message = f"{name} has a value only inside the 'do' of its 'for'"
            else:
                message = f"unknown name {name}{suggestion(use.name, everything, 'known are')}"
            self._mistakes.add(use.where, message)
