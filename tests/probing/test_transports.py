"""Probes over TLS and on Unix sockets: right servers pass, and what cannot be tried says why."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT
from probing_servers import SECURE

from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario
from loadmux.measuring.exitcodes import ExitCode
from loadmux.probing import ProbeReport, Settings, probe
from loadmux.probing.cases import CASES as EVERY
from loadmux.probing.handshaking import hellos
from loadmux.probing.known import pick

CASES = (
    *("split", "coalesced/2", "abort/close", "abort/reset", "abort/accept", "idle/few"),
    *("idle/handshake", "half-close", "urgent", "same-port", "emfile"),
)
STEPS = 'steps: [{send: "hello\\n", expect: reply}]\n'


def verdicts(report: ProbeReport) -> dict[str, str]:
    return {one.id: str(one.verdict) for one in report.cases}


def bundled(options: str) -> Scenario:
    return load("known.yaml", text=f"target: {{bundled: epoll, reply: echo, {options}}}\n{STEPS}")


def test_a_right_server_over_tls_passes() -> None:
    report = probe(bundled("tls: true"), Settings(CASES, strict=True))
    assert report.code is ExitCode.PASS, report.as_dict()
    found = verdicts(report)
    assert found.pop("urgent") == "unsupported"
    assert {one: found.pop(one) for one in ("half-close", "same-port", "emfile")} == {
        "half-close": "info",
        "same-port": "info",
        "emfile": "info",
    }
    assert set(found.values()) == {"pass"}


def test_a_right_server_on_a_unix_socket_passes(tmp_path: Path) -> None:
    cases = [one for one in CASES if one != "idle/handshake"]
    report = probe(bundled(f"unix: {tmp_path}/s"), Settings(cases, strict=True))
    assert report.code is ExitCode.PASS, report.as_dict()
    found = verdicts(report)
    assert {one for one in found if found[one] == "unsupported"} == {
        "abort/reset",
        "urgent",
        "same-port",
    }


def test_a_handshake_in_accept_is_found(tmp_path: Path) -> None:
    settings = Settings(("idle/handshake",), failures=tmp_path / "f", patience=0.5)
    report = probe(secure(tmp_path), settings)
    found = report.cases[1]
    assert str(found.verdict) == "fail", report.as_dict()
    assert load(found.file).sockets[0].tls is not None


STARTTLS = """
target: tcp://127.0.0.1:1
sockets:
  main:
    framing: line
    tls: {verify: false}
    on_connect: [{send: "STARTTLS\\n", expect: "220\\n"}, {start_tls: main}]
steps: [{send: "NOOP\\n", expect: "250\\n"}]
"""


@pytest.mark.parametrize("case", ["abort/accept", "idle", "flood"])
def test_crowds_say_nothing_where_tls_begins_later(case: str) -> None:
    known = replace(pick(load("x.yaml", text=STARTTLS)), sent=b"NOOP\n", came=b"250\n", took=0.01)
    (made,) = (one.make for one in EVERY if one.id == case)
    for variant in made(known):
        assert known.reread(variant.scenario).steps


def secure(folder: Path) -> Scenario:
    path = folder / "secure.py"
    path.write_text(SECURE)
    certificate = str(ROOT / "targets" / "localhost-testing.pem")
    command = [sys.executable, str(path), "{port}", certificate]
    keys = {
        "target": {"command": command, "url": "tls://localhost:{port}"},
        "sockets": {"main": {"tls": {"verify": False}}},
        "steps": [{"send": "hello\n", "expect": "<hello>\n"}],
    }
    return load(folder / "known.yaml", text=json.dumps(keys))


def test_a_handshake_begins_with_a_hello() -> None:
    found = hellos()
    assert found["whole hello"][:1] == b"\x16"
    assert len(found["whole hello"]) == 5 + int.from_bytes(found["record header"][3:5])
