"""When a server dies its death is one fault, and what follows from it is told as that."""

from __future__ import annotations

from collections import Counter

from loadmux.driver.outages import MOMENT, Outages
from loadmux.errors import Evidence, Kind
from loadmux.measuring.consequences import Cause, Consequences

URL, OTHER = "tcp://h:1", "tcp://h:2"
ASK, CONNECT = (Kind.CLOSED, "ask"), (Kind.REFUSED, "connect")


class Watched:
    """Some targets, and what was found of them."""

    def __init__(self) -> None:
        self.found = Consequences()
        self.outages = Outages(self.found)

    def lost(self, at: float, opened: float = 0.5, kind: Kind = Kind.CLOSED) -> Evidence:
        return self._note(Evidence(kind, "", step="ask", at=at, target=URL), opened)

    def refused(self, at: float, target: str = URL, reached: bool = True) -> Evidence:
        found = Evidence(Kind.REFUSED, "", step="connect", at=at, target=target)
        return self._note(found, 0.0, reached)

    def _note(self, evidence: Evidence, opened: float, reached: bool = True) -> Evidence:
        self.outages.note(evidence, opened, reached)
        return evidence

    @property
    def counts(self) -> dict[Cause, Counter[tuple[Kind, str]]]:
        return self.found.counts


def test_a_death_is_its_first_sign_and_the_rest_follows() -> None:
    watched = Watched()
    first = watched.lost(1.0)
    watched.lost(1.001, kind=Kind.RESET)
    watched.refused(1.002)
    watched.lost(1.003)
    watched.refused(1.05)
    assert watched.counts == {
        Cause.of(first): Counter({CONNECT: 2, ASK: 1, (Kind.RESET, "ask"): 1})
    }
    assert not first.follows


def test_a_lost_connection_after_which_others_get_in_stands_for_itself() -> None:
    watched = Watched()
    watched.lost(1.0)
    watched.outages.back(URL, 1.001)
    first = watched.lost(1.002)
    watched.refused(1.003)
    assert watched.counts == {Cause.of(first): Counter({CONNECT: 1})}


def test_a_connect_from_before_the_death_that_ends_after_it_shows_nothing() -> None:
    watched = Watched()
    first = watched.lost(1.0)
    watched.outages.back(URL, 0.999)
    watched.refused(1.1)
    watched.outages.back(URL, 1.05)
    watched.refused(1.2)
    assert watched.counts == {Cause.of(first): Counter({CONNECT: 2})}


def test_lost_connections_alone_are_as_many_faults() -> None:
    watched = Watched()
    assert not any(watched.lost(1.0 + number / 1000).follows for number in range(100))
    assert not watched.counts


def test_what_was_lost_long_before_is_not_its_first_sign() -> None:
    watched = Watched()
    watched.lost(1.0)
    first = watched.lost(1.5 + MOMENT)
    watched.refused(1.6 + MOMENT)
    assert watched.counts == {Cause.of(first): Counter({CONNECT: 1})}


def test_a_refusal_may_be_the_first_sign() -> None:
    watched = Watched()
    first = watched.refused(1.0)
    late = watched.lost(4.0)
    assert watched.counts == {Cause.of(first): Counter({ASK: 1})}
    assert late.follows


def test_a_connection_from_before_that_is_found_lost_after_it_was_over() -> None:
    watched = Watched()
    first = watched.refused(1.0)
    watched.outages.back(URL, 2.0)
    assert watched.lost(3.0, opened=0.5).follows
    assert not watched.lost(3.1, opened=2.5).follows
    assert watched.counts == {Cause.of(first): Counter({ASK: 1})}


def test_each_death_is_one_of_its_own() -> None:
    watched = Watched()
    first = watched.lost(1.0)
    watched.refused(1.1)
    watched.outages.back(URL, 2.0)
    second = watched.lost(5.0, opened=3.0)
    watched.refused(5.1)
    counts = Counter({CONNECT: 1})
    assert watched.counts == {Cause.of(first): counts, Cause.of(second): counts}


def test_each_target_has_its_own() -> None:
    watched = Watched()
    watched.lost(1.0)
    other = watched.refused(1.001, OTHER)
    assert not watched.counts
    watched.refused(1.002, OTHER)
    assert watched.counts == {Cause.of(other): Counter({CONNECT: 1})}


def test_a_target_that_was_never_reached_has_not_died() -> None:
    watched = Watched()
    watched.refused(1.0, reached=False)
    watched.refused(1.1, reached=False)
    assert not watched.counts


def test_no_other_kind_ever_follows() -> None:
    watched = Watched()
    watched.refused(1.0)
    for kind in set(Kind) - {Kind.CLOSED, Kind.RESET, Kind.REFUSED, Kind.UNREACHABLE}:
        evidence = Evidence(kind, "", step="ask", at=1.1, target=URL)
        watched.outages.note(evidence, 0.0, True)
        assert not evidence.follows
    assert not watched.counts
