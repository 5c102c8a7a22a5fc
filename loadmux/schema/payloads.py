"""PAYLOAD and REPLY: what steps send and expect.

A payload holds other payloads (`repeat`, `join`, `frame`), and where it stands says what it may not
hold, at any depth: what is expected no random bytes, a delimiter no `${name}` and no frame either.
So there is one definition for each of these places.
"""

from __future__ import annotations

from collections.abc import Collection

from loadmux.loader import payloads
from loadmux.loader.names import SENT
from loadmux.loader.payloads import BODY_FORMS, PAYLOAD_FORMS, PLAIN_FORMS, REPLY_FORMS
from loadmux.schema import patterns, protocols
from loadmux.schema.parts import (
    Schema,
    alternatives,
    choice,
    duration,
    integer,
    items,
    keyed,
    one_of,
    refer,
    size,
    text,
    true,
)

TEXT = "UTF-8 text; `${name}` is replaced, `$${` is a literal `${`."
TIMES = "How often `repeat` repeats."
BYTES = "Constant bytes."


def definitions(rules: Collection[str], framers: Collection[str]) -> Schema:
    """`rules`: the names of the reply rules. `framers`: plugins that have forms of their own."""
    sendable = patterns.text(without=SENT)
    return {
        "payload": protocols.with_forms(
            _payload("payload", sendable, PAYLOAD_FORMS), framers, protocols.PAYLOADS
        ),
        "expected_payload": _payload("expected_payload", patterns.text(), _without_random()),
        "bytes": _payload("bytes", patterns.CONSTANT, _without_random("frame")),
        "reply": protocols.with_forms(_reply(rules), framers, protocols.REPLIES),
        "body": _body([rule for rule in rules if rule != "sink"]),
    }


def sent(description: str) -> Schema:
    return refer("payload", description, **{"not": {"const": ""}})


def expected(description: str) -> Schema:
    return refer("reply", description)


def constant(description: str) -> Schema:
    """Bytes that are known when the file is loaded, at least one."""
    return refer("bytes", description, **{"not": {"const": ""}})


def _without_random(*more: str) -> list[str]:
    return [form for form in PAYLOAD_FORMS if form not in ("random", *more)]


def _payload(name: str, pattern: str, forms: Collection[str]) -> Schema:
    described = _forms(name, pattern)
    mapping = keyed(
        (*forms, "times"),
        described,
        oneOf=one_of(forms),
        dependentRequired={"repeat": ["times"], "times": ["repeat"]},
    )
    plain = {"type": "string", "pattern": pattern, "patternErrorMessage": _MESSAGE}
    return {"anyOf": [plain, mapping]}


_MESSAGE = "write ${NAME}, or $${ for a literal '${'"


def _forms(name: str, pattern: str) -> dict[str, Schema]:
    """The payload forms; `name` is the definition of what stands inside them."""
    inner = refer(name)
    scalar = {"type": ["string", "number"]}
    return {
        "text": text(TEXT, pattern, patternErrorMessage=_MESSAGE),
        "hex": {
            **{"description": "Bytes in hex, such as 'de ad be ef'.", "pattern": patterns.HEX},
            **scalar,
        },
        "base64": {
            **{"description": "Bytes in base64, such as 'aGVsbG8='.", "pattern": patterns.BASE64},
            **scalar,
        },
        "file": {"description": "The bytes of a file, looked for beside the scenario.", **scalar},
        "random": size("So many fresh bytes every time, from the seed.", payloads.LARGEST_PAYLOAD),
        "repeat": refer(name, "A payload, `times` over."),
        "times": integer(TIMES, 1),
        "join": items("Payloads, one after the other.", inner),
        "frame": refer(name, "A body in a frame, as the socket's `framing` says."),
    }


def _reply(rules: Collection[str]) -> Schema:
    forms = _forms("expected_payload", patterns.text())
    described = {**forms, **_reply_forms(rules)}
    plain = [form for form in PLAIN_FORMS if form != "random"]
    mapping = keyed(
        (*REPLY_FORMS, *plain, "times"),
        described,
        oneOf=[
            *one_of(form for form in (*REPLY_FORMS, *plain) if form != "until"),
            {"required": ["until"], "not": {"required": ["regex"]}},
        ],
        dependentRequired={"repeat": ["times"], "times": ["repeat"]},
    )
    words = choice("What the target's rule makes of it, or an end in order.", ["reply", "closed"])
    exact = text("Exactly this text.", patterns.text(), minLength=1, patternErrorMessage=_MESSAGE)
    return {"anyOf": [words, exact, mapping]}


def _reply_forms(rules: Collection[str]) -> dict[str, Schema]:
    return {
        "rule": choice("What this rule makes of what the socket has sent.", rules),
        "length": size("So many bytes, whatever they are."),
        "until": constant(
            "Up to and with these bytes; beside `regex`, what it must match ends with them."
        ),
        "frame": refer("body", "One frame with this body, as the socket's `framing` says."),
        "regex": {
            "description": "One frame that matches this Python regular expression wholly (with"
            " `until`: what was read). Its named groups become variables.",
            "type": "string",
            "not": {"pattern": patterns.UNREPLACED},
        },
        "closed": true("The server closes in order (FIN)."),
        "reset": true("The server resets the connection (RST)."),
        "silence": duration("Nothing arrives for so long.", zero=False),
    }


def _body(rules: Collection[str]) -> Schema:
    described = {**_forms("expected_payload", patterns.text()), **_reply_forms(rules)}
    forms = [form for form in BODY_FORMS if form != "random"]
    mapping = keyed(
        (*forms, "times"),
        described,
        oneOf=one_of(forms),
        dependentRequired={"repeat": ["times"], "times": ["repeat"]},
    )
    word = choice("What the target's rule makes of the frame's body.", ["reply"])
    exact = text(
        TEXT, patterns.text(), patternErrorMessage=_MESSAGE, **{"not": {"const": "closed"}}
    )
    return alternatives("The body of a frame; it may be empty.", [word, exact, mapping])
