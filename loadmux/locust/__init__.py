"""Scenarios under Locust: `from loadmux.locust import ScenarioUser`, and nothing else is needed.

The only part of loadmux that imports Locust, which patches the standard library when imported.
Making a subclass of `ScenarioUser` registers what else belongs to it with Locust's events.
"""

from loadmux.locust.events import register
from loadmux.locust.exporting import TargetFault, batch
from loadmux.locust.user import ScenarioUser

__all__ = ["ScenarioUser", "TargetFault", "batch", "register"]
