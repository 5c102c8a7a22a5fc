"""What goes through a channel arrives whole and in order, and whoever speaks is never held up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from loadmux.measuring.stats import Stats
from loadmux.running.generators.barriers import Blocked
from loadmux.running.generators.channel import Channel, pair, wait
from loadmux.running.generators.said import Failed, Health, Measured, Update

LARGE = b"x" * 3_000_000


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = pair()
    with ours, theirs:
        yield ours, theirs


def all_of(reader: Channel, writer: Channel) -> list[object]:
    """Everything that the writer has said, and has yet to send."""
    found = list(reader.take())
    while not writer.flush():
        found += reader.take()
    return [*found, *reader.take()]


def update(count: int, phase: int = 0, part: int = 0) -> Update:
    stats = Stats(iterations=count)
    for number in range(400):
        stats.row(f"step {number}").samples.extend([0.001 * count] * count)
    return Update({part: Measured(stats.take(), count, float(count), phase)}, Health(busy=count))


def test_messages_of_all_sizes_arrive_in_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    said = [b"", 1, LARGE, {"a": [None]}, LARGE[:65536], "end"]
    for message in said:
        ours.put(message)
    assert all_of(theirs, ours) == said


def test_who_speaks_to_one_who_does_not_listen_goes_on_and_loses_nothing(
    ends: tuple[Channel, Channel],
) -> None:
    ours, theirs = ends
    for count in range(1, 41):
        ours.put(update(count))
    assert not ours.flush()
    came = [one for one in all_of(theirs, ours) if isinstance(one, Update)]
    whole = Stats()
    for one in came:
        whole.merge(one.parts[0].stats)
    assert len(came) < 20  # what did not fit was joined
    assert whole.iterations == sum(range(1, 41))
    assert {row.histogram.count for row in whole.steps.values()} == {sum(range(1, 41))}
    assert came[-1].parts[0].active == came[-1].health.busy == 40  # the newest state


def jam(channel: Channel) -> None:
    """Say so much that nothing more can be sent."""
    channel.put(LARGE)
    assert not channel.flush()


def test_phases_are_not_mixed_and_parts_are_kept_apart(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    jam(ours)
    for count, phase, part in ((1, 0, 0), (2, 0, 0), (3, 0, 1), (4, 1, 0), (5, 1, 0), (6, 1, 1)):
        ours.put(update(count, phase, part))
    _, *came = all_of(theirs, ours)
    found = [
        {part: (told.phase, told.stats.iterations) for part, told in one.parts.items()}
        for one in came
        if isinstance(one, Update)
    ]
    assert found == [{0: (0, 3), 1: (0, 3)}, {0: (1, 9), 1: (1, 6)}]


def test_the_last_word_on_a_barrier_and_the_last_word_of_all_are_kept(
    ends: tuple[Channel, Channel],
) -> None:
    ours, theirs = ends
    jam(ours)
    for message in (
        Blocked({"a": 1}, 0, 0), Blocked({"b": 2}, 0, 1), update(1), Blocked(None, 0, 0),
        Blocked({"a": 2}, 1, 0), update(2), Failed("out of descriptors", None),
    ):  # fmt: skip
        ours.put(message)
    _, first, second, both, last = all_of(theirs, ours)
    assert (first, second) == (Blocked({"a": 2}, 1, 0), Blocked({"b": 2}, 0, 1))
    assert isinstance(both, Update)
    assert both.parts[0].stats.iterations == 3
    assert last == Failed("out of descriptors", None)


def test_what_was_said_before_the_end_is_heard(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.put("word")
    theirs.put("never read")
    ours.close()
    assert theirs.next() == "word"
    with pytest.raises(EOFError):
        theirs.next()
    assert theirs.gone


def test_words_to_one_who_is_gone_are_dropped(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.close()
    for _ in range(3):
        ours.put(LARGE)
    ours.drain()
    assert ours.flush()


@pytest.mark.parametrize("listens", [True, False], ids=["a late listener", "nobody"])
def test_the_last_word_waits_for_who_is_there_and_for_nobody_else(
    ends: tuple[Channel, Channel], listens: bool
) -> None:
    ours, theirs = ends
    jam(ours)
    ours.put("last")
    draining = threading.Thread(target=ours.drain)
    draining.start()
    heard = []
    if listens:
        while "last" not in heard:
            wait([theirs], 60.0)
            heard += list(theirs.take())
    theirs.close()
    draining.join()
    assert heard == ([LARGE, "last"] if listens else [])


def test_waiting_sends_what_is_left(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.put(LARGE)
    heard: list[object] = []
    while not heard:
        wait([ours], 0.0)
        heard += theirs.take()
    assert heard == [LARGE]


def test_what_is_left_untaken_comes_with_the_next_call(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.put("one")
    ours.put("two")
    assert next(theirs.take()) == "one"
    assert list(theirs.take()) == ["two"]
