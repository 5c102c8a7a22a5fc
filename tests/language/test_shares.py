"""Several scenarios in one run: who gets how many users, what each is called, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmux.driver.pacer import Rate, Users
from loadmux.errors import ScenarioErrors, UsageError
from loadmux.language.loading import Bundle, load, load_all
from loadmux.language.meaning.scenario import Overrides, Phase, Scenario
from loadmux.language.meaning.shares import labels, split

BODY = "target: tcp://127.0.0.1:9\nsteps: [{name: talk, send: x}]\n"


def source(name: str, text: str = "", body: str = BODY) -> Bundle:
    return Bundle(f"{name}.yaml", body + text, {})


def users(scenarios: tuple[Scenario, ...]) -> list[int]:
    return [scenario.load.users for scenario in scenarios]


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1], [5, 5]),
        (11, [1, 1], [6, 5]),
        (10, [3, 1], [8, 2]),
        (9, [3, 1], [7, 2]),
        (100, [1, 1, 1], [34, 33, 33]),
        (7, [5, 3, 1], [4, 2, 1]),
        (1, [1, 9], [0, 1]),
    ],
)
def test_largest_remainder(total: int, weights: list[int], parts: list[int]) -> None:
    assert split(total, weights) == parts


@given(st.integers(0, 10**6), st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_parts_add_up_and_are_within_one_of_their_due(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


def test_without_weights_and_users_each_keeps_its_own() -> None:
    found = load_all([source("a", "load: {users: 3}"), source("b", "load: {users: 30}")])
    assert users(found) == [3, 30]


def test_weights_divide_the_sum_or_what_the_command_line_says() -> None:
    sources = [source("a", "load: {users: 3}\nweight: 3"), source("b", "load: {users: 5}")]
    assert users(load_all(sources)) == [6, 2]
    assert users(load_all(sources, Overrides(users=100))) == [75, 25]
    even = [source("a", "load: {users: 3}"), source("b")]
    assert users(load_all(even, Overrides(users=10))) == [5, 5]


def test_a_spawn_rate_of_the_command_line_is_for_all_of_them_together() -> None:
    sources = [source("a", "weight: 3"), source("b", "load: {spawn_rate: 1/s}")]
    found = load_all(sources, Overrides(users=8, spawn_rate="40/s"))
    assert [scenario.load.spawn_rate for scenario in found] == [30.0, 10.0]
    own = load_all(sources, Overrides(users=8))
    assert [scenario.load.spawn_rate for scenario in own] == [None, 1.0]


OPEN = "load: {rate: 100/s, max_users: 10, run_time: 1s}\n"
PHASES = """load:
  phases:
    - {users: 0..20, run_time: 1s}
    - {users: 3, run_time: 2s}
    - {rate: 10/s..40/s, max_users: 8, run_time: 1s}
"""


def test_a_rate_of_the_command_line_is_divided_and_each_keeps_its_users() -> None:
    sources = [source("a", OPEN + "weight: 3"), source("b", "load: {users: 5, run_time: 2s}")]
    first, second = load_all(sources[1:] + sources[1:], Overrides(rate="30/s"))
    assert first.load == second.load
    assert first.load.phases == (Phase("", Rate(15.0, 15.0, 2.0), 100),)
    words = Overrides(rate="40/s", users=8)
    found = [scenario.load for scenario in load_all(sources, words)]
    assert [one.users for one in found] == [6, 2]
    assert [one.phases for one in found] == [
        (Phase("", Rate(30.0, 30.0, 1.0), 6),),
        (Phase("", Rate(10.0, 10.0, 2.0), 2),),
    ]


def test_weights_divide_open_load_and_closed_load_each_by_itself() -> None:
    slower = OPEN.replace("100", "20").replace("10,", "6,") + "weight: 3"
    closed = "load: {users: 7, iterations: 2}"
    found = [
        one.load for one in load_all([source("a", OPEN), source("b", slower), source("c", closed)])
    ]
    assert found[0].phases == (Phase("", Rate(30.0, 30.0, 1.0), 4),)
    assert found[1].phases == (Phase("", Rate(90.0, 90.0, 1.0), 12),)
    assert [one.users for one in found] == [4, 12, 7]


def test_phases_are_divided_to_scale() -> None:
    first, second = load_all([source("a", PHASES + "weight: 1"), source("b", PHASES + "weight: 3")])
    assert first.load.users == 10
    assert first.load.phases == (
        Phase("phase 1", Users(0, 10, 1.0), 10),
        Phase("phase 2", Users(2, 2, 2.0), 2),
        Phase("phase 3", Rate(5.0, 20.0, 1.0), 4),
    )
    assert second.load.phases == (
        Phase("phase 1", Users(0, 30, 1.0), 30),
        Phase("phase 2", Users(5, 5, 2.0), 5),
        Phase("phase 3", Rate(15.0, 60.0, 1.0), 12),
    )
    assert (second.load.users, second.load.run_time) == (30, 4.0)


def test_users_of_the_command_line_stand_for_phases_and_bound_open_load() -> None:
    words = Overrides(users=9, iterations=3)
    first, second = (one.load for one in load_all([source("a", PHASES), source("b")], words))
    assert (first.users, first.phases, first.run_time, first.iterations) == (5, (), 4.0, 3)
    assert (second.users, second.iterations) == (4, 3)
    found = [one.load for one in load_all([source("a", OPEN), source("b")], Overrides(users=9))]
    assert found[0].phases == (Phase("", Rate(100.0, 100.0, 1.0), 5),)
    assert [one.users for one in found] == [5, 4]


def test_other_words_of_the_command_line_are_for_each() -> None:
    words = Overrides(run_time="3s", iterations=7, thresholds=("p(99) < 1s",), seed=5)
    for scenario in load_all([source("a", "load: {run_time: 1s}"), source("b")], words):
        assert (scenario.load.run_time, scenario.load.iterations, scenario.seed) == (3.0, 7, 5)
        assert [one.text for one in scenario.thresholds] == ["errors == 0", "p(99) < 1s"]


def test_one_alone_has_all_users_whatever_its_weight() -> None:
    (only,) = load_all([source("a", "weight: 3")], Overrides(users=9))
    assert only == load("a.yaml", Overrides(users=9), text=BODY + "weight: 3")
    assert (only.load.users, only.weight) == (9, 3)


def test_a_scenario_that_would_get_no_user_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        load_all([source("a", "weight: 9"), source("b")], Overrides(users=2))
    assert str(caught.value) == (
        "b.yaml gets none of 2 users (its weight is 1 of 10): use more --users"
    )


def test_a_threshold_on_a_step_is_for_the_scenarios_that_have_it() -> None:
    other = source("b", body=BODY.replace("talk", "yell"))
    words = Overrides(thresholds=("'yell': max < 1s",))
    found = load_all([source("a"), other], words)
    assert [[one.step for one in scenario.thresholds] for scenario in found] == [
        [None],
        [None, "yell"],
    ]
    with pytest.raises(UsageError, match="--threshold: unknown step 'yel' in the threshold"):
        load_all([source("a"), other], Overrides(thresholds=("'yel': max < 1s",)))


def test_the_mistakes_of_all_files_come_at_once() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        load_all([source("b", "wight: 1"), source("a", "weight: none"), source("b", "wight: 1")])
    assert [str(error) for error in caught.value.errors] == [
        "a.yaml:3:9: 'weight' must be a whole number, not the text 'none'",
        "b.yaml:3:1: unknown key 'wight' in a scenario; did you mean 'weight'?",
    ]


def test_rows_are_counted_against_a_scenarios_own_share() -> None:
    feeder = "variables: {account: {csv: a.csv}}\nload: {users: 5}\n"
    fed = Bundle("a.yaml", BODY + feeder, {"a.csv": b"login\nann\nben\n"})
    assert users(load_all([fed, source("b")], Overrides(users=4))) == [2, 2]
    with pytest.raises(ScenarioErrors, match=r"a.yaml:3:22: 'a.csv' has 2 rows for 3 users"):
        load_all([fed, source("b")], Overrides(users=6))
    phased = Bundle("a.yaml", fed.text.replace("load: {users: 5}", PHASES), fed.files)
    with pytest.raises(ScenarioErrors, match=r"'a.csv' has 2 rows for 20 users"):
        load_all([phased, source("b")])


def test_files_and_bundles_are_loaded_alike(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BODY)
    first, second = load_all([tmp_path / "a.yaml", source("b")])
    assert first.path == str(tmp_path / "a.yaml")
    assert (first.name, second.name) == ("a", "b")


def test_labels_tell_scenarios_of_one_name_apart() -> None:
    a, b = load_all([source("a"), source("b")])
    assert labels([a]) == [""]
    assert labels([a, b, a, a]) == ["a", "b", "a 2", "a 3"]
