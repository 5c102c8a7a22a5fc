"""Units: every form of the language page, and that nothing else passes for one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadmux import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250us", 0.00025),
        ("10ms", 0.01),
        ("5s", 5.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("0.5ms", 0.0005),
        ("0s", 0.0),
        ("010ms", 0.01),
        ("480h", 1728000.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64", 64),
        ("64B", 64),
        ("64KiB", 65536),
        ("1MB", 1_000_000),
        ("1KB", 1000),
        ("2MiB", 2 * 2**20),
        ("1GB", 10**9),
        ("1GiB", 2**30),
        ("1.5KiB", 1536),
        ("0", 0),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert units.size(text) == size


@pytest.mark.parametrize(("text", "rate"), [("500/s", 500.0), ("30/m", 0.5), ("0.5/s", 0.5)])
def test_rates(text: str, rate: float) -> None:
    assert units.rate(text) == rate


def test_options_may_leave_the_unit_out() -> None:
    assert (units.plain_rate("10"), units.plain_rate("30/m")) == (10.0, 0.5)
    assert (units.plain_duration("20"), units.plain_duration("20ms")) == (20.0, 0.02)


DURATION = "is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h"
SIZE = "is not a size; write a number of bytes such as 64, 64KiB, 1MB"
RATE = "is not a rate; write a number a second or a minute such as 500/s, 30/m"


NO_DURATIONS = ("", "10", "s", "-5s", "+5s", "5 s", "5S", "5sec", "5s ", "1e3s", ".5s", "5.s", "1d")
NO_SIZES = ("", "KiB", "-1", "64 KiB", "64kib", "64kB", "0x40", "1e3", "1TB", "\u0663")
NO_RATES = ("", "500", "/s", "-1/s", "5/h", "5/ms", "5 /s", "1..5/s")


@pytest.mark.parametrize(
    ("convert", "text", "message"),
    [
        *((units.duration, text, f"{text!r} {DURATION}") for text in NO_DURATIONS),
        *((units.size, text, f"{text!r} {SIZE}") for text in NO_SIZES),
        *((units.rate, text, f"{text!r} {RATE}") for text in NO_RATES),
        (units.duration, "481h", "'481h' is too long; at most 480h"),
        (units.duration, "9" * 15 + "h", "'999999999999999h' is too long; at most 480h"),
        (units.duration, "9" * 70, f"'{'9' * 57}...' {DURATION}"),
        (units.size, "1.5", f"'1.5' is not a whole number of bytes; {units.SIZE_FORMS}"),
        (units.size, "9999999GiB", "'9999999GiB' is too large; at most 1125899906842624 bytes"),
        (units.plain_rate, "fast", f"'fast' {RATE}"),
        (units.plain_duration, "soon", f"'soon' {DURATION}"),
    ],
)
def test_mistakes(convert: Callable[[str], float], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convert(text)


@given(
    whole=st.integers(0, 10**6),
    digits=st.integers(0, 999),
    unit=st.sampled_from([("us", 10**6), ("ms", 1000), ("s", 1)]),
)
def test_a_duration_is_the_nearest_float(whole: int, digits: int, unit: tuple[str, int]) -> None:
    """Correctly rounded, whatever the unit: integer division in Python is."""
    name, per_second = unit
    text = f"{whole}.{digits:03}{name}"
    assert units.duration(text) == (whole * 1000 + digits) / (1000 * per_second)


@pytest.mark.parametrize("convert", [units.duration, units.size, units.rate])
@given(text=st.text(max_size=20))
def test_any_text_is_a_number_or_one_line(convert: Callable[[str], float], text: str) -> None:
    try:
        told = str(convert(text))
    except ValueError as error:
        told = str(error)
    assert told.isprintable()
    assert not told.startswith("-")


NUMBERS = st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,15})?", fullmatch=True)


@given(NUMBERS, st.sampled_from(["us", "ms", "s", "m", "h"]))
@example("0", "s")
@example("0.000000000000001", "us")
@example("0.1", "h")
def test_a_duration_is_written_as_it_is_read(number: str, unit: str) -> None:
    try:
        seconds = units.duration(number + unit)
    except ValueError:
        return
    assert units.duration(units.duration_text(seconds)) == seconds


@given(st.integers(0, min(units.LARGEST, 10**15 - 1)))
@example(65536)
def test_a_size_is_written_as_it_is_read(count: int) -> None:
    assert units.size(units.size_text(count)) == count


@given(NUMBERS, st.sampled_from(["/s", "/m"]))
@example("0", "/s")
@example("10", "/m")
@example("12.123456789012345", "/m")
def test_a_rate_is_written_as_it_is_read(number: str, unit: str) -> None:
    try:
        rate = units.rate(number + unit)
    except ValueError:
        return
    assert units.rate(units.rate_text(rate)) == rate


def test_what_is_written_is_short() -> None:
    assert [units.duration_text(x) for x in (0, 5, 120, 0.25, 0.00025, 1.5)] == [
        *("0s", "5s", "2m", "250ms", "250us", "1500ms")
    ]
    assert [units.size_text(x) for x in (1, 1000, 65536, 2**30)] == ["1", "1000", "64KiB", "1GiB"]
    assert [units.rate_text(x) for x in (500, 0.5, 1 / 6)] == ["500/s", "0.5/s", "10/m"]
