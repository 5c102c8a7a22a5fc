"""A plugin of somebody else's, installed as users install it, and what can be wrong with one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ROOT, Done, loadmux
from driving import Server, answering
from once import once

PLUGIN = ROOT / "tests" / "plugin"

Run = Callable[..., Done]

SCENARIO = """
sockets: {main: {framing: {shout: {marks: 1}, max: 1KiB}}}
steps:
  - {name: form, send: {shout: "hi ${user}"}, expect: {shout: "hi ${user}"}}
  - {name: frame, send: {frame: HELLO}, expect: {frame: HELLO}, save: heard}
  - {name: regex, send: {shout: "${heard}"}, expect: {regex: '(?P<word>\\w+)'}}
  - {name: talk, converse: {texts: ["${word}", "and ${iteration}"], count: shouted}}
  - {name: count, send: {shout: "${shouted}"}, expect: {shout: "2"}}
load: {users: 3, iterations: 5}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed plugin, and nothing else."""

    def install(folder: Path) -> None:
        source = tmp_path_factory.mktemp("source")
        shutil.copytree(PLUGIN, source, dirs_exist_ok=True)
        subprocess.run([*pip, "--target", str(folder), *alone, str(source)], check=True)

    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    return once(tmp_path_factory, "shouter", install)


def with_plugins(*folders: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def distribution(folder: Path, name: str, points: str, module: str = "") -> Path:
    """A distribution as pip leaves it: metadata with entry points, and perhaps a module."""
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\nProvides-Extra: fast\n"
        'Requires-Dist: no-such-module>=1; extra == "fast"\n'
    )
    (info / "entry_points.txt").write_text(points)
    (folder / f"{name}.py").write_text(module)
    return folder


def shouting(chunk: bytes) -> bytes:
    return chunk


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """`loadmux run` of a text against a server that echoes, with the plugin installed."""

    def run(text: str, *words: str, more: tuple[Path, ...] = (), name: str = "some") -> Done:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        with Server(answering(shouting)) as server:
            target = ("--target", server.url)
            done = loadmux("run", path, *target, *words, env=with_plugins(site, *more))
        assert "Traceback" not in done.err, done.err
        return done

    return run


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_plugin_at_work(run: Run, workers: str) -> None:
    done = run(SCENARIO, "--workers", workers, "--report", "oneline")
    assert done.code == 0, done.out + done.err
    assert done.out.endswith("some: PASS, 75 right\n")


def test_a_report_into_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "line.txt"
    done = run(SCENARIO, "--report", f"oneline={file}")
    assert done.code == 0, done.err
    assert file.read_text() == "some: PASS, 75 right"


def test_a_rule_of_a_plugin(site: Path, tmp_path: Path) -> None:
    path = tmp_path / "loud.yaml"
    path.write_text(
        "steps: [{send: 'hi ${user}', expect: reply}, {send: a, expect: {rule: loud}}]\n"
    )

    def loud(chunk: bytes) -> bytes:
        return bytes(byte for each in chunk.upper() for byte in (each, each))

    with Server(answering(loud)) as server:
        words = ("--target", server.url, "--reply", "loud", "--iterations", "5")
        done = loadmux("run", path, *words, env=with_plugins(site))
    assert done.code == 0, done.out + done.err
    with Server(answering(bytes.upper)) as server:
        words = ("--target", server.url, "--reply", "loud", "--iterations", "1")
        done = loadmux("run", path, *words, env=with_plugins(site))
    assert done.code == 1


def test_a_bundled_target_knows_no_rule_of_a_plugin(run: Run, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "loud.yaml"
    text = "target: {bundled: epoll, reply: loud}\nsteps: [{send: hi, expect: reply}]\n"
    path.write_text(text)
    done = loadmux("run", path, env=with_plugins(site))
    told = "the rule 'loud' is a plugin's, and bundled targets know the built-in rules only"
    assert (done.code, done.err) == (2, f"{path}:1:33: {told}\n")
    done = loadmux("run", "echo", "--reply", "loud", env=with_plugins(site))
    assert (done.code, done.err) == (2, f"loadmux: --reply: {told}\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sockets: {main: {framing: {shout: {marks: 4}}}}\nsteps: [{send: a}]\n",
         "1:43: more than 3 marks are impolite; write 1, 2 or 3"),
        ("sockets: {main: {framing: {shout: {mark: 1}}}}\nsteps: [{send: a}]\n",
         "1:36: unknown key 'mark' in 'shout'; did you mean 'marks'?"),
        ("sockets: {main: {framing: shot}}\nsteps: [{send: a}]\n",
         "1:27: unknown framing 'shot'; did you mean 'shout'?"),
        ("sockets: {main: {framing: {shout: true, fixed: 3}}}\nsteps: [{send: a}]\n",
         "1:41: 'shout' stands alone; take 'fixed' out"),
        ("sockets: {main: {framing: shout}}\nsteps: [{send: {frame: a}}]\n",
         "2:24: this body cannot be framed: b'a' is no shout; write it in upper case"),
        ("sockets: {main: {framing: line}}\nsteps: [{send: {shout: a}}]\n",
         "2:17: 'shout' is spoken on a socket with 'framing: shout'; this one has another"),
        ("steps: [{send: {shout: [a]}}]\n",
         "1:24: 'shout' must be a text, a number, true or false, not a list"),
        ("steps: [{send: {shout: a, text: b}}]\n", "1:27: 'shout' stands alone; take 'text' out"),
        ("steps: [{send: {shut: a}}]\n",
         "1:17: unknown key 'shut' in a payload; did you mean 'shout'?"),
        ("steps: [{send: {shout: 'a!'}}]\n", "1:24: 'shout': a shout holds no '!'"),
        ("steps: [{send: {shout: '${nme}'}}]\nvariables: {name: x}\n",
         "1:24: unknown name '${nme}'; did you mean 'name'?"),
        ("steps: [{converse: {text: [a]}}]\n",
         "1:21: unknown key 'text' in 'converse'; did you mean 'texts'?"),
        ("steps: [{converse: [a], save: b}]\n",
         "1:25: unknown key 'save' in a 'converse' step; its keys are converse, name, on, within"),
        ("steps: [{send: a, expect: {rule: lod}}]\n",
         "1:34: unknown rule 'lod'; did you mean 'loud'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_at_its_place(text: str, told: str, run: Run) -> None:
    done = run(text)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.partition(".yaml:")[2] == told


@pytest.mark.parametrize(
    ("step", "who"),
    [
        ("{send: {shout: '${variable}'}}", "framer 'shout'"),
        ("{send: 'A!', expect: {shout: '${variable}'}}", "framer 'shout'"),
        ("{converse: ['${variable}']}", "step 'converse'"),
        ("{send: '${variable}', expect: {rule: loud}}", "rule 'loud'"),
    ],
)
def test_a_plugin_that_fails_in_a_run_is_not_the_targets_fault(
    step: str, who: str, run: Run
) -> None:
    done = run(f"steps: [{{set: {{variable: bug}}}}, {step}]\nload: {{users: 2}}\n")
    assert done.code == 3, done.out + done.err
    said = " ".join(done.out.split())
    assert f"plugin {who} (shouter 1.2): KeyError: 'a bug of the plugin' (" in said
    assert "0 errors" in said


def test_a_plugin_that_fails_while_a_file_is_read(run: Run) -> None:
    done = run("steps: [{send: {shout: bug}}]\n")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert ":1:24: plugin framer 'shout' (shouter 1.2): KeyError: 'a bug of the plugin' (" in line


def test_a_reporter_that_fails_leaves_no_pass(run: Run) -> None:
    done = run(SCENARIO, "--report", "oneline", name="bug")
    assert done.code == 3
    assert "plugin reporter 'oneline' (shouter 1.2): KeyError" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--report", "onelin"), "no reporter is called 'onelin'; did you mean 'oneline'?"),
        (("--report", "oneline="), "'oneline=' names no file; write oneline=FILE, or oneline"),
        (("--report", "oneline=/no/such/file"), "cannot write /no/such/file"),
    ],
)
def test_wrong_report_options(words: tuple[str, ...], told: str, run: Run) -> None:
    done = run(SCENARIO, *words)
    assert done.code == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_two_distributions_with_the_same_name_are_refused(run: Run, tmp_path: Path) -> None:
    rival = distribution(tmp_path / "rival", "rival", "[loadmux.framers]\nshout = rival:FRAMER\n")
    done = run(SCENARIO, more=(rival,))
    assert done.code == 2
    line = done.err.splitlines()[0]
    assert "the framer 'shout' is claimed by " in line
    assert "shouter 1.2 (shouter.framer:FRAMER)" in line
    assert "rival 0.1 (rival:FRAMER)" in line


FRAMER = "from loadmux.plugins import Framer\n"
ODD = (
    f"{FRAMER}from loadmux.checking.framing import Framing\n"
    "class Odd(Framer):\n    framing = Framing\n"
)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("", "AttributeError: module 'broken' has no attribute 'OBJECT'"),
        ("import nothing_there\n", "ModuleNotFoundError: No module named 'nothing_there'"),
        ("import no_such_module\n", "'odd' needs no_such_module, which is not installed:"
         " pip install 'broken[fast]'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("OBJECT = 5\n", "it is of type 'int'; name an instance of loadmux.plugins.Framer"),
        (FRAMER + "OBJECT = Framer\n", "it is a class; name an instance of loadmux.plugins.Framer"),
        (FRAMER + "OBJECT = Framer()\n", "its 'framing' must be the class of its framings"),
        (ODD + "    def read_framing(self):\n        pass\nOBJECT = Odd()\n",
         "its 'read_framing' must take 2 arguments"),
        (ODD + "    def read_framing(self, options, max_size):\n        return 5\nOBJECT = Odd()\n",
         "it returned 'int', not a 'Framing'"),
        (ODD + "    def read_framing(self, one, two):\n        return Framing()\nOBJECT = Odd()\n",
         "its 'Framing' is not equal to itself once pickled"),
    ],
)  # fmt: skip
def test_a_framer_that_is_none(module: str, told: str, run: Run, tmp_path: Path) -> None:
    broken = distribution(
        tmp_path / "broken", "broken", "[loadmux.framers]\nodd = broken:OBJECT\n", module
    )
    done = run("sockets: {main: {framing: odd}}\nsteps: [{send: a}]\n", more=(broken,))
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert ".yaml:1:27: " in line
    assert told in line
    assert "broken" in line


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("steps", "steps: [{odd: 5}]\n"),
        ("rules", "steps: [{send: a, expect: {rule: odd}}]\n"),
    ],
)
def test_other_objects_are_refused_too(group: str, text: str, run: Run, tmp_path: Path) -> None:
    points = f"[loadmux.{group}]\nodd = broken:OBJECT\n"
    broken = distribution(tmp_path / "broken", "broken", points, "OBJECT = 5\n")
    done = run(text, more=(broken,))
    assert done.code == 2
    (line,) = done.err.splitlines()
    who = f"plugin {group[:-1]} 'odd' (broken 0.1) at 'broken:OBJECT'"
    assert f"{who}: it is of type 'int'" in line


RULE = "from loadmux.checking.rules import Rule\nfrom loadmux.checking.verifying import Exact\n"


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("OBJECT = Rule('even', bytes, Exact)\n", "the rule calls itself 'even'"),
        ("OBJECT = Rule('odd', bytes, Exact)\n", "its 'verifier' raised TypeError"),
        ("OBJECT = Rule('odd', bytes, dict)\n", "its 'verifier' made 'dict', not a"),
        ("OBJECT = Rule('odd', bytes, 5)\n", "its 'verifier' must be a function"),
        (
            "from loadmux.checking.rules import Sink\n"
            "OBJECT = Rule('odd', lambda sent: b'', Sink)\n",
            "use functions of a module, no lambdas",
        ),
    ],
)
def test_a_rule_that_is_none(module: str, told: str, run: Run, tmp_path: Path) -> None:
    points = "[loadmux.rules]\nodd = broken:OBJECT\n"
    broken = distribution(tmp_path / "broken", "broken", points, RULE + module)
    done = run("steps: [{send: a, expect: {rule: odd}}]\n", more=(broken,))
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert ":1:34: plugin rule 'odd' (broken 0.1) at 'broken:OBJECT': " in line
    assert told in line


def test_a_name_of_the_language_is_refused(run: Run, tmp_path: Path) -> None:
    points = "[loadmux.framers]\nodd = broken:OBJECT\nline = broken:OBJECT\n"
    broken = distribution(tmp_path / "broken", "broken", points, "OBJECT = 5\n")
    done = run("sockets: {main: {framing: odd}}\nsteps: [{send: a}]\n", more=(broken,))
    assert done.code == 2
    assert "'line' is a name of the language" in done.err


def test_what_is_not_named_is_not_loaded(run: Run, tmp_path: Path) -> None:
    points = "[loadmux.framers]\nodd = broken:OBJECT\n[loadmux.rules]\nrod = broken:OBJECT\n"
    broken = distribution(tmp_path / "broken", "broken", points, "raise SystemExit('loaded')\n")
    done = run(SCENARIO, more=(broken,))
    assert done.code == 0, done.out + done.err


def test_a_protocol_whose_library_is_missing_says_what_to_install(run: Run, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "h11.py").write_text("raise ModuleNotFoundError('No module h11', name='h11')\n")
    done = run("steps: [{send: {http: /}, expect: {http: 200}}]\n", more=(hidden,))
    assert done.code == 2
    assert (
        ":1:17: 'http' needs h11, which is not installed: pip install 'loadmux[http]'" in done.err
    )
