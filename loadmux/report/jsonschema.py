"""What the report as JSON holds: version 1 of its schema, which later versions only add keys to.

`SCHEMA` (JSON Schema 2020-12) states every key; in short:

- `schema_version`: 1. `verdict`: `pass`, `fail`, `inconclusive`, `unreachable`, `threshold`,
  `interrupted` or `broken`; `exit_code`; `reason`: one line for a person.
- `seed`, `command` (repeats the run), `version` of loadmux, `started` (UTC, ISO 8601),
  `duration`, `scenario` {`name`, `path`}, `target` {`url`, `model` (null unless bundled), `reply`
  (the rule, or null), `command` (the words that started a server of the user's own, or empty)},
  `notes`. `targets` has all of them,
  with their `name` ("" where the scenario gives none); `target` is the first.
- `exchanges` {`count`: attempts, right or wrong (of sends where nothing is expected); `errors`: all
  faults, those of connects too; `rate`: right ones a second}; receives where nothing is sent.
- `bytes_in`, `bytes_out`: received and sent, of messages (without what TLS and TCP add), in all of
  the run; also of each of the `steps`, of the `connects` (greetings) and of each point in time.
- `steps`, a list in the file's order, and `connects`: {`name`, `kind`, `count`, `errors`, `rate`,
  `latency`, `bytes_in`, `bytes_out`}; `latency` is null where none was measured. `kind` is
  `exchange`, `send`, `connect`, `receive` (an `expect` that answered no send: it is in no total),
  `transaction` (in no total, its errors are those of its steps), `ignored` (came at any time, as it
  may) or `other`. A step that was now the one and now the other has a row for each, `NAME` and
  `NAME (receive)`.
  Under open load `latency` is the response time, from the intended start, and `service` the time
  from the send, in the same shape; `service` is null where the two are one.
- `iterations` completed, `interrupted` (cut off at the end), `dropped`, `users` {`started`,
  `served`: completed an iteration without a fault}. `passed_over`: messages of the servers that
  answer nothing and are no fault (pushes). `ended_idle`: connections that a server ended while
  nothing was owed, as it may.
- `schedule`, null unless iterations start on one: `begun`, `dropped` (found no free user in time),
  `waited` (those of the begun that waited for a user), `overrun` (those of the dropped that the
  generator had no time for), `missed` (due while it was stopped, and none of the others),
  `lateness`: of the generator, over the starts that had a user.
- `phases`, a list, empty unless the load has some: {`name`, `load`: in words, `duration`, `count`,
  `errors`, `rate`, `iterations`, `dropped`, `latency`, `service`, `bytes_in`,
  `bytes_out`} of what ended in the phase.
- `scenarios`, a list: {`name`, `path`, `weight`, `verdict`, `exit_code`, `reason`, `duration`,
  `exchanges`, `iterations`, `interrupted`, `dropped`, `schedule`, `phases`, `users`} of each alone;
  `scenario` is the first. With several, `LABEL: ` is before the steps, the phases, the thresholds
  and the targets of each, and `schedule` counts the starts of all.
- `timeline` {`interval`: seconds that each of the `points` covers, from the start on}. A point has
  {`at`, `count`, `errors`, `dropped`, `users`: the most at once, `bytes_in`, `bytes_out`, `p50`,
  `p95`, `p99`, `max`: null where no latency was measured}. There are 1,800 at most; counts sum up
  to those of the run.
- `thresholds` {`text`, `step`, `metric`, `measured` (null: no samples, so crossed), `met`}.
- `faults`, a group for each kind and step, in the order in which they began: {`kind`, `step`,
  `count`, `first`: when it began, `follows`: how many of them only follow from another fault,
  `followed_by`: what followed from these, {`kind`, `step`, `count`}, `examples`}. An example's
  `expected` and `received` are excerpts in hex that begin at byte `excerpt_at` of the reply,
  `offset` is the first wrong byte of the reply, `at` counts from the start of the run, `target` is
  the URL that the socket was connected to. `said` is all that the server has said since the reply
  began, the first bytes in hex, of `said_size`; `said_text` the same as text, null if it is none.
- `findings`, what was seen of the targets' processes: {`kind`, `target`, `url`, `text`, `fault`:
  whether it counts as one}.
- `hanging`, a list: {`step`, `users`: kept waiting far too long when they were cut off,
  `unserved`: of them, never served, `waited`: the longest, `owed`: what in that wait, `longest`:
  latency that the step had, null for none}.
- `unread`, a list: {`target`, `stuck`, `unaccepted`, `sent`, `left`, `unknown`}: connections that
  had no answer and of which bytes still lay unread, how many of them were never accepted, the bytes
  that these were sent, and that lay unread; `unknown` connections could not be looked at.
- `generator` {`poller`, `busy`: of the busiest worker, `limited`: whether the rate is what it can
  send (never where too little ran to tell), `limit`: what limited the rate (`generator`, `target`,
  `both`, `machine`: others use its cores; `neither`; `unknown`: not the generator; null: too little
  ran to tell), `target_cpu`: cores that the targets' processes used, null where that is not known,
  `late_p99`: of the latest,
  `stood_still`: how often, and `stood` for how long in all, of the worker that did longest,
  `spoilt`: latencies that were not measured for it, `unjudged`: connections that ended meanwhile,
  `standstills`, `workers`}. A standstill has {`worker`, `at`, `seconds`, `held`, `step`, `user`,
  `where`}: `held` where a step was at work (which, whose and at which line of the scenario's own
  code, if that is known), else the process was stopped.

Times are in seconds, rates a second, shares from 0 to 1, memory in bytes; users and iterations
count from 0. No number is ever NaN or infinite.
"""

from __future__ import annotations

from typing import Any

from loadmux.errors import Kind
from loadmux.measuring.exitcodes import ExitCode
from loadmux.report.limit import LIMITS

SCHEMA_VERSION = 1
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
WORDS: dict[ExitCode, str] = {
    code: code.name.lower() for code in ExitCode if code is not ExitCode.INVALID
}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    """All keys are there in version 1; more may come, so others are allowed."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: dict[str, Any] = {"type": "string"}
_BOOL: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Any] = {"type": "number"}
_AMOUNT: dict[str, Any] = {"type": "number", "minimum": 0}
_HEX: dict[str, Any] = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
_LATENCY = _or_null(_object(**dict.fromkeys(("min", "mean", *PERCENTILES, "max"), _AMOUNT)))
_BYTES = {"bytes_in": _COUNT, "bytes_out": _COUNT}
_ROW = _object(
    name=_TEXT,
    kind={"enum": ["exchange", "receive", "send", "connect", "transaction", "ignored", "other"]},
    count=_COUNT,
    errors=_COUNT,
    rate=_AMOUNT,
    latency=_LATENCY,
    service=_LATENCY,
    **_BYTES,
)
_SCHEDULE = _object(
    begun=_COUNT,
    dropped=_COUNT,
    waited=_COUNT,
    overrun=_COUNT,
    missed=_COUNT,
    lateness=_LATENCY,
)
_STANDSTILL = _object(
    worker=_COUNT,
    at=_NUMBER,
    seconds=_AMOUNT,
    held=_BOOL,
    step=_or_null(_TEXT),
    user=_or_null(_COUNT),
    where=_TEXT,
)
_PHASE = _object(
    name=_TEXT,
    load=_TEXT,
    duration=_AMOUNT,
    count=_COUNT,
    errors=_COUNT,
    rate=_AMOUNT,
    iterations=_COUNT,
    dropped=_COUNT,
    latency=_LATENCY,
    service=_LATENCY,
    **_BYTES,
)
_EXAMPLE = _object(
    message=_TEXT,
    user={"type": "integer"},
    iteration={"type": "integer"},
    socket=_TEXT,
    target=_TEXT,
    at=_NUMBER,
    offset=_or_null(_COUNT),
    excerpt_at=_COUNT,
    expected=_or_null(_HEX),
    received=_or_null(_HEX),
    said=_HEX,
    said_size=_COUNT,
    said_text=_or_null(_TEXT),
    belongs_to=_or_null(_TEXT),
    transcript=_list(_object(at=_NUMBER, what=_TEXT, size=_COUNT, data=_HEX)),
)
_TARGET = {
    "url": _TEXT,
    "model": _or_null(_TEXT),
    "reply": _or_null(_TEXT),
    "command": _list(_TEXT),
}
_EXCHANGES = _object(count=_COUNT, errors=_COUNT, rate=_AMOUNT)
_USERS = _object(started=_COUNT, served=_COUNT)
_POINT = _object(
    at=_AMOUNT,
    count={"type": "integer"},
    errors=_COUNT,
    dropped=_COUNT,
    users=_COUNT,
    **_BYTES,
    **dict.fromkeys(("p50", "p95", "p99", "max"), _or_null(_AMOUNT)),
)
_WORKER = _object(
    number=_COUNT,
    users=_COUNT,
    busy=_AMOUNT,
    late_p99=_AMOUNT,
    cpu=_AMOUNT,
    memory=_COUNT,
    lost=_or_null(_TEXT),
)
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A loadmux report, version 1",
} | _object(
    schema_version={"const": SCHEMA_VERSION},
    verdict={"enum": list(WORDS.values())},
    exit_code={"enum": [code.value for code in WORDS]},
    reason=_TEXT,
    seed={"type": "integer"},
    command=_TEXT,
    version=_TEXT,
    started=_TEXT,
    duration=_AMOUNT,
    scenario=_object(name=_TEXT, path=_TEXT),
    target=_object(**_TARGET),
    targets=_list(_object(name=_TEXT, **_TARGET)),
    exchanges=_EXCHANGES,
    **_BYTES,
    steps=_list(_ROW),
    connects=_ROW,
    iterations=_COUNT,
    interrupted=_COUNT,
    passed_over=_COUNT,
    ended_idle=_COUNT,
    dropped=_COUNT,
    schedule=_or_null(_SCHEDULE),
    phases=_list(_PHASE),
    users=_USERS,
    timeline=_object(interval=_AMOUNT, points=_list(_POINT)),
    scenarios=_list(
        _object(
            name=_TEXT,
            path=_TEXT,
            weight=_COUNT,
            verdict={"enum": list(WORDS.values())},
            exit_code={"enum": [code.value for code in WORDS]},
            reason=_TEXT,
            duration=_AMOUNT,
            exchanges=_EXCHANGES,
            iterations=_COUNT,
            interrupted=_COUNT,
            dropped=_COUNT,
            schedule=_or_null(_SCHEDULE),
            phases=_list(_PHASE),
            users=_USERS,
        )
    ),
    thresholds=_list(
        _object(
            text=_TEXT, step=_or_null(_TEXT), metric=_TEXT, measured=_or_null(_NUMBER), met=_BOOL
        )
    ),
    faults=_list(
        _object(
            kind={"enum": [kind.value for kind in Kind]},
            step=_TEXT,
            count=_COUNT,
            first=_NUMBER,
            follows=_COUNT,
            followed_by=_list(
                _object(kind={"enum": [kind.value for kind in Kind]}, step=_TEXT, count=_COUNT)
            ),
            examples=_list(_EXAMPLE),
        )
    ),
    script_errors=_list(_object(message=_TEXT, count=_COUNT)),
    unread=_list(
        _object(
            target=_TEXT,
            stuck=_COUNT,
            unaccepted=_COUNT,
            sent=_COUNT,
            left=_COUNT,
            unknown=_COUNT,
        )
    ),
    hanging=_list(
        _object(
            step=_TEXT,
            users=_COUNT,
            unserved=_COUNT,
            waited=_AMOUNT,
            longest=_or_null(_AMOUNT),
            owed=_TEXT,
        )
    ),
    findings=_list(
        _object(
            kind={"enum": [kind.value for kind in Kind]},
            target=_TEXT,
            url=_TEXT,
            text=_TEXT,
            fault=_BOOL,
        )
    ),
    generator=_object(
        poller=_TEXT,
        busy=_AMOUNT,
        limited=_BOOL,
        limit=_or_null({"enum": list(LIMITS)}),
        target_cpu=_or_null(_AMOUNT),
        late_p99=_AMOUNT,
        stood_still=_COUNT,
        stood=_AMOUNT,
        spoilt=_COUNT,
        unjudged=_COUNT,
        standstills=_list(_STANDSTILL),
        workers=_list(_WORKER),
    ),
    notes=_list(_TEXT),
)
