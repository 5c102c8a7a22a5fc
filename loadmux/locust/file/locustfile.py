"""The locustfile that `loadmux web` gives to Locust: one class whose scenario is chosen at the
start.

The words that Locust takes for names of user classes are scenario files here; the first one is what
the form and a headless run begin with, and its `load` says how many users they begin with.
"""

from __future__ import annotations

from locust import events
from locust.argument_parser import LocustArgumentParser

from loadmux.locust import ScenarioUser
from loadmux.locust.launch import begin_with


class Scenario(ScenarioUser):
    """Carries out the chosen scenario."""


def scenario_files(parser: LocustArgumentParser) -> None:
    """Runs after loadmux's own options were added, with the class above."""
    begin_with(parser, Scenario)


events.init_command_line_parser.add_listener(scenario_files)
