"""`loadmux run` with several targets: all started and ended, each named in the report."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commands import begun, loadmux, run

TWO = """
target:
  api: {bundled: epoll, reply: received}
  shout: {bundled: poll, reply: upper}
sockets: {first: {to: api}, second: {to: shout}}
steps: [{name: both, on: all, send: "hello ${user}", expect: reply}]
load: {users: 4, iterations: 25}
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(TWO)
    return path


def server_of(running: int, name: str) -> int:
    children = Path(f"/proc/{running}/task/{running}/children").read_text().split()
    (found,) = [pid for pid in children if name in Path(f"/proc/{pid}/cmdline").read_text()]
    return int(found)


def test_two_bundled_targets(two: Path, tmp_path: Path) -> None:
    done = run(two, folder=tmp_path)
    assert done.code == 0, done.out
    api, shout = done.told["targets"]
    assert (api["name"], api["model"], api["reply"]) == ("api", "epoll", "received")
    assert (shout["name"], shout["model"], shout["reply"]) == ("shout", "poll", "upper")
    assert api["url"] != shout["url"]
    assert done.told["target"] == {key: value for key, value in api.items() if key != "name"}
    assert f"api: {api['url']} (bundled epoll, reply rule: received)" in done.out
    assert f"shout: {shout['url']} (bundled poll, reply rule: upper)" in done.out
    assert done.told["exchanges"]["count"] == 200


def test_the_last_word_of_the_command_line_chooses_one_of_several(
    two: Path, tmp_path: Path
) -> None:
    words = ["--target", "shout=poll", "--target", "shout=select", "--reply", "api=upper"]
    done = run(two, *words, folder=tmp_path)
    assert done.code == 0, done.out
    told = [(one["name"], one["model"], one["reply"]) for one in done.told["targets"]]
    assert told == [("api", "epoll", "upper"), ("shout", "select", "upper")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--target", "epoll"],
            "--target: the scenario has several targets; write NAME=... for one or more of api,"
            " shout",
        ),
        (["--target", "shot=epoll"], "--target: unknown target 'shot'; did you mean 'shout'?"),
        (["--target", "api=epol"], "--target: unknown model 'epol'; did you mean 'epoll'?"),
        (["--reply", "upper"], "--reply: the scenario has several targets"),
        (["--fault", "flip:3"], "--fault: there are several targets"),
    ],
)
def test_wrong_words_end_with_2(words: list[str], said: str, two: Path) -> None:
    done = loadmux("run", two, *words)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


def test_a_name_for_the_only_target_is_refused(tmp_path: Path) -> None:
    scenario = tmp_path / "one.yaml"
    scenario.write_text("target: {bundled: epoll}\nsteps: [{send: x, expect: reply}]\n")
    done = loadmux("run", scenario, "--target", "api=poll")
    assert done.code == 2
    assert "--target: the scenario has one target; leave 'api=' out" in done.err


def test_the_one_that_lies_is_named(two: Path, tmp_path: Path) -> None:
    two.write_text(TWO.replace("bundled: poll,", "bundled: poll, fault: 'flip:7',"))
    done = run(two, folder=tmp_path)
    assert done.code == 1
    examples = [one for group in done.told["faults"] for one in group["examples"]]
    assert {one["socket"] for one in examples} == {"second"}
    assert {one["target"] for one in examples} == {done.told["targets"][1]["url"]}
    assert "socket 'second' to 'shout'" in done.out


def test_one_of_two_that_dies_ends_the_run(two: Path) -> None:
    two.write_text(TWO.replace("iterations: 25", "run_time: 60s"))
    with begun("run", two) as running:
        running.stderr.readline()
        running.stderr.readline()
        os.kill(server_of(running.pid, "/poll_server"), signal.SIGKILL)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 1, out + err
    assert "shout: target poll was killed by SIGKILL" in out


def test_none_is_left_running(two: Path) -> None:
    two.write_text(TWO.replace("iterations: 25", "run_time: 60s"))
    with begun("run", two) as running:
        running.stderr.readline()
        running.stderr.readline()
        servers = [server_of(running.pid, name) for name in ("/epoll_server", "/poll_server")]
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 130
    assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
