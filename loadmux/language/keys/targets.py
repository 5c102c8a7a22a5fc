"""The key `target`: where the servers are.

Targets are kept by name; the only one of a scenario that gives it no name is called "".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, get_args

from loadmux.checking.frozen import dataclass
from loadmux.checking.rules import RULES
from loadmux.language.grammar import patterns
from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.options import DEFAULT_RULE, MODEL, ONLY, UNBUNDLED
from loadmux.language.grammar.patterns import LETTERS, any_case, portable, whole
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Fields, Key, Keys, present
from loadmux.language.grammar.types import Choice, Size, Words
from loadmux.language.keys import launching
from loadmux.language.meaning.servers import READ_SIZE, Target, Watch
from loadmux.language.meaning.urls import LONGEST_UNIX_PATH, NETWORKED, URL_FORMS, parse_url
from loadmux.language.messages.replyforms import Rule
from loadmux.language.text import nodes
from loadmux.language.text.hints import meant, nearest
from loadmux.language.text.nodes import escaped, kind_of, suggestion
from loadmux.language.text.yamltree import Entry, MappingNode, Node, ScalarNode
from loadmux.units import quoted

TARGET_FORMS = "write a URL, {url: URL, reply: RULE} or {bundled: MODEL, reply: RULE}"
# Any key of a bundled target may be an option of its own; one this like `reply` is a slip.
LIKE_REPLY = 0.85
OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
NAME = re.compile(r"[\w.-]+")

_PORT = "0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST = rf"(?:\[[0-9A-Fa-f:.]+(?:%[^\[\]]+)?\]|[{LETTERS}.-]+)"
_UNIX_PATH = rf"/(?:[^\u0000]{{0,{LONGEST_UNIX_PATH - 2}}}[^/\u0000])"
URL_PATTERN = whole(
    f"(?:{'|'.join(map(any_case, NETWORKED))})://{_HOST}:{_PORT}",
    f"{any_case('unix')}://{_UNIX_PATH}",
)


class AnyUrl(Words):
    definition = "url"
    word = "URL"


URL = AnyUrl(URL_PATTERN, parse_url, str, URL_FORMS)
TWICE = "how much the target reads at a time ('read_size') is said twice"


class RuleAndSize(Type):
    """A rule, or `RULE` with how much the server reads at a time; reads to the two."""

    word = "rule, or {rule: RULE, read_size: SIZE}"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, MappingNode):
            found = RULE.all(r, Fields(r, node, what, RULE.keys))
            return found["rule"], found["read_size"]
        return RULE.keys["rule"].type.read(r, node, what), None

    def schema(self, s: Schemas) -> Schema:
        return {"anyOf": [RULE.keys["rule"].schema(s), RULE.schema(s)]}

    def write(self, value: Any, w: Writing) -> Any:
        rule, size = value
        return rule if size is None else {"rule": rule, "read_size": size}


# fmt: off
RULE = Keys("'reply'", (
    Key("rule", Rule(), "What `expect: reply` then checks.",
        required="'reply' needs a 'rule'; write {rule: RULE, read_size: SIZE}"),
    Key("read_size", Size(), "How much the server reads at a time, which bounds how many replies a"
        " message may have. (Where nothing is known, `ok` and `hello` allow one for each byte; a"
        " bundled target reads 64 KiB at a time, or what it is told.)",
        examples=('target: {url: "tcp://127.0.0.1:8001", reply: {rule: ok, read_size: 200}}',
            "target: {bundled: poll, reply: {rule: ok, read_size: 200}}")),
))
REPLY = Key("reply", RuleAndSize(), "How the server replies: what `expect: reply` then checks.",
    default=(None, None))
WATCH = Key("watch", Choice(get_args(Watch)), "What is made of findings about the server's"
    " processes (`loadmux help findings`): they are told, or count as faults. Servers that are"
    " started for the run are watched in any case; one that is there already, and on this machine,"
    " where this or --watch says so.", examples=(
        "target: {bundled: epoll, reply: echo, watch: fail}",
        'target: {url: "tcp://127.0.0.1:8001", reply: echo, watch: report}'))
AT_URL = Keys("a target with a 'url'", (
    Key("url", URL, "Where the server listens: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT"
        " (IPv6 in brackets) or unix:///PATH.", required="a target needs a 'url'",
        examples=('target: {url: "tcp://[::1]:8001", reply: echo}', "target: {url:"
            ' "unix:///run/my.sock", reply: echo}', 'target: {url: "udp://127.0.0.1:8001", reply:'
            " echo}")),
    REPLY,
    WATCH,
), lambda url, reply, watch: Target(url, None, reply[0], {}, reply[1], None, watch))
AT_COMMAND = Keys("a target with a 'command'", (*launching.COMMAND, REPLY, WATCH))
# fmt: on
KINDS = ("bundled", "url", "command")


@dataclass(frozen=True, slots=True)
class Found:
    """What the file says, by name. `judged` is False where a mistake hides some of it."""

    targets: Mapping[str, Target]
    judged: bool = True


class OneTarget(Type):
    word = "target"
    definition = "target"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(r, node)
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            if node.value not in r.options.models:
                url = URL.read(r, node, "'url'")
                return None if url is None else Target(url=url)
            message = f"{quoted(node.value)} is a model, not a URL; write {{bundled: {node.value}}}"
            return r.refuse(node, message)
        return r.refuse(node, f"'target' must not be {kind_of(node)}; {TARGET_FORMS}")

    def _mapping(self, r: Reading, node: MappingNode) -> Target | None:
        values = {entry.key: entry.value for entry in node.entries}
        if "bundled" in values and "url" in values:
            return r.refuse(node, "a target has 'url' or 'bundled', not both")
        if "bundled" in values and "command" in values:
            return r.refuse(node, "a target has 'command' or 'bundled', not both")
        if "command" in values:
            return _commanded(r, node)
        if "url" in values:
            found: Target | None = AT_URL.read(r, node, "")
            return found
        if "bundled" not in values:
            _neither(r, node)
            return None
        reply = (
            REPLY.type.read(r, values["reply"], "'reply'") if "reply" in values else REPLY.default
        )
        rule, read_size = reply
        if rule is not None and rule not in RULES and rule in r.registry.names("rules"):
            r.add(values["reply"].where, UNBUNDLED.format(quoted(rule)))
        watch = WATCH.type.read(r, values["watch"], "'watch'") if "watch" in values else None
        model = _model(r, values["bundled"])
        options = _options(r, node)
        if read_size is not None:
            if READ_SIZE in options:
                r.add(values["reply"].where, TWICE)
            options[READ_SIZE] = str(read_size)
        if model is None:
            return None
        return Target(None, model, rule or DEFAULT_RULE, options, watch=watch)

    def schema(self, s: Schemas) -> Schema:
        commanded = AT_COMMAND.schema(s)
        return {"anyOf": [s.of(URL), AT_URL.schema(s), commanded, self._bundled(s)]}

    def _bundled(self, s: Schemas) -> Schema:
        told = "A target server that comes with loadmux, started for the run."
        matching = {"type": "string", "pattern": whole(portable(MODEL.pattern))}
        model = {"description": told, **({"enum": list(s.models)} if s.models else matching)}
        return {
            "type": "object",
            "properties": {
                "bundled": model,
                "reply": {**REPLY.schema(s), "default": DEFAULT_RULE},
                "watch": WATCH.schema(s),
            },
            "required": ["bundled"],
            "not": {"anyOf": [*present(("url", "command")), *_read_size_twice()]},
            "propertyNames": {"pattern": whole(portable(OPTION.pattern))},
            "additionalProperties": {
                "description": "An option of the target's own (`loadmux serve MODEL --help`).",
                "type": ["string", "number", "boolean"],
            },
        }

    def write(self, value: Any, w: Writing) -> Any:
        if value.command is not None:
            return _written(value, w)
        if value.url is not None:
            reply = REPLY.type.write((value.rule, value.read_size), w)
            found = {"url": str(value.url), "reply": reply, "watch": value.watch}
            return {name: one for name, one in found.items() if one is not None}
        options = {name: escaped(text) or True for name, text in value.options.items()}
        watch = {} if value.watch is None else {"watch": value.watch}
        return {"bundled": value.bundled, "reply": value.rule, **watch, **options}


def _commanded(r: Reading, node: MappingNode) -> Target | None:
    before, fields = len(r.mistakes), Fields(r, node, AT_COMMAND.what, AT_COMMAND.keys)
    found = AT_COMMAND.all(r, fields)
    rule, read_size = found.pop("reply")
    watch = found.pop("watch")
    if fields.refused or len(r.mistakes) > before:
        return None
    command = launching.command(r, node, words=found.pop("command"), **found)
    return Target(None, None, rule, {}, read_size, command, watch)


def _written(value: Target, w: Writing) -> dict[str, object]:
    assert value.command is not None
    found = {"command": launching.WORDS.type.write(value.command.words, w)}
    found |= {key.name: key.of(value.command, w) for key in launching.COMMAND[1:]}
    found |= {"reply": REPLY.type.write((value.rule, value.read_size), w), "watch": value.watch}
    return {name: one for name, one in found.items() if one is not None}


def _read_size_twice() -> list[Schema]:
    """As the target's own option, in either spelling, and in its `reply`."""
    keys = (READ_SIZE, "read_size")
    inside = {"reply": {"type": "object", "required": ["read_size"]}}
    in_both = [{"required": [key, "reply"], "properties": inside} for key in keys]
    return [{"required": list(keys)}, *in_both]


def _neither(r: Reading, node: MappingNode) -> None:
    """None of the keys that a target has one of."""
    misspelt = [entry for entry in node.entries if meant(entry.key, KINDS)]
    if misspelt:
        hint = f"did you mean {quoted(meant(misspelt[0].key, KINDS) or '')}?"
        values = {entry.key: entry.value for entry in node.entries}
        host, port = values.get("host"), values.get("port")
        if isinstance(host, ScalarNode) and isinstance(port, ScalarNode):
            hint = f"write {quoted(f'tcp://{host.text}:{port.text}')}"
        r.add(misspelt[0].where, f"unknown key {quoted(misspelt[0].key)} in a target; {hint}")
    elif not node.incomplete:
        r.add(node.where, f"a target needs 'url', 'bundled' or 'command'; {TARGET_FORMS}")


def _model(r: Reading, node: Node) -> str | None:
    found = nodes.text(r.mistakes, node, "'bundled'")
    models = r.options.models
    if found is None:
        return None
    if models and found not in models:
        hint = suggestion(found, sorted(models), "models are")
        return r.refuse(node, f"unknown model {quoted(found)}{hint}")
    if MODEL.fullmatch(found) is None:
        return r.refuse(node, f"{quoted(found)} is not the name of a model such as epoll")
    return found


def _options(r: Reading, node: MappingNode) -> dict[str, str]:
    """The target's own options: `workers: 4` is handed to it as `--workers 4`."""
    options: dict[str, str] = {}
    for entry in node.entries:
        if entry.key in ("bundled", "reply", "watch"):
            continue
        what = f"the target's option {quoted(entry.key)}"
        misspelt = SequenceMatcher(None, entry.key[:20], "reply").ratio() >= LIKE_REPLY
        if misspelt or OPTION.fullmatch(entry.key) is None:
            hint = "did you mean 'reply'?" if misspelt else "options are named as in 'workers'"
            r.add(entry.where, f"unknown key {quoted(entry.key)} in a target; {hint}")
            continue
        name = READ_SIZE if entry.key == "read_size" else entry.key
        if name in options:
            r.add(entry.where, TWICE)
        if isinstance(entry.value, ScalarNode) and entry.value.value is True:
            options[name] = ""
        elif not isinstance(entry.value, ScalarNode) or entry.value.value is None:
            message = f"{what} must not be {kind_of(entry.value)}; write a text, a number or true"
            r.add(entry.value.where, message)
        elif entry.value.value is not False:
            written = nodes.literal(r.mistakes, entry.value.where, entry.value.text, what)
            options[name] = written or ""
    return options


# --- one or several -----------------------------------------------------------------------------

TARGET = OneTarget()


class Targets(Type):
    """One target, or a map of names to targets; reads to Found."""

    word = "target"

    def read(self, r: Reading, node: Node, what: str) -> Any:
        before, whole = len(r.mistakes), True
        if isinstance(node, MappingNode) and _holds_names(node):
            whole = not node.incomplete
            entries = [entry for entry in node.entries if _checked_name(r, entry)]
            found = {entry.key: TARGET.read(r, entry.value, what) for entry in entries}
        else:
            found = {ONLY: TARGET.read(r, node, what)}
        targets = {name: target for name, target in found.items() if target is not None}
        return Found(targets, len(r.mistakes) == before and bool(targets) and whole)

    def schema(self, s: Schemas) -> Schema:
        several = {
            "description": "Names of several targets; each socket says with `to` which is its own.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": {
                "pattern": patterns.whole(patterns.portable(NAME.pattern)),
                "not": {"enum": ["bundled", "url"]},
            },
            "additionalProperties": s.of(TARGET),
        }
        return {"anyOf": [s.of(TARGET), several]}

    def write(self, value: Any, w: Writing) -> Any:
        if ONLY in value:
            return TARGET.write(value[ONLY], w)
        return {name: TARGET.write(one, w) for name, one in value.items()}


def _holds_names(node: MappingNode) -> bool:
    """Whether a mapping is no target but a map of several."""
    values = {entry.key: entry.value for entry in node.entries}
    if "bundled" in values or "url" in values or launching.is_command(values):
        return False
    if any(isinstance(value, MappingNode) for value in values.values()):
        return True
    urls = all(isinstance(v, ScalarNode) and "://" in v.text for v in values.values())
    misspelt = any(nearest(key, KINDS) for key in values)
    return bool(values) and urls and not (misspelt and len(values) == 1)


def _checked_name(r: Reading, entry: Entry) -> bool:
    if NAME.fullmatch(entry.key) is not None:
        return True
    message = f"{quoted(entry.key)} is no name for a target; use letters, digits, '_', '-' and '.'"
    r.add(entry.where, message)
    return False
