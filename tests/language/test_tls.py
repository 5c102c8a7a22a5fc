"""The files of the option `tls`: found beside the scenario, and wrong ones told before a run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import program
from transports import Authority

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load
from loadmux.language.meaning.scenario import Scenario, Tls
from loadmux.language.meaning.servers import Target, Url
from loadmux.running.compiling.endpoints import endpoints, trusting

URL = Url("tls", "localhost", 9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    for name in ("client", "other"):
        authority.client(name)
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    (tmp_path / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    (tmp_path / "text.pem").write_text("no certificate\n")
    return tmp_path


def read(folder: Path, options: str) -> Scenario:
    text = (
        f"target: tls://localhost:9\nsockets:\n  main: {{tls: {{{options}}}}}\nsteps: [{{send: a}}]"
    )
    return load(folder / "s.yaml", text=text)


def test_files_are_looked_for_beside_the_scenario(folder: Path) -> None:
    scenario = read(folder, "ca: ca.pem, cert: client.pem, key: client.key, server_name: here")
    assert scenario.sockets[0].tls == Tls(
        None,
        ca=str(folder / "ca.pem"),
        cert=str(folder / "client.pem"),
        key=str(folder / "client.key"),
        server_name="here",
    )


def test_certificate_and_key_may_be_one_file(folder: Path) -> None:
    [socket] = read(folder, "cert: both.pem, verify: false").sockets
    assert socket.tls == Tls(None, cert=str(folder / "both.pem"), verify=False)


@pytest.mark.parametrize(
    ("options", "column", "message"),
    [
        ("ca: nowhere.pem", 20, "cannot read {folder}/nowhere.pem: no such file or directory"),
        ("ca: .", 20, "cannot read {folder}: is a directory"),
        ("ca: text.pem", 20, "{folder}/text.pem holds no certificate in PEM form"),
        (
            "cert: client.pem, key: other.key",
            39,
            "the key in {folder}/other.key is not that of the certificate in {folder}/client.pem",
        ),
        (
            "cert: client.pem",
            22,
            "{folder}/client.pem does not hold a certificate and its key in PEM form; give 'key'"
            " too",
        ),
        (
            "cert: text.pem, key: client.key",
            22,
            "{folder}/text.pem and {folder}/client.key are not a certificate and its key in PEM"
            " form",
        ),
        (
            "cert: client.pem, key: locked.key",
            39,
            "the key in {folder}/locked.key is encrypted; give one without passphrase",
        ),
    ],
)
def test_files_of_no_use(folder: Path, options: str, column: int, message: str) -> None:
    if "locked" in options:
        words = [program("openssl"), "pkey", "-in", str(folder / "client.key"), "-aes256"]
        words += ["-passout", "pass:secret", "-out", str(folder / "locked.key")]
        subprocess.run(words, check=True)
    with pytest.raises(ScenarioErrors) as caught:
        read(folder, options)
    assert str(caught.value) == f"{folder}/s.yaml:3:{column}: {message.format(folder=folder)}"


@pytest.mark.parametrize(
    ("options", "column", "message"),
    [
        ("min_version: 1.1", 29, "'min_version' must be 1.2 or 1.3, not '1.1'"),
        (
            "min_version: 1.3, max_version: '1.2'",
            47,
            "'max_version' (1.2) is below 'min_version' (1.3)",
        ),
    ],
)
def test_versions_that_cannot_be(folder: Path, options: str, column: int, message: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(folder, options)
    assert str(caught.value) == f"{folder}/s.yaml:3:{column}: {message}"


def test_sockets_with_the_same_options_share_a_context(folder: Path) -> None:
    text = (
        "target: tls://localhost:9\n"
        "sockets: {a: {count: 2, tls: {ca: ca.pem}}, b: {tls: {ca: ca.pem}},"
        " c: {tls: {verify: false}}}\n"
        "steps: [{on: all, send: a}]\n"
    )
    found = endpoints(load(folder / "s.yaml", text=text), {"": URL})
    assert len({id(one.tls) for one in found[:3]}) == 1
    assert found[3].tls is not found[0].tls
    assert {one.server_name for one in found} == {"localhost"}


@pytest.mark.parametrize(
    ("target", "options", "trusted"),
    [
        (Target(url=URL), Tls(), None),
        (Target(bundled="epoll", options={"tls": ""}), Tls(), "localhost-testing-ca.pem"),
        (Target(bundled="epoll", options={"tls": "", "tls-cert": "x"}), Tls(), None),
        (Target(bundled="epoll", options={"tls": ""}), Tls(ca="/mine.pem"), "mine.pem"),
    ],
)
def test_whom_we_trust(target: Target, options: Tls, trusted: str | None) -> None:
    ca = trusting(options, target).ca
    assert (None if ca is None else Path(ca).name) == trusted
