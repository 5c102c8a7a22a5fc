"""What a person sees while a test runs: a bar and figures on a terminal, plain lines elsewhere.

Drawn only when `update` is called, by the caller's own thread: a refresh thread would take
processor time from the generator at moments of its own choosing, and show up in the latencies. What
is still being written (`Aside`) is not followed by more: a terminal that takes nothing sees the
newest state when it takes something again.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from loadmux.report import figures
from loadmux.report.aside import Aside
from loadmux.report.model import Progress

FIRST_LINE_AFTER = 1.0
LINE_EVERY = 5.0
BAR_WIDTH = 40


class LiveView:
    """Shows nothing (`--quiet`); the contract of the others: `with view: view.update(progress)`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the screen as it was, whatever ended the run."""

    def update(self, progress: Progress) -> None:
        """Show the newest state; it costs the drawing of a few lines, under 1 ms."""


class PlainLines(LiveView):
    """One line after a second of the run, then one every five, for files, pipes and build logs."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._plain = figures.plain_for(console.encoding)
        self._title = title
        self._due = FIRST_LINE_AFTER

    def __enter__(self) -> Self:
        self._print(self._title)
        return self

    def update(self, progress: Progress) -> None:
        if progress.elapsed < self._due or busy(self._console):
            return
        self._due = (progress.elapsed // LINE_EVERY + 1) * LINE_EVERY
        left = _time_left(progress)
        self._print(
            f"{progress.elapsed:5.0f}s  {_figures(progress)}" + (f"  {left}" if left else "")
        )

    def _print(self, line: str) -> None:
        self._console.print(Text(self._plain(line)), soft_wrap=True, highlight=False)


class Screen(LiveView):
    """A few lines redrawn in place, and taken away at the end: the report stands there instead."""

    def __init__(self, console: Console, title: str) -> None:
        self._plain = figures.plain_for(console.encoding)
        self._title = Text(self._plain(title), "bold", no_wrap=True, overflow="ellipsis")
        self._live = Live(
            self._title,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, progress: Progress) -> None:
        if busy(self._live.console):
            return
        style = "red" if progress.errors else ""
        shown = Text(self._plain(_figures(progress)), style, no_wrap=True, overflow="ellipsis")
        self._live.update(Group(self._title, self._bar(progress), shown), refresh=True)

    def _bar(self, progress: Progress) -> RenderableType:
        if progress.time_left is None:
            return Text(f"{progress.elapsed:.0f}s elapsed")
        total = progress.elapsed + progress.time_left
        bar = ProgressBar(total=total, completed=progress.elapsed, width=BAR_WIDTH)
        return Group(bar, Text(_time_left(progress)))


def busy(console: Console) -> bool:
    """Whether what was drawn last is not written yet."""
    return isinstance(console.file, Aside) and console.file.busy


def live_view(console: Console, quiet: bool, scenario_name: str, target: str) -> LiveView:
    """The view that fits: none when `quiet`, a screen on a terminal, plain lines on all else."""
    if quiet:
        return LiveView()
    title = f"{scenario_name} against {target}"
    if console.is_terminal and not console.is_dumb_terminal:
        return Screen(console, title)
    return PlainLines(console, title)


def _figures(progress: Progress) -> str:
    phase = (progress.phase,) if progress.phase else ()
    dropped = (f"{progress.dropped:,} dropped",) if progress.dropped else ()
    return "  ".join(
        (
            *phase,
            figures.plural(progress.users, "user"),
            figures.rate(progress.rate),
            f"p50 {figures.time(progress.p50)}",
            f"p99 {figures.time(progress.p99)}",
            figures.plural(progress.errors, "error"),
            *dropped,
            figures.plural(progress.exchanges, "exchange"),
        )
    )


def _time_left(progress: Progress) -> str:
    if progress.time_left is None:
        return ""
    if progress.time_left <= 0:
        return "finishing"
    return f"{progress.time_left:.0f}s left"
