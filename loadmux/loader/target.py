"""Where the servers are: the key `target`, and what `--target` and `--reply` put in its place.

Targets are kept by name; the only one of a scenario that gives it no name is called "".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeVar, cast

from loadmux.errors import Position, UsageError
from loadmux.loader import forms, reader, schemes
from loadmux.loader.hints import meant, nearest
from loadmux.loader.reader import Fields, Mistakes, kind_of, suggestion
from loadmux.registry import PluginError, Registry
from loadmux.rules import RULES
from loadmux.scenario import READ_SIZE, Target, Url
from loadmux.units import quoted
from loadmux.yamltree import Entry, MappingNode, Node, ScalarNode

# The keys of a rule that says more than its name.
RULE_KEYS = ("rule", "read_size")
TWICE = "how much the target reads at a time ('read_size') is said twice"
# What a bundled target answers when nobody says otherwise.
DEFAULT_RULE = "echo"
URL_FORMS = "write tcp://HOST:PORT, tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH"
TARGET_FORMS = "write a URL, {url: URL, reply: RULE} or {bundled: MODEL, reply: RULE}"
ONLY = ""
UNBUNDLED = "the rule {} is a plugin's, and bundled targets know the built-in rules only"
# Any key of a bundled target may be an option of its own; one this like `reply` is a slip.
LIKE_REPLY = 0.85
# sun_path holds 108 bytes with its closing zero (unix(7)).
LONGEST_UNIX_PATH = 107

NETWORKED = ("tcp", "tls", "udp")

_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:/@]*)):([0-9]{1,9})")
_HOST = re.compile(r"[\w.-]+")
OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
MODEL = re.compile(r"[A-Za-z0-9_]+")
NAME = re.compile(r"[\w.-]+")
_NAMED = re.compile(r"([\w.-]+)=(.+)")

T = TypeVar("T")


def parse_url(text: str) -> Url:
    """A URL as URL_FORMS says; raises ValueError, for one line."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        forms = f"write tcp://{text}" if _HOST_AND_PORT.fullmatch(text) else URL_FORMS
        raise ValueError(f"{quoted(text)} is not a URL; {forms}")
    if scheme in NETWORKED:
        return _networked(cast(Literal["tcp", "tls", "udp"], scheme), text, rest)
    if scheme != "unix":
        forms = schemes.remedy(scheme, rest) or URL_FORMS
        raise ValueError(f"unknown scheme {quoted(scheme)} in {quoted(text)}; {forms}")
    if not rest.startswith("/") or rest.endswith("/") or "\0" in rest:
        raise ValueError(f"{quoted(text)} needs an absolute path to a socket; write unix:///PATH")
    if len(rest.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f"the path of a unix socket has at most {LONGEST_UNIX_PATH} bytes")
    return Url("unix", path=rest)


def _networked(scheme: Literal["tcp", "tls", "udp"], text: str, rest: str) -> Url:
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        hint = "; an IPv6 address stands in brackets" if rest.count(":") > 1 else ""
        raise ValueError(f"{quoted(text)} needs a host and a port{hint}; {URL_FORMS}")
    port = int(match[3])
    if not 1 <= port <= 65535:
        raise ValueError(f"the port in {quoted(text)} must be 1 to 65535")
    if match[1] is not None:
        try:
            return Url(scheme, str(ipaddress.IPv6Address(match[1])), port)
        except ValueError:
            raise ValueError(f"{quoted(match[1])} is not an IPv6 address; {URL_FORMS}") from None
    host = match[2]
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"{quoted(text)} needs a host and a port; {URL_FORMS}")
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{quoted(host)} is not an IPv4 address; {URL_FORMS}") from None
    return Url(scheme, host, port)


@dataclass(frozen=True, slots=True)
class Found:
    """What the file says, by name. `judged` is False where a mistake hides some of it."""

    targets: Mapping[str, Target]
    judged: bool = True


# --- the file -----------------------------------------------------------------------------------


def read(
    mistakes: Mistakes,
    node: Node | None,
    models: Collection[str],
    rules: Collection[str],
    registry: Registry,
) -> Found:
    """The key `target`: one target, or a map of names to targets."""
    if node is None:
        return Found({})
    before, whole = len(mistakes), True
    if isinstance(node, MappingNode) and _holds_names(node):
        whole = not node.incomplete
        found = {
            entry.key: _one(mistakes, entry.value, models, rules, registry)
            for entry in node.entries
            if _checked_name(mistakes, entry)
        }
    else:
        found = {ONLY: _one(mistakes, node, models, rules, registry)}
    targets = {name: target for name, target in found.items() if target is not None}
    return Found(targets, len(mistakes) == before and bool(targets) and whole)


def _holds_names(node: MappingNode) -> bool:
    """Whether a mapping is no target but a map of several."""
    values = {entry.key: entry.value for entry in node.entries}
    if "bundled" in values or "url" in values:
        return False
    if any(isinstance(value, MappingNode) for value in values.values()):
        return True
    urls = all(isinstance(v, ScalarNode) and "://" in v.text for v in values.values())
    misspelt = any(nearest(key, ("bundled", "url")) for key in values)
    return bool(values) and urls and not (misspelt and len(values) == 1)


def _checked_name(mistakes: Mistakes, entry: Entry) -> bool:
    if NAME.fullmatch(entry.key) is not None:
        return True
    message = f"{quoted(entry.key)} is no name for a target; use letters, digits, '_', '-' and '.'"
    mistakes.add(entry.where, message)
    return False


def _one(
    mistakes: Mistakes,
    node: Node,
    models: Collection[str],
    rules: Collection[str],
    registry: Registry,
) -> Target | None:
    if isinstance(node, ScalarNode):
        return _scalar(mistakes, node, models)
    if isinstance(node, MappingNode):
        return _mapping(mistakes, node, models, rules, registry)
    mistakes.add(node.where, f"'target' must not be {kind_of(node)}; {TARGET_FORMS}")
    return None


def _scalar(mistakes: Mistakes, node: ScalarNode, models: Collection[str]) -> Target | None:
    if isinstance(node.value, str) and node.value in models:
        message = f"{quoted(node.value)} is a model, not a URL; write {{bundled: {node.value}}}"
        mistakes.add(node.where, message)
        return None
    if not isinstance(node.value, str):
        mistakes.add(node.where, f"'target' must not be {kind_of(node)}; {TARGET_FORMS}")
        return None
    url = _url(mistakes, node)
    return None if url is None else Target(url=url)


def _url(mistakes: Mistakes, node: Node) -> Url | None:
    found = reader.text(mistakes, node, "'url'")
    if found is None:
        return None
    try:
        return parse_url(found)
    except ValueError as error:
        mistakes.add(node.where, str(error))
        return None


def _mapping(
    mistakes: Mistakes,
    node: MappingNode,
    models: Collection[str],
    rules: Collection[str],
    registry: Registry,
) -> Target | None:
    values = {entry.key: entry.value for entry in node.entries}
    if "bundled" in values and "url" in values:
        mistakes.add(node.where, "a target has 'url' or 'bundled', not both")
        return None
    if "bundled" not in values and "url" not in values:
        _neither(mistakes, node)
        return None
    rule, read_size = _reply(mistakes, values.get("reply"), rules, registry)
    if rule is not None and "bundled" in values and rule in registry.names("rules"):
        mistakes.add(values["reply"].where, UNBUNDLED.format(quoted(rule)))
    if "url" in values:
        Fields(mistakes, node, "a target with a 'url'", ("url", "reply"))
        url = _url(mistakes, values["url"])
        return None if url is None else Target(url=url, rule=rule, read_size=read_size)
    model = _model(mistakes, values["bundled"], models)
    options = _options(mistakes, node)
    if read_size is not None:
        if READ_SIZE in options:
            mistakes.add(values["reply"].where, TWICE)
        options[READ_SIZE] = str(read_size)
    if model is None:
        return None
    return Target(bundled=model, rule=rule or DEFAULT_RULE, options=options)


def _reply(
    mistakes: Mistakes, node: Node | None, rules: Collection[str], registry: Registry
) -> tuple[str | None, int | None]:
    """The key `reply`: a rule, and how many bytes the server reads at a time, if that is said."""
    if not isinstance(node, MappingNode):
        return None if node is None else forms.rule(mistakes, node, rules, registry), None
    fields = Fields(mistakes, node, "'reply'", RULE_KEYS)
    rule = fields.value("rule")
    if rule is None and "rule" not in fields.meant:
        mistakes.add(node.where, "'reply' needs a 'rule'; write {rule: RULE, read_size: SIZE}")
    read_size = fields.read("read_size", reader.size)
    return None if rule is None else forms.rule(mistakes, rule, rules, registry), read_size


def _neither(mistakes: Mistakes, node: MappingNode) -> None:
    """Neither `url` nor `bundled`."""
    misspelt = [entry for entry in node.entries if meant(entry.key, ("bundled", "url"))]
    if misspelt:
        hint = f"did you mean {quoted(meant(misspelt[0].key, ('bundled', 'url')) or '')}?"
        values = {entry.key: entry.value for entry in node.entries}
        host, port = values.get("host"), values.get("port")
        if isinstance(host, ScalarNode) and isinstance(port, ScalarNode):
            hint = f"write {quoted(f'tcp://{host.text}:{port.text}')}"
        mistakes.add(
            misspelt[0].where, f"unknown key {quoted(misspelt[0].key)} in a target; {hint}"
        )
    elif not node.incomplete:
        mistakes.add(node.where, f"a target needs 'url' or 'bundled'; {TARGET_FORMS}")


def _model(mistakes: Mistakes, node: Node, models: Collection[str]) -> str | None:
    found = reader.text(mistakes, node, "'bundled'")
    if found is None:
        return None
    if models and found not in models:
        hint = suggestion(found, sorted(models), "models are")
        mistakes.add(node.where, f"unknown model {quoted(found)}{hint}")
        return None
    if MODEL.fullmatch(found) is None:
        mistakes.add(node.where, f"{quoted(found)} is not the name of a model such as epoll")
        return None
    return found


def _options(mistakes: Mistakes, node: MappingNode) -> dict[str, str]:
    """The target's own options: `workers: 4` is handed to it as `--workers 4`."""
    options: dict[str, str] = {}
    for entry in node.entries:
        if entry.key in ("bundled", "reply"):
            continue
        misspelt = SequenceMatcher(None, entry.key[:20], "reply").ratio() >= LIKE_REPLY
        if misspelt or OPTION.fullmatch(entry.key) is None:
            hint = "did you mean 'reply'?" if misspelt else "options are named as in 'workers'"
            mistakes.add(entry.where, f"unknown key {quoted(entry.key)} in a target; {hint}")
            continue
        name = READ_SIZE if entry.key == "read_size" else entry.key
        if name in options:
            mistakes.add(entry.where, TWICE)
        if isinstance(entry.value, ScalarNode) and entry.value.value is True:
            options[name] = ""
        elif not isinstance(entry.value, ScalarNode) or entry.value.value is None:
            message = f"the target's option {quoted(entry.key)} must not be {kind_of(entry.value)}"
            mistakes.add(entry.value.where, f"{message}; write a text, a number or true")
        elif entry.value.value is not False:
            what = f"the target's option {quoted(entry.key)}"
            written = reader.literal(mistakes, entry.value.where, entry.value.text, what)
            options[name] = written or ""
    return options


# --- the command line ---------------------------------------------------------------------------


def checked_target(text: str, models: Collection[str]) -> Target:
    """What `--target` says; raises UsageError."""
    if "://" in text:
        try:
            return Target(url=parse_url(text))
        except ValueError as error:
            raise UsageError(f"--target: {error}") from None
    if MODEL.fullmatch(text) is None:
        raise UsageError(f"--target: {quoted(text)} is neither a model nor a URL; {URL_FORMS}")
    if models and text not in models:
        hint = suggestion(text, sorted(models), "models are")
        raise UsageError(f"--target: unknown model {quoted(text)}{hint}")
    return Target(bundled=text)


def checked_rule(text: str, rules: Collection[str]) -> str:
    """What `--reply` says; raises UsageError."""
    if text in rules:
        return text
    hint = suggestion(text, rules, "it is one of")
    raise UsageError(f"--reply: unknown rule {quoted(text)}{hint}")


def by_name(words: tuple[str, ...], checked: Callable[[str], T]) -> dict[str, T]:
    """`NAME=WORD`s, or a word for the only target; of two for the same one the last wins."""
    found: dict[str, T] = {}
    for word in words:
        match = _NAMED.fullmatch(word)
        name, value = (match[1], match[2]) if match is not None else (ONLY, word)
        found[name] = checked(value)
    return found


def in_force(
    file: Mapping[str, Target], line: Mapping[str, Target], replies: Mapping[str, str]
) -> dict[str, Target]:
    """The file's targets with the command line's words in place of theirs. Raises UsageError."""
    targets = _settled("--target", line, file)
    rules = _settled("--reply", replies, file)
    found = {
        name: overridden(file.get(name), targets.get(name), rules.get(name))
        for name in (file or targets)
    }
    return {name: target for name, target in found.items() if target is not None}


def _settled(option: str, given: Mapping[str, T], file: Mapping[str, Target]) -> Mapping[str, T]:
    """What an option gives, by the names of the file's targets. Raises UsageError."""
    names = list(file) or [ONLY]
    if ONLY in given and len(given) == len(names) == 1:
        return {names[0]: given[ONLY]}
    for name in given:
        if name == ONLY and names != [ONLY]:
            raise UsageError(
                f"{option}: the scenario has several targets; write NAME=... for one or more of"
                f" {', '.join(names)}"
            )
        if name not in names and names == [ONLY]:
            raise UsageError(f"{option}: the scenario has one target; leave '{name}=' out")
        if name not in names:
            hint = suggestion(name, names, "targets are")
            raise UsageError(f"{option}: unknown target {quoted(name)}{hint}")
    return given


def check_rules(
    registry: Registry, targets: Mapping[str, Target], replies: Mapping[str, str]
) -> None:
    """Loads the rules that are plugins'; raises UsageError for a wrong one.

    `replies` are the rules of `--reply`, by the names that it gives them. A rule of the file can be
    wrong here too, where `--target` has put a bundled target, which does not know it, in the place
    of the file's.
    """
    for target in targets.values():
        rule = target.rule
        if rule is None or rule in RULES or rule not in registry.names("rules"):
            continue
        option = "--reply" if rule in replies.values() else "--target"
        if target.bundled is not None:
            raise UsageError(f"{option}: {UNBUNDLED.format(quoted(rule))}")
        try:
            registry.rule(rule)
        except PluginError as error:
            raise UsageError(f"{option}: {error}") from None


def overridden(file: Target | None, line: Target | None, rule: str | None) -> Target | None:
    """The one target in force.

    Another target keeps the file's rule (what the scenario expects does not change with who
    answers), but not the options of a bundled target of another model. The file's `read_size`
    holds at another URL too; a bundled target that takes its place reads as it always does.
    """
    target = line or file
    if target is None:
        return None
    kept = None if file is None else file.rule
    rule = rule or kept or (DEFAULT_RULE if target.bundled else None)
    options = file.options if file is not None and file.bundled == target.bundled else {}
    read_size = None if file is None or target.bundled else file.read_size
    return Target(target.url, target.bundled, rule, options, read_size)


def require(mistakes: Mistakes, path: str) -> None:
    """Says that nobody named a target."""
    mistakes.add(Position(path, 1, 1), f"no target; {TARGET_FORMS} as 'target', or give --target")
