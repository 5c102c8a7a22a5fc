"""A server that wants a login on each connection, and loses some of them."""

from __future__ import annotations

import socket
import threading

LOGIN, DENIED = b"LOGIN\n", b"NOAUTH\n"


class Guarded:
    """Serves lines, those of logged-in connections only; hangs up at each `every`th question."""

    def __init__(self, every: int = 5, logins: int = 1_000_000) -> None:
        self._every = every
        self._logins = logins
        self._lock = threading.Lock()
        self.questions = self.attempts = self.byes = self.late_byes = self.hung_up = 0

    def __call__(self, connection: socket.socket, number: int) -> None:
        known = False
        with connection.makefile("rb") as lines:
            for line in lines:
                if line == LOGIN:
                    known = self._login()
                    connection.sendall(b"OK\n" if known else b"WRONG\n")
                elif line == b"BYE\n":
                    with self._lock:
                        self.byes += 1
                        self.late_byes += not known
                    connection.sendall(b"bye\n")
                elif not known:
                    connection.sendall(DENIED)
                elif self._ends():
                    connection.shutdown(socket.SHUT_RDWR)
                else:
                    connection.sendall(b"told\n")

    def _login(self) -> bool:
        with self._lock:
            self.attempts += 1
            return self.attempts <= self._logins

    def _ends(self) -> bool:
        with self._lock:
            self.questions += 1
            ends = self.questions % self._every == 0
            self.hung_up += ends
            return ends
