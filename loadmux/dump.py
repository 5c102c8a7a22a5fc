"""A loaded scenario as a scenario file again: every name resolved, every default written out.

Loading what `dump` wrote gives the same scenario, places in the file aside, provided it stands
where the scenario stood (feeders are named, not copied). What loading resolves does not come back:
lists of `variables` stand in the `for` that goes through them, contents of files in the payload. So
the text may be larger than the loader allows (16 MiB, 200,000 values) where those are; and the
function of a Python scenario is called as that of a module beside it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadmux import yamltext
from loadmux.framing import Delimited, Framing, LengthPrefixed, UntilClose
from loadmux.framing import Fixed as FixedFrames
from loadmux.loader import file
from loadmux.loader.sockets import ALL
from loadmux.loader.steps import EACH_BYTE
from loadmux.pacer import Rate
from loadmux.rules import MAX_FRAME
from loadmux.scenario import (
    Answer,
    Barrier,
    ByRule,
    Call,
    Closed,
    Data,
    Distribution,
    Exactly,
    Exchange,
    Exponential,
    Feeder,
    Fixed,
    For,
    Frame,
    Framed,
    Function,
    Joined,
    Length,
    Load,
    Normal,
    OnSockets,
    Payload,
    Performed,
    Phase,
    Random,
    Regex,
    Repeat,
    Repeated,
    Reply,
    Scenario,
    Set,
    Silence,
    Socket,
    Spoken,
    Step,
    Target,
    Text,
    Tls,
    Together,
    Uniform,
    Until,
    Wait,
    WasReset,
)
from loadmux.units import duration_text, rate_text, size_text

Values = dict[str, Any]

DEEP = frozenset({"variables", "sockets", "before", "steps", "after", "phases", "do", "together"})
"""Keys whose values are written line by line."""

IMPLIED = "# and 'errors == 0', for no threshold counts the errors of the run"
SHORT = 32
"""Bytes up to which data is written in hex, beyond it in base64."""

_MEMBER = re.compile(r"(.+)\[[0-9]+\]")


def dump(scenario: Scenario) -> str:
    """The text of a file that loads to the same scenario. Raises ValueError where none does."""
    deep = DEEP | ({"target"} if scenario.targets else set())
    deep |= {"load"} if len(scenario.load.phases) > 1 else set()
    implied = [IMPLIED] if any(one.implied for one in scenario.thresholds) else []
    return "\n".join([*yamltext.block(values(scenario), deep), *implied, ""])


def values(scenario: Scenario) -> Values:
    """What stands in that file."""
    steps = _Steps(scenario.sockets)
    found = {
        "name": _name(scenario),
        "description": scenario.description,
        "target": _targets(scenario),
        "variables": {
            **{name: _escaped(value) for name, value in scenario.variables.items()},
            **{name: _feeder(feeder) for name, feeder in scenario.feeders.items()},
        },
        "sockets": _sockets(scenario.sockets, named=bool(scenario.targets)),
        "before": steps.all(scenario.before),
        "steps": steps.all(scenario.steps),
        "after": steps.all(scenario.after),
        "load": _load(scenario.load),
        "thresholds": [_escaped(one.text) for one in scenario.thresholds if not one.implied],
        "timeout": duration_text(scenario.timeout),
        "on_error": scenario.on_error,
        "seed": scenario.seed,
        "weight": scenario.weight,
    }
    return {key: found[key] for key in file.KEYS if found[key] not in (None, "", {}, [])}


def _given(**fields: Any) -> Values:
    """Those that there are."""
    return {key: value for key, value in fields.items() if value is not None}


def _name(scenario: Scenario) -> str | None:
    """Its name, unless it is that of its file."""
    return None if scenario.name == Path(scenario.path).stem else _escaped(scenario.name)


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


# --- targets, feeders, sockets ------------------------------------------------------------------


def _targets(scenario: Scenario) -> Values:
    if scenario.targets:
        return {name: _target(one) for name, one in scenario.targets.items()}
    return {} if scenario.target is None else _target(scenario.target)


def _target(target: Target) -> Values:
    if target.url is not None:
        reply: str | Values | None = target.rule
        if target.read_size is not None:
            reply = {"rule": target.rule, "read_size": target.read_size}
        return _given(url=str(target.url), reply=reply)
    options = {name: _escaped(value) or True for name, value in target.options.items()}
    return _given(bundled=target.bundled, reply=target.rule) | options


def _feeder(feeder: Feeder) -> Values:
    short = None if feeder.pick == "random" else feeder.when_short
    return _given(csv=_escaped(feeder.file), pick=feeder.pick, when_short=short)


def _group(name: str) -> str:
    """The declared name of a socket: of its group, if it is one of several."""
    member = _MEMBER.fullmatch(name)
    return name if member is None else member[1]


def _sockets(sockets: Sequence[Socket], named: bool) -> Values:
    members: dict[str, list[Socket]] = {}
    for socket in sockets:
        members.setdefault(_group(socket.name), []).append(socket)
    return {name: _options(name, every, named) for name, every in members.items()}


def _options(name: str, every: Sequence[Socket], named: bool) -> Values:
    one = every[0]
    return _given(
        to=one.to if named else None,
        count=len(every) if one.name != name else None,
        nodelay=one.nodelay,
        receive_buffer=None if one.receive_buffer is None else _size(one.receive_buffer),
        send_buffer=None if one.send_buffer is None else _size(one.send_buffer),
        source=one.source,
        linger=None if one.linger is None else duration_text(one.linger),
        framing=one.written or (None if one.framing is None else _framing(one.framing)),
        tls=None if one.tls is None else _tls(one.tls),
    )


def _tls(tls: Tls) -> Values:
    files = {"ca": tls.ca, "cert": tls.cert, "key": tls.key}
    escaped = {name: None if path is None else _escaped(path) for name, path in files.items()}
    return _given(**escaped, server_name=tls.server_name, verify=tls.verify)


def _framing(framing: Framing) -> Values:
    match framing:
        case Delimited(delimiter=b"\n", max_size=most):
            return {"line": True, "max": _size(most)}
        case Delimited(delimiter=delimiter, max_size=most):
            return {"delimiter": _bytes(delimiter), "max": _size(most)}
        case LengthPrefixed(prefix, order, counts_itself, most):
            form = {"bytes": prefix, "order": order, "counts_itself": counts_itself}
            return {"length_prefix": form, "max": _size(most)}
        case FixedFrames(size=size):
            return {"fixed": _size(size), "max": _size(max(size, MAX_FRAME))}
        case UntilClose(max_size=most):
            return {"until_close": True, "max": _size(most)}
    raise ValueError(f"the framing {framing!r} has no form in YAML")


def _size(count: int) -> int | str:
    text = size_text(count)
    return count if text.isdigit() else text


# --- load ---------------------------------------------------------------------------------------


def _load(load: Load) -> Values:
    alone = len(load.phases) == 1 and not load.phases[0].name
    if load.phases and not alone:
        paced: Values = {
            "phases": [{"name": _escaped(one.name), **_paced(one)} for one in load.phases]
        }
    elif alone:
        paced = _paced(load.phases[0])
    else:
        time = None if load.run_time is None else duration_text(load.run_time)
        paced = _given(users=load.users, run_time=time)
    return paced | _given(
        spawn_rate=None if load.spawn_rate is None else rate_text(load.spawn_rate),
        iterations=load.iterations,
        pacing=None if load.pacing is None else duration_text(load.pacing),
        graceful_stop=duration_text(load.graceful_stop),
    )


def _paced(phase: Phase) -> Values:
    pacer, time = phase.pacer, duration_text(phase.pacer.seconds)
    if isinstance(pacer, Rate):
        rates = [rate_text(pacer.first), rate_text(pacer.last)]
        return {"rate": _ramp(rates), "max_users": phase.users, "run_time": time}
    users = pacer.first if pacer.first == pacer.last else f"{pacer.first}..{pacer.last}"
    return {"users": users, "run_time": time}


def _ramp(ends: list[str]) -> str:
    return ends[0] if ends[0] == ends[1] else "..".join(ends)


# --- steps --------------------------------------------------------------------------------------


class _Steps:
    """Writes steps; knows how the sockets are called."""

    def __init__(self, sockets: Sequence[Socket]) -> None:
        self._names = [socket.name for socket in sockets]
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self._names):
            places.setdefault(_group(name), []).append(place)
        self._groups = {tuple(range(len(sockets))): ALL}
        self._groups |= {tuple(every): name for name, every in places.items()}

    def all(self, steps: Iterable[Step]) -> list[Values]:
        return [self._step(step) for step in steps]

    def _step(self, step: Step) -> Values:
        return {"name": _escaped(step.name), **self._action(step)}

    def _action(self, step: Step) -> Values:
        match step:
            case Exchange():
                return self._exchange(step)
            case OnSockets(action=action, sockets=sockets):
                return {action: self._on(sockets), **_within(step.within)}
            case Wait(time=time):
                return {"wait": _wait(time)}
            case Repeat(times=times, do=do):
                return {"repeat": times, "do": self.all(do)}
            case For(variable=variable, values=listed, do=do):
                return {"for": {variable: list(map(_text, listed))}, "do": self.all(do)}
            case Set(values=listed):
                return {"set": _texts(listed)}
            case Together(branches=branches):
                return {"together": [self.all(branch) for branch in branches]}
            case Barrier(barrier=barrier):
                return {"barrier": _escaped(barrier)}
            case Call(function=function):
                return {"call": _function(function)}
            case Performed(plugin=plugin, sockets=sockets, written=written):
                return {plugin: written, "on": self._on(sockets), **_within(step.within)}

    def _exchange(self, step: Exchange) -> Values:
        found: Values = {"on": self._on(step.sockets)}
        if step.send is not None:
            found["send"] = _payload(step.send.payload)
            if step.send.pieces:
                found["pieces"] = _pieces(step.send.pieces)
                found["gap"] = duration_text(step.send.gap)
        if step.expect is not None:
            found["expect"] = _reply(step.expect.reply)
            if step.expect.save is not None:
                found["save"] = step.expect.save
        return {**found, **_within(step.within)}

    def _on(self, sockets: Sequence[int]) -> str | list[str]:
        name = self._groups.get(tuple(sockets))
        if name is not None:
            return name
        names = [self._names[place] for place in sockets]
        return names[0] if len(names) == 1 else names


def _function(function: Function) -> str:
    """A function of a Python scenario as another file would call it."""
    module = function.module if function.path is None else Path(function.path).stem
    return f"{module}:{function.function}"


def _pieces(sizes: Sequence[int]) -> object:
    if tuple(sizes) == (1,):
        return EACH_BYTE
    found = list(map(_size, sizes))
    return found[0] if len(found) == 1 else found


def _within(seconds: float | None) -> Values:
    return {} if seconds is None else {"within": duration_text(seconds)}


def _wait(time: Distribution) -> str | Values:
    match time:
        case Fixed(seconds=seconds):
            return duration_text(seconds)
        case Uniform(low, high):
            return {"uniform": [duration_text(low), duration_text(high)]}
        case Exponential(mean=mean):
            return {"exponential": duration_text(mean)}
        case Normal(mean, deviation):
            return {"normal": [duration_text(mean), duration_text(deviation)]}


# --- payloads and replies -----------------------------------------------------------------------


def _text(text: Text) -> str:
    return "".join(
        _escaped(part) if isinstance(part, str) else f"${{{part.name}}}" for part in text.parts
    )


def _texts(texts: Mapping[str, Text]) -> Values:
    return {name: _text(text) for name, text in texts.items()}


def _bytes(data: bytes) -> str | Values:
    """Constant bytes, as a text where they are one that can be printed."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _data(data)
    return (
        _escaped(text) if all(one.isprintable() or one in "\r\n\t" for one in text) else _data(data)
    )


def _data(data: bytes) -> Values:
    if len(data) <= SHORT:
        return {"hex": data.hex(" ")}
    return {"base64": base64.b64encode(data).decode()}


def _payload(payload: Payload) -> str | Values:
    match payload:
        case Text():
            return _text(payload)
        case Data(data=data):
            return _data(data)
        case Random(size=size):
            return {"random": _size(size)}
        case Repeated(inner, times):
            return {"repeat": _payload(inner), "times": times}
        case Joined(payloads=payloads):
            return {"join": list(map(_payload, payloads))}
        case Framed(payload=inner):
            return {"frame": _payload(inner)}
        case Spoken(framer=framer, written=written):
            return {framer: written}


def _exactly(payload: Payload) -> str | Values:
    """A text that is a word of the language too (`reply`) is marked as a text."""
    found = _payload(payload)
    return {"text": found} if found in ("reply", "closed") else found


def _by_rule(rule: str | None) -> str | Values:
    return "reply" if rule is None else {"rule": rule}


def _reply(reply: Reply) -> str | Values:
    match reply:
        case Exactly(payload=payload):
            return _exactly(payload)
        case ByRule(rule=rule):
            return _by_rule(rule)
        case Length(size=size):
            return {"length": _size(size)}
        case Until(delimiter, None):
            return {"until": _bytes(delimiter)}
        case Until(delimiter, Regex(pattern=pattern)):
            return {"regex": pattern, "until": _bytes(delimiter)}
        case Frame(body=Regex(pattern=pattern), answers=False):
            return {"regex": pattern}
        case Frame(body=body):
            return {"frame": _body(body)}
        case Answer(framer=framer, written=written):
            return {framer: written}
        case Closed():
            return "closed"
        case WasReset():
            return {"reset": True}
        case Silence(seconds=seconds):
            return {"silence": duration_text(seconds)}
    raise ValueError(f"the reply {reply!r} has no form in YAML")


def _body(body: Exactly | ByRule | Length | Regex) -> str | Values:
    return {"regex": body.pattern} if isinstance(body, Regex) else _reply(body)
