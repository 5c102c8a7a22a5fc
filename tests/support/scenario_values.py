"""Strategies for scenario files as values: most of what they draw loads, and every form is there.

What does not load (a `$` before a `{`, a frame that does not fit) is for the test to pass over.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from language import FRAMINGS

from loadmux.checking.rules import RULES
from loadmux.language.meaning.stepvalues import SocketAction

Values = dict[str, Any]

NAMES = st.sampled_from(["a", "b_2", "größe", "x" * 30])
SOCKETS = {"main": 1, "second-one": 1, "group.x": 3}
MEMBERS = [*SOCKETS, "all", "group.x[0]", "group.x[2]"]

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\ufeff\u0085\u2028\u2029")
PIECES = st.sampled_from(
    ["hello", "$", "$${", "{", "}", "${user}", "${v}", "${iteration}", "reply", "closed", " ", "on"]
) | st.text(CHARACTERS, min_size=1, max_size=4)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
PLAIN_TEXTS = st.text(CHARACTERS.filter(lambda c: c != "$"), min_size=1, max_size=6)
LABELS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8)


def _measured(units: list[str], least: float = 0) -> st.SearchStrategy[str]:
    number = st.integers(1, 99).map(str) | st.decimals(
        max(least, 1), 1000, allow_nan=False, places=3
    ).map(str)
    return st.builds("{}{}".format, number, st.sampled_from(units))


DURATIONS = _measured(["us", "ms", "s", "m"]) | st.just("0.000000000000001us")
SIZES = st.integers(1, 70_000) | st.builds(
    "{}{}".format, st.integers(1, 40), st.sampled_from(["", "B", "KB", "KiB"])
)
RATES = _measured(["/s", "/m"])
CONSTANTS = PLAIN_TEXTS | st.integers() | st.booleans() | st.floats(allow_nan=False)
VALUES = TEXTS | st.integers() | st.booleans()

# --- payloads and replies -----------------------------------------------------------------------

HEX = st.binary(max_size=40).map(bytes.hex)


def payloads(
    leaves: st.SearchStrategy[Any], texts: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    """Payloads of `leaves`, and of what holds them."""
    every = (
        texts
        | st.builds(lambda t: {"text": t}, texts)
        | st.builds(lambda t: {"hex": t}, HEX)
        | st.sampled_from([{"base64": "aGVsbG8="}, {"hex": "DE ad"}])
        | leaves
    )
    return st.recursive(
        every,
        lambda inner: (
            st.builds(lambda p, n: {"repeat": p, "times": n}, inner, st.integers(1, 5))
            | st.builds(lambda p: {"join": p}, st.lists(inner, max_size=3))
        ),
        max_leaves=4,
    )


RANDOM = st.builds(lambda n: {"random": n}, SIZES)
SENT = payloads(RANDOM, TEXTS)
EXACT = payloads(st.nothing(), TEXTS | st.just("${sent}"))
BYTES = payloads(st.nothing(), PLAIN_TEXTS)
FRAMED = payloads(st.builds(lambda p: {"frame": p}, SENT), TEXTS)
RULE_FORMS = st.just("reply") | st.sampled_from([{"rule": rule} for rule in RULES])
PATTERNS = st.sampled_from([r"\d+", "(?P<id>.*) \\{", "a|b", "é"])
LENGTHS = st.builds(lambda n: {"length": n}, SIZES)
REGEXES = st.builds(lambda p: {"regex": p}, PATTERNS)
REPLIES = (
    EXACT
    | RULE_FORMS
    | LENGTHS
    | st.builds(lambda b: {"until": b}, BYTES)
    | st.builds(lambda p, b: {"regex": p, "until": b}, PATTERNS, BYTES)
    | st.sampled_from(["closed", {"closed": True}, {"reset": True}])
    | st.builds(lambda d: {"silence": d}, DURATIONS)
)
FRAMES = REGEXES | st.builds(
    lambda b: {"frame": b}, EXACT | LENGTHS | REGEXES | st.just("reply") | RULE_FORMS
)

# --- steps --------------------------------------------------------------------------------------

ON = st.sampled_from(MEMBERS) | st.lists(
    st.sampled_from(["main", "second-one", "group.x[1]"]), min_size=1, max_size=3, unique=True
)


def _merged(*parts: Values) -> Values:
    return {key: value for part in parts for key, value in part.items()}


SENDS = st.fixed_dictionaries(
    {"send": SENT},
    optional={"pieces": SIZES | st.just("each_byte") | st.lists(SIZES, min_size=1, max_size=3)},
)
GAPS = st.fixed_dictionaries({"send": SENT, "pieces": SIZES, "gap": DURATIONS})
EXPECTS = st.fixed_dictionaries({"expect": REPLIES}, optional={"save": NAMES})
EXCHANGES = st.one_of(
    SENDS, GAPS, EXPECTS, st.builds(_merged, SENDS, EXPECTS), st.builds(_merged, GAPS, EXPECTS)
)
ON_FRAMES = st.one_of(
    st.builds(lambda p: {"send": p}, FRAMED),
    st.builds(lambda r: {"expect": r}, FRAMES),
    st.builds(lambda p, r: {"send": {"frame": p}, "expect": r}, SENT, FRAMES),
).map(lambda step: {**step, "on": "framed"})
ACTIONS = st.sampled_from(SocketAction.__args__)  # type: ignore[attr-defined]
ON_SOCKETS = st.builds(lambda action, on: {action: on}, ACTIONS, ON)
WAITS = st.builds(
    lambda wait: {"wait": wait},
    st.one_of(
        DURATIONS,
        st.builds(lambda d: {"exponential": d}, DURATIONS),
        st.builds(lambda a, b: {"normal": [a, b]}, DURATIONS, DURATIONS),
        st.builds(lambda a: {"uniform": [a, a]}, DURATIONS),
    ),
)
SETS = st.builds(lambda v: {"set": v}, st.dictionaries(NAMES, VALUES, min_size=1, max_size=2))
MODIFIERS = st.fixed_dictionaries({}, optional={"name": LABELS, "within": DURATIONS})
ON_STEPS = st.builds(
    lambda on, *parts: _merged({"on": on}, *parts), ON, MODIFIERS, EXCHANGES
) | st.builds(_merged, MODIFIERS, ON_SOCKETS | ON_FRAMES)
UNTIMED = WAITS | SETS
SIMPLE = ON_STEPS | st.builds(
    lambda name, step: {**step, **name},
    st.fixed_dictionaries({}, optional={"name": LABELS}),
    UNTIMED,
)
STEP = st.recursive(
    SIMPLE,
    lambda inner: (
        st.builds(
            lambda times, do: {"repeat": times, "do": do},
            st.integers(1, 9),
            st.lists(inner, min_size=1, max_size=2),
        )
        | st.builds(
            lambda name, values, do: {"for": {name: values}, "do": do},
            NAMES,
            st.lists(VALUES, max_size=3) | st.just("${listed}"),
            st.lists(inner, min_size=1, max_size=2),
        )
    ),
    max_leaves=3,
)

# --- the rest -----------------------------------------------------------------------------------

ORDERS = st.sampled_from(["big", "little"])
LENGTHS = st.one_of(
    st.fixed_dictionaries({"bytes": st.sampled_from([1, 2, 3, 4, 8])}, optional={"order": ORDERS}),
    st.just({"varint": True}),
    st.fixed_dictionaries({"digits": st.integers(2, 20)}),
)
HEADERS = st.fixed_dictionaries(
    {}, optional={"at": st.integers(0, 9), "header": st.sampled_from([40, "1KiB"])}
)
ADJUSTED = st.fixed_dictionaries({}, optional={"counts_itself": st.booleans()}) | st.builds(
    lambda adjust: {"adjust": adjust}, st.integers(-40, 40)
)
PREFIXES = st.one_of(
    st.builds(_merged, LENGTHS, ADJUSTED),
    st.builds(_merged, st.just({"bytes": 4}), HEADERS, ADJUSTED),
)
FORM_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "line": st.just(True),
    "until_close": st.just(True),
    "sse": st.just(True),
    "delimiter": BYTES,
    "length_prefix": PREFIXES,
    "fixed": SIZES,
    "start": BYTES,
    "lines_until": st.sampled_from([".*", r"\d{3} .*"]),
}
CHECKS = st.fixed_dictionaries(
    {"check": st.sampled_from(["crc32", "crc16_modbus", "xor8"])}, optional={"order": ORDERS}
)
BESIDE = {"start": {"end": BYTES}}
FORMED = st.sampled_from(FRAMINGS).flatmap(
    lambda form: st.fixed_dictionaries(
        {form: FORM_VALUES[form], **BESIDE.get(form, {})},
        optional={"max": st.sampled_from([20_000_000, "32MiB"])},
    )
)
FRAMING = (
    st.sampled_from(["line", "until_close"])
    | FORMED
    | st.builds(lambda form, check: {**form, **check}, FORMED, CHECKS).filter(
        lambda one: not {"lines_until", "fixed", "sse"} & set(one)
    )
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "nodelay": st.booleans(),
        "receive_buffer": SIZES,
        "send_buffer": SIZES,
        "source": st.sampled_from(["127.0.0.2", "127.0.1.0/24", "::1", "fe80::/10"]),
        "linger": DURATIONS,
        "framing": FRAMING,
    },
)
RULE = st.sampled_from(list(RULES))
REPLY = RULE | st.fixed_dictionaries({"rule": RULE}, optional={"read_size": SIZES})
URLS = st.sampled_from(["tcp://h:1", "TCP://[::1]:0080", "tls://h.example:65535", "unix:///a b"])
ONE_TARGET = st.one_of(
    st.fixed_dictionaries({"url": URLS, "reply": REPLY}),
    st.fixed_dictionaries(
        {"bundled": st.sampled_from(["epoll", "poll"])},
        optional={
            "reply": REPLY,
            "workers": st.integers(1, 4) | st.just("2"),
            "tls": st.booleans(),
        },
    ),
)
REST_OF_LOAD: dict[str, st.SearchStrategy[Any]] = {
    "spawn_rate": RATES | st.integers(1, 99) | st.floats(0.5, 9).map(lambda x: round(x, 3)),
    "pacing": DURATIONS,
    "graceful_stop": DURATIONS,
}
RAMPS = st.builds("{}..{}".format, st.integers(0, 9), st.integers(1, 9))
OPEN = st.fixed_dictionaries(
    {
        "rate": RATES | st.builds("{}..{}".format, RATES, RATES | st.just("0/s")),
        "run_time": DURATIONS,
    },
    optional={"max_users": st.integers(1, 9)},
)
PHASES = st.fixed_dictionaries(
    {"users": st.integers(0, 9) | RAMPS, "run_time": DURATIONS}, optional={"name": LABELS}
)
PACED = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "users": st.integers(1, 9),
            "run_time": DURATIONS,
            "iterations": st.integers(1, 9),
        },
    ),
    st.fixed_dictionaries({"users": RAMPS, "run_time": DURATIONS}),
    OPEN,
    st.builds(lambda p: {"phases": p}, st.lists(PHASES | OPEN, min_size=1, max_size=3)),
)
LOADS = st.builds(_merged, PACED, st.fixed_dictionaries({}, optional=REST_OF_LOAD))
THRESHOLDS = st.lists(
    st.sampled_from(
        [
            "errors == 0",
            "error_rate<1%",
            " p( 99.9 ) <= 50ms ",
            "connect p(50) < 1s",
            "rate > 10/m",
            "iterations>=1",
            "dropped == 0",
            "error_rate != 0.5",
        ]
    ),
    max_size=3,
)


def _sockets(options: list[Values], framing: Any, target: str | None) -> Values:
    to = {} if target is None else {"to": target}
    found = {
        name: {**one, **to, **({"count": count} if count > 1 else {})}
        for (name, count), one in zip(SOCKETS.items(), options, strict=True)
    }
    return {**found, "framed": {"framing": framing, **to}}


@st.composite
def scenarios(draw: st.DrawFn) -> Values:
    """A whole file, as values that JSON can write."""
    several = draw(st.booleans())
    target = draw(ONE_TARGET)
    targets = {"api.1": target, "b": draw(ONE_TARGET)} if several else target
    options = draw(st.lists(OPTIONS, min_size=len(SOCKETS), max_size=len(SOCKETS)))
    steps = st.lists(STEP, max_size=3)
    variables = {"v": draw(CONSTANTS), "listed": draw(st.lists(CONSTANTS, max_size=3))}
    optional = st.fixed_dictionaries(
        {},
        optional={
            "name": LABELS,
            "description": st.text(CHARACTERS, max_size=9),
            "before": steps,
            "after": steps,
            "load": LOADS,
            "thresholds": THRESHOLDS,
            "timeout": DURATIONS,
            "on_error": st.sampled_from(["reconnect", "stop_user", "abort"]),
            "seed": st.integers(0, 2**63 - 1),
            "weight": st.integers(1, 9),
        },
    )
    return {
        "target": targets,
        "variables": variables,
        "sockets": _sockets(options, draw(FRAMING), "api.1" if several else None),
        "steps": draw(st.lists(STEP, min_size=1, max_size=4)),
        **draw(optional),
    }
