"""Mixtures of frames, in streams and in datagrams: every framing, every form of a reply.

A request is a command, a space and a text: `e` sends the text back; `n K` sends K frames in order,
`m K` in any order, `s K` behind K frames of noise; `q` sends nothing; `b` sends it and ends the
connection; `r` resets it; `t` agrees to TLS. `PUSH N` and `PING N` may come at any time where a
socket allows it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from mixture_codecs import CODECS, DATAGRAM, Codec
from mixture_server import Answer, Manner, Told
from mixture_steps import On, Step, Steps, Text
from mixture_talking import Conversation

STRICT = ("exact", "exact", "bytes", "regex", "one of", "parts", "regex part")
WEAK = ("begin", "starts", "contains", "length", "named", "not", "any", "saved part")


Turn = Callable[[Steps, str], list[Step]]


class Frames(Conversation):
    """Both sides of such a conversation."""

    framed = True
    stream = True
    able: Sequence[str | None] = (None, None, "ignore", "answer", "both")
    """What may come unasked."""

    def __init__(self, chance: random.Random, lie: str) -> None:
        super().__init__(chance, lie)
        self.codec = self._codec()
        self.greets = self.stream and chance.random() < 0.25
        unasked = chance.choice(self.able)
        self.unasked = None if lie == "stray" else unasked
        self.often = chance.choice((0.1, 0.5))
        self.secures = self.stream and chance.random() < 0.1
        self.later = self.secures and chance.random() < 0.5
        self.may_end = self.stream and chance.random() < 0.15
        self.junk = self.codec.made(b"JUNK z")

    def _codec(self) -> Codec:
        return CODECS[self.chance.choice(list(CODECS))]

    def settle(self, manner: Manner) -> None:
        if self.secures and manner.scheme == "tls":
            manner.scheme = "tcp"
        self.secures = self.secures and self.lie != "stray"
        self.later = self.secures and self.later and manner.scheme == "tcp"
        self.grouped = not self.secures
        self.resets = self.urgent = manner.scheme == "tcp" and not self.secures
        super().settle(manner)
        # asyncio answers the end of TLS by its own, and drops what it was still to send
        self.private = self.secures or manner.scheme == "tls"

    # --- the server's side ---

    def greeting(self) -> list[Answer]:
        return [Answer(self.codec.made(b"WELCOME"), reply=False)] if self.greets else []

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        return self.codec.cut(heard)

    def counts(self, request: bytes) -> bool:
        return not request.startswith((b"PONG", b"e login", b"t "))

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        command, _, rest = request.partition(b" ")
        if command == b"PONG":
            return []
        if command == b"r":
            return [Answer(b"", reply=False, resets=True)]
        made = [self._reply(one, command) for one in self._bodies(command, rest, chance)]
        if command == b"s":
            noise = int(rest.split(b" ")[0])
            made = [self._aside(b"NOISE %d" % one) for one in range(noise)] + made
        for word, of in ((b"PUSH", "ignore"), (b"PING", "answer")):
            if (
                self.unasked in (of, "both")
                and command not in (b"t", b"b")
                and chance.random() < self.often
            ):
                aside = self._aside(b"%s %d" % (word, chance.randrange(1000)))
                made.insert(chance.randint(0, len(made)), aside)
        if command == b"b":  # nothing may come behind the last word
            made = [one for one in made if not one.last] + [one for one in made if one.last]
        return made

    def _bodies(self, command: bytes, rest: bytes, chance: random.Random) -> list[bytes]:
        count, _, text = rest.partition(b" ")
        if command in (b"e", b"b", b"t"):
            return [rest]
        if command == b"s":
            return [text]
        if command in (b"n", b"m"):
            bodies = [text + b".%d" % one for one in range(int(count))]
            return chance.sample(bodies, len(bodies)) if command == b"m" else bodies
        return [] if command == b"q" else [b"ERR " + command]

    def _reply(self, body: bytes, command: bytes) -> Answer:
        word = body.split(b" ")[0].decode()
        at = self.codec.head(body)
        secured = command == b"t"
        return Answer(self.codec.made(body), word, at, not secured, command == b"b", secured)

    def _aside(self, body: bytes) -> Answer:
        return Answer(self.codec.made(body), reply=False)

    def called(self, told: Told) -> set[str]:
        """Where a header is not judged, its bytes are those of nobody's reply, or of anybody's."""
        known = told.lie != "stray" or not self.codec.width
        return set() if known else {"surplus", "mismatch", "corrupt", "reordered", "crosstalk"}

    # --- the client's ---

    def options(self, scheme: str) -> dict[str, Any]:
        made: dict[str, Any] = {"framing": self.codec.option} if self.framed else {}
        if self.unasked in ("ignore", "both"):
            made["ignore"] = [{"regex": "PUSH [0-9]+"}]
        if self.unasked in ("answer", "both"):
            pong = self.frame("PONG ${p}")
            made["answer"] = [{"to": {"regex": "PING (?P<p>[0-9]+)"}, "send": pong}]
        if self.may_end:
            made["idle_close"] = "allowed"
        made |= self.tls() if scheme == "tls" or self.secures else {}
        first = self._first()
        return made | ({"on_connect": first} if first else {})

    def _first(self) -> list[Step]:
        made: list[Step] = [{"expect": self.frame("WELCOME")}] if self.greets else []
        if self.secures:
            made.append({"send": self.frame("t tls z"), "expect": self.frame("tls z")})
            made.append({"start_tls": True})
        if self.chance.random() < 0.3:
            text = "login.${user}.${iteration}.${socket} z"
            made.append(
                {"name": "login", "send": self.frame(f"e {text}"), "expect": self.frame(text)}
            )
        return made

    def target(self, url: str) -> Any:
        return url.replace("tcp:", "tls:") if self.later else url

    def tls(self) -> dict[str, Any]:
        made = super().tls()
        return {"tls": made["tls"] | {"handshake": "later"}} if self.later else made

    def frame(self, body: str) -> Any:
        return {"frame": body} if self.framed else body

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = [self._one] * 4 + [self._list, self._any_order, self._two, self._nothing]
        kinds += [self._captured, self._skipping, self._late]
        kinds += [self._numbers] * (2 * self.codec.binary)
        with steps.on(on):
            return self.chance.choice(kinds)(steps, on)

    def sent(self, body: str, known: bool) -> Step:
        chance = self.chance
        step: Step = {"send": self.frame(body)}
        if known and chance.random() < 0.3:
            step = {"send": {"hex": self.codec.made(body.encode()).hex()}}
        elif self.codec.width and chance.random() < 0.5:
            step["send"]["header"] = {"hex": chance.randbytes(self.codec.width).hex()}
        if self.stream and chance.random() < 0.25:
            step["pieces"] = chance.choice((1, 3, "each_byte", [2, 5], 7))
            if len(body) > 120:
                step["pieces"] = chance.choice((50, [20, 400]))
            if chance.random() < 0.4:
                step["gap"] = chance.choice(("200us", "1ms"))
        return step

    def reply(self, text: Text) -> Any:
        """A form that fits one frame with this text; while the server lies, one that nothing else
        fits.
        """
        found = self._form(text)
        if not self.codec.width or "frame" not in found or self.chance.random() < 0.5:
            return found
        if text.known:
            header = self.codec.header(text.text.encode(), self.chance.choice((b"?", b"\0")))
            return {**found, "header": {"hex": header.hex()}}
        return {**found, "header": {"regex": "(?s).+(?P<tagged>.)"}}

    def _form(self, text: Text) -> Any:
        kind = self.chance.choice(STRICT if self.lie else STRICT + WEAK)
        body, words = text.text, self.frame
        if kind == "bytes" and text.known and not self.unasked:
            return {"hex": self.codec.made(body.encode()).hex()}
        if kind == "length" and text.known:
            return {"frame": {"length": len(body)}} if self.framed else {"length": len(body)}
        if kind == "saved part" and text.known:
            inner = {"length": len(body) - 3, "save": "part"}
            return self._joined([body[:2], inner, body[-1]])
        return {
            "regex": {"regex": text.regex},
            "one of": {"one_of": [words("nope"), words(body), words(body + "more")]},
            "parts": self._joined([body[:2], body[2:]]),
            "regex part": self._joined([body[:2], {"regex": Text("", body[2:], True).regex}]),
            "begin": {"regex": Text("", text.word, True).regex + ".*z"},
            "starts": {"starts_with": body[:2]},
            "contains": {"contains": body[2:]},
            "named": {"one_of": {"a": words("nope"), "b": words(body)}, "save": "which"},
            "not": {"not": words("something")},
            "any": "any",
        }.get(kind, words(body))

    def _joined(self, parts: list[Any]) -> Any:
        return {"frame": {"join": parts}} if self.framed else {"join": parts}

    def _one(self, steps: Steps, on: On) -> list[Step]:
        steps.owe(1, 1)
        text = steps.text()
        step = {"name": text.word, "on": on, **self.sent(f"e {text.text}", text.known)}
        step["expect"] = self.reply(text)
        if self.chance.random() < 0.1:
            step["within"] = "20s" if not self.lie else "1200ms"
        return [step]

    def _several(self, steps: Steps, command: str) -> tuple[Step, list[str]]:
        text, count = steps.text(), self.chance.randint(2, 4)
        steps.owe(1, count)
        step = {"name": f"{text.word}-l", **self.sent(f"{command} {count} {text.text}", text.known)}
        return step, [f"{text.text}.{one}" for one in range(count)]

    def _list(self, steps: Steps, on: On) -> list[Step]:
        step, bodies = self._several(steps, "n")
        return [{"on": on, **step, "expect": [self.frame(one) for one in bodies]}]

    def _any_order(self, steps: Steps, on: On) -> list[Step]:
        step, bodies = self._several(steps, "m")
        mixed = [self.frame(one) for one in self.chance.sample(bodies, len(bodies))]
        return [{"on": on, **step, "expect": {"any_order": mixed}}]

    def _two(self, steps: Steps, on: On) -> list[Step]:
        one, other = steps.text(), steps.text()
        steps.owe(2, 2)
        made = [{"name": f"{t.word}-s", "on": on, **self.sent(f"e {t.text}", t.known)}
                for t in (one, other)]  # fmt: skip
        if self.chance.random() < 0.3:
            made.append({"wait": "2ms"})
        if self.chance.random() < 0.5:
            return made + [
                {"name": f"{t.word}-r", "on": on, "expect": self.reply(t)} for t in (one, other)
            ]
        expect = [self.frame(one.text), self.frame(other.text)]
        return [*made, {"name": f"{one.word}-{other.word}-r", "on": on, "expect": expect}]

    def _nothing(self, steps: Steps, on: On) -> list[Step]:
        steps.owe(1, 0)
        text = steps.text()
        step = {"name": text.word, "on": on, **self.sent(f"q {text.text}", text.known)}
        return [{**step, "oneway": True} if self.chance.random() < 0.5 else step]

    def _captured(self, steps: Steps, on: On) -> list[Step]:
        """What is saved is sent again."""
        if not isinstance(on, str) or on == "all":
            return self._one(steps, on)
        steps.owe(2, 2)
        text, name, again = steps.text(), steps.name(), steps.word()
        kept: Step = {"expect": {"regex": f"(?P<{name}>{text.regex})"}}
        if self.chance.random() < 0.4:
            kept = {"expect": self.frame(text.text), "save": name}
        used = f"{again} ${{{name}}}"
        return [
            {"name": text.word, "on": on, **self.sent(f"e {text.text}", text.known), **kept},
            {"name": again, "on": on, "send": self.frame(f"e {used}"),
             "expect": self.frame(f"{again} {text.text}")},
        ]  # fmt: skip

    def _numbers(self, steps: Steps, on: On) -> list[Step]:
        """A body of parts in binary."""
        steps.owe(1, 1)
        chance, text = self.chance, steps.text(known=True)
        order = chance.choice(("big", "little"))
        number = {"bytes": chance.choice((2, 3)), "order": order}
        size = {"bytes": 2} if chance.random() < 0.5 else {"varint": True}
        parts: list[Any] = [
            {"int": chance.randrange(1 << 16), **number},
            {"sized": text.text, **size},
            {"varint": chance.randrange(1 << 20)},
        ]
        wanted = list(parts)
        if not self.lie:
            wanted[0] = chance.choice((parts[0], {"int": "any", **number, "save": "number"}))
            wanted[1] = chance.choice((parts[1], {"sized": "any", **size}))
            wanted[2] = chance.choice((parts[2], {"varint": "any", "save": "other"}, "any"))
        send = {"frame": {"join": [f"e {text.word} ", *parts]}}
        expect = {"frame": {"join": [f"{text.word} ", *wanted]}}
        return [{"name": text.word, "on": on, "send": send, "expect": expect}]

    def _skipping(self, steps: Steps, on: On) -> list[Step]:
        steps.owe(1, 1)
        text, count = steps.text(), self.chance.randint(0, 3)
        step = {"name": text.word, "on": on, **self.sent(f"s {count} {text.text}", text.known)}
        skip = {"starts_with": "NOISE"}
        return [{**step, "expect": {**self._framed(text), "skip": skip}}]

    def _framed(self, text: Text) -> dict[str, Any]:
        return {"frame": text.text} if self.framed else {"regex": text.regex}

    def _late(self, steps: Steps, on: On) -> list[Step]:
        """A reply that came while the user did something else."""
        steps.owe(1, 1)
        text = steps.text()
        return [
            {"name": f"{text.word}-s", "on": on, **self.sent(f"e {text.text}", text.known)},
            {"wait": "3ms"},
            {"name": f"{text.word}-r", "on": on, "expect": self.reply(text)},
        ]

    def duplex(self, steps: Steps, on: str) -> tuple[list[Step], list[Step]]:
        texts = [steps.text() for _ in range(self.chance.randint(1, 5))]
        steps.owe(len(texts), len(texts))
        sends: list[Step] = []
        for one in texts:
            sends.append(
                {"name": f"{one.word}-s", "on": on, **self.sent(f"e {one.text}", one.known)}
            )
            if self.chance.random() < 0.2:
                sends.append({"wait": "1ms"})
        return sends, [
            {"name": f"{one.word}-r", "on": on, "expect": self.reply(one)} for one in texts
        ]

    def turn(self, steps: Steps, on: str) -> list[Step]:
        turn: Turn = self.chance.choice(self._turns())
        return turn(steps, on)

    def _turns(self) -> list[Turn]:
        turns: list[Turn] = [
            self._close,
            self._reset,
            self._silent,
            self._piled,
            self._dropped,
            self._urgent,
        ]
        turns += [] if self.private else [self._halved]
        turns += [self._broken] if self.resets else []
        return [*turns, self._full] + [self._ended] * self.may_end

    def _close(self, steps: Steps, on: str) -> list[Step]:
        again = [{"connect": on}] if self.chance.random() < 0.3 else []
        return [{"close": on}, *again]

    def _broken(self, steps: Steps, on: str) -> list[Step]:
        """The server resets the connection, as it should."""
        steps.owe(1, 0)
        text = steps.text()
        sent = self.sent(f"r {text.text}", text.known)["send"]
        return [{"name": text.word, "on": on, "send": sent, "expect": {"reset": True}}]

    def _full(self, steps: Steps, on: str) -> list[Step]:
        """Half a message lies on the connection then, so that the next needs another."""
        if self.lie:
            return []
        text = steps.text()
        steps.exact = False
        most = self.chance.choice((100, 3000))
        send = {"send": self.frame(f"q {text.text}"), "until": "full", "at_most": most}
        ends: tuple[list[Step], ...] = (
            [],
            [{"reset": on}],
            [{"close": on, "pending": "drop"}],
            [{"close": on, "pending": "abandon"}],
        )
        full = {"name": text.word, "on": on, **send, "within": "200ms"}
        return [full, *self.chance.choice(ends)]

    def _reset(self, steps: Steps, on: str) -> list[Step]:
        return [{"reset": on}]

    def _silent(self, steps: Steps, on: str) -> list[Step]:
        return [{"name": "quiet", "on": on, "expect": {"silence": "1ms"}}]

    def _piled(self, steps: Steps, on: str) -> list[Step]:
        """Replies pile up in the kernel, and are taken then."""
        sends, expects = self.duplex(steps, on)
        return [{"stop_reading": on}, *sends, {"wait": "1ms"}, {"resume_reading": on}, *expects]

    def _dropped(self, steps: Steps, on: str) -> list[Step]:
        """What is not awaited is no fault; whether the server hears of it, nobody knows."""
        if self.lie:
            return []
        text = steps.text()
        steps.exact = False
        ends: tuple[Step, ...] = (
            {"close": on, "pending": "drop"},
            {"close": on, "pending": "abandon"},
            {"reset": on, "pending": "drop"} if self.stream else {"close": on, "pending": "drop"},
        )
        return [
            {"name": text.word, "on": on, **self.sent(f"e {text.text}", text.known)},
            self.chance.choice(ends),
        ]

    def _urgent(self, steps: Steps, on: str) -> list[Step]:
        """Only TCP in plain text has it; the server never sees it in the stream."""
        if not self.urgent:
            return []
        return [{"name": "urgent", "on": on, "send": {"urgent": "!"}}]

    def _halved(self, steps: Steps, on: str) -> list[Step]:
        made = self._one(steps, on)
        last = {"name": "end", "on": on, "expect": "closed"}
        if self.chance.random() < 0.5:
            return [*made, {"half_close": on}, last]
        send, expect = dict(made[0]), made[0]["expect"]
        del send["expect"]
        word = send["name"]
        return [{**send, "name": f"{word}-s"}, {"half_close": on},
                {"name": f"{word}-r", "on": on, "expect": [expect, "closed"]}]  # fmt: skip

    def _ended(self, steps: Steps, on: str) -> list[Step]:
        steps.owe(1, 1)
        text = steps.text()
        send = self.sent(f"b {text.text}", text.known)
        return [{"name": text.word, "on": on, **send, "expect": self.frame(text.text)}]


class Datagrams(Frames):
    """The same without framing: each message is a datagram."""

    framed = stream = False
    schemes = ("udp",)
    lies = ("flip", "drop", "late", "dup", "junk", "stray", "cut")

    def called(self, told: Told) -> set[str]:
        if told.lie == "late":  # no other waits for it
            return {"timeout", "mismatch"}
        if told.lie == "stray":  # it may be behind the next message, among others
            return {"surplus", "reordered", "mismatch"}
        return {"truncated", "mismatch"} if told.lie == "cut" else set()

    def _codec(self) -> Codec:
        return DATAGRAM

    def _turns(self) -> list[Turn]:
        return [self._close, self._silent, self._dropped]


class FramedDatagrams(Datagrams):
    """Each message is a frame, and a datagram."""

    framed = True

    def called(self, told: Told) -> set[str]:
        return {"corrupt"} | super().called(told) if told.lie == "cut" else super().called(told)

    def _codec(self) -> Codec:
        return CODECS[self.chance.choice(list(CODECS))]


class Plain(Frames):
    """A stream without framing: lines, that only the replies know of."""

    framed = False
    able = (None,)

    def _codec(self) -> Codec:
        return CODECS[self.chance.choice(("line", "crlf"))]

    @property
    def end(self) -> str:
        return "\n" if self.codec.option == "line" else "\r\n"

    def called(self, told: Told) -> set[str]:
        """Of a reply that is taken in two parts, only the last is known to come again."""
        return {"duplicate", "surplus"} if told.lie == "dup" else set()

    def frame(self, body: str) -> Any:
        return body + self.end

    def _joined(self, parts: list[Any]) -> Any:
        return {"join": [*parts, self.end]}

    def _form(self, text: Text) -> Any:
        kinds = ["exact", "exact", "bytes", "regex", "one of", "parts"]
        if not self.lie:
            kinds += ["until", "starts", "contains", "length", "saved part", "begin"]
        body, end, kind = text.text, self.end, self.chance.choice(kinds)
        if kind == "bytes" and text.known:
            return {"hex": (body + end).encode().hex()}
        if kind == "length" and text.known:
            return {"length": len(body + end)}
        if kind == "saved part" and text.known:
            return self._joined([body[:2], {"length": len(body) - 3, "save": "part"}, body[-1]])
        return {
            "regex": {"regex": text.regex + end, "until": end},
            "one of": {"one_of": ["nope" + end, body + end]},
            "parts": self._joined([body[:2], body[2:]]),
            "until": {"until": end},
            "starts": {"starts_with": body[:2], "until": end},
            "contains": {"contains": body[2:], "until": end},
            "begin": {"regex": f"{Text('', text.word, True).regex}.*z{end}", "until": end},
        }.get(kind, body + end)

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = [self._one] * 4 + [self._list, self._two, self._nothing]
        kinds += [self._captured, self._late, self._split]
        with steps.on(on):
            return self.chance.choice(kinds)(steps, on)

    def _split(self, steps: Steps, on: On) -> list[Step]:
        """The rest of a reply is a receive, which no background stays for."""
        if not steps.apart:
            return self._one(steps, on)
        steps.owe(1, 1)
        text, cut = steps.text(), self.chance.randint(1, 3)
        head = {"length": cut} if self.chance.random() < 0.5 and not self.lie else text.text[:cut]
        step = {"name": f"{text.word}-s", "on": on, **self.sent(f"e {text.text}", text.known)}
        rest = self.frame(text.text[cut:])
        return [{**step, "expect": head}, {"name": f"{text.word}-r", "on": on, "expect": rest}]

    def _captured(self, steps: Steps, on: On) -> list[Step]:
        if not isinstance(on, str) or on == "all":
            return self._one(steps, on)
        steps.owe(2, 2)
        text, name, again = steps.text(), steps.name(), steps.word()
        kept = {"expect": {"regex": f"(?P<{name}>{text.regex}){self.end}", "until": self.end}}
        return [
            {"name": text.word, "on": on, **self.sent(f"e {text.text}", text.known), **kept},
            {"name": again, "on": on, "send": self.frame(f"e {again} ${{{name}}}"),
             "expect": self.frame(f"{again} {text.text}")},
        ]  # fmt: skip
