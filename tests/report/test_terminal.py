"""What a person reads: whole lines with the facts, on every width and encoding, from any bytes."""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from printing import faulty, lines, printed
from rich.console import Console
from samples import (
    IMPLIED,
    fault,
    measured,
    on_schedule,
    over_time,
    report,
    several,
    together,
    wrong_byte,
)

from loadmux.driver.pacer import Rate
from loadmux.errors import Evidence, Kind, Moment
from loadmux.language.meaning.scenario import Load, Phase
from loadmux.measuring.stats import Stats
from loadmux.measuring.thresholds import Threshold
from loadmux.measuring.verdict import Outcome
from loadmux.report import figures
from loadmux.report.jsonfile import as_json
from loadmux.report.live import live_view
from loadmux.report.model import PhaseReport, Progress, WorkerReport


def test_the_verdict_stands_first_and_alone_when_quiet() -> None:
    made = report(measured({"ask": [0.1]}))
    assert lines(made)[0] == " PASS  1 exchange, every check held"
    assert printed(made, quiet=True).rstrip() == lines(made)[0]
    failed = report(fault("ask", stats=measured({"ask": [0.1]})))
    assert lines(failed)[0] == " FAIL  1 error (1 corrupt) in 2 exchanges"


def test_a_pass_from_the_first_line_to_the_last() -> None:
    stats = measured({"ask": [0.010, 0.020], "tell": [0.0005]}, connects=[0.00025])
    stats.started = stats.served = stats.iterations = 2
    threshold = Threshold("p(99) < 50ms", None, "p", "<", 0.05, 0.99)
    assert lines(report(stats, [IMPLIED, threshold])) == [
        " PASS  3 exchanges, every check held",
        "",
        "scenario    talk (talk.yaml)",
        "target      tcp://127.0.0.1:8001 (bundled epoll, reply rule: received)",
        "load        2 users, 2.00s, 2 iterations",
        "exchanges   3 right, 1.50/s; 0 errors",
        "",
        "Thresholds",
        "  ✓ errors == 0   met      measured 0",
        "  ✓ p(99) < 50ms  met      measured 20.0ms",
        "",
        "  step           count    rate  errors     min    mean     p50     p95     p99     max",
        "  ask                2  1.00/s       0  10.0ms  15.0ms  10.0ms  20.0ms  20.0ms  20.0ms",
        "  tell               1  0.50/s       0   500µs   500µs   500µs   500µs   500µs   500µs",
        "  all exchanges      3  1.50/s       0   500µs  10.2ms  9.98ms  20.0ms  20.0ms  20.0ms",
        "",
        "  connect            1  0.50/s       0   250µs   250µs   250µs   250µs   250µs   250µs",
        "",
        "generator   epoll, 1 worker, 50% busy; 99% of timers no more than 1.00ms late",
        "seed        42",
        "repeat      loadmux run talk.yaml --seed 42",
    ]


def test_receives_are_marked_and_in_no_total() -> None:
    stats = measured({"ask": [0.010, 0.020], "tell": [0.030]})
    for row in (stats.row_of("greeting", "receive"), stats.row_of("ask", "receive")):
        row.samples.append(0.000009)
        row.fold()
    threshold = Threshold("p(1) < 1ms", None, "p", "<", 0.001, 0.01)
    shown = lines(report(stats, [threshold]))
    assert shown[0] == " THRESHOLD  1 of 1 threshold crossed: p(1) < 1ms"
    rows = [line.split("  ")[1] for line in shown if re.search(r"\d/s +0 ", line)]
    assert rows == ["ask", "tell", "greeting (receive)", "ask (receive)", "all exchanges"]
    assert next(line for line in shown if "all exchanges" in line).split()[2:4] == ["3", "1.50/s"]


def test_a_crossed_threshold_and_one_without_samples() -> None:
    thresholds = [
        Threshold("max < 1ms", None, "max", "<", 0.001),
        Threshold("'never': rate > 1/s", "never", "rate", ">", 1),
        Threshold("error_rate < 1%", None, "error_rate", "<", 0.01),
    ]
    text = printed(report(measured({"ask": [0.1], "never": []}), thresholds))
    assert " THRESHOLD  2 of 3 thresholds crossed: max < 1ms, 'never': rate > 1/s" in text
    assert "  ✗ max < 1ms            crossed  measured 100ms" in text
    assert "  ✗ 'never': rate > 1/s  crossed  no samples" in text
    assert "  ✓ error_rate < 1%      met      measured 0.000%" in text
    assert re.search(r"never +0 +- +0 +- +- +- +- +- +-\n", text)


def test_the_generator_says_that_it_was_the_limit_and_who_was_lost() -> None:
    workers = (
        WorkerReport(0, 5, busy=0.97, late=0.003),
        WorkerReport(1, 5, busy=0.2, lost="killed by signal 9"),
    )
    made = report(measured({"ask": [0.1] * 10}), workers=workers, notes=("mind the gap",))
    made.stats.interrupted = 1
    text = " ".join(printed(made).split())
    assert "epoll, 2 workers, the busiest 97% busy; 99% of timers no more than 3.00ms late" in text
    assert "worker 0 5 users 97% busy worker 1 5 users 20% busy" in text
    assert "worker 1 was lost: killed by signal 9; its 5 users may be missing" in text
    assert "The generator itself was the limit" in text
    assert "add --workers" in text
    assert "notes 1 iteration cut off when the run ended: not counted as right or wrong" in text
    assert "mind the gap" in text
    assert as_json(made)["generator"]["limited"]


@pytest.mark.parametrize(("asked", "seconds"), [(9, 2.0), (10, 0.4)])
def test_no_limit_is_told_where_hardly_anything_ran(asked: int, seconds: float) -> None:
    stats, workers = measured({"ask": [0.1] * asked}), (WorkerReport(0, 1, 1.0),)
    made = report(stats, outcome=Outcome(seconds), workers=workers)
    assert "limit" not in printed(made)
    assert not as_json(made)["generator"]["limited"]


NAMES = ["a step with quite a long name, for the first server", "ask", "exchange first #1"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_figures_and_dumps_fit_the_terminal(width: int, encoding: str) -> None:
    stats = measured({name: [0.0123] * 1_234_567 for name in NAMES}, [0.1] * 1000)
    stats.record_fault(wrong_byte())
    shown = lines(report(stats), encoding, width)
    assert max(map(len, shown)) <= width
    rows = [line for line in shown if " 1,234,56" in line]
    assert len(rows) == len(NAMES)
    assert all(line.count("12.3ms") >= 4 for line in rows)
    assert re.match(r"  a step wit.*(…|\.\.\.).*er +1,234,567", rows[0])
    assert rows[1].startswith("  ask ")
    assert rows[2].startswith("  exchange first #1 ")


def test_what_a_narrow_table_leaves_out_is_told() -> None:
    stats = measured({name: [0.0123] * 1_234_567 for name in NAMES})
    narrow, wide = (lines(report(stats), width=width) for width in (80, 120))
    assert "  (no room for min and mean in 80 columns)" in narrow
    heads = [line.split() for line in narrow if "p99" in line]
    assert heads == [["step", "count", "rate", "errors", "p50", "p95", "p99", "max"]]
    assert not any("no room" in line for line in wide)


def test_a_file_keeps_every_column_and_every_name() -> None:
    long = "x" * 150
    shown = lines(report(measured({long: [0.1] * 1000, **{name: [0.1] for name in NAMES}})))
    at = shown.index(f"  {long}")
    assert shown[at + 1].split()[0] == "1,000"
    heads = [line for line in shown if "p99" in line]
    assert heads[0].split()[1:] == [
        "count",
        "rate",
        "errors",
        "min",
        "mean",
        "p50",
        "p95",
        "p99",
        "max",
    ]
    assert any(line.startswith(f"  {NAMES[0][:20]}") and " 1 " in line for line in shown)


def test_names_that_look_alike_once_cut_stand_whole() -> None:
    same = [f"GET /api/v1/users/{kind}/profile?with=everything" for kind in ("anna", "berta")]
    shown = lines(report(measured({name: [0.1] * 1000 for name in same})), width=80)
    for name in same:
        at = shown.index(f"  {name}")
        assert shown[at + 1].split()[0] == "1,000"


def test_an_ascii_file_gets_the_same_facts() -> None:
    made = faulty(wrong_byte())
    plain, rich = lines(made, "ascii"), lines(made)
    assert len(plain) == len(rich)
    assert "  x errors == 0  crossed  measured 1" in plain
    assert "+ max" in printed(
        report(measured({"a": [1e-5]}), [Threshold("max < 1s", None, "max", "<", 1.0)]), "ascii"
    )


def test_a_run_that_took_a_while_has_curves() -> None:
    told = lines(over_time(seconds=20, errors_at=12))
    first = next(n for n, line in enumerate(told) if line.startswith("over time"))
    rate, p99, errors = told[first : first + 3]
    assert rate.endswith("rate, at most 8.00/s")
    assert p99.endswith("p99, at most 300ms")
    assert errors.split()[0].count("█") == 1
    assert errors.endswith("errors, at most 1 at a time")
    assert not any(line.startswith("over time") for line in lines(over_time(seconds=4)))
    assert any("p99, at most" in line for line in lines(over_time(), encoding="ascii"))
    assert all(len(line) <= 70 for line in lines(over_time(), width=70)[first : first + 3])


def test_no_run_at_all_is_reported_too() -> None:
    made = report(Stats(), outcome=Outcome(0.0, unreachable="nobody listens"), workers=())
    assert lines(made)[0] == " UNREACHABLE  nobody listens"


def test_names_are_neither_markup_nor_control_sequences() -> None:
    name = "[red]ask[/red] \x1b[31m\n\u202e" + os.fsdecode(b"\xff")
    text = printed(report(fault(name, stats=measured({name: [0.1]})), name=name))
    assert "  [red]ask[/red] \\x1b[31m\\n\\u202e\\udcff " in text
    assert "\x1b" not in text


@given(
    name=st.text(st.characters(codec=None), max_size=20),
    message=st.text(st.characters(codec=None), max_size=40),
    expected=st.none() | st.binary(max_size=40),
    received=st.none() | st.binary(max_size=40),
    offset=st.none() | st.integers(0, 100),
    start=st.integers(0, 60),
    encoding=st.sampled_from(["utf-8", "ascii", "latin-1"]),
    width=st.sampled_from([None, 20, 80]),
)
def test_nothing_that_a_server_sends_breaks_the_report(
    name: str,
    message: str,
    expected: bytes | None,
    received: bytes | None,
    offset: int | None,
    start: int,
    encoding: str,
    width: int | None,
) -> None:
    moments = [Moment(0.0, message, received or b"", 70), Moment(0.0, "sent", expected or b"")]
    evidence = Evidence(
        Kind.CORRUPT,
        message,
        offset,
        expected,
        received,
        start,
        name,
        name,
        0,
        0,
        name,
        0.0,
        moments,
    )
    stats = measured({name: [0.1]})
    stats.record_fault(evidence)
    text = printed(report(stats, name=name), encoding, width)
    assert text.startswith(" FAIL ")
    assert all(character.isprintable() or character == "\n" for character in text)


# --- figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (-1e-9, "0s"),
        (1.5e-9, "0.00µs"),
        (9.994e-6, "9.99µs"),
        (9.996e-6, "10.0µs"),
        (99.96e-6, "100µs"),
        (999.4e-6, "999µs"),
        (999.6e-6, "1.00ms"),
        (0.0123456, "12.3ms"),
        (0.9996, "1.00s"),
        (75.0, "75.0s"),
        (1234.5, "1234s"),
    ],
)
def test_times_have_three_digits_and_the_unit_that_fits(seconds: float, text: str) -> None:
    assert figures.time(seconds) == text


def test_rates_and_sizes() -> None:
    assert [figures.rate(rate) for rate in (0, 0.5, 12.34, 99.96, 12345.6)] == [
        "0.00/s",
        "0.50/s",
        "12.3/s",
        "100/s",
        "12,346/s",
    ]
    assert [figures.size(size) for size in (0, 1023, 1024, 1 << 20, 5 << 30)] == [
        "0 B",
        "1023 B",
        "1.00 KiB",
        "1.00 MiB",
        "5.00 GiB",
    ]


@given(st.binary(max_size=200), st.integers(24, 120))
def test_shortened_bytes_fit_and_keep_the_beginning(data: bytes, width: int) -> None:
    text = figures.shortened(data, width)
    assert len(text) <= width
    whole = figures.quoted(data)
    assert text == whole or (" … " in text and whole.startswith(text.split(" … ")[0][:-1]))


# --- open load and phases -----------------------------------------------------------------------


def test_open_load_tells_what_began_what_was_dropped_and_how_punctual_it_was() -> None:
    text = lines(on_schedule())
    assert "schedule    6 starts, 1 waited for a user, 4 dropped" in text
    assert "            50% of the starts no more than 100µs late, 99% 200µs" in text
    assert any(line.startswith("notes       4 iterations dropped") for line in text)


def test_both_latencies_stand_below_each_other() -> None:
    text = lines(on_schedule())
    at = next(number for number, line in enumerate(text) if line.startswith("  ask "))
    assert text[at].split()[-1] == "1.03s"
    assert text[at + 1].split() == [
        *("from", "the", "send"),
        *("10.0ms", "15.0ms", "10.0ms", "30.0ms", "30.0ms", "30.0ms"),
    ]


def test_each_phase_has_a_row() -> None:
    text = lines(on_schedule())
    at = next(number for number, line in enumerate(text) if line.startswith("  phase "))
    table = [line.split() for line in text[at : at + 3]]
    assert table[0] == ["phase", "count", "rate", "errors", "p50", "p99", "dropped", "load"]
    assert table[1] == ["steady", "3", "3.00/s", "0", "10.0ms", "10.0ms", "0", "3.00/s"]
    assert table[2] == ["rush", "3", "3.00/s", "0", "20.0ms", "1.03s", "4", "3..7"]


def test_of_several_each_has_its_schedule_and_its_phases() -> None:
    closed = report(measured({"ask": [0.1]}))
    text = lines(together({"a": on_schedule(), "b": closed, "c": on_schedule()}))
    assert "schedule    a: 6 starts, 1 waited for a user, 4 dropped" in text
    assert "            c: 6 starts, 1 waited for a user, 4 dropped" in text
    at = next(number for number, line in enumerate(text) if line.startswith("  phase "))
    names = [line.split("  ")[1] for line in text[at + 1 : at + 5]]
    assert names == ["a: steady", "a: rush", "c: steady", "c: rush"]
    assert sum(line.startswith("    from the send ") for line in text) == 2


def test_open_load_tells_its_rate_beside_each_of_several_scenarios() -> None:
    load = Load(9, phases=(Phase("", Rate(3.0, 3.0, 1.0), 9),))
    paced = report(measured({"ask": [0.1]}), load=load)
    rows = (PhaseReport("", "3.00/s", 1.0, paced.stats),)
    part = replace(paced.parts[0], phases=rows)
    text = lines(together({"a": replace(paced, parts=(part,)), "b": paced}))
    assert any(line.startswith("scenarios   a (talk.yaml): 3.00/s, 9 users, ") for line in text)
    assert not any(line.startswith("  phase ") for line in text)


def test_the_live_view_tells_the_phase_and_what_was_dropped() -> None:
    file = io.StringIO()
    with live_view(Console(file=file), False, "talk", "unix:///s") as view:
        view.update(replace(progress(2.0), dropped=1234, phase="rush (2 of 2)"))
    line = file.getvalue().splitlines()[1]
    assert line.startswith("    2s  rush (2 of 2)  50 users")
    assert "1 error  1,234 dropped  2,000 exchanges" in line


# --- while it runs ------------------------------------------------------------------------------


def progress(elapsed: float, left: float | None = 8.0) -> Progress:
    return Progress(elapsed, left, 50, int(elapsed * 1000), 1000.0, 1, 0.001, 0.0025)


def seen(elapsed: list[float], quiet: bool = False, width: int | None = None) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=width is not None, width=width, color_system=None)
    with live_view(console, quiet, "talk [b]\x1b", "tcp://127.0.0.1:8001") as view:
        for moment in elapsed:
            view.update(progress(moment))
    return file.getvalue()


def test_plain_lines_come_after_a_second_and_then_every_five() -> None:
    text = seen([0.5, 1.0, 1.5, 4.9, 5.1, 9.9, 16.0, 19.9, 20.0])
    assert text.splitlines()[0] == "talk [b]\\x1b against tcp://127.0.0.1:8001"
    assert [int(line[:5]) for line in text.splitlines()[1:]] == [1, 5, 16, 20]
    assert text.splitlines()[1] == (
        "    1s  50 users  1,000/s  p50 1.00ms  p99 2.50ms  1 error  1,000 exchanges  8s left"
    )


def test_quiet_shows_nothing() -> None:
    assert seen([1.0, 6.0], quiet=True) == seen([1.0], quiet=True, width=80) == ""


def test_a_terminal_is_redrawn_and_left_clean() -> None:
    text = seen([1.0, 2.0], width=80)
    assert "50 users  1,000/s  p50 1.00ms  p99 2.50ms  1 error  2,000 exchanges" in text
    assert "8s left" in text
    assert "talk [b]\\x1b against" in text
    assert text.endswith("\x1b[2K")
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h")


def test_the_cursor_comes_back_when_the_run_breaks_off() -> None:
    file = io.StringIO()
    view = live_view(Console(file=file, force_terminal=True), False, "talk", "unix:///s")
    with suppress(KeyboardInterrupt), view:
        view.update(progress(1.0, left=None))
        raise KeyboardInterrupt
    assert "1s elapsed" in file.getvalue()
    assert "\x1b[?25h" in file.getvalue()


def test_several_scenarios_have_a_line_each_and_rows_with_their_names() -> None:
    failed = fault("ask", stats=measured({"ask": [0.2]}))
    made = several({"a": measured({"ask": [0.1], "tell": [0.1]}), "b": failed})
    found = lines(made)
    assert found[0] == " FAIL  b: 1 error (1 corrupt) in 2 exchanges"
    assert "scenarios   a (talk.yaml): 1 user, 0 iterations, pass" in found
    assert "            b (talk.yaml): 1 user, 0 iterations, fail" in found
    assert "target      a: tcp://127.0.0.1:8001 (bundled epoll, reply rule: received)" in found
    names = [line.split("  ")[1] for line in found if re.match(r"  [ab]: \w+  ", line)]
    assert names == ["a: ask", "a: tell", "b: ask"]
    assert "  corrupt at step 'b: ask': 1 time" in found
    assert any(line.startswith("  ✗ b: errors == 0") for line in found)
