"""The rules by which targets reply: which one holds on a socket, and how its target reads."""

from __future__ import annotations

from collections.abc import Sequence

from loadmux.checking import chunks, datagrams, rules
from loadmux.driver.endpoint import Endpoint
from loadmux.language.meaning.expected import ByRule
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target


class Rules:
    """The rules of a scenario's sockets. `plugin_rules` are those of plugins, by their names.

    A socket is *met* by a rule when a step checks by it what is sent there.
    """

    def __init__(self, scenario: Scenario, endpoints: Sequence[Endpoint]) -> None:
        self._scenario = scenario
        self._datagrams = [one.datagrams for one in endpoints]
        self.plugin_rules = dict(scenario.rules)
        self._met: dict[int, rules.Rule] = {}

    def name_of(self, socket: int) -> str | None:
        """The name of the rule of a socket's target."""
        return self._scenario.servers[self._scenario.sockets[socket].to].rule

    def of(self, reply: ByRule, index: int) -> rules.Rule:
        """The rule by which a socket is replied to."""
        target = self._scenario.servers[self._scenario.sockets[index].to]
        name = reply.rule or target.rule
        assert name is not None, "the loader refuses `reply` where no rule is known"
        known = self.plugin_rules.get(name)
        rule = rules.rule(name, reads(target)) if known is None else known
        return datagrams.rule(rule) if self._datagrams[index] else rule

    def meet(self, reply: ByRule, index: int) -> None:
        """Some step checks by this what is sent on a socket; the first of them is in force."""
        self._met.setdefault(index, self.of(reply, index))

    def of_sockets(self, sockets: tuple[int, ...]) -> dict[str, rules.Rule]:
        """The reply rules by which some step checks these sockets, by their names."""
        names = self._scenario.sockets
        return {names[i].name: self._met[i] for i in sockets if i in self._met}


def reads(target: Target) -> chunks.Reads:
    """How a target reads, as far as it is known: a bundled one reads all, unless told."""
    size = target.reads_at_most
    if size is not None:
        return chunks.Reads.at_most(size)
    return chunks.UNKNOWN if target.bundled is None else chunks.ORDINARY
