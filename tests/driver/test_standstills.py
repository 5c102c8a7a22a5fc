"""How standstills are told: together where all workers had them, each cause in one line."""

from __future__ import annotations

from loadmux.driver.standstill import KEPT, STILL, Standstill, Standstills, Suspensions, asleep
from loadmux.report.model import WorkerReport
from loadmux.report.standstills import stood, told


def workers(*found: list[Standstill]) -> list[WorkerReport]:
    return [
        WorkerReport(
            number,
            10,
            stood_still=len(each),
            stood=sum(one.seconds for one in each),
            standstills=tuple(each),
        )
        for number, each in enumerate(found)
    ]


def test_nothing_is_told_of_who_never_stood_still() -> None:
    assert told(workers([], [])) == ()
    assert stood(workers([], [])) is None


def test_a_stopped_process_has_all_its_workers_stopped() -> None:
    found = workers([Standstill(3.3, 1.99)], [Standstill(3.31, 2.01)])
    assert told(found) == ("the generator stood still for 2.0 s at 3.3 s",)
    shown = stood(found)
    assert shown is not None
    assert (shown.text, shown.seconds, shown.count) == (told(found)[0], 2.01, 1)


def test_one_worker_may_stand_still_alone() -> None:
    found = workers([], [Standstill(3.3, 0.25)])
    assert told(found) == ("worker 1 stood still for 0.25 s at 3.3 s",)


def test_many_stops_take_one_line() -> None:
    found = workers([Standstill(float(at), 0.5 + at) for at in range(5)])
    assert told(found) == (
        "the generator stood still 5 times, for 12.5 s in all; the longest time for 4.5 s at 4.0 s",
    )


def test_a_step_that_held_the_loop_is_named_with_its_user() -> None:
    found = workers(
        [
            Standstill(1.2, 0.6, True, "x", 3),
            *(Standstill(float(at), 0.2, True, "call #1", at, "chat.py:12") for at in range(8)),
        ]
    )
    first, second = told(found)
    assert first == (
        "step 'call #1' (chat.py:12) held the loop 8 times, for 1.6 s in all;"
        " the longest time of user 0 for 0.20 s at 0.0 s"
    )
    assert second == "step 'x' of user 3 held the loop for 0.60 s at 1.2 s"


def test_what_nobody_is_known_to_have_held_is_the_generators_own() -> None:
    (line,) = told(workers([Standstill(1.2, 0.6, True)]))
    assert line == "the generator itself held the loop for 0.60 s at 1.2 s"


def test_only_so_many_are_kept_and_all_are_counted() -> None:
    kept = Standstills()
    for number in range(KEPT + 20):
        kept.add(Standstill(float(number), 0.5))
    taken = kept.take()
    assert (len(taken), kept.count, kept.seconds) == (KEPT, KEPT + 20, (KEPT + 20) * 0.5)
    assert kept.take() == ()
    [report] = workers(list(taken))
    more = WorkerReport(0, 10, stood_still=kept.count, stood=60.0, standstills=report.standstills)
    assert told([more])[-1] == "and 20 more times, which are not listed"


def test_a_suspended_machine_is_noticed_once_each_time() -> None:
    slept = iter([100.0, 100.0, 100.05, 130.0, 130.0, 130.2])
    suspensions = Suspensions(lambda: next(slept))
    found = [suspensions.take() for _ in range(5)]
    assert [round(seconds, 3) for seconds in found] == [0.0, 0.0, 30.0, 0.0, 0.2]


def test_this_machine_was_not_suspended_just_now() -> None:
    assert Suspensions().take() == 0.0
    assert asleep() > -STILL
