"""Scenarios in Python: `scenario` marks the function that is one iteration of one `User`."""

from loadmux.running.scripting import Payload, Reply, Sockets, User, Variables, scenario

__all__ = ["Payload", "Reply", "Sockets", "User", "Variables", "scenario"]
