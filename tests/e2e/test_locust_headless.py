"""`locust --headless` and `loadmux web --headless`: the right tables, and the verdict's code."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from driving import Server, answering
from locusting import LOCUST, WEB, Ended, eventually, forked, headless, locustfile, paced, process
from target_process import EXPECTED

SHORT = ("-u", "10", "-r", "10", "-t", "1s")


@pytest.fixture(params=["alone", "forked"])
def workers(request: pytest.FixtureRequest) -> list[str]:
    """Options for a process that does all, and for a master with two workers."""
    return forked() if request.param == "forked" else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "here"
    made.mkdir()
    return made


def scenario(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def test_three_lines_pass(workers: list[str], folder: Path) -> None:
    locustfile(folder, paced(folder))
    done = headless(folder, "-u", "50", "-r", "50", "-t", "2s", *workers)
    assert done.code == 0, done.text
    assert "Traceback" not in done.text, done.text
    counts = {done.row(name)[0] for name in STEPS}
    assert min(counts) > 100, done.text
    assert max(counts) - min(counts) <= 50  # an iteration of each user may not be whole
    assert all(done.row(name)[1] == 0 for name in STEPS)
    assert done.row("connect") == (100, 0)
    assert " PASS " in done.out


STEPS = ["exchange first #1", "exchange second #2", "exchange first #3", "exchange second #4"]


def test_a_target_that_lies_fails(folder: Path) -> None:
    locustfile(folder, paced(folder))
    done = headless(folder, *SHORT, "--fault", "flip:20", *forked())
    assert done.code == 1, done.text
    assert "corrupt: bytes of the reply were changed" in done.err
    assert "byte 17 of the reply is" in done.out
    assert " FAIL " in done.out
    assert any(done.row(name)[1] for name in STEPS)


@pytest.mark.parametrize("program", [LOCUST, WEB], ids=["locust", "web"])
def test_a_bad_scenario_is_told_in_a_line_and_nothing_is_sent(
    program: list[str], folder: Path
) -> None:
    wrong = scenario(folder, "target: {bundled: epoll}\nsteps: [{sned: x}]\n")
    if program is LOCUST:
        locustfile(folder, wrong)
    done = headless(folder, *SHORT, *([wrong] if program is WEB else []), program=program)
    assert done.code == 2, done.text
    told = [line for line in done.err.splitlines() if line.startswith(f"{wrong}:2:10: ")]
    assert len(told) == 1, done.err
    assert "Traceback" not in done.text
    assert "Ramping" not in done.err


def test_a_bad_scenario_leaves_no_worker_behind(folder: Path) -> None:
    locustfile(folder, scenario(folder, "target: {bundled: epoll}\nsteps: [{sned: x}]\n"))
    with process([*LOCUST, "--headless", *SHORT, "--processes", "2"], folder) as running:
        assert running.wait() == 2
        eventually(lambda: not members(running.popen.pid), "forked workers end with their master")


@pytest.mark.parametrize("program", [LOCUST, WEB], ids=["locust", "web"])
def test_the_environment_chooses_as_options_do(program: list[str], folder: Path) -> None:
    locustfile(folder)
    environment = {"LOCUST_SCENARIO": "echo", "LOCUST_FAULT": "flip:1"}
    done = headless(folder, *SHORT, program=program, env=environment)
    assert done.code == 1, done.text
    assert done.row("64 bytes")[1] > 0


def test_two_runs_at_once_do_not_meet(folder: Path) -> None:
    """Each has workers of its own, and users on them, though nobody chose a port."""
    locustfile(folder, paced(folder))
    words = [*LOCUST, "--headless", "-u", "6", "-r", "6", "-t", "4s", "--processes", "2"]
    with process(words, folder, "one") as one, process(words, folder, "two") as two:
        runs = [Ended(each.wait(), each.out, each.err) for each in (one, two)]
    for run in runs:
        assert run.code == 0, run.text
        assert run.text.count("reported as ready") == 2, run.text
        assert run.row("connect") == (12, 0)
        assert "busy" not in run.err


def members(group: int) -> list[int]:
    """The processes of a group, proc(5): the fifth field of `stat`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_target_and_a_host_are_not_both_chosen(folder: Path) -> None:
    locustfile(folder)
    done = headless(folder, *SHORT, "--target", "poll", "--host", "tcp://127.0.0.1:9")
    assert done.code == 2, done.text
    assert "choose a target (poll) or a host (tcp://127.0.0.1:9), not both" in done.err


def test_an_unreachable_target_ends_with_4(folder: Path) -> None:
    locustfile(folder)
    with Server(answering(bytes)) as server:
        server.stop_listening()
        done = headless(folder, *SHORT, "--host", server.url, "--reply", "received")
    assert done.code == 4, done.text
    assert "refused" in done.text


def test_a_target_that_cannot_run_here_ends_with_4(folder: Path) -> None:
    locustfile(folder)
    done = headless(folder, *SHORT, "--target", "kqueue")
    assert done.code == 4, done.text
    assert "cannot run here" in done.err


def test_a_crossed_threshold_ends_with_99(folder: Path) -> None:
    steps = "target: {bundled: epoll}\nsteps: [{name: ask, send: x, expect: reply}, {wait: 10ms}]\n"
    locustfile(folder, scenario(folder, steps + 'thresholds: ["p(99) < 1us"]\n'))
    done = headless(folder, *SHORT)
    assert done.code == 99, done.text
    assert "p(99) < 1us" in done.out


def test_nothing_measured_is_no_pass(folder: Path) -> None:
    text = "target: {bundled: epoll}\nsteps: [{wait: 1h}, {send: x, expect: reply}]\n"
    locustfile(folder, scenario(folder, text))
    done = headless(folder, *SHORT)
    assert done.code == 3, done.text
    assert "nothing was measured" in done.text


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_out_of_descriptors_the_run_ends_loudly(workers: list[str], folder: Path) -> None:
    locustfile(folder)
    words = ("-u", "200", "-r", "200", "-t", "1h", *workers)
    with Server(answering(EXPECTED["received"])) as server:
        done = headless(folder, *words, "--host", server.url, preexec_fn=few_descriptors)
    assert done.code == 3, done.text
    assert "the load generator failed" in done.text
    assert "descriptors" in done.text


def test_a_bundled_target_that_could_not_hold_all_is_not_blamed(folder: Path) -> None:
    locustfile(folder)
    done = headless(folder, "-u", "200", "-r", "200", "-t", "1h", preexec_fn=few_descriptors)
    assert done.code == 2, done.text
    assert "the hard limit is 64" in done.err


def test_an_interrupt_prints_what_was_measured(workers: list[str], folder: Path) -> None:
    locustfile(folder, paced(folder))
    words = [*LOCUST, "--headless", "--only-summary", "-u", "10", "-r", "10", *workers]
    with process(words, folder) as running:
        running.says("All users spawned")
        running.interrupt()
        code = running.wait()
        done = Ended(code, running.out, running.err)
    assert code == 130, done.text
    assert "Traceback" not in done.text, done.text
    assert done.row("connect") == (20, 0)
    assert all(done.row(name)[0] for name in STEPS)
    assert "stopped early" in done.out


WEIGHTED = """
from loadmux.locust import ScenarioUser
class Often(ScenarioUser):
    scenario = "often.yaml"
    weight = 3
class Seldom(ScenarioUser):
    scenario = "seldom.yaml"
    weight = 1
"""

BESIDE = """
from loadmux.locust import ScenarioUser
from locust import User, constant, task
class Talk(ScenarioUser):
    scenario = "often.yaml"
class Plain(User):
    wait_time = constant(0.1)
    @task
    def work(self):
        failed = RuntimeError("not today") if FAILS else None
        self.environment.events.request.fire(
            request_type="plain", name="work", response_time=1, response_length=0, exception=failed
        )
"""

OFTEN = "target: {bundled: epoll}\nsteps: [{name: ask, send: x, expect: reply}, {wait: 10ms}]\n"


def test_classes_share_a_run_by_weight(folder: Path) -> None:
    (folder / "locustfile.py").write_text(WEIGHTED)
    (folder / "often.yaml").write_text(OFTEN)
    (folder / "seldom.yaml").write_text(OFTEN.replace("epoll", "poll"))
    done = headless(folder, "-u", "8", "-r", "8", "-t", "1s", *forked())
    assert done.code == 0, done.text
    assert done.row("Often: connect") == (6, 0)
    assert done.row("Seldom: connect") == (2, 0)
    assert done.row("Often: ask")[0] > done.row("Seldom: ask")[0] > 0
    assert "Often (often.yaml): 6 users" in done.out
    assert "Seldom (seldom.yaml): 2 users" in done.out
    assert done.out.count(", pass\n") == 2


def test_the_worse_verdict_of_two_classes_counts(folder: Path) -> None:
    (folder / "locustfile.py").write_text(WEIGHTED)
    (folder / "often.yaml").write_text(OFTEN)
    (folder / "seldom.yaml").write_text(OFTEN + 'thresholds: ["iterations < 1"]\n')
    done = headless(folder, "-u", "8", "-r", "8", "-t", "1s")
    assert done.code == 99, done.text
    assert " THRESHOLD  Seldom: 1 of 2 thresholds crossed: iterations < 1" in done.out
    assert ", pass\n" in done.out


@pytest.mark.parametrize("fails", [False, True])
def test_plain_users_beside_ours_keep_their_rows_and_their_say(fails: bool, folder: Path) -> None:
    (folder / "locustfile.py").write_text(BESIDE.replace("FAILS", str(fails)))
    (folder / "often.yaml").write_text(OFTEN)
    done = headless(folder, "-u", "4", "-r", "4", "-t", "1s", "--host", "http://plain.invalid")
    assert done.code == (1 if fails else 0), done.text
    requests, failed = done.row("work")
    assert requests > 2
    assert failed == (requests if fails else 0)
    assert done.row("Talk: ask")[1] == 0
    assert done.row("Talk: connect") == (2, 0)


def test_the_scenario_says_how_many_and_how_long(folder: Path) -> None:
    text = OFTEN + 'load: {users: 3, run_time: 1s}\nthresholds: ["p(99) < 1us"]\n'
    done = headless(folder, scenario(folder, text), program=WEB)
    assert done.code == 99, done.text
    assert done.row("connect") == (3, 0)
    assert "load        3 users" in done.out


def test_a_fault_ends_the_run_where_the_scenario_says_so(folder: Path) -> None:
    wrong = OFTEN.replace("expect: reply", 'expect: "y"') + "on_error: abort\n"
    locustfile(folder, scenario(folder, wrong))
    done = headless(folder, "-u", "4", "-r", "4", "-t", "1h", *forked())
    assert done.code == 1, done.text
    assert "a fault ended the test" in done.err


def test_the_run_ends_when_all_iterations_are_done(folder: Path) -> None:
    locustfile(folder, scenario(folder, OFTEN + "load: {iterations: 25}\n"))
    done = headless(folder, "-u", "5", "-r", "5")
    assert done.code == 0, done.text
    assert done.row("ask") == (125, 0)
    assert done.row("connect") == (5, 0)
