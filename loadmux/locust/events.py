"""Which of Locust's events loadmux listens to, and which method of `Plugin` each one calls.

The order of things hangs on them: see `plugin`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from locust.env import Environment
from locust.event import Events
from locust.runners import MasterRunner, WorkerRunner

from loadmux.locust import launch, options, page
from loadmux.locust.failing import started_in
from loadmux.locust.plugin import of


@cache
def register(events: Events) -> None:
    """Listen to a set of Locust's events; once for each, however often it is called."""
    started_in()
    events.init_command_line_parser.add_listener(options.add_options)
    events.init_command_line_parser.add_listener(launch.keep_apart)
    events.init.add_listener(_on_init)
    events.test_start.add_listener(_on_test_start)
    events.test_stopping.add_listener(_on_test_stopping)
    events.test_stop.add_listener(_on_test_stop)
    events.quitting.add_listener(_on_quitting)
    events.cpu_warning.add_listener(_on_cpu_warning)


def _on_init(environment: Environment, **_: Any) -> None:
    plugin = of(environment)
    if environment.web_ui is not None:
        launch.refuse_taken(environment.web_ui.host, environment.web_ui.port)
    plugin.begin()
    events = environment.events
    events.reset_stats.add_listener(lambda **_: plugin.figures.reset())
    if environment.reset_stats:
        events.spawning_complete.add_listener(lambda **_: plugin.figures.reset())
    events.quitting.add_listener(lambda **_: plugin.stop_if_running())
    if isinstance(environment.runner, WorkerRunner):
        events.report_to_master.add_listener(plugin.figures.tell)
    if isinstance(environment.runner, MasterRunner):
        events.worker_report.add_listener(plugin.figures.hear)
        # Between two messages of a ramp a worker's users may all have ended: not the last word.
        events.spawning_complete.add_listener(lambda **_: plugin.figures.await_the_last_word())
    if environment.web_ui is not None:
        page.install(environment.web_ui, plugin)


def _on_test_start(environment: Environment, **_: Any) -> None:
    of(environment).test_start()


def _on_test_stopping(environment: Environment, **_: Any) -> None:
    of(environment).test_stopping()


def _on_test_stop(environment: Environment, **_: Any) -> None:
    of(environment).test_stop()


def _on_quitting(environment: Environment, **_: Any) -> None:
    of(environment).conclude()


def _on_cpu_warning(environment: Environment, **_: Any) -> None:
    of(environment).explain_cpu()
