"""`include`, `--var`, and `pieces` that a text tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import loadmux, run

from loadmux.errors import ScenarioErrors, UsageError
from loadmux.language.loading import bundle, load
from loadmux.language.meaning.scenario import Overrides
from loadmux.language.meaning.stepvalues import Exchange, Repeat

TARGET = "target: {bundled: epoll, reply: echo}\n"


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "s.yaml"


def test_steps_of_a_file_stand_where_it_is_included(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        s=f"{TARGET}variables: {{who: me}}\nsteps:\n  - {{include: parts/login.yaml}}\n"
        "  - {repeat: 2, do: [{include: parts/ping.yaml}]}\n"
        '  - {send: "${token}", expect: x}\n',
        parts__login='- {include: ping.yaml}\n- {send: "${who}", expect: me, save: token}\n',
        parts__ping="- {send: ping, expect: ping}\n",
    )
    ping, login, again, last = load(path).steps
    assert isinstance(ping, Exchange)
    assert isinstance(again, Repeat)
    assert isinstance(last, Exchange)
    assert (ping.where.path, ping.where.line) == (str(tmp_path / "parts/ping.yaml"), 1)
    assert [ping.name, login.name, last.name] == [
        "exchange main #1",
        "exchange main #2",
        "exchange main #5",
    ]
    packed = bundle(path)
    assert packed.files is not None
    assert set(packed.files) == {"parts/login.yaml", "parts/ping.yaml"}
    elsewhere = load("s.yaml", text=packed.text, files=packed.files)
    assert [step.name for step in elsewhere.steps] == [step.name for step in load(path).steps]


@pytest.mark.parametrize(
    ("files", "where", "told"),
    [
        ({}, "s.yaml:3:", "cannot read 'a.yaml'"),
        ({"a": "send: x\n"}, "s.yaml:3:", "must hold a list of steps, not a mapping"),
        ({"a": "- {include: a.yaml}\n"}, "a.yaml:1:", "includes itself"),
        (
            {"a": "- {include: b.yaml}\n", "b": "- {include: a.yaml}\n"},
            "b.yaml:1:",
            "includes itself",
        ),
        ({"a": "- {send: x}\n- {snd: x}\n"}, "a.yaml:2:", "did you mean 'send'?"),
        ({"a": '- {send: "${nobody}"}\n'}, "a.yaml:1:", "unknown name"),
        ({"a": "- {send: [}\n"}, "a.yaml:1:", ""),
    ],
)  # fmt: skip
def test_mistakes(files: dict[str, str], where: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path, s=f"{TARGET}steps:\n  - {{include: a.yaml}}\n", **files)
    with pytest.raises(ScenarioErrors) as error:
        load(path)
    (only,) = error.value.errors
    assert f"/{where}" in str(only)
    assert told in only.message


def test_variables_of_the_command_line(tmp_path: Path) -> None:
    path = written(
        tmp_path, s=f'{TARGET}variables: {{n: 1}}\nsteps: [{{send: "${{n}}", expect: "42"}}]\n'
    )
    assert run(path, folder=tmp_path).code == 1
    assert run(path, "--var", "n=42", "--workers", "2", folder=tmp_path).code == 0
    wrong = loadmux("run", path, "--var", "nn=1")
    assert wrong.code == 2
    assert "--var: no text uses '${nn}', and 'variables' has no 'nn'" in wrong.err
    wrong = loadmux("run", path, "--var", "n")
    assert (wrong.code, "write NAME=VALUE" in wrong.err) == (2, True)
    assert loadmux("check", path, "--var", "n=x").code == 0
    text = f'{TARGET}variables: {{n: 1}}\nsteps: [{{send: "${{other}}"}}]\n'
    new = load("s.yaml", Overrides(variables=("other=a", "n=b=c")), text=text)
    assert new.variables == {"n": "b=c", "other": "a"}
    with pytest.raises(UsageError, match="built in"):
        load(path, Overrides(variables=("user=7",)))


def test_pieces_that_a_text_tells(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        s=f"{TARGET}variables: {{n: 3}}\nsteps:\n"
        '  - {send: hello there, pieces: ["${n}", "${n - 2}", "${user + 4}"],'
        " expect: hello there}\n"
        '  - {send: hello there, pieces: "${n}", gap: 1ms, expect: hello there}\n',
    )
    assert run(path, folder=tmp_path).code == 0
    again = written(tmp_path, s=path.read_text().replace('"${n}", gap', '"${n - 3}", gap'))
    done = run(again, folder=tmp_path)
    assert done.code not in (0, 1)
    assert "a piece has at least 1 byte" in done.out + done.err
