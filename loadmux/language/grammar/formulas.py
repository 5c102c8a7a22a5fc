"""Reads what stands in `${...}`: names, `NAME[A:B]`, `len(NAME)`, and sums of whole numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

from loadmux.plugins.formulas import Calculation, Length, Slice, Term

LONGEST = 500
SIGNS = re.compile(r"[\[\]()+*%/-]")
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([^\W\d]\w*(?:\.\w+)?)|(//|[-+*%:()\[\]]))")
FORMS = "write NAME, NAME[A:B], len(NAME) or a sum such as n + 1 (+ - * // %)"

Named = Callable[[str], Term]


def parse(text: str, named: Named) -> Term:
    """The term that a text is; `named` makes one of a name. Raises ValueError."""
    if len(text) > LONGEST:
        raise ValueError(f"more than {LONGEST} characters are too many")
    return _Parser(text, named).whole()


class _Parser:
    def __init__(self, text: str, named: Named) -> None:
        self._named = named
        self._tokens: list[str] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                rest = text[at:].strip()[:20]
                whole = "; whole numbers are divided by '//'" if rest.startswith("/") else ""
                raise ValueError(f"{rest!r} means nothing here{whole}; {FORMS}")
            self._tokens.append(match[0].strip())
            at = match.end()

    def whole(self) -> Term:
        found = self._sum()
        if self._tokens:
            raise ValueError(f"{self._tokens[0]!r} is out of place; {FORMS}")
        return found

    def _next(self, *wanted: str) -> str | None:
        return self._tokens.pop(0) if self._tokens and self._tokens[0] in wanted else None

    def _needs(self, wanted: str, instead: str = "") -> None:
        if self._next(wanted) is None:
            raise ValueError(f"{wanted!r} is missing; {instead or FORMS}")

    def _sum(self) -> Term:
        found = self._product()
        while sign := self._next("+", "-"):
            found = Calculation(sign, found, self._product())
        return found

    def _product(self) -> Term:
        found = self._signed()
        while sign := self._next("*", "//", "%"):
            found = Calculation(sign, found, self._signed())
        return found

    def _signed(self) -> Term:
        sign = self._next("-", "+")
        if sign is None:
            return self._sliced()
        return Calculation(sign, 0, self._signed())

    def _sliced(self) -> Term:
        found = self._atom()
        while self._next("["):
            begin = None if self._tokens[:1] == [":"] else self._sum()
            self._needs(":", "a slice is NAME[A:B]; one byte is NAME[A:A + 1]")
            end = None if self._tokens[:1] == ["]"] else self._sum()
            self._needs("]")
            found = Slice(found, begin, end)
        return found

    def _atom(self) -> Term:
        if not self._tokens:
            raise ValueError(f"something is missing at the end; {FORMS}")
        token = self._tokens.pop(0)
        if token == "(" or (token == "len" and self._next("(")):
            found = self._sum()
            self._needs(")")
            return found if token == "(" else Length(found)
        if token[0].isdigit():
            return int(token)
        if not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"{token!r} is out of place; {FORMS}")
        return self._named(token)
