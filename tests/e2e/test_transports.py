"""`loadmux run` over TLS and UDP, against bundled targets and files of one's own."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest
from commands import loadmux, run
from driving import answering
from transports import Authority, TlsServer, free_udp_port

from loadmux.running.catalog import models

WITHOUT_TLS = ("asyncio", "gevent", "io_uring", "udp")
TLS_MODELS = [model for model in models() if model not in WITHOUT_TLS]
TALK = """
steps:
  - {name: talk, send: "user ${user} in iteration ${iteration} says hello", expect: reply}
load: {users: 2, iterations: 3}
timeout: 700ms
"""
KINDS = {
    "short_send": "truncated",
    "flip": "corrupt",
    "duplicate": "duplicate",
    "truncate": "truncated",
    "early_close": "closed",
    "reset": "reset",
    "silence": "timeout",
    "extra": "surplus",
}


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.yaml"
    path.write_text(TALK)
    return path


def with_target(scenario: Path, target: str) -> Path:
    scenario.write_text(f"target: {target}\n{TALK}")
    return scenario


@pytest.mark.parametrize("model", TLS_MODELS)
def test_a_bundled_target_with_tls_is_trusted(model: str, talk: Path, tmp_path: Path) -> None:
    told = needs.model(model)
    assert told.tls
    users = "1" if told.at_once == 1 else "4"
    scenario = with_target(talk, f"{{bundled: {model}, tls: true, reply: received}}")
    done = run(scenario, "-u", users, folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["target"]["url"].startswith("tls://127.0.0.1:")


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("model", ["threads", "epoll_et"])
def test_lies_under_tls_are_told_alike(model: str, fault: str, talk: Path, tmp_path: Path) -> None:
    scenario = with_target(talk, f"{{bundled: {model}, tls: true}}")
    done = run(scenario, "-u", "1", "--fault", fault, folder=tmp_path)
    assert done.code == 1, done.out
    assert done.told["faults"][0]["kind"] == KINDS[fault]


@pytest.mark.parametrize("model", WITHOUT_TLS)
def test_a_model_without_tls_is_refused(model: str, talk: Path, tmp_path: Path) -> None:
    needs.model(model)
    done = run(with_target(talk, f"{{bundled: {model}, tls: true}}"), folder=tmp_path)
    assert done.code == 2
    assert f"the model {model} does not speak TLS" in done.err


def test_an_untrusted_server_ends_with_4_and_says_why(talk: Path, tmp_path: Path) -> None:
    with TlsServer(answering(bytes), Authority(tmp_path).server()) as server:
        done = run(talk, "--target", server.url, "--reply", "echo", folder=tmp_path)
    assert done.code == 4, done.out
    assert "the server's certificate is not trusted" in done.out
    assert done.told["faults"][0]["kind"] == "tls"


def test_a_scenario_names_its_ca_over_workers(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    scenario = tmp_path / "own.yaml"
    scenario.write_text(f"sockets: {{main: {{tls: {{ca: {authority.path.name}}}}}}}\n{TALK}")
    with TlsServer(answering(bytes), authority.server()) as server:
        words = ["--target", server.url, "--reply", "echo", "--workers", "2"]
        done = run(scenario, *words, folder=tmp_path)
    assert done.code == 0, done.out
    assert done.told["exchanges"]["count"] == 6


def test_a_ca_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    scenario = tmp_path / "own.yaml"
    scenario.write_text(f"sockets: {{main: {{tls: {{ca: gone.pem}}}}}}\n{TALK}")
    done = loadmux("run", scenario, "--target", "tls://127.0.0.1:9", "--reply", "echo")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"{scenario}:1:28: cannot read {tmp_path}/gone.pem: no such file or directory\n"
    )


@pytest.mark.parametrize("rule", ["echo", "upper", "ok", "received", "upper_sb", "hello"])
def test_every_rule_over_udp(rule: str, talk: Path, tmp_path: Path) -> None:
    done = run(talk, "--target", "udp", "--reply", rule, "-u", "20", folder=tmp_path)
    assert done.code == 0, done.out + done.err
    assert done.told["target"]["url"].startswith("udp://127.0.0.1:")
    assert done.told["exchanges"]["count"] == 60
    assert "only counts replies" not in done.out


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("flip", "corrupt"),
        ("duplicate", "duplicate"),
        ("swap", "timeout"),
        ("truncate", "truncated"),
        ("silence", "timeout"),
        ("extra", "surplus"),
    ],
)
def test_lies_over_udp(fault: str, kind: str, talk: Path, tmp_path: Path) -> None:
    done = run(talk, "--target", "udp", "-u", "1", "--fault", fault, folder=tmp_path)
    assert done.code == 1, done.out
    assert {fault["kind"] for fault in done.told["faults"]} == {kind}


def test_nobody_at_a_udp_port_ends_with_4(talk: Path, tmp_path: Path) -> None:
    url = f"udp://127.0.0.1:{free_udp_port()}"
    done = run(talk, "--target", url, "--reply", "echo", folder=tmp_path)
    assert done.code == 4, done.out
    assert "ICMP: port unreachable" in done.out


def test_datagrams_that_we_dropped_ourselves_are_not_the_servers_fault(tmp_path: Path) -> None:
    """A receive buffer of the least size, and nobody reads until it has overflowed."""
    scenario = tmp_path / "flood.yaml"
    scenario.write_text(
        "target: {bundled: udp}\n"
        "sockets: {main: {receive_buffer: 1}}\n"
        "steps:\n"
        "  - {stop_reading: main}\n"
        "  - {repeat: 20, do: [{send: {random: 1000}}]}\n"
        "  - {resume_reading: main}\n"
        "  - {expect: reply}\n"
        "timeout: 500ms\n"
    )
    done = run(scenario, folder=tmp_path)
    assert done.code == 3, done.out
    assert "for want of room in a socket's receive buffer" in done.out
