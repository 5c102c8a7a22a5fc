"""The battery on right and wrong servers: what is found, told, and written."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import loadmux
from probing_servers import CHUNKS, FULL, GIVES_UP, LINES, NAMED, SERVER, STOPS

from loadmux.errors import UsageError
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.measuring.stats import Stats
from loadmux.probing import ProbeReport, Settings, probe
from loadmux.probing.cases.slowness import stalled_reader
from loadmux.probing.known import pick
from loadmux.probing.outcome import Found
from loadmux.probing.trying import Try, updates
from loadmux.running.generators.channel import pair
from loadmux.running.generators.said import Health, Measured, Update


def scenario(folder: Path, read: str) -> Scenario:
    return known(folder, SERVER.format(read=read))


def known(folder: Path, server: str, **keys: object) -> Scenario:
    path = folder / "server.py"
    path.write_text(server)
    command = [sys.executable, str(path), "{port}"]
    step = {"send": "hello\n", "expect": "<hello>\n"}
    text = json.dumps({"target": {"command": command}, "steps": [step], **keys})
    return load(folder / "known.yaml", text=text)


def verdicts(report: ProbeReport) -> dict[str, str]:
    return {one.id: str(one.verdict) for one in report.cases}


def test_a_server_that_reads_lines_passes(tmp_path: Path) -> None:
    wanted = ("split", "coalesced", "abort", "half-close")
    report = probe(scenario(tmp_path, LINES), Settings(wanted, failures=tmp_path / "f"))
    assert report.code is ExitCode.PASS, report.as_dict()
    assert set(verdicts(report).values()) == {"pass"}
    assert not (tmp_path / "f").exists()


def test_a_server_that_takes_a_chunk_for_a_message_fails_where_it_is_cut(tmp_path: Path) -> None:
    found = scenario(tmp_path, CHUNKS)
    report = probe(found, Settings(("split", "abort/close/3"), failures=tmp_path / "f"))
    control, split, abort = report.cases
    assert (control.verdict, abort.verdict) == (Found.PASS, Found.PASS)
    assert (split.verdict, split.failed, split.tried, split.where) == (Found.FAIL, 4, 5, "1-4")
    assert split.again == split.times == 3
    assert abort.tried == 1
    assert report.code is ExitCode.FAIL
    replayed = load(split.file)
    assert replayed.steps[0].name == "cut after 1"


def test_of_what_ends_while_probe_stands_still_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(STOPS)
    command = f"{sys.executable} {tmp_path / 'server.py'} {{port}}"
    words = ("--send", r"hello\n", "--expect", r"<hello>\n")
    done = loadmux("probe", "reuse", "--command", command, *words, cwd=tmp_path)
    assert done.code == ExitCode.INCONCLUSIVE, done.out
    assert "inconclusive reuse" in done.out


@pytest.mark.parametrize(("last", "short"), [(450, True), (120, False)])
def test_a_client_who_does_not_read_is_tried_where_its_socket_is_full_at_last(
    last: int, short: bool
) -> None:
    step = {"send": "hello\n", "expect": "HELLO\n"}
    scenario = load("x.yaml", text=json.dumps({"target": "tcp://127.0.0.1:1", "steps": [step]}))
    exchange = replace(pick(scenario), sent=b"hello\n", came=b"HELLO\n", took=0.02, rate=50.0)
    (variant,) = stalled_reader(exchange)
    tried = Try((), 0.02, volumes={"fill": 3600, "fill again": last})
    assert bool(variant.short(tried)) is short


def test_a_server_may_give_up_who_does_not_read(tmp_path: Path) -> None:
    report = probe(known(tmp_path, GIVES_UP), Settings(("stalled-reader",)))
    assert report.code is ExitCode.PASS, report.as_dict()
    assert verdicts(report)["stalled-reader"] == "pass"


def test_a_reset_that_a_crowd_has_made_is_no_fault(tmp_path: Path) -> None:
    report = probe(known(tmp_path, FULL), Settings(("interleave",), seed=1))
    assert report.code is ExitCode.PASS, report.as_dict()


def test_no_two_connections_of_a_battery_have_one_number(tmp_path: Path) -> None:
    login = {"send": "client ${connection}\n", "expect": "welcome\n"}
    found = known(tmp_path, NAMED, sockets={"main": {"on_connect": [login]}})
    report = probe(found, Settings(("split", "abort/close")))
    assert report.code is ExitCode.PASS, report.as_dict()


def test_a_constant_reply_that_a_rule_makes_is_judged_by_the_rule() -> None:
    keys = {
        "target": {"bundled": "epoll", "reply": "received"},
        "steps": [{"send": "This is ", "expect": "Server received b'This is '"}],
    }
    report = probe(load("x.yaml", text=json.dumps(keys)), Settings(("split", "coalesced/2")))
    assert report.code is ExitCode.PASS, report.as_dict()
    assert "replies are judged by the target's rule 'received'" in report.notes


def test_nothing_is_judged_by_an_exchange_that_does_not_work(tmp_path: Path) -> None:
    right = scenario(tmp_path, LINES)
    text = Path(tmp_path / "server.py")
    text.write_text(text.read_text().replace('b"<"', 'b"["'))
    report = probe(right, Settings(("split",)))
    assert report.code is ExitCode.INCONCLUSIVE
    assert [one.id for one in report.cases] == ["control"]
    assert "nothing was judged" in report.reason


def test_a_misspelt_case_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'split'"):
        probe(scenario(tmp_path, LINES), Settings(("splitt",)))


def test_an_exchange_is_needed(tmp_path: Path) -> None:
    found = load("x.yaml", text="target: tcp://127.0.0.1:1\nsteps: [{send: a}]\n")
    with pytest.raises(UsageError, match="a step that sends and expects"):
        probe(found)


def test_all_is_heard_of_a_loop_that_has_said_more_than_its_channel_holds() -> None:
    ours, theirs = pair()
    with ours, theirs:
        for number in range(3000):
            theirs.put(Update({number: Measured(Stats(), 0, 0.0)}, Health()))
        assert not theirs.flush()
        heard = [number for one in updates(ours, theirs) for number in one.parts]
    assert sorted(heard) == list(range(3000))
