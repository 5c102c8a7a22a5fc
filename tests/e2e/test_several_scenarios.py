"""`loadmux run A B`: each scenario as it would be alone, one verdict on all of them."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest
from commands import begun, loadmux, run
from driving import Server, answering

FIRST = """
steps: [{name: talk, send: "a ${user}.", expect: "${sent}"}]
load: {users: 6, iterations: 4}
weight: 2
"""
SECOND = """
steps: [{name: talk, send: "b ${user}.", expect: "${sent}"}]
load: {users: 3, iterations: 5}
"""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "first.yaml", tmp_path / "second.yaml"
    for path, text in zip(paths, (FIRST, SECOND), strict=True):
        path.write_text("target: {bundled: epoll, reply: echo}\n" + text)
    return paths


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_does_its_own_work(workers: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(*pair, "--workers", workers, folder=tmp_path)
    assert done.code == 0, done.out
    first, second = done.told["scenarios"]
    assert (first["name"], first["iterations"]) == ("first", 24)
    assert (second["name"], second["iterations"]) == ("second", 15)
    assert first["users"] == {"started": 6, "served": 6}
    assert second["users"] == {"started": 3, "served": 3}
    assert {row["name"]: row["count"] for row in done.told["steps"]} == {
        "first: talk": 24,
        "second: talk": 15,
    }
    assert done.told["exchanges"]["count"] == 39
    urls = {one["url"] for one in done.told["targets"]}
    assert len(urls) == 2, "a bundled target for each"
    assert "second (" in done.out


@pytest.mark.parametrize("workers", ["1", "2"])
def test_users_are_divided_by_weight_and_numbered_through(
    workers: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    seen: list[bytes] = []
    lock = threading.Lock()

    def note(chunk: bytes) -> bytes:
        with lock:
            seen.append(chunk)
        return chunk

    with Server(answering(note)) as server:
        words = ["--target", server.url, "-u", "12", "--iterations", "1", "--workers", workers]
        done = run(*pair, *words, folder=tmp_path)
    assert done.code == 0, done.out
    expected = [b"a %d." % n for n in range(8)] + [b"b %d." % n for n in range(8, 12)]
    assert sorted(seen) == sorted(expected)
    assert [one["weight"] for one in done.told["scenarios"]] == [2, 1]


def test_feeders_begin_at_a_scenarios_own_first_user(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.csv").write_text(f"word\n{name}0\n{name}1\n")
        (tmp_path / f"{name}.yaml").write_text(
            f"target: {{bundled: epoll}}\nvariables: {{row: {{csv: {name}.csv}}}}\n"
            "steps: [{send: '${row.word}', expect: '${sent}'}]\nload: {users: 2}\n"
        )
    done = run(tmp_path / "x.yaml", tmp_path / "y.yaml", folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 4


def test_a_fault_counts_against_its_own_scenario(pair: tuple[Path, Path], tmp_path: Path) -> None:
    text = pair[1].read_text().replace("reply: echo", "reply: echo, fault: 'flip:4'")
    pair[1].write_text(text)
    done = run(*pair, folder=tmp_path)
    assert done.code == 1
    assert [one["verdict"] for one in done.told["scenarios"]] == ["pass", "fail"]
    assert {group["step"] for group in done.told["faults"]} == {"second: talk"}
    example = done.told["faults"][0]["examples"][0]
    assert example["user"] in range(6, 9)
    assert done.out.splitlines()[0].startswith(" FAIL  second: ")


def test_the_worst_verdict_is_that_of_the_run(pair: tuple[Path, Path], tmp_path: Path) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(pair[0].read_text() + "thresholds: ['max < 1us']\n")
    done = run(slow, pair[1], folder=tmp_path)
    assert done.code == 99
    assert [one["exit_code"] for one in done.told["scenarios"]] == [99, 0]
    pair[1].write_text(pair[1].read_text().replace("${sent}", "wrong"))
    done = run(slow, pair[1], folder=tmp_path)
    assert done.code == 1
    assert [one["exit_code"] for one in done.told["scenarios"]] == [99, 1]


def test_each_runs_for_its_own_time(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for path, time in zip(pair, ("1s", "2s"), strict=True):
        text = path.read_text().replace("iterations: ", f"run_time: {time}, pacing: 10ms #")
        path.write_text(text.replace("#4}", "}").replace("#5}", "}"))
    done = run(*pair, folder=tmp_path)
    assert done.code == 0, done.out
    first, second = done.told["scenarios"]
    assert first["duration"] < second["duration"]
    assert done.told["duration"] == second["duration"]


def test_a_target_that_is_not_there_ends_the_whole_run(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    text = pair[1].read_text().replace("{bundled: epoll, reply: echo}", f"tcp://127.0.0.1:{port}")
    pair[1].write_text(text)
    pair[0].write_text(pair[0].read_text().replace("iterations: 4", "run_time: 60s"))
    done = run(*pair, folder=tmp_path)
    assert done.code == 4
    assert f"second: cannot connect to tcp://127.0.0.1:{port}" in done.out


def test_the_same_file_twice_is_two_scenarios(pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(pair[0], pair[0], folder=tmp_path)
    assert done.code == 0, done.out
    assert [row["name"] for row in done.told["steps"]] == ["first: talk", "first 2: talk"]


def test_abort_in_one_ends_all(pair: tuple[Path, Path], tmp_path: Path) -> None:
    pair[0].write_text(pair[0].read_text().replace("iterations: 4", "run_time: 60s"))
    wrong = pair[1].read_text().replace("${sent}", "wrong") + "on_error: abort\n"
    pair[1].write_text(wrong)
    done = run(*pair, folder=tmp_path)
    assert done.code == 1
    assert "the first fault ended the run (on_error: abort)" in done.told["notes"]


def test_interrupted(pair: tuple[Path, Path]) -> None:
    for path in pair:
        text = path.read_text().replace("iterations: 4", "run_time: 60s")
        path.write_text(text.replace("iterations: 5", "run_time: 60s"))
    with begun("run", *pair) as running:
        assert running.stderr.readline() == "first, second against epoll\n"
        running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "first: talk" in out
    assert "second: talk" in out


def test_mistakes_of_both_files_and_of_the_command_line(pair: tuple[Path, Path]) -> None:
    done = loadmux("run", *pair, "-u", "1")
    assert done.code == 2
    assert "second.yaml gets none of 1 users" in done.err
    done = loadmux("run", *pair, "--fault", "flip:1")
    assert done.code == 2
    assert "--fault: there are several targets" in done.err
    for path in pair:
        path.write_text(path.read_text() + "wait: 1\n")
    done = loadmux("run", *pair)
    assert done.code == 2
    assert [line.split(":")[0] for line in done.err.splitlines()] == [str(path) for path in pair]
