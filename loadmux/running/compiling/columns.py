"""The columns of feeders: the value in a user's row, and whose a value is."""

from __future__ import annotations

from loadmux.checking.recognition import Owner
from loadmux.language.meaning.feeders import picker
from loadmux.language.meaning.scenario import Scenario
from loadmux.running.steps.messages import Render

OWNERS_MOST = 10_000


class Columns:
    """`first` is the number of the user who has the first row, `users` are the numbers of all."""

    def __init__(self, scenario: Scenario, seed: int, first: int, users: range) -> None:
        self._feeders = scenario.feeders
        self._rows = {name: picker(feeder, seed) for name, feeder in scenario.feeders.items()}
        self._first = first
        self._users = users

    def render(self, name: str, column: str) -> Render:
        """A column of a feeder: the value in the user's row."""
        feeder = self._feeders[name]
        values, row, first = feeder.columns[column], self._rows[name], self._first
        return lambda user, socket, sent: values[row(user.number - first)]

    def owner(self, column: str) -> Owner | None:
        """Who has a value of a feeder's column, `NAME.COLUMN`, if only one user has it."""
        name, _, of = column.partition(".")
        feeder = self._feeders.get(name)
        if feeder is None or of not in feeder.columns:
            return None
        values, row, first = feeder.columns[of], self._rows[name], self._first
        users = self._users[:OWNERS_MOST]

        def owner(value: bytes) -> int | None:
            found = [one for one in users if values[row(one - first)] == value]
            return found[0] if len(found) == 1 else None

        return owner
