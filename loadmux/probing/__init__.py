"""`loadmux probe`: from one known-good exchange to every way in which a socket server goes wrong.

`known` finds the exchange, `cases` makes scenarios of it, `trying` runs them, `bench` has the
server, `acquainting` learns its pace and limits, `battery` judges, `outcome` is the report. A case
is nothing but scenarios, so what fails is a file that `loadmux run` repeats.
"""

from __future__ import annotations

from loadmux.probing.battery import Settings, probe
from loadmux.probing.outcome import CaseResult, ProbeReport

__all__ = ["CaseResult", "ProbeReport", "Settings", "probe"]
