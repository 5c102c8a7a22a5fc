"""The plain peer: a blocking socket in Python sends the same bytes again and compares the echo.

    python tests/bench/python_socket.py PORT SIZE SECONDS

Prints exchanges a second, and microseconds of CPU for each. One connection; the bytes are made
once. A message larger than the buffers is sent by a thread, as a server that echoes at once would
block otherwise.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from time import perf_counter, process_time


def main(port: int, size: int, seconds: float) -> None:
    message = os.urandom(size)
    count, began, cpu = 0, perf_counter(), process_time()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reply = bytearray(size)
        while perf_counter() - began < seconds:
            sending = threading.Thread(target=connection.sendall, args=(message,))
            sending.start()
            view = memoryview(reply)
            while view:
                got = connection.recv_into(view)
                if not got:
                    sys.exit("closed by the server")
                view = view[got:]
            sending.join()
            if reply != message:
                sys.exit("the reply is wrong")
            count += 1
    print(count / (perf_counter() - began), (process_time() - cpu) / count * 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
