"""Scenarios in Python: `scenario` marks the function that is one iteration of one `User`."""

from loadmux.running.scripting.defining import scenario
from loadmux.running.scripting.sockets import Payload, Reply, Sockets
from loadmux.running.scripting.user import User
from loadmux.running.scripting.variables import Variables

__all__ = ["Payload", "Reply", "Sockets", "User", "Variables", "scenario"]
