"""Rounds, and what is concluded from them, where the truth is known."""

from __future__ import annotations

from collections import Counter

import needs
import pytest
from contests import contest, figures, steady

from loadmux.comparing.contest import Out, Point, in_order
from loadmux.comparing.contest_text import headline, lines
from loadmux.comparing.standings import standings
from loadmux.measuring.exitcodes import ExitCode

COMPARISONS = 20


@pytest.fixture(autouse=True)
def statistics() -> None:
    needs.package("scipy")


def test_the_order_is_drawn_and_the_next_round_has_its_reverse() -> None:
    cells = [(0, 0), (1, 0), (2, 0)]
    rounds = [in_order(cells, number) for number in range(200)]
    assert all(sorted(one) == cells for one in rounds)
    assert all(one == other[::-1] for one, other in zip(rounds[::2], rounds[1::2], strict=True))
    firsts = Counter(one[0] for one in rounds[::2])
    assert min(firsts.values()) > 15


def test_only_what_was_measured_right_after_each_other_is_compared() -> None:
    found = contest({"a": steady(9_000), "b": steady(3_000)}, (Point(1, 1), Point(2, 2)))
    blocks = [set(taken) for _, taken in sorted(found.taken.items())]
    assert blocks[0] == blocks[2]  # of both at the first point
    assert blocks[1] == blocks[3]
    assert not blocks[0] & blocks[1]
    assert found.blocks == 2 * found.rounds


def test_equals_are_a_tie_in_19_of_20_comparisons() -> None:
    ties = 0
    for seed in range(COMPARISONS):
        found = contest({"a": steady(10_000), "b": steady(10_000)}, seed=seed)
        first, second = standings(found, 0)
        assert second.beside is not None
        told = second.beside.differs or (second.cpu is not None and second.cpu.differs)
        ties += first.place == second.place == 1 and not told
    assert ties >= COMPARISONS * 19 / 20


def test_one_that_is_a_tenth_slower_is_told_from_its_twin() -> None:
    for seed in range(10):
        found = contest({"a": steady(9_000), "b": steady(10_000)}, seed=seed)
        first, second = standings(found, 0)
        assert (first.entrant, first.place, second.place) == (1, 1, 2)
        assert second.beside is not None
        assert second.beside.low < 0.9 * 1.02
        assert second.beside.high > 0.9 * 0.98


def test_the_glaring_is_told_after_few_rounds_and_a_tie_takes_more() -> None:
    assert contest({"a": steady(10_000), "b": steady(3_000)}).rounds == 5
    found = contest({"a": steady(10_000, 0.01), "b": steady(10_000, 0.01)})
    assert found.rounds == 10
    assert "no difference from" in "\n".join(lines(found))


def test_a_machine_that_changes_is_no_difference() -> None:
    """Both are slower in every later round: only figures of the same round are compared."""
    pace = iter(range(10**6))

    def slower(rng: object, point: Point) -> object:
        return figures(20_000 / (1 + next(pace) // 2))

    found = contest({"a": slower, "b": slower})  # type: ignore[dict-item]
    assert [row.place for row in standings(found, 0)] == [1, 1]


def test_who_was_wrong_is_not_ranked_and_takes_part_no_more() -> None:
    asked = []

    def wrong(rng: object, point: Point) -> Out:
        asked.append(point)
        return Out("3 errors (3 corrupt)", wrong=True)

    found = contest({"fast": wrong, "a": steady(10_000), "b": steady(5_000)})
    assert len(asked) == 1
    assert [(row.entrant, row.place) for row in standings(found, 0)] == [(1, 1), (2, 2), (0, None)]
    assert found.code is ExitCode.FAIL
    assert "wrong: fast" in headline(found)
    assert "wrong: 3 errors (3 corrupt)" in "\n".join(lines(found))


def test_a_figure_of_the_generator_is_disqualified() -> None:
    found = contest(
        {"a": lambda rng, point: figures(50_000, limited=True), "b": steady(10_000)}, stop_after=20
    )
    assert [(row.entrant, row.place) for row in standings(found, 0)] == [(1, 1), (0, None)]
    assert "the generator was the limit" in "\n".join(lines(found))


def test_a_spent_budget_and_an_interrupt_leave_what_was_measured() -> None:
    equals = {"a": steady(10_000, 0.3), "b": steady(10_000, 0.3)}
    spent = contest(equals, budget=0.0)
    assert spent.spent
    assert spent.taken
    assert "the budget was spent: too short to tell anything, try" in "\n".join(lines(spent))
    stopped = contest(equals, stop_after=9)
    assert stopped.interrupted
    assert stopped.code is ExitCode.INTERRUPTED
    assert stopped.rounds == 4
    assert "too few rounds to tell" in "\n".join(lines(stopped))
