"""Which sends are answered by which expects, as the file says it; and the rows that both have."""

from __future__ import annotations

import pytest
from driving import scenario_for

from loadmux.language.meaning.stepvalues import For, Repeat
from loadmux.measuring.stats import Stats
from loadmux.running.steps.answering import kinds, left_open

URL = "tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ("[{name: a, expect: x}]", "receive"),
        ("[{send: x}, {name: a, expect: x}]", "exchange"),
        ("[{send: x}, {name: a, expect: x}, {name: b, expect: y}]", "exchange receive"),
        ("[{send: x}, {send: y}, {name: a, expect: x}, {name: b, expect: y}]", "exchange exchange"),
        ("[{send: x}, {send: y}, {name: a, expect: reply}, {name: b, expect: y}]",
         "exchange receive"),
        ("[{send: x, expect: x}, {name: a, expect: y}]", "receive"),
        ("[{send: x}, {send: y, expect: x}, {name: a, expect: y}]", "exchange"),
        ("[{send: x}, {send: y, expect: reply}, {name: a, expect: y}]", "receive"),
        ("[{send: x}, {close: main}, {name: a, expect: y}]", "receive"),
        ("[{send: x}, {reset: main}, {name: a, expect: y}]", "receive"),
        ("[{send: x}, {half_close: main}, {name: a, expect: closed}]", "exchange"),
        ("[{send: x}, {name: a, expect: {silence: 1ms}}, {name: b, expect: x}]",
         "receive exchange"),
        ("[{repeat: 2, do: [{send: x}]}, {repeat: 2, do: [{name: a, expect: x}]}]", "exchange"),
        ("[{for: {v: [p, q]}, do: [{name: a, expect: x}, {send: x}]}]", "receive"),
        ("[{repeat: 2, do: [{send: x}]}, {name: a, expect: x}, {name: b, expect: x}]",
         "exchange exchange"),
        ("[{for: {v: [p, q]}, do: [{repeat: 2, do: [{send: x}]}]},"
         " {repeat: 4, do: [{name: a, expect: x}]}, {name: b, expect: x}]", "exchange receive"),
        ("[{together: [[{send: x}], [{name: a, expect: x}, {name: b, expect: y}]]}]",
         "exchange exchange"),
    ],
)  # fmt: skip
def test_the_kinds_of_a_file(steps: str, found: str) -> None:
    scenario = scenario_for(f"steps: {steps}\n", URL, "echo")
    assert kinds(scenario) == dict(zip("ab", found.split(), strict=False))


def test_sends_of_before_and_of_other_sockets_and_branches() -> None:
    text = """
    sockets: [one, two]
    before: [{on: one, send: x}]
    steps:
      - {name: both, on: all, expect: x}
      - {name: again, on: all, expect: x}
      - together:
        - [{name: heard, on: one, expect: x}]
        - [{on: two, send: x}, {name: told, on: two, expect: x}]
    """
    assert kinds(scenario_for(text, URL)) == {
        "both": "exchange",
        "again": "receive",
        "heard": "receive",
        "told": "exchange",
    }


def test_a_step_of_both_kinds_has_two_rows_whoever_met_which_first() -> None:
    early, late = Stats(), Stats()
    early.row_of("push", "exchange").samples.append(1.0)
    early.row_of("push", "receive").samples.append(2.0)
    late.row_of("push", "receive").samples.append(3.0)
    late.row_of("push", "exchange").samples.append(4.0)
    whole = Stats()
    for one in (early, late, early, late):
        whole.merge(one.take())
    assert {name: (row.kind, row.right) for name, row in whole.steps.items()} == {
        "push": ("exchange", 2),
        "push (receive)": ("receive", 2),
    }
    assert [row.kind for row in whole.rows_of("push")] == ["exchange", "receive"]
    assert whole.total.right == 2
    labelled = whole.labelled("x")
    assert [row.name for row in labelled.rows_of("x: push")] == ["x: push", "x: push (receive)"]


def test_a_run_without_exchanges_is_measured_by_sends_or_receives() -> None:
    stats = Stats()
    stats.row_of("push", "receive").pass_untimed()
    assert (stats.total.kind, stats.total.right) == ("receive", 1)
    stats.row_of("pour", "send").samples.append(1.0)
    assert (stats.total.kind, stats.total.count) == ("send", 0)
    stats.row_of("ask", "exchange")
    assert (stats.total.kind, stats.total.count) == ("exchange", 0)


@pytest.mark.parametrize(
    ("steps", "sockets", "loops"),
    [
        ("[{send: x, expect: x}]", (), []),
        ("[{send: x}, {expect: x}]", (), []),
        ("[{send: x}, {send: y}, {expect: xy}]", (0,), []),
        ("[{send: x, oneway: true}, {send: y}, {expect: y}]", (), []),
        ("[{send: x}, {send: y, expect: y}]", (0,), []),
        ("[{send: x}, {send: y}, {expect: reply}]", (), []),
        ("[{repeat: 3, do: [{send: x}]}, {repeat: 3, do: [{expect: x}]}]", (), [(), ()]),
        ("[{repeat: 3, do: [{send: x}]}, {expect: xxx}]", (0,), [()]),
        ("[{repeat: 3, do: [{send: x}, {send: y}, {expect: xy}]}]", (0,), [(0,)]),
        ("[{repeat: 3, do: [{send: x}, {send: y}, {expect: x}]}, {expect: yyy}]", (0,), [()]),
        ("[{for: {v: [p, q]}, do: [{send: x}, {send: y}, {expect: xy}]}]", (0,), [(0,)]),
    ],
)
def test_what_no_iteration_answers(
    steps: str, sockets: tuple[int, ...], loops: list[tuple[int, ...]]
) -> None:
    scenario = scenario_for(f"steps: {steps}\n", URL, "echo")
    left = left_open(scenario)
    assert left.sockets == sockets
    assert [left.of(one) for one in scenario.steps if isinstance(one, Repeat | For)] == loops


def test_a_send_ahead_of_the_iterations_stays_open() -> None:
    text = "before: [{send: x}]\nsteps: [{send: x}, {expect: x}]\nafter: [{expect: x}]\n"
    assert left_open(scenario_for(text, URL)).sockets == ()
