"""Who waits for whom at a barrier, over processes: the decision alone, without any of them."""

from __future__ import annotations

from loadmux.running.generators.barriers import Blocked, Coordinator


def told(*words: tuple[int, dict[str, int] | None]) -> Coordinator:
    coordinator = Coordinator()
    for worker, waits in words:
        coordinator.hear(worker, Blocked(waits, coordinator.opened))
    return coordinator


def test_it_opens_when_all_processes_stand_still() -> None:
    coordinator = told((0, {"a": 3}))
    assert coordinator.decide([0, 1]) is None
    coordinator.hear(1, Blocked({"a": 2}, 0))
    assert coordinator.decide([0, 1]) == "a"


def test_it_opens_once() -> None:
    coordinator = told((0, {"a": 3}), (1, {"a": 2}))
    coordinator.decide([0, 1])
    assert coordinator.decide([0, 1]) is None


def test_a_process_that_moves_again_is_waited_for() -> None:
    assert told((0, {"a": 3}), (1, {"a": 2}), (0, None)).decide([0, 1]) is None


def test_a_process_without_running_users_is_not_waited_for() -> None:
    assert told((0, {"a": 3}), (1, {})).decide([0, 1]) == "a"
    assert told((0, {}), (1, {})).decide([0, 1]) is None


def test_a_process_that_is_gone_is_not_waited_for() -> None:
    assert told((0, {"a": 3})).decide([0]) == "a"
    assert told((0, {"a": 3})).decide([]) is None


def test_word_from_before_an_opening_is_no_word_about_the_next() -> None:
    coordinator = told((0, {"a": 3}), (1, {"a": 2}))
    coordinator.decide([0, 1])
    coordinator.hear(0, Blocked({"a": 3}, 0))
    coordinator.hear(1, Blocked({"a": 2}, 1))
    assert coordinator.decide([0, 1]) is None
    coordinator.hear(0, Blocked({"a": 3}, 1))
    assert coordinator.decide([0, 1]) == "a"


def test_those_behind_catch_up() -> None:
    coordinator = told((0, {"first": 1, "second": 1}), (1, {"second": 2}))
    assert coordinator.decide([0, 1]) == "first"


def test_a_process_without_users_need_not_hear_of_an_opening() -> None:
    coordinator = told((0, {"a": 3}), (1, {}))
    assert coordinator.decide([0, 1]) == "a"
    coordinator.hear(0, Blocked({"b": 3}, 1))
    assert coordinator.decide([0, 1]) == "b"
    coordinator.hear(1, Blocked(None, 0))
    coordinator.hear(0, Blocked({"a": 3}, 2))
    assert coordinator.decide([0, 1]) is None
