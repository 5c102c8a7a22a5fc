"""Checks that cannot see everything: what the report has to say of them. Pure.

Rules that count replies are `weak` (see `checking.rules`): where messages are pipelined a lost
reply goes unseen. Where nobody says how much the server reads at a time, a reply too many does as
well, for some cutting of the message explains up to one a byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadmux.checking import rules
from loadmux.language.meaning.expected import ByRule
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Target
from loadmux.language.meaning.stepvalues import Call, Exchange


def weak_rule_notes(scenario: Scenario) -> Iterator[str]:
    """A remark for each rule in use that only counts."""
    for name, unknown in sorted(weak_rules(scenario).items()):
        yield (
            f"rule {name!r} only counts replies: where messages are sent without waiting for the"
            " reply, or in pieces, a lost reply cannot be seen"
        )
        if unknown:
            yield (
                f"rule {name!r}: nothing says how much the server reads at a time, so n bytes may"
                f" have 1 to n replies, and one too many cannot be seen; if you know it, write"
                f" reply: {{rule: {name}, read_size: SIZE}} in the target"
            )


def weak_rules(scenario: Scenario) -> dict[str, bool]:
    """The rules in use that only count, and whether a server's `read_size` is not known.

    With datagrams each one's reply is known.
    """
    found: dict[str, bool] = {}
    for name, server in used(scenario):
        known = scenario.rules.get(name) or rules.rule(name)
        if known.weak and server.scheme != "udp":
            untold = name in rules.WORDS and not server.bundled and server.reads_at_most is None
            found[name] = found.get(name, False) or untold
    return found


def used(scenario: Scenario) -> Iterator[tuple[str, Target]]:
    """Each rule by which some step checks a reply, with its server."""
    for step in scenario.every_step:
        if isinstance(step, Call):
            yield from ((one.rule, one) for one in scenario.servers.values() if one.rule)
        elif isinstance(step, Exchange) and step.expect is not None:
            reply = step.expect.reply
            if isinstance(reply, ByRule):
                for name in {scenario.sockets[place].to for place in step.sockets}:
                    server = scenario.servers[name]
                    if rule := reply.rule or server.rule:
                        yield rule, server
