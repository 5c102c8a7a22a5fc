"""Mixtures of HTTP/1.1: lengths, chunks and trailers, ends, HEAD, 204 and 304, interim responses,
requests of the protocol's own form and raw ones, pipelined, on connections that are kept or not.

A request's path says what is answered: `/KIND/STATUS/TEXT`; a body is answered in its place.
"""

from __future__ import annotations

import random
import re
from typing import Any

from mixture_server import Answer, Manner, Told
from mixture_steps import On, Step, Steps, Text
from mixture_talking import Conversation

BODILESS = (204, 304)
INTERIM = (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Http(Conversation):
    lies = ("flip", "drop", "late", "dup", "junk", "close", "reset", "cut")
    junk = b"X"

    def settle(self, manner: Manner) -> None:
        super().settle(manner)
        self.framed = self.chance.random() < 0.5

    # --- the server's side ---

    def hears(self, heard: bytes) -> tuple[bytes, bytes] | None:
        head, found, rest = heard.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not found or len(rest) < size:
            return None
        end = len(head) + 4 + size
        return heard[:end], heard[end:]

    def answers(self, request: bytes, chance: random.Random) -> list[Answer]:
        head, _, body = request.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].split(b" ")
        kind, status, text = path.decode().strip("/").split("/")
        said = body or text.encode()
        interim = chance.choice(INTERIM) if kind == "interim" else b""
        front = b"HTTP/1.1 %s X\r\nX-Text: %d\r\nDate: %d\r\n" % (
            status.encode(), len(said), chance.randrange(10))  # fmt: skip
        last = kind in ("close", "eof", "old")
        front += b"Connection: close\r\n" if kind in ("close", "eof") else b""
        if kind == "old":
            front = front.replace(b"HTTP/1.1", b"HTTP/1.0")
        whole = interim + front
        if method == b"HEAD" or int(status) in BODILESS:
            if status != "204" and chance.random() < 0.7:
                whole += b"Content-Length: %d\r\n" % len(said)
            flip = len(interim) + len(b"HTTP/1.1 ") + 1
            return [Answer(whole + b"\r\n", text.split("-")[0], flip, last=last)]
        body_of, flip = self._body(kind, said, chance)
        return [Answer(whole + body_of, text.split("-")[0], len(whole) + flip, last=last)]

    def _body(self, kind: str, said: bytes, chance: random.Random) -> tuple[bytes, int]:
        """What stands behind the status and the first headers, and where in it the body begins."""
        if kind == "chunked":
            return self._chunks(said, chance)
        name = chance.choice((b"Content-Length: %d\r\n", b"content-length:%d\r\n"))
        front = (b"" if kind == "eof" else name % len(said)) + b"\r\n"
        return front + said, len(front)

    def _chunks(self, said: bytes, chance: random.Random) -> tuple[bytes, int]:
        made, at, begin = b"Transfer-Encoding: chunked\r\n\r\n", 0, 0
        while at < len(said):
            chunk = said[at : at + chance.randint(1, len(said))]
            at += len(chunk)
            made += b"%x%s\r\n" % (len(chunk), chance.choice((b"", b";x=1", b';a="b c"')))
            begin = begin or len(made)
            made += chunk + b"\r\n"
        return made + b"0\r\n" + chance.choice((b"", b"X-Trailer: 1\r\n")) + b"\r\n", begin

    def called(self, told: Told) -> set[str]:
        if told.lie == "flip":
            return {"corrupt", "mismatch"}
        if told.lie == "dup" and told.answer.last:  # where the end of the stream ends a body
            return {"duplicate", "surplus"}
        return {"closed", "truncated", "mismatch", "timeout"} if told.lie == "cut" else set()

    # --- the client's ---

    def options(self, scheme: str) -> dict[str, Any]:
        return super().options(scheme) | ({"framing": "http"} if self.framed else {})

    def text(self, steps: Steps, size: int | None = None, known: bool | None = None) -> Text:
        """Its word is a part of the path, so what follows is too."""
        text = steps.text(size, known)
        return Text(text.word, text.text.replace(" ", "-"), text.known)

    def asked(self, steps: Steps, pipelined: bool = False) -> tuple[Any, Any, str, str]:
        """A request as the protocol's form, its reply, the request raw, and its word."""
        chance = self.chance
        kinds: tuple[str, ...] = ("length", "length", "length", "chunked", "interim")
        kinds += () if pipelined else ("close", "eof", "old")
        kind = chance.choice(kinds)
        status = chance.choice((200, 200, 200, 201, 404, 204, 304, 500))
        method = chance.choice(("GET", "GET", "GET", "POST", "HEAD", "PUT"))
        if pipelined and self.lie and (method == "HEAD" or status in BODILESS):
            method, status = "GET", 200  # a lost one would be taken for the next
        text = self.text(steps, known=True if pipelined else None)
        path, body = f"/{kind}/{status}/{text.text}", None
        if method in ("POST", "PUT") and chance.random() < 0.8:
            body = self.text(steps, chance.choice((1, 2000, 3)), True)
        reply = self.reply(body or text, status, method == "HEAD" or status in BODILESS)
        sent = {"method": method, "path": path} | ({"body": body.text} if body else {})
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
        if method in ("POST", "PUT"):
            head += f"Content-Length: {len(body.text) if body else 0}\r\n"
        return sent, reply, head + "\r\n" + (body.text if body else ""), text.word

    def reply(self, text: Text, status: int, empty: bool) -> Any:
        kinds: tuple[str, ...] = ("body", "body", "regex")
        if not self.lie:
            kinds += ("begin", "length", "none", "header")
        kind = self.chance.choice(kinds)
        made: dict[str, Any] = {"status": status}
        if kind == "header" and text.known:
            return made | {"headers": {"x-text": str(len(text.text))}}
        if kind == "none":
            return status
        if empty:
            return made
        forms: dict[str, Any] = {
            "regex": {"regex": text.regex},
            "begin": {"regex": text.word + ".*z"},
        }
        if text.known:
            forms["length"] = {"length": len(text.text)}
        return made | {"body": forms.get(kind, text.text)}

    def exchange(self, steps: Steps, on: On) -> list[Step]:
        kinds = (self._one, self._one, self._one, self._raw, self._pipelined)
        with steps.on(on):
            return self.chance.choice(kinds)(steps, on)

    def _one(self, steps: Steps, on: On) -> list[Step]:
        sent, reply, _, word = self.asked(steps)
        steps.owe(1, 1)
        return [{"name": word, "on": on, "send": {"http": sent}, "expect": {"http": reply}}]

    def _raw(self, steps: Steps, on: On) -> list[Step]:
        _, reply, raw, word = self.asked(steps)
        steps.owe(1, 1)
        step: Step = {"name": word, "on": on, "send": raw, "expect": {"http": reply}}
        if self.chance.random() < 0.5:
            step["pieces"] = self.chance.choice((1, 5, [3, 9])) if len(raw) < 300 else 200
        return [step]

    def _pipelined(self, steps: Steps, on: On) -> list[Step]:
        asked = [self.asked(steps, True) for _ in range(self.chance.randint(2, 4))]
        steps.owe(len(asked), len(asked))
        word = "-".join(one[3] for one in asked)
        send: Step = {"name": word, "on": on, "send": "".join(one[2] for one in asked)}
        if self.chance.random() < 0.5:
            return [{**send, "expect": [{"http": one[1]} for one in asked]}]
        return [send] + [
            {"name": f"{one[3]}-r", "on": on, "expect": {"http": one[1]}} for one in asked
        ]
