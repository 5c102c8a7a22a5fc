"""A server of a user's own, as a file that tests write: `python server.py --port PORT [WORD]`.

It sends back what it reads, after a line `ready`. By a WORD it does otherwise: `dies` at the first
byte, with some last lines; `never` listens; `stays` when it is told to end, as does a child of its.
"""

SERVER = """\
import signal, socket, subprocess, sys, threading

port, words = int(sys.argv[sys.argv.index("--port") + 1]), sys.argv[3:]
if "never" in words:
    print("licence missing")
    print("giving up")
    sys.exit(3)
if "stays" in words:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", sleep])
    with open(words[-1], "w") as file:
        file.write(str(child.pid))


def serve(connection):
    with connection:
        while data := connection.recv(65536):
            if "dies" in words:
                print("cannot go on:")
                print("out of luck", file=sys.stderr)
                import os
                os._exit(7)
            connection.sendall(data)


family = socket.AF_INET6 if "six" in words else socket.AF_INET
listener = socket.create_server(("::1" if "six" in words else "127.0.0.1", port), family=family)
print("ready", port)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
