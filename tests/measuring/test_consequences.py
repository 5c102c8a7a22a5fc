"""What several processes saw of one event is one event, however often they tell of it."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest

from loadmux.errors import Evidence, Kind
from loadmux.measuring.consequences import SAME, Cause, Consequences
from loadmux.measuring.stats import EXAMPLES, Stats

ASK, CONNECT = (Kind.CLOSED, "ask"), (Kind.REFUSED, "connect")


def cause(at: float, target: str = "tcp://h:1") -> Cause:
    return Cause(at, target, *ASK)


def seen(first: Cause, **counts: int) -> Consequences:
    groups = {"ask": ASK, "connect": CONNECT}
    return Consequences({first: Counter({groups[name]: n for name, n in counts.items()})})


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_first_of_all_signs_stays_and_the_others_follow(order: tuple[int, ...]) -> None:
    told = [seen(cause(1.0 + number * SAME / 3), connect=10) for number in range(3)]
    merged = Consequences()
    for number in order:
        merged.merge(told[number])
    for number in order:  # each process goes on telling
        merged.merge(told[number])
    assert merged.counts == {cause(1.0): Counter({CONNECT: 60, ASK: 2})}
    assert merged.from_group(ASK) == (1, Counter({CONNECT: 60, ASK: 2}))
    assert merged.following(ASK) == 2
    assert list(merged.causes_of(CONNECT)) == [cause(1.0)]


def test_other_times_and_other_targets_are_other_events() -> None:
    merged = Consequences()
    for one in (cause(1.0), cause(1.1 + SAME), cause(1.0, "tcp://h:2")):
        merged.merge(seen(one, connect=1))
    assert len(merged.counts) == 3
    assert merged.from_group(ASK) == (3, Counter({CONNECT: 3}))


def test_labels_stand_before_every_step() -> None:
    found = seen(cause(1.0), ask=1, connect=2).labelled("one")
    assert found.counts == {
        Cause(1.0, "tcp://h:1", Kind.CLOSED, "one: ask"): Counter(
            {(Kind.CLOSED, "one: ask"): 1, (Kind.REFUSED, "one: connect"): 2}
        )
    }


def at(seconds: float, kind: Kind = Kind.CLOSED, follows: bool = False) -> Evidence:
    return Evidence(kind, f"at {seconds}", step="ask", at=seconds, follows=follows)


def test_faults_stand_in_the_order_in_which_they_began() -> None:
    """Whichever process tells first, and whatever their counts are."""
    one, other = Stats(), Stats()
    for number in range(9):
        one.record_fault(at(3.0 + number, Kind.CORRUPT))
    one.record_fault(at(2.0, Kind.RESET))
    other.record_fault(at(1.0, Kind.CLOSED))
    other.record_fault(at(2.5, Kind.CORRUPT))
    for parts in permutations([one, other]):
        merged = Stats()
        for part in parts:
            merged.merge(part)
        assert [(group.kind, group.first) for group in merged.faults_in_order] == [
            (Kind.CLOSED, 1.0),
            (Kind.RESET, 2.0),
            (Kind.CORRUPT, 2.5),
        ]
        corrupt = merged.faults[Kind.CORRUPT, "ask"]
        assert [one.at for one in corrupt.examples] == [2.5, 3.0, 4.0]


def test_what_only_follows_gives_way_to_what_does_not() -> None:
    stats = Stats()
    for number in range(EXAMPLES + 2):
        stats.record_fault(at(1.0 + number, follows=True))
    stats.record_fault(at(9.0))
    (group,) = stats.faults_in_order
    assert [(one.at, one.follows) for one in group.examples] == [
        (9.0, False),
        (1.0, True),
        (2.0, True),
    ]
    assert (group.count, group.first) == (EXAMPLES + 3, 1.0)


def test_they_are_handed_over_once() -> None:
    stats = Stats()
    stats.consequences.add(cause(1.0), at(1.1))
    (taken,) = stats.portions(10)
    again = stats.take()
    assert taken.consequences.counts == {cause(1.0): Counter({ASK: 1})}
    assert not again.consequences.counts
    stats.consequences.add(cause(1.0), at(1.2))
    taken.merge(stats.take())
    assert taken.consequences.counts == {cause(1.0): Counter({ASK: 2})}
