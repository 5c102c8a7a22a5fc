"""Feeders: rows by user number, CSV files and what is wrong with them; bundles without a disk."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.errors import Position, ScenarioErrors, UsageError
from loadmux.language.loading import bundle, load
from loadmux.language.meaning.feeders import picker
from loadmux.language.meaning.scenario import Feeder, Overrides, Pick, WhenShort
from loadmux.language.sources import csvfile, files

HEAD = "target: tcp://127.0.0.1:9\n"
USE = "steps: [{send: '${account.login}'}]\n"


def feeder(rows: int, pick: Pick, when_short: WhenShort = "error", name: str = "account") -> Feeder:
    columns = {"login": tuple(b"%d" % row for row in range(rows))}
    return Feeder(Position("s.yaml", 1, 1), name, "accounts.csv", columns, pick, when_short)


def mistakes_of(text: str, contents: Mapping[str, bytes], users: int | None = None) -> list[str]:
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", Overrides(users=users), text=text, files=contents)
    return [str(error).removeprefix("s.yaml:") for error in caught.value.errors]


# --- rows ---------------------------------------------------------------------------------------


def test_sequential_gives_user_n_row_n() -> None:
    row = picker(feeder(5, "sequential"), seed=1)
    assert [row(number) for number in range(5)] == [0, 1, 2, 3, 4]


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_shuffled_gives_each_row_once(rows: int, seed: int) -> None:
    row = picker(feeder(rows, "shuffled"), seed)
    assert sorted(row(number) for number in range(rows)) == list(range(rows))


def test_shuffled_and_random_come_from_seed_and_name() -> None:
    for pick in ("shuffled", "random"):
        orders = {
            tuple(map(picker(feeder(50, pick, name=name), seed), range(50)))
            for seed in (1, 2)
            for name in ("account", "other")
            for _ in range(2)
        }
        assert len(orders) == 4, pick


def test_the_order_of_a_seed_never_changes() -> None:
    """Workers on machines with other versions must give their users other rows than ours."""
    assert list(map(picker(feeder(8, "shuffled"), 7), range(8))) == [2, 0, 4, 3, 1, 6, 5, 7]
    assert list(map(picker(feeder(8, "random"), 7), range(8))) == [3, 0, 1, 0, 0, 0, 6, 1]


def test_every_order_of_three_rows_is_as_likely() -> None:
    orders = Counter(
        tuple(map(picker(feeder(3, "shuffled"), seed), range(3))) for seed in range(6000)
    )
    assert len(orders) == 6
    assert all(850 < times < 1150 for times in orders.values())


def test_random_draws_with_replacement_and_evenly() -> None:
    row = picker(feeder(10, "random"), seed=3)
    drawn = Counter(row(number) for number in range(10_000))
    assert set(drawn) == set(range(10))
    assert all(850 < times < 1150 for times in drawn.values())


@pytest.mark.parametrize("pick", ["sequential", "shuffled"])
def test_a_user_beyond_the_last_row(pick: Pick) -> None:
    """Numbers that grow without bound: no row, or the first ones again."""
    row = picker(feeder(3, pick), seed=1)
    with pytest.raises(UsageError, match=r"'accounts.csv' has 3 rows for 4 users; add rows"):
        row(3)
    wrapped = picker(feeder(3, pick, "wrap"), seed=1)
    assert [wrapped(number) for number in range(3, 9)] == [row(n) for n in (0, 1, 2, 0, 1, 2)]


# --- CSV ----------------------------------------------------------------------------------------


def test_a_table_as_columns() -> None:
    data = '\ufefflogin, password\r\nann,"a,""b"""\r\n\r\n  ben ,ü\r\n'.encode()
    assert csvfile.parse("a.csv", data) == {
        "login": (b"ann", b"  ben "),
        "password": (b'a,"b"', "ü".encode()),
    }


BAD_TABLES = [
    (b"", "'a.csv' is empty; its first line must name the columns"),
    (b"\n\n", "'a.csv' is empty; its first line must name the columns"),
    (b"login\n", "'a.csv' has no row below its header"),
    (b"login,\nx,y\n", "'a.csv' line 1: column 2 has no name"),
    (b"\nlogin, login\nx,y\n", "'a.csv' line 2: two columns are called 'login'"),
    (b"login,b\nx,y\nz\n", "'a.csv' line 3: 1 field, but the header names 2 columns"),
    (b'login,b\n"x\nx",y\n1,2,3\n', "'a.csv' line 4: 3 fields, but the header names 2 columns"),
    (
        b"login\nx\n\xff\n",
        "'a.csv' line 3: the byte 0xff is not UTF-8; save the file as UTF-8",
    ),
    (b'login\nx\n"y\nz\n', "'a.csv' line 3: no valid CSV: unexpected end of data"),
    (b'login\n"x"y\n', "'a.csv' line 2: no valid CSV: ',' expected after '\"'"),
    (
        b"login\n" + b"x" * 200_000,
        "'a.csv' line 2: no valid CSV: field larger than field limit (131072)",
    ),
]


@pytest.mark.parametrize(("data", "mistake"), BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_a_bad_table_is_one_line_with_its_file_and_line(data: bytes, mistake: str) -> None:
    text = HEAD + "variables: {account: {csv: a.csv}}\n" + USE
    assert mistakes_of(text, {"a.csv": data}) == [f"2:28: {mistake}"]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_one_line(data: bytes) -> None:
    said = ""
    try:
        columns = csvfile.parse("a.csv", data)
    except ValueError as error:
        said = str(error)
    else:
        assert len({len(values) for values in columns.values()}) == 1
    assert said.isprintable()
    assert said.startswith("'a.csv' ") or not said


# --- the key in a scenario ----------------------------------------------------------------------

TABLE = {"a.csv": b"login,pass word\nann,1\nben,2\n"}
FEEDER = HEAD + "variables: {account: {csv: a.csv}}\n"
BAD_FEEDERS = [
    ("{csv: 5}", USE, "2:28: 'csv' must be a text, not the number '5'; write it in quotes"),
    ("{pick: random}", USE, "2:22: a feeder needs a file; write {csv: FILE}"),
    ("{cvs: a.csv}", USE, "2:23: unknown key 'cvs' in a feeder; did you mean 'csv'?"),
    (
        "{csv: a.csv, pick: suffled}",
        USE,
        "2:41: unknown pick 'suffled'; did you mean 'shuffled'?",
    ),
    (
        "{csv: a.csv, when_short: repeat}",
        USE,
        "2:47: unknown when_short 'repeat'; it is one of error, wrap",
    ),
    (
        "{csv: a.csv, pick: random, when_short: wrap}",
        USE,
        "2:49: 'when_short' says nothing here: 'pick: random' draws a row again and again",
    ),
    ("{csv: b.csv}", USE, "2:28: 'b.csv' did not come with the scenario"),
    (
        "{csv: a.csv}",
        "steps: [{send: '${account.logn}'}]",
        "3:16: 'account' has no column 'logn'; did you mean 'login'?",
    ),
    (
        "{csv: a.csv}",
        "steps: [{send: '${account.x}'}]",
        "3:16: 'account' has no column 'x'; its columns are login, pass word",
    ),
    (
        "{csv: a.csv}",
        "steps: [{send: '${acount.login}'}]",
        "3:16: 'acount' in '${acount.login}' is no feeder; did you mean 'account'?",
    ),
    (
        "{csv: a.csv}",
        "steps: [{send: '${account}'}]",
        "3:16: 'account' is a feeder; name one of its columns as in ${account.COLUMN}; its columns"
        " are login, pass word",
    ),
    (
        "{csv: a.csv}",
        "steps: [{set: {account: x}}, {send: a}]",
        "3:16: the variable 'account' is a feeder in 'variables'; choose another name",
    ),
    (
        "{csv: a.csv}",
        "steps: [{for: {x: '${account}'}, do: [{send: a}]}]",
        "3:19: 'for' goes through a list, and '${account}' is none; write {NAME: [A, B]}",
    ),
]


@pytest.mark.parametrize(("feeder", "steps", "mistake"), BAD_FEEDERS, ids=range(len(BAD_FEEDERS)))
def test_mistakes(feeder: str, steps: str, mistake: str) -> None:
    text = f"{HEAD}variables: {{account: {feeder}}}\n{steps}\n"
    assert mistakes_of(text, TABLE) == [mistake]


def test_fewer_rows_than_users_is_known_before_anything_is_sent() -> None:
    for text, users in ((FEEDER + USE, 3), (FEEDER + USE + "load: {users: 3}\n", None)):
        assert mistakes_of(text, TABLE, users) == [
            "2:22: 'a.csv' has 2 rows for 3 users; add rows, use fewer users, or write 'when_short:"
            " wrap' to use rows again"
        ]
    wrapped = FEEDER.replace("a.csv}", "a.csv, when_short: wrap}")
    load("s.yaml", Overrides(users=3), text=wrapped + USE, files=TABLE)
    drawn = FEEDER.replace("a.csv}", "a.csv, pick: random}")
    load("s.yaml", Overrides(users=3), text=drawn + USE, files=TABLE)


def test_a_column_whose_name_has_a_space() -> None:
    scenario = load("s.yaml", text=FEEDER + "steps: [{send: '${account.pass word}'}]", files=TABLE)
    assert scenario.feeders["account"].columns["pass word"] == (b"1", b"2")


# --- bundles ------------------------------------------------------------------------------------


def test_a_bundle_holds_the_files_by_the_names_in_the_text(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_bytes(b"login\nann\n")
    (tmp_path / "blob").write_bytes(b"\x00\x01")
    (tmp_path / "not used").write_bytes(b"x")
    path = tmp_path / "s.yaml"
    steps = "steps: [{send: {file: blob}}, {send: {file: ./blob}}, {send: '${account.login}'}]\n"
    path.write_text(HEAD + "variables: {account: {csv: data/a.csv}}\n" + steps)
    found = bundle(path)
    assert found.path == str(path)
    assert found.text == path.read_text()
    assert found.files == {
        "blob": b"\x00\x01",
        "./blob": b"\x00\x01",
        "data/a.csv": b"login\nann\n",
    }
    assert pickle.loads(pickle.dumps(found)) == found
    before = load(path)
    for file in (path, tmp_path / "blob", tmp_path / "data" / "a.csv"):
        file.unlink()
    assert load(found.path, text=found.text, files=found.files) == before


def test_with_files_given_nothing_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"here")
    with pytest.raises(ScenarioErrors, match="'blob' did not come with the scenario"):
        load(tmp_path / "s.yaml", text=HEAD + "steps: [{send: {file: blob}}]", files={})
    with pytest.raises(TypeError, match="'files' needs 'text'"):
        load(tmp_path / "s.yaml", files={})


def test_a_bundle_of_a_wrong_scenario_tells_its_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ScenarioErrors, match="unknown key 'stepps'"):
        bundle(tmp_path / "s.yaml", text="stepps: []\n")


def test_all_files_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_TOTAL", 5)
    text = HEAD + "steps: [{send: {file: a}}, {send: {file: a}}, {send: {file: b}}]"
    load("s.yaml", text=text, files={"a": b"123", "b": b"45"})
    assert mistakes_of(text, {"a": b"123", "b": b"456"}) == [
        "2:61: with 'b' the files of the scenario are more than 5 bytes in all"
    ]
