"""The directions of dependency, and what must not happen at import; read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from loadmux.driver.poller import POLLERS

ROOT = Path(__file__).resolve().parents[1]

LAYERS = [
    {"errors", "units"},
    {"checking", "measuring"},
    {"driver"},
    {"plugins"},
    {"language"},
    {"report"},
    {"running", "protocols"},
    {"probing", "comparing"},
    {"cli", "locust", "testing", "scripting"},
    {"__main__"},
]
"""A part may import from itself and those before it; of its own layer from nobody else."""

LANGUAGE = [{"text", "meaning"}, {"sources"}, {"grammar"}, {"messages"}, {"steps"}, {"keys"}]
"""The folders of the language, likewise; `describing` and what stands beside them know them all."""

MAY_EXIT = {"cli", "__main__"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def part(path: Path) -> str:
    """The name below loadmux/ that the layers speak of: a module's or a package's."""
    return path.relative_to(ROOT / "loadmux").parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, for type checkers only or for good."""
    names = set[str]()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@cache
def dotted() -> dict[str, Path]:
    """Every module of the package by its name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules("loadmux")
    }


def needed(path: Path) -> set[str]:
    """The modules of the package that a file imports from."""
    known = dotted()
    names = {name for name in imported(path) if name.split(".")[0] == "loadmux"}
    return {name if name in known else name.rpartition(".")[0] for name in names} & set(known)


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def test_imports_go_one_way() -> None:
    found = {path: upwards(path) for path in modules("loadmux") if part(path) != "__init__"}
    assert not {path: names for path, names in found.items() if names}
    assert imported(ROOT / "loadmux/__init__.py") == {"importlib.import_module"}


def upwards(path: Path) -> set[str]:
    """The parts that a module imports from, and must not."""
    others = {name.split(".")[1] for name in needed(path) if "." in name} - {part(path)}
    return {name for name in others if layer(name) >= layer(part(path))}


def test_no_two_modules_import_each_other() -> None:
    graph = {name: needed(path) - {name} for name, path in dotted().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_no_two_folders_of_a_part_import_each_other() -> None:
    """A module counts as its folder, where a part has folders."""
    graph: dict[str, set[str]] = {}
    for name, path in dotted().items():
        graph.setdefault(folder(name), set()).update(map(folder, needed(path)))
    try:
        TopologicalSorter({name: to - {name} for name, to in graph.items()}).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_the_folders_of_the_language_import_one_way() -> None:
    below = set[str]()
    for names in LANGUAGE:
        for name in sorted(names):
            paths = modules(f"loadmux/language/{name}")
            used = {path: languages(path) - below - {name} for path in paths}
            assert used
            assert not {path: others for path, others in used.items() if others}
        below |= names


def languages(path: Path) -> set[str]:
    """The folders and modules of the language that a file imports from."""
    return {name.split(".")[2] for name in needed(path) if name.startswith("loadmux.language.")}


def folder(name: str) -> str:
    return ".".join(name.split(".")[:3])


def test_the_package_has_few_names_at_its_top() -> None:
    names = {path.stem for path in (ROOT / "loadmux").iterdir() if path.name[:2] != "__"}
    assert len(names) <= 18, sorted(names)


def test_the_driver_knows_no_yaml_and_no_report() -> None:
    allowed = {"driver", "errors", "units", "measuring", "checking"}
    for path in modules("loadmux/driver"):
        assert {name.split(".")[1] for name in needed(path)} <= allowed, path


def test_targets_and_loadmux_never_import_each_other() -> None:
    for path in modules("targets"):
        assert not any(name.split(".")[0] == "loadmux" for name in imported(path)), path
    bundled = {path.stem for path in modules("targets")}
    for path in modules("loadmux"):
        assert not any(name.split(".")[0] in bundled | {"targets"} for name in imported(path)), path


def test_no_modules_of_the_targets_import_each_other() -> None:
    names = {path.stem for path in modules("targets")}
    needs = {
        path.stem: {name.split(".")[0] for name in imported(path)} & names
        for path in modules("targets")
    }
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


def test_no_target_shadows_the_standard_library() -> None:
    assert not {path.stem for path in modules("targets")} & set(sys.stdlib_module_names)


def test_only_the_command_line_exits() -> None:
    for path in modules("loadmux"):
        called = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
        calls = {ast.unparse(one) for one in called if isinstance(one, ast.Name | ast.Attribute)}
        assert part(path) in MAY_EXIT or not calls & {"sys.exit", "exit", "quit", "os._exit"}, path


def test_every_module_states_its_contract() -> None:
    for path in modules("loadmux") + modules("targets"):
        assert ast.get_docstring(tree(path)) or not tree(path).body, path


def test_importing_loadmux_loads_neither_locust_nor_gevent_and_touches_nothing() -> None:
    code = (
        "import signal, sys, threading\n"
        "before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        "import loadmux.cli.app, loadmux.running.generators.process\n"
        "assert not {'locust', 'gevent'} & set(sys.modules)\n"
        "assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_generator_process_loads_no_yaml_and_no_terminal() -> None:
    code = (
        "import sys, loadmux.running.generators.process\n"
        "assert not {'yaml', 'rich', 'typer'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_command_line_imports_what_a_command_needs_when_it_runs() -> None:
    code = (
        "import sys, loadmux.cli.app\n"
        "assert not {'yaml', 'loadmux.language', 'loadmux.driver'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_plain_scenario_is_checked_without_what_others_need() -> None:
    code = (
        "import sys, loadmux.cli.reading as reading\n"
        "from loadmux.language.meaning.scenario import Overrides\n"
        "assert reading.check_files(['parts'], Overrides(), False)\n"
        "unneeded = {'ssl', 'importlib.metadata', 'random', 'pickle', 'csv'}\n"
        "unneeded |= {'loadmux.measuring.stats', 'loadmux.language.sources.usercode'}\n"
        "assert not unneeded & set(sys.modules), unneeded & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_run_imports_no_reporter_that_nobody_asked_for() -> None:
    code = (
        "import sys, loadmux.cli.running\n"
        "names = ('baseline', 'charts', 'html', 'junit', 'markdown', 'series')\n"
        "assert not {f'loadmux.report.{name}' for name in names} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_command_line_names_the_pollers() -> None:
    said = (ROOT / "loadmux/cli/options.py").read_text()
    assert f'metavar="{"|".join(POLLERS)}"' in said
