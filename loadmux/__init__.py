"""loadmux: load tests for socket servers, with several sockets a user and every byte checked.

`loadmux.run(scenario)` runs one from a program; see `loadmux.running.library`.
"""

from importlib import import_module

__version__ = "0.1.0"
LIBRARY = ("RunReport", "run")


def __getattr__(name: str) -> object:
    """What a program uses is imported when it is asked for: a command line starts without it."""
    if name not in LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("loadmux.running.library"), name)
