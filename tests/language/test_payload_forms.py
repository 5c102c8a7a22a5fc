"""Numbers, lengths, checksums, choices, and what `${...}` may hold besides a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Done, run
from hypothesis import given
from hypothesis import strategies as st

from loadmux.checking.checksums import NAMES, checksum, width
from loadmux.errors import ScenarioErrors
from loadmux.language.grammar import formulas as reading
from loadmux.language.loading import load
from loadmux.plugins import formulas
from loadmux.plugins.formulas import Variable
from loadmux.plugins.payloads import Checked, Data, Number, Sized, Varint

TARGET = "target: {bundled: epoll, reply: echo}\n"
VALUES = {"n": b"41", "word": b"hello", "class": b"7", "row.id": b"5"}


def value(text: str) -> bytes:
    return formulas.data(reading.parse(text, Variable), VALUES.__getitem__)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n + 1", b"42"),
        ("n-1", b"40"),
        ("2 * (n + 1) // 5 % 7", b"2"),
        ("-n // 2", b"-21"),
        ("word[1:3]", b"el"),
        ("word[-2:]", b"lo"),
        ("word[:len(word) - 1]", b"hell"),
        ("len(word) + class", b"12"),
        ("len(word[1:])", b"4"),
        ("row.id * 2", b"10"),
        (" n ", b"41"),
    ],
)
def test_formulas(text: str, wanted: bytes) -> None:
    assert value(text) == wanted


@pytest.mark.parametrize("text", ["n +", "n / 2", "word[1]", "len(word", "n n", "n ** 2", "1 $ 2"])
def test_what_is_no_formula(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|slice"):
        reading.parse(text, Variable)


@pytest.mark.parametrize("text", ["word + 1", "n // 0", "n % 0"])
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="no "):
        formulas.number(reading.parse(text, Variable), VALUES.__getitem__)


@given(
    st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 99), st.integers()
)
def test_sums_are_as_in_python(a: int, b: int, c: int, d: int) -> None:
    names = {"a": b"%d" % a, "b": b"%d" % b, "c": b"%d" % c}
    term = reading.parse("a + b * (a - b) // c % c", Variable)
    assert formulas.number(term, names.__getitem__) == a + b * (a - b) // c % c


@given(st.binary(max_size=300), st.sampled_from(["big", "little"]), st.sampled_from(NAMES))
def test_lengths_and_checksums_say_what_is_there(body: bytes, order: str, check: str) -> None:
    data = Data(body)
    for width_ in (2, 3, 8):
        sized = Sized(data, bytes=width_, order=order)  # type: ignore[arg-type]
        found = sized.encode(body)
        assert int.from_bytes(found[:width_], order) == len(body)  # type: ignore[arg-type]
        assert found[width_:] == body
    assert Sized(data, digits=4).encode(body) == b"%04d" % len(body) + body
    checked = Checked(data, check, order).encode(body)  # type: ignore[arg-type]
    assert int.from_bytes(checked[len(body) :], order) == checksum(check, body)  # type: ignore[arg-type]
    assert len(checked) == len(body) + width(check)


def test_numbers_that_do_not_fit() -> None:
    assert Number(-1, 4).encode(-1) == b"\xff" * 4
    for form, number in ((Number(0, 1), 256), (Number(0, 1), -129), (Varint(0), -1)):
        with pytest.raises(ValueError, match="hold"):
            form.encode(number)
    with pytest.raises(ValueError, match="does not fit"):
        Sized(Data(b""), bytes=1).encode(bytes(256))
    with pytest.raises(ValueError, match="adjust"):
        Sized(Data(b""), bytes=1, adjust=2).encode(b"a")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("send: {int: 256, bytes: 1}", "1 byte hold -128 to 255, not 256"),
        ("send: {int: 1}", "'int' needs 'bytes'"),
        ("send: {int: 1, bytes: 9}", "at most 8"),
        ("send: {int: x, bytes: 1}", "is no whole number"),
        ("send: {int: 1.5, bytes: 1}", "must be a whole number"),
        ("send: {varint: -1}", "a varint holds"),
        ("send: {sized: a}", "needs to know how its length is written"),
        ("send: {sized: a, bytes: 1, varint: true}", "exclude each other"),
        ("send: {sized: a, varint: true, order: big}", "'order' goes with 'bytes'"),
        ("send: {sized: {repeat: a, times: 300}, bytes: 1}", "does not fit in 1 byte"),
        ("send: {checked: a, check: crc23}", "did you mean 'crc32'?"),
        ("send: {pick: []}", "nothing to pick from"),
        ("send: {pick: [a, b], weights: [1]}", "1 numbers for 2 payloads"),
        ("send: {pick: [a, b], weights: [0, 0]}", "are all 0"),
        ("{send: a, expect: {pick: [a]}}", "cannot be foretold"),
        ("send: {random: 4, of: ''}", "holds no character"),
        ("send: 'a ${env.NO_SUCH_THING}'", "the environment has no variable"),
        ("send: '${usr + 1}'", "unknown name '${usr}'"),
        ("send: '${user / 2}'", "divided by '//'"),
    ],
)
def test_mistakes(step: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as error:
        load("s.yaml", text=f"{TARGET}steps:\n  - {step}\n")
    (only,) = error.value.errors
    assert told in only.message
    assert only.where.line == 3


def ran(folder: Path, text: str, *words: str) -> Done:
    """A scenario with this rest of its text, run."""
    (folder / "s.yaml").write_text(TARGET + text)
    return run(folder / "s.yaml", *words, folder=folder)


def test_names_of_version_1_keep_their_meaning(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        "variables: {now: then, worker: bee}\n"
        "steps:\n"
        '  - {send: "${now} ${worker}", expect: then bee}\n'
        "  - set: {connection: mine}\n"
        '  - {send: "${connection}", expect: mine}\n',
    )
    assert done.code == 0, done.out + done.err


def test_what_is_picked_comes_from_the_seed_and_recurs(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        "seed: 7\n"
        "steps:\n"
        "  - set: {id: {random: 5, of: digits}, word: {pick: [a, {hex: 62}], weights: [1, 3]}}\n"
        '  - {send: {sized: {join: [{int: "${id}", bytes: 4}, "${word}"]}, bytes: 2},'
        ' expect: {sized: {join: [{int: "${id}", bytes: 4}, "${word}"]}, bytes: 2}}\n'
        '  - {send: {checked: "${connection}-${worker}", check: crc16_modbus}, expect: "${sent}"}\n'
        "load: {users: 6, iterations: 3}\n",
        "--workers",
        "2",
    )
    assert done.code == 0, done.out + done.err


def test_a_number_that_grows_too_large_ends_the_run_and_blames_nobody(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        "steps:\n"
        "  - set: {n: '${iteration + 255}'}\n"
        "  - {send: {int: '${n}', bytes: 1}, expect: reply}\n"
        "load: {iterations: 3}\n",
    )
    assert done.code not in (0, 1), done.out + done.err
    assert "1 byte hold" in done.out + done.err
