"""Mixtures of replies that the end of the connection ends, and of replies of several lines."""

from __future__ import annotations

import random
from typing import Any

from mixture_codecs import CODECS, Codec
from mixture_frames import Frames, Turn
from mixture_server import Told
from mixture_steps import On, Step, Steps, Text

MORE = "250-more [0-9]\r\n"


class Unlike(Frames):
    """Requests are lines, whatever replies are; nothing comes first, or unasked."""

    able = (None,)

    def __init__(self, chance: random.Random, lie: str) -> None:
        super().__init__(chance, lie)
        self.greets = self.secures = self.later = self.may_end = False

    def _first(self) -> list[Step]:
        return []

    def sent(self, body: str, known: bool) -> Step:
        step: Step = {"send": self.request(body)}
        if self.chance.random() < 0.2:
            step["pieces"] = self.chance.choice((3, [2, 5])) if len(body) < 100 else 90
        return step

    def request(self, body: str) -> Any:
        raise NotImplementedError


class UntilClose(Unlike):
    """`until_close`: the server, or our half-close, ends each connection."""

    lies = ("flip", "late", "dup", "junk", "close", "reset", "cut")

    def _codec(self) -> Codec:
        return Codec("until_close", lambda body: body, CODECS["line"].cut)

    def request(self, body: str) -> Any:
        return body + "\n"

    def called(self, told: Told) -> set[str]:
        ended = {"closed", "truncated", "mismatch"}
        more = {"duplicate", "surplus", "mismatch"}
        changed = {"corrupt", "mismatch"}
        named = {
            "flip": changed,
            "close": ended,
            "cut": ended,
            "reset": {"reset"} | ended,
            "dup": more,
            "junk": more,
        }
        return named.get(told.lie, set())

    def _form(self, text: Text) -> Any:
        found = super()._form(text)
        return self.frame(text.text) if "hex" in found else found

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = [self._one, self._one, self._late] + ([] if self.private else [self._halves])
        with steps.on(on):
            steps.owe(1, 1)
            return self.chance.choice(kinds)(steps, on)

    def _one(self, steps: Steps, on: On) -> list[Step]:
        text = steps.text()
        sent = self.sent(f"b {text.text}", text.known)
        return [{"name": text.word, "on": on, **sent, "expect": self.reply(text)}]

    def _late(self, steps: Steps, on: On) -> list[Step]:
        text = steps.text()
        sent = self.sent(f"b {text.text}", text.known)
        last = {"name": f"{text.word}-r", "on": on, "expect": self.reply(text)}
        return [{"name": f"{text.word}-s", "on": on, **sent}, {"wait": "2ms"}, last]

    def _halves(self, steps: Steps, on: On) -> list[Step]:
        text = steps.text()
        sent = self.sent(f"e {text.text}", text.known)
        last = {"name": f"{text.word}-r", "on": on, "expect": self.reply(text)}
        return [{"name": f"{text.word}-s", "on": on, **sent}, {"half_close": on}, last]

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        return [], []

    def _turns(self) -> list[Turn]:
        return [self._close, self._silent]


class Lines(Unlike):
    """`lines_until`, as of SMTP."""

    def _codec(self) -> Codec:
        def made(body: bytes) -> bytes:
            more = b"".join(b"250-more %d\r\n" % one for one in range(len(body) % 3))
            return more + b"250 " + body + b"\r\n"

        return Codec({"lines_until": "250 .*"}, made, CODECS["crlf"].cut)

    def request(self, body: str) -> Any:
        return {"frame": body}

    def frame(self, body: str) -> Any:
        return {"frame": {"join": [{"regex": f"(?s)({MORE})*"}, f"250 {body}"]}}

    def _form(self, text: Text) -> Any:
        body = text.text
        forms: list[Any] = [
            self.frame(body),
            {"regex": f"(?s)(?:{MORE})*250 {text.regex}"},
            {"one_of": [self.frame("nope"), self.frame(body)]},
        ]
        if not self.lie:
            forms += [{"contains": body}, "any", {"starts_with": "250"}]
            forms += [{"not": {"frame": "250 something"}}]
        return self.chance.choice(forms)

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = [self._one] * 3 + [self._list, self._two, self._nothing, self._captured, self._late]
        with steps.on(on):
            return self.chance.choice(kinds)(steps, on)

    def _captured(self, steps: Steps, on: On) -> list[Step]:
        if not isinstance(on, str) or on == "all":
            return self._one(steps, on)
        steps.owe(2, 2)
        text, name, again = steps.text(), steps.name(), steps.word()
        kept = {"expect": {"regex": f"(?s)(?:{MORE})*250 (?P<{name}>{text.regex})"}}
        return [
            {"name": text.word, "on": on, **self.sent(f"e {text.text}", text.known), **kept},
            {"name": again, "on": on, "send": self.request(f"e {again} ${{{name}}}"),
             "expect": self.frame(f"{again} {text.text}")},
        ]  # fmt: skip

    def _turns(self) -> list[Turn]:
        return [one for one in super()._turns() if one not in (self._full, self._dropped)]
