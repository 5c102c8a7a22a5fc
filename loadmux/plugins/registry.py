"""Finds plugins by name among the entry points of what is installed, and makes sure of them.

Only metadata is read until a name is asked for; then that one plugin is imported and validated
against the contract of its kind (`plugins`). Everything that can be wrong with it (it cannot be
imported, an extra is missing, it is of the wrong type, two distributions claim the name, the name
is built in) is one `PluginError` line with its name, distribution and entry point. Our own
protocols come this way too. A `Registry` remembers what it has loaded; there is no other state.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from loadmux.checking.framing import Framing
from loadmux.checking.rules import RULES, Rule
from loadmux.checking.verifying import RuleVerifier
from loadmux.errors import LoadmuxError
from loadmux.plugins.contracts import GROUPS, Framer, Group, Plugin, Step, told

if TYPE_CHECKING:
    from importlib import metadata

OURS = "loadmux"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
BUILT_IN: dict[Group, frozenset[str]] = {
    "framers": frozenset(
        (
            *("line", "delimiter", "length_prefix", "fixed", "until_close", "max"),
            *("text", "hex", "base64", "file", "random", "repeat", "times", "join", "frame"),
            *("regex", "rule", "reply", "length", "until", "closed", "reset", "silence", "body"),
            *("int", "varint", "sized", "checked", "pick", "weights", "of"),
            *("bytes", "order", "adjust", "digits", "check"),
            *("header", "start", "end", "lines_until", "sse"),
            *("any", "starts_with", "contains", "not", "one_of", "any_order", "skip", "save"),
        )
    ),
    "steps": frozenset(
        (
            *("send", "expect", "connect", "half_close", "close", "reset", "stop_reading"),
            *("resume_reading", "wait", "repeat", "for", "set", "together", "barrier", "call"),
            *("include", "transaction", "pending", "background", "start_tls", "until", "at_most"),
            *("name", "on", "within", "pieces", "gap", "save", "do", "weight", "oneway"),
            *("cork", "uncork"),
        )
    ),
    "rules": frozenset(RULES),
    "reporters": frozenset(
        ("terminal", "json", "junit", "html", "markdown", "github", "csv", "ndjson", "hgrm")
    ),
}
"""Names that the language has, or that it reserves."""


class PluginError(LoadmuxError):
    """A plugin cannot be used; `str()` is one line that names it."""


class Registry:
    """The plugins that are installed; `used` are those that were loaded."""

    def __init__(self) -> None:
        self.used: dict[tuple[Group, str], Plugin] = {}
        self._all: Any = None
        self._found: dict[Group, dict[str, list[metadata.EntryPoint]]] = {}
        self._loaded: dict[tuple[Group, str], Any] = {}

    def names(self, group: Group) -> Collection[str]:
        """The names of the plugins of a kind; nothing is imported."""
        if group not in self._found:
            if self._all is None:
                from importlib import metadata  # 30 ms of CPU, for those who name a plugin

                self._all = metadata.entry_points()
            found: dict[str, list[metadata.EntryPoint]] = {}
            for entry in self._all.select(group=f"loadmux.{group}"):
                found.setdefault(entry.name, []).append(entry)
            self._found[group] = dict(sorted(found.items()))
        return self._found[group].keys()

    def plugin(self, group: Group, name: str) -> Plugin:
        """Who has this name. Raises PluginError where that is not one plugin."""
        self.names(group)
        entries = self._found[group][name]
        known = [identified(group, entry) for entry in entries]
        if len(known) > 1:
            claims = " and ".join(f"{p.distribution} {p.version} ({p.entry})" for p in known)
            text = f"the {GROUPS[group]} {name!r} is claimed by {claims}; uninstall one of them"
            raise PluginError(text)
        (plugin,) = known
        self._check_distribution(plugin)
        if NAME.fullmatch(name) is None:
            text = "a name has letters, digits, '_' and '-', a letter first"
            raise PluginError(f"plugin {plugin} at {plugin.entry!r}: {text}")
        return plugin

    def _check_distribution(self, plugin: Plugin) -> None:
        """None of what the plugin's distribution brings may take a name of the language.

        Such a one would never be found, so it is told when anything else of its is used.
        """
        for group in GROUPS:
            for name in self.names(group):
                if name not in BUILT_IN[group]:
                    continue
                for entry in self._found[group][name]:
                    taken = identified(group, entry)
                    if taken.distribution == plugin.distribution:
                        text = f"{name!r} is a name of the language; it must choose another"
                        raise PluginError(f"plugin {taken} at {taken.entry!r}: {text}")

    def framer(self, name: str) -> Framer:
        """The framer of this name, which `names` has. Raises PluginError."""
        found = self.load("framers", name)
        assert isinstance(found, Framer)
        return found

    def step(self, name: str) -> Step:
        """The step of this name. Raises PluginError."""
        found = self.load("steps", name)
        assert isinstance(found, Step)
        return found

    def rule(self, name: str) -> Rule:
        """The rule of this name. Raises PluginError."""
        found = self.load("rules", name)
        assert isinstance(found, Rule)
        return found

    def rules(self) -> dict[str, Rule]:
        """The rules that were loaded, by name."""
        return {name: self.rule(name) for group, name in self.used if group == "rules"}

    def reporter(self, name: str) -> Any:
        """The reporter of this name: called with a Report, returns str or bytes.

        Raises PluginError.
        """
        return self.load("reporters", name)

    def load(self, group: Group, name: str) -> Any:
        """The object of a plugin that `names` has. Raises PluginError."""
        if (group, name) not in self._loaded:
            plugin = self.plugin(group, name)
            found = imported(plugin, self._found[group][name][0])
            reason = unfit(group, name, found)
            if reason:
                raise PluginError(f"plugin {plugin} at {plugin.entry!r}: {reason}")
            self._loaded[group, name] = found
            self.used[group, name] = plugin
        return self._loaded[group, name]


class RuleNames(Collection[str]):
    """The built-in rules and those of plugins; these are looked for when the former do not do."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __contains__(self, name: object) -> bool:
        return name in RULES or name in self._registry.names("rules")

    def __iter__(self) -> Iterator[str]:
        return iter((*RULES, *(n for n in self._registry.names("rules") if n not in RULES)))

    def __len__(self) -> int:
        return len(list(iter(self)))


def identified(group: Group, entry: metadata.EntryPoint) -> Plugin:
    distribution = entry.dist
    name = "unknown" if distribution is None else distribution.name
    version = "" if distribution is None else distribution.version
    return Plugin(group, entry.name, name, version, entry.value)


def imported(plugin: Plugin, entry: metadata.EntryPoint) -> Any:
    """The object that an entry point names. Raises PluginError."""
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        extra = extra_for(entry, error.name or "")
        if extra is None:
            raise PluginError(f"{told(plugin, error)}; entry point {plugin.entry!r}") from None
        what = f"{plugin.distribution}[{extra}]"
        text = f"{plugin.name!r} needs {error.name}, which is not installed: pip install '{what}'"
        raise PluginError(text) from None
    except Exception as error:
        raise PluginError(f"{told(plugin, error)}; entry point {plugin.entry!r}") from None


def extra_for(entry: metadata.EntryPoint, module: str) -> str | None:
    """The extra of the plugin's distribution that brings a module that cannot be imported."""
    wanted = re.sub(r"[-_.]+", "-", module.partition(".")[0]).lower()
    requires = (entry.dist.requires if entry.dist is not None else None) or []
    found = []
    for requirement in requires:
        match = re.match(r"\s*([A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['\"]([^'\"]+)", requirement)
        if match and re.sub(r"[-_.]+", "-", match[1]).lower() == wanted:
            found.append(match[2])
    return entry.name if entry.name in found else next(iter(found), None)


# --- what a plugin must be ----------------------------------------------------------------------


def unfit(group: Group, name: str, found: object) -> str:
    """Why an object is no plugin of its kind, with the remedy; empty if it is one."""
    if group == "framers":
        return _unfit_framer(found)
    if group == "steps":
        if isinstance(found, Step):
            return _uncallable(found, "read", 1)
        return _no_instance(found, Step, "loadmux.plugins.Step")
    if group == "rules":
        return _unfit_rule(name, found)
    if not callable(found) or inspect.isclass(found):
        return f"it is {_kind(found)}; a reporter is a function of the report"
    return _unfit_signature(found, "the reporter", 1)


def _unfit_framer(found: object) -> str:
    if not isinstance(found, Framer):
        return _no_instance(found, Framer, "loadmux.plugins.Framer")
    framing = getattr(found, "framing", None)
    if not (inspect.isclass(framing) and issubclass(framing, Framing)):
        return "its 'framing' must be the class of its framings, a loadmux.checking.framing.Framing"
    if framing.canonical and not framing.symmetric:
        return "its framing is 'canonical' and so must be 'symmetric' too"
    for method, count in (("read_framing", 2), ("read_payload", 1), ("read_reply", 1)):
        if reason := _uncallable(found, method, count):
            return reason
    return ""


def _unfit_rule(name: str, found: object) -> str:
    if not isinstance(found, Rule):
        return _no_instance(found, Rule, "loadmux.checking.rules.Rule")
    if found.name != name:
        return f"the rule calls itself {found.name!r}; both names must be the same"
    for what in ("likely", "verifier"):
        if not callable(getattr(found, what)):
            return f"its {what!r} must be a function"
    try:
        made: object = found.verifier()
    except Exception as error:
        return f"its 'verifier' raised {type(error).__name__}: {error}"
    if not isinstance(made, RuleVerifier):
        wanted = "loadmux.checking.verifying.RuleVerifier"
        return f"its 'verifier' made {_kind(made)[8:]}, not a {wanted}"
    import pickle

    try:
        pickle.dumps(found)
    except Exception as error:
        text = "it cannot travel to the generator processes"
        return f"{text} ({error}); use functions of a module, no lambdas"
    return ""


def _no_instance(found: object, kind: type, path: str) -> str:
    remedy = f"name an instance of {path}"
    if inspect.isclass(found) and issubclass(found, kind):
        return f"it is a class; {remedy}, not the class"
    return f"it is {_kind(found)}; {remedy}"


def _kind(found: object) -> str:
    return "a class" if inspect.isclass(found) else f"of type {type(found).__name__!r}"


def _uncallable(found: object, method: str, count: int) -> str:
    bound = getattr(found, method, None)
    if not callable(bound):
        return f"its {method!r} must be a method"
    return _unfit_signature(bound, f"its {method!r}", count)


def _unfit_signature(function: Any, what: str, count: int) -> str:
    if inspect.iscoroutinefunction(function):
        return f"{what} must not be 'async'"
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        arguments = "one argument" if count == 1 else f"{count} arguments"
        return f"{what} must take {arguments}"
    except ValueError:
        return ""
    return ""
