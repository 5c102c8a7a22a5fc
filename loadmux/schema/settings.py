"""Everything but the steps: targets, variables, sockets, load, thresholds."""

from __future__ import annotations

from collections.abc import Collection

from loadmux import thresholds
from loadmux.framing import LARGEST_FRAME
from loadmux.loader import feeders, frames, reader, sockets, target, tls
from loadmux.loader.load import (
    DEFAULT_GRACEFUL_STOP,
    DEFAULT_MAX_USERS,
    PACED,
    PHASE_KEYS,
    RAMP_FORMS,
    RATE_FORMS,
)
from loadmux.loader.load import KEYS as LOAD_KEYS
from loadmux.rules import MAX_FRAME
from loadmux.scenario import READ_SIZE
from loadmux.schema import patterns, payloads, protocols
from loadmux.schema.parts import (
    Schema,
    alternatives,
    boolean,
    choice,
    constant,
    duration,
    integer,
    items,
    keyed,
    label,
    named,
    one_of,
    refer,
    size,
    text,
    true,
    without,
)
from loadmux.thresholds import FORMS

# --- target -------------------------------------------------------------------------------------


def definitions(
    models: Collection[str], rules: Collection[str], framers: Collection[str]
) -> Schema:
    """The names of the bundled targets, of the reply rules, and of plugins with a framing."""
    told = "How the server replies: what `expect: reply` then checks."
    rule = choice(told, rules)
    described = {"rule": rule, "read_size": size("How much the server reads at a time.")}
    reply = alternatives(told, [rule, keyed(target.RULE_KEYS, described, required=["rule"])])
    return {
        "framing": _framing(framers),
        "url": text(
            "tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT (IPv6 in brackets) or unix:///PATH.",
            patterns.URL,
            patternErrorMessage=target.URL_FORMS,
        ),
        "target": {
            "anyOf": [
                refer("url"),
                keyed(
                    ("url", "reply"),
                    {"url": refer("url", "Where the server listens."), "reply": reply},
                    required=["url"],
                ),
                _bundled(models, {**reply, "default": target.DEFAULT_RULE}),
            ]
        },
        "socket_options": socket_options(),
    }


def _bundled(models: Collection[str], rule: Schema) -> Schema:
    told = "A target server that comes with loadmux, started for the run."
    model = choice(told, models) if models else text(told, patterns.whole(patterns.MODEL))
    return {
        "type": "object",
        "properties": {"bundled": model, "reply": rule},
        "required": ["bundled"],
        "not": {"anyOf": [{"required": ["url"]}, *_read_size_twice()]},
        "propertyNames": {"pattern": patterns.whole(patterns.OPTION)},
        "additionalProperties": {
            "description": "An option of the target's own (`loadmux serve MODEL --help`).",
            "type": ["string", "number", "boolean"],
        },
    }


def _read_size_twice() -> list[Schema]:
    """As the target's own option, in either spelling, and in its `reply`."""
    keys = (READ_SIZE, "read_size")
    inside = {"reply": {"type": "object", "required": ["read_size"]}}
    in_both = [{"required": [key, "reply"], "properties": inside} for key in keys]
    return [{"required": list(keys)}, *in_both]


def targets(description: str) -> Schema:
    """One target, or several by name."""
    several = {
        "description": "Names of several targets; each socket says with `to` which is its own.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {
            "pattern": patterns.whole(patterns.TARGET),
            "not": {"enum": ["bundled", "url"]},
        },
        "additionalProperties": refer("target"),
    }
    return alternatives(description, [refer("target"), several])


# --- variables ----------------------------------------------------------------------------------


def variables(description: str) -> Schema:
    value = constant("A constant: a text, a number or a boolean.", patterns.CONSTANT)
    feeder = keyed(
        feeders.KEYS,
        {
            "csv": text("A CSV file with a header, looked for beside the scenario."),
            "pick": choice(
                "Which row a user gets: by its number, in an order of chance, or any.",
                feeders.PICKS,
                default="sequential",
            ),
            "when_short": choice(
                "What fewer rows than users are: an error, or they begin again.",
                feeders.WHEN_SHORT,
                default="error",
            ),
        },
        required=["csv"],
        description="A feeder: one row of a table for each user, `${name.column}`.",
        **{
            "not": {"properties": {"pick": {"const": "random"}}, "required": ["pick", "when_short"]}
        },
    )
    listed = items("A list for `for`.", value)
    return named(description, {"anyOf": [value, listed, feeder]})


# --- sockets ------------------------------------------------------------------------------------


def declared_sockets(description: str) -> Schema:
    name = {"pattern": patterns.whole(patterns.SOCKET), "not": {"const": sockets.ALL}}
    names = items("Names of sockets.", {"type": "string", **name}, least=1, uniqueItems=True)
    options = {
        "description": "Names of sockets, each with its options.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": name,
        "additionalProperties": {"anyOf": [{"type": "null"}, refer("socket_options")]},
    }
    return alternatives(description, [names, options], default=[sockets.DEFAULT])


def socket_options() -> Schema:
    buffer = sockets.LARGEST_BUFFER
    described = {
        "to": text("Which of several targets it connects to."),
        "count": integer(
            "A group of so many sockets: `on: NAME` is all of them, `on: NAME[0]` one.",
            1,
            maximum=sockets.MOST_SOCKETS,
        ),
        "nodelay": boolean("TCP_NODELAY: send small pieces at once.", True),
        "receive_buffer": size("SO_RCVBUF in bytes; by default the kernel's choice.", buffer),
        "send_buffer": size("SO_SNDBUF in bytes; by default the kernel's choice.", buffer),
        "source": text(
            "The address to connect from, or a block such as 127.0.1.0/24, used in turn.",
            patterns.ADDRESS,
        ),
        "linger": duration("SO_LINGER: how long `close` waits; 0s resets the connection."),
        "framing": refer("framing", "Where a message ends, for `frame` and `regex`."),
        "tls": _tls("Options of TLS, for a target that speaks it."),
    }
    return keyed(sockets.OPTIONS, described)


def _framing(framers: Collection[str]) -> Schema:
    described = {
        "line": true("A body and LF; a CR before it belongs to the body."),
        "until_close": true("All until the server closes in order."),
        "delimiter": payloads.constant("A body and these bytes."),
        "length_prefix": keyed(
            frames.PREFIX_KEYS,
            {
                "bytes": {
                    "description": "How many bytes the length has.",
                    "enum": list(frames.PREFIX_SIZES),
                },
                "order": choice("Order of its bytes.", ("big", "little"), default="big"),
                "counts_itself": boolean("Whether the length counts its own bytes too.", False),
            },
            required=["bytes"],
            description="A length, then a body of as many bytes.",
        ),
        "fixed": size("A body of so many bytes.", LARGEST_FRAME),
        "max": size(
            "The most bytes that a whole frame may have; more is a fault.",
            LARGEST_FRAME,
            default=f"{MAX_FRAME // 2**20}MiB",
        ),
    }
    mapping = keyed((*frames.FORMS, "max"), described, oneOf=one_of(frames.FORMS))
    more = protocols.framings(framers, described["max"])
    return {"anyOf": [{"enum": list(frames.WORDS)}, mapping, *more]}


def _tls(description: str) -> Schema:
    described = {
        "ca": label("PEM file with the CAs to trust; by default the system's."),
        "cert": label("PEM file with our own certificate, for a server that asks for it."),
        "key": label("PEM file with its key; by default in the same file."),
        "server_name": label("The name to ask for and to find; by default the URL's host."),
        "verify": boolean("`false` takes any certificate.", True),
    }
    more = {"description": description, "dependentRequired": {"key": ["cert"]}}
    return keyed(tls.OPTIONS, described, **more)


# --- load ---------------------------------------------------------------------------------------


def spawn_rate(description: str) -> Schema:
    number = {"type": "number", "exclusiveMinimum": 0}
    rate = patterns.whole(rf"{patterns.NOT_ZERO}{patterns.NUMBER}(?:/[sm])?")
    written = {"type": "string", "pattern": rate, "patternErrorMessage": reader.SPAWN_FORMS}
    return alternatives(description, [number, written])


def load(description: str) -> Schema:
    described = {
        **_paced(least=1),
        "spawn_rate": spawn_rate("Users started a second at most; by default all at once."),
        "iterations": integer(
            "How many each user does; the load ends with them or with `run_time`, whichever comes"
            " first. Without either it is one.",
            1,
        ),
        "pacing": duration("A user begins an iteration at most once in this time."),
        "graceful_stop": duration(
            "How long a running iteration may go on when the time is up.",
            default=f"{DEFAULT_GRACEFUL_STOP:g}s",
        ),
        "phases": items(
            "Closed and open load, one after the other.", _phase(), least=1, contains=_not_empty()
        ),
    }
    no_ramp = {"properties": {"users": {"not": {"type": "string"}}}}
    return keyed(
        LOAD_KEYS,
        described,
        description=description,
        default={"users": 1},
        dependentRequired={"max_users": ["rate"]},
        dependentSchemas={
            "rate": without("users", "iterations"),
            "phases": without(*PACED),
            "iterations": no_ramp,
        },
    )


def _phase() -> Schema:
    return keyed(
        PHASE_KEYS,
        {"name": label("What the report calls it."), **_paced(least=0)},
        required=["run_time"],
        oneOf=one_of(("users", "rate")),
        dependentRequired={"max_users": ["rate"]},
    )


def _not_empty() -> Schema:
    """A phase that has users."""
    return {"not": {"properties": {"users": {"const": 0}}, "required": ["users"]}}


def _paced(least: int) -> dict[str, Schema]:
    """What paces a load or a phase of it."""
    number = {"type": "integer", "minimum": least, "maximum": reader.LARGEST_INTEGER}
    ramp = {"type": "string", "pattern": patterns.USERS_RAMP}
    return {
        "users": alternatives(
            "Closed load: so many users at once, or a ramp such as 0..500.",
            [number, {**ramp, "patternErrorMessage": RAMP_FORMS}],
            default=1,
        ),
        "rate": text(
            "Open load: so many iterations begin a second, or a ramp such as 100/s..2000/s.",
            patterns.RATE_OR_RAMP,
            patternErrorMessage=RATE_FORMS,
        ),
        "max_users": integer(
            "Open load: how many users there are at most to carry the iterations out.",
            1,
            default=DEFAULT_MAX_USERS,
        ),
        "run_time": duration("How long new iterations begin.", zero=False),
    }


# --- thresholds ---------------------------------------------------------------------------------


def threshold_list(description: str) -> Schema:
    one = text(
        f"[STEP:] METRIC OP VALUE. Metrics are {', '.join(thresholds.METRICS)}, p as in p(99).",
        patterns.threshold(),
        patternErrorMessage=FORMS,
    )
    return items(description, one, default=["errors == 0"])
