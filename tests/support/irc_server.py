"""A small IRC server: one room, and a PING now and then that must be answered (RFC 2812).

`python irc_server.py PORT [MODE]`; of the modes `deaf` loses what the last speaker said now and
then, `twice` tells it twice, `garbles` changes a byte of it.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

PING_EVERY = 7
"""Messages of a member between two PINGs; it must have answered before the next one."""


class Room:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.members: dict[socket.socket, str] = {}
        self.lock = threading.Lock()
        self.said = 0

    def tell(self, line: str, but: socket.socket | None = None) -> None:
        with self.lock:
            for member in self.members:
                if member is not but:
                    with contextlib.suppress(OSError):
                        member.sendall(f"{line}\r\n".encode())

    def say(self, speaker: socket.socket, who: str, words: str) -> None:
        self.said += 1
        wrong = self.said % 20 == 0
        if wrong and self.mode == "deaf":
            return
        if wrong and self.mode == "garbles":
            words = words[:-1] + chr(ord(words[-1]) ^ 1)
        for _ in range(2 if wrong and self.mode == "twice" else 1):
            self.tell(f":{who} PRIVMSG {words}", speaker)


def serve(connection: socket.socket, room: Room) -> None:
    """One member, until it leaves or does not answer a PING."""

    def send(line: str) -> None:
        with room.lock:
            connection.sendall(f"{line}\r\n".encode())

    nick, heard, owed = "*", 0, ""
    with connection, connection.makefile("r", newline="\r\n") as lines:
        for line in lines:
            word, _, rest = line.rstrip("\r\n").partition(" ")
            who = f"{nick}!{nick}@test"
            heard += 1
            if word == "NICK":
                nick = rest
            elif word == "USER":
                send(f":test 001 {nick} :Welcome")
                send(f":test 376 {nick} :End of MOTD")
            elif word == "JOIN":
                with room.lock:
                    room.members[connection] = nick
                room.tell(f":{who} JOIN {rest}")
                send(f":test 353 {nick} = {rest} :{nick}")
                send(f":test 366 {nick} {rest} :End of NAMES list")
            elif word == "PRIVMSG":
                room.say(connection, who, rest)
            elif word == "PING":
                send(f":test PONG test {rest}")
            elif word == "PONG":
                owed = owed if rest != owed else ""
            elif word == "QUIT":
                with room.lock:
                    room.members.pop(connection, None)
                room.tell(f":{who} QUIT :")
                send("ERROR :bye")
                break
            if heard % PING_EVERY == 0:
                if owed:
                    send("ERROR :Ping timeout")
                    break
                owed = f":{nick}-{heard}"
                send(f"PING {owed}")
        with room.lock:
            room.members.pop(connection, None)
        connection.shutdown(socket.SHUT_WR)


def main() -> None:
    room = Room(*sys.argv[2:3] or [""])
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection, room), daemon=True).start()


if __name__ == "__main__":
    main()
