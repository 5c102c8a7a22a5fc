"""The pytest plugin: scenario files as tests, and fixtures that start a server and load it.

- `*.loadmux.yaml` files are collected, an item each. A server that is wrong, or too slow for a
  threshold, fails the item; a run that says nothing of it (inconclusive, nobody reached, a mistake
  in the file) is an error. `--loadmux-target URL` overrides the targets of all of them, and
  `--loadmux-command "python server.py --port {port}"` starts that target, for each anew.
- `@pytest.mark.loadmux_probe(command=…, send=…, expect=…)` on a test makes an item of each case of
  `loadmux probe`; the test takes the case's result by the fixture `loadmux_case`, or nothing.
- `loadmux_run(scenario, …)` takes what `loadmux.run` does and returns its report.
- `loadmux_server(model, …)` starts a bundled target, `loadmux_server([command, …])` a server of
  your own, with `{port}` where the port is to stand; it returns the URL. Both end with the test.

pytest loads this in every session where loadmux is installed, so nothing else of loadmux is
imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from loadmux.probing.outcome import CaseResult
    from loadmux.running.generators.nursery import Nursery
    from loadmux.running.library import RunReport

SUFFIX = ".loadmux.yaml"
OPTION = "--loadmux-target"
COMMAND = "--loadmux-command"
MARK, CASE = "loadmux_probe", "loadmux_case"
FAILED = pytest.StashKey[str]()
NURSERY = pytest.StashKey["Nursery"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("loadmux")
    group.addoption(
        OPTION, metavar="URL", help=f"The target of all *{SUFFIX} files, instead of their own."
    )
    group.addoption(
        COMMAND, metavar="WORDS", help="Starts that target, with {port} where its port stands."
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(SUFFIX):
        return None
    found: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return found


class ScenarioFile(pytest.File):
    """A scenario file: one item."""

    def collect(self) -> Iterator[ScenarioItem]:
        yield ScenarioItem.from_parent(self, name=self.path.name.removesuffix(SUFFIX))


def nursery_of(config: pytest.Config) -> Nursery:
    """What makes the generator processes of all runs of the session."""
    from loadmux.running.generators.nursery import Nursery

    if NURSERY not in config.stash:
        stack = ExitStack()
        config.stash[NURSERY] = stack.enter_context(Nursery())
        config.add_cleanup(stack.close)
    return config.stash[NURSERY]


def not_judged(told: str) -> NoReturn:
    """The run says nothing of the server; what is told, a report mostly, is all that pytest shows.

    Raised before the test itself, it is an error of the test.
    """
    pytest.fail(told, pytrace=False)


class ScenarioItem(pytest.Item):
    """Runs the file in its setup, where a failure counts as an error of the test."""

    report: RunReport | None = None

    def setup(self) -> None:
        import loadmux
        from loadmux.errors import LoadmuxError
        from loadmux.measuring.exitcodes import ExitCode

        try:
            target, command = map(self.config.getoption, (OPTION, COMMAND))
            nursery = nursery_of(self.config)
            self.report = loadmux.run(self.path, target=target, command=command, nursery=nursery)
        except LoadmuxError as error:
            not_judged(str(error))
        if self.report.verdict.code not in (ExitCode.PASS, ExitCode.FAIL, ExitCode.THRESHOLD):
            not_judged(str(self.report))

    def runtest(self) -> None:
        assert self.report is not None
        self.report.assert_passed()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if self.report is not None and isinstance(excinfo.value, AssertionError):
            return str(self.report)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


# --- probing ------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(command=, url=, file=, send=, expect=, cases=, skip=, strict=, pipelining=): the"
        " server is probed, an item for each case",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """An item for each case that the mark asks for."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is None:
        return
    from loadmux.errors import LoadmuxError
    from loadmux.testing.probes import wanted_cases

    if CASE not in metafunc.fixturenames:
        metafunc.fixturenames.append(CASE)
    try:
        names = wanted_cases(**mark.kwargs)
    except LoadmuxError as error:
        pytest.fail(f"{MARK}: {error}", pytrace=False)
    metafunc.parametrize(CASE, names, ids=names, indirect=True)


@pytest.fixture
def loadmux_case(request: pytest.FixtureRequest) -> CaseResult:
    """The result of the case that this item is; where the server fails, so does the item."""
    from loadmux.errors import LoadmuxError
    from loadmux.testing.probes import case_of

    mark = request.node.get_closest_marker(MARK)
    if mark is None:
        raise pytest.UsageError(f"{CASE} belongs to a test with @pytest.mark.{MARK}(...)")
    try:
        result, told = case_of(request.param, **mark.kwargs)
    except LoadmuxError as error:
        not_judged(str(error))
    if result.verdict == "unsupported":
        pytest.skip(told)
    if result.verdict == "fail":
        request.node.stash[FAILED] = told
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """A case that failed is a failure of the test, not of its set-up."""
    told = pyfuncitem.stash.get(FAILED, None)
    if told is not None:
        pytest.fail(told, pytrace=False)


@pytest.fixture
def loadmux_run(pytestconfig: pytest.Config) -> Callable[..., RunReport]:
    """`loadmux.run`: the report of a scenario, which may be a path, a mapping, or a `@scenario`."""
    import loadmux

    nursery = nursery_of(pytestconfig)

    def ran(*scenario: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        return _at_the_call(loadmux.run, *scenario, **{"nursery": nursery, **options})

    return ran


@pytest.fixture
def loadmux_server() -> Iterator[Callable[..., str]]:
    """Starts servers that end with the test; the function returns where one listens, as a URL.

    What a command printed last is shown with a test that fails.
    """
    from loadmux.testing.servers import start

    with ExitStack() as stack:

        def started(server: str | Sequence[str], **options: Any) -> Any:
            __tracebackhide__ = True
            begun = partial(start, server, told=_print, **options)
            return _at_the_call(lambda: stack.enter_context(begun()))

        yield started


def _at_the_call(called: Callable[..., Any], *words: Any, **options: Any) -> Any:
    """What is wrong with a call of a fixture's function is shown at that call, without our code."""
    __tracebackhide__ = True
    from loadmux.errors import LoadmuxError

    try:
        return called(*words, **options)
    except LoadmuxError as error:
        raise error.with_traceback(None) from None


def _print(lines: Sequence[str]) -> None:
    """What a server printed; pytest shows it beside a test that failed."""
    for line in lines:
        print(f"server: {line}")
