"""What the authors of plugins need: the contracts (`loadmux.plugins.contracts`)."""

from loadmux.plugins.contracts import Action, Framer, Incoming, Plugin, Refused, Running, Spec, Step
from loadmux.plugins.payloads import Outgoing, Surroundings

__all__ = [
    "Action",
    "Framer",
    "Incoming",
    "Outgoing",
    "Plugin",
    "Refused",
    "Running",
    "Spec",
    "Step",
    "Surroundings",
]
