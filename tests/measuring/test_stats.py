"""Statistics: what is counted where, and that merging and taking lose and invent nothing."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st
from samples import fault, filled, measured, wrong_byte

from loadmux.errors import Kind
from loadmux.measuring.histogram import Histogram
from loadmux.measuring.stats import EXAMPLES, Stats


def test_attempts_are_the_right_ones_and_the_wrong_ones() -> None:
    stats = fault("ask", times=2, stats=measured({"ask": [0.1, 0.2, 0.3]}))
    stats.row("ask").pass_untimed()
    assert (stats.row("ask").right, stats.row("ask").count) == (4, 6)


def test_faults_are_grouped_and_only_the_first_are_kept_whole() -> None:
    stats = fault("ask", Kind.TIMEOUT, EXAMPLES + 2, fault("connect", Kind.REFUSED))
    assert {key: group.count for key, group in stats.faults.items()} == {
        (Kind.REFUSED, "connect"): 1,
        (Kind.TIMEOUT, "ask"): EXAMPLES + 2,
    }
    assert len(stats.faults[Kind.TIMEOUT, "ask"].examples) == EXAMPLES
    assert (stats.errors, stats.connects.errors, stats.row("ask").errors) == (6, 1, 5)


def worked(errors: int) -> Stats:
    stats = fault("ask", times=errors, stats=measured({"ask": [0.1], "tell": [0.2]}, [0.001]))
    stats.row("ask").pass_untimed()
    stats.iterations, stats.interrupted, stats.dropped = 1, 2, 3
    stats.started, stats.served, stats.slow_connects = 4, 5, 6
    return stats


def told(stats: Stats) -> dict[str, object]:
    """All that can be compared of statistics."""
    return {
        "rows": [
            (row.name, row.kind, row.right, row.errors, row.histogram)
            for row in (*stats.steps.values(), stats.connects)
        ],
        "faults": [(group.kind, group.step, group.count) for group in stats.faults.values()],
        "examples": [len(group.examples) for group in stats.faults.values()],
        "counts": (stats.iterations, stats.interrupted, stats.dropped),
        "schedule": (stats.begun, stats.waited, stats.overrun, stats.starts.histogram),
        "users": (stats.started, stats.served, stats.slow_connects),
    }


def test_merging_adds_every_field() -> None:
    stats = worked(errors=2)
    stats.merge(worked(errors=4))
    assert (stats.row("ask").right, stats.row("ask").errors, stats.row("tell").right) == (4, 6, 2)
    assert (stats.connects.right, stats.errors, stats.total.count) == (2, 6, 12)
    assert (stats.iterations, stats.interrupted, stats.dropped) == (2, 4, 6)
    assert (stats.started, stats.served, stats.slow_connects) == (8, 10, 12)
    assert told(stats)["examples"] == [EXAMPLES]


def test_merging_into_nothing_gives_the_same_in_the_same_order() -> None:
    empty = Stats()
    empty.merge(worked(errors=1))
    assert told(empty) == told(worked(errors=1))


def test_what_was_taken_adds_up_and_crosses_to_another_process() -> None:
    """A worker tells what it measured since it last told; the sum is as if it had told once."""
    stats, total = worked(errors=1), Stats()
    record = stats.row("ask").samples.append
    total.merge(pickle.loads(pickle.dumps(stats.take())))
    record(0.4)
    stats.record_fault(wrong_byte())
    total.merge(pickle.loads(pickle.dumps(stats.take())))

    whole = worked(errors=1)
    whole.row("ask").samples.append(0.4)
    whole.record_fault(wrong_byte())
    whole.fold()
    assert told(total) == told(whole)
    assert stats.take().errors == 0
    assert told(stats)["rows"] == [
        ("ask", "exchange", 0, 0, Histogram()),
        ("tell", "exchange", 0, 0, Histogram()),
        ("connect", "connect", 0, 0, Histogram()),
    ]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=7), st.integers(1, 8))
def test_portions_are_the_whole(rows: list[tuple[int, int]], at_once: int) -> None:
    stats, whole = Stats(iterations=3), Stats(iterations=3)
    for each in (stats, whole):
        for number, (right, wrong) in enumerate(rows):
            each.row(f"step {number}").samples.extend([0.1] * right)
            fault(f"step {number}", times=wrong, stats=each) if wrong else None
    total = Stats()
    for number in range(len(rows)):
        total.row(f"step {number}")
    for portion in stats.portions(at_once):
        assert len(portion.steps) <= at_once
        assert not any(row.idle for row in portion.steps.values())
        total.merge(portion)
        stats.row("step 0").samples.append(0.5)  # the run goes on meanwhile
        whole.row("step 0").samples.append(0.5)
    total.merge(stats.take())
    whole.fold()
    assert told(total) == told(whole)


def test_what_is_left_of_portions_stays() -> None:
    stats, total = worked(errors=1), Stats()
    for portion in stats.portions(1):
        total.merge(portion)
        break
    total.merge(stats.take())
    whole = worked(errors=1)
    whole.fold()
    assert told(total) == told(whole)


def test_the_total_is_of_exchanges_or_of_sends_where_there_are_none() -> None:
    stats = measured({"ask": [0.1], "push": [0.2, 0.3]}, connects=[0.5])
    stats.row("push").kind = "send"
    assert (stats.total.count, stats.total.kind) == (1, "exchange")
    del stats.steps["ask"]
    assert (stats.total.count, stats.total.kind) == (2, "send")


def scheduled() -> Stats:
    """One exchange on time, one whose iteration began 2 s late, and one step without a schedule."""
    stats = measured({"ask": [], "tell": [0.5]})
    ask = stats.row("ask")
    ask.service = Histogram()
    ask.samples.append(0.25)
    ask.record_delayed(2.0, 0.5)
    stats.starts.samples.append(0.001)
    stats.begun, stats.waited, stats.overrun = 2, 1, 4
    return stats


def test_response_and_service_times_are_kept_apart() -> None:
    stats = scheduled()
    stats.fold()
    ask = stats.row("ask")
    assert ask.count == 2
    assert ask.histogram == filled([0.25, 2.5])
    assert ask.service == filled([0.25, 0.5])
    assert stats.row("tell").service is None
    assert stats.total.histogram == filled([0.25, 2.5, 0.5])
    assert stats.total.service == filled([0.25, 0.5, 0.5])
    assert (ask.samples, ask.delayed) == ([], [])


def test_both_latencies_are_taken_and_merged() -> None:
    stats, total = scheduled(), Stats()
    total.merge(pickle.loads(pickle.dumps(stats.take())))
    assert stats.take().row("ask").service == Histogram()
    total.merge(scheduled().take())
    ask = total.row("ask")
    assert ask.service == filled([0.25, 0.5] * 2)
    assert ask.histogram == filled([0.25, 2.5] * 2)
    assert (total.begun, total.waited, total.overrun) == (4, 2, 8)
    assert total.starts.histogram == filled([0.001] * 2)


def test_labels_keep_the_rows_of_scenarios_apart() -> None:
    first = fault("talk", Kind.CORRUPT, 2, measured({"talk": [0.1, 0.2]}, connects=[0.01]))
    second = fault("connect", Kind.REFUSED, stats=measured({"talk": [0.3]}))
    first.iterations, second.iterations = 2, 1
    merged = Stats()
    merged.merge(first.labelled("a"))
    merged.merge(second.labelled("b"))
    assert {name: row.count for name, row in merged.steps.items()} == {"a: talk": 4, "b: talk": 1}
    assert [row.name for row in merged.steps.values()] == ["a: talk", "b: talk"]
    assert {key: group.count for key, group in merged.faults.items()} == {
        (Kind.CORRUPT, "a: talk"): 2,
        (Kind.REFUSED, "b: connect"): 1,
    }
    examples = [one.step for group in merged.faults.values() for one in group.examples]
    assert examples == ["a: talk", "a: talk", "b: connect"]
    assert (merged.iterations, merged.connects.count, merged.errors) == (3, 2, 3)
    assert list(first.steps) == ["talk"], "the scenario's own rows keep their names"
    assert first.labelled("") is first


def test_a_latency_that_a_standstill_spoilt_is_counted_and_left_out() -> None:
    nan = float("nan")
    stats = Stats()
    row = stats.row("ask")
    row.samples.extend([0.25, nan, 0.5, nan])
    stats.connects.samples.append(nan)
    taken = Stats()
    taken.merge(stats.take())
    assert taken.steps["ask"].right == 4
    assert taken.steps["ask"].histogram.count == 2
    assert taken.steps["ask"].histogram.total == 0.75
    assert taken.steps["ask"].spoilt == 2
    assert taken.connects.right == 1
    assert taken.connects.histogram.count == 0
    assert taken.spoilt == 3
    assert stats.spoilt == 0
