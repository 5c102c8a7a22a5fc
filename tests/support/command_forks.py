"""Runs commands in forked copies of one process that has imported what they need.

Starting Python and importing typer, rich and loadmux costs 0.35 s of CPU for each command, Locust
0.9 s, and a fork 0.01 s. A command is a process of its own all the same: with its streams, signals
and exit code. So are its generator processes, see nursery.py.

The arguments are the descriptor of a listening Unix socket and what is imported: `loadmux`, or also
`locust`, which patches the standard library. A client connects and sends a JSON line {"words",
"cwd", "env"} (the program is the first word; `env` is its whole environment: the server's own is
that of the test which came first) with the descriptors of the three standard streams. It is sent
the number of the process, which leads a group of its own, then its exit status as wait(2) has it.
The server ends when its standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import nursery

REQUEST_MOST = 256 * 1024
fork, waitpid, recv_fds = os.fork, os.waitpid, socket.recv_fds  # gevent has others


def command(words: list[str], cwd: str, env: Mapping[str, str], streams: list[int]) -> NoReturn:
    """Become the command."""
    os.setsid()
    for number, given in enumerate(streams):
        os.dup2(given, number)
        os.close(given)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = cwd  # as `python -m` has it
    sys.path[1:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    importlib.invalidate_caches()
    sys.argv = words
    code: object = 1
    try:
        run(words[0])
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        if not isinstance(code, int):
            print(code, file=sys.stderr)
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 1)


def run(program: str) -> None:
    """`loadmux`, `locust`, or a text as Python's `-c` has it, whose generators are fresh ones."""
    if program == "-c":
        exec(sys.argv.pop(1), {"__name__": "__main__"})
        return
    if "gevent" in sys.modules:
        sys.modules["gevent"].reinit()
    elif sys.argv[1:2] in (["run"], ["compare"], ["capacity"]):
        nursery.open_up()
    if program == "locust":
        from locust.main import main
    else:
        from loadmux.__main__ import main
    main()


def attend(client: socket.socket, asked: dict[str, Any], streams: list[int]) -> None:
    """Carry out one request, in a process of its own that waits for the command."""
    pid = fork()
    if not pid:
        client.close()
        command(asked["words"], asked["cwd"], asked["env"], streams)
    for stream in streams:
        os.close(stream)
    client.sendall(b"%d\n" % pid)
    _, status = waitpid(pid, 0)
    client.sendall(b"%d\n" % status)


def prepare(program: str) -> None:
    """What a command would import is there before it is forked, and the options it has."""
    import loadmux.cli.app

    if program == "locust":
        importlib.import_module("locust.main")
        importlib.import_module("loadmux.locust")
        importlib.import_module("loadmux.cli.web")
    else:
        import loadmux.cli.ending
        import loadmux.cli.pages
        import loadmux.cli.reading
        import loadmux.cli.running
        import loadmux.cli.serving
        import loadmux.cli.tracing
        import loadmux.running.generators.process

        ask_target_of(["--target", "epoll"])  # the one that most scenarios name
    for name in loadmux.cli.app.commands("").commands:
        loadmux.cli.app.commands(name)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a fork would copy locks that nobody opens"


def ask_target_of(words: list[str]) -> None:
    """What a bundled target says of itself is asked here, once: each command would start it."""
    if "--target" in words and "gevent" not in sys.modules:
        from loadmux.running import catalog
        from loadmux.running.servers import starting

        (model,) = words[words.index("--target") + 1 :][:1] or [""]
        if model in catalog.models():
            starting._told(model)


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        prepare(sys.argv[2])
        while all(key.fileobj is listener for key, _ in waiting.select()):
            client, _ = listener.accept()
            data, streams, _, _ = recv_fds(client, REQUEST_MOST, 3)
            asked = json.loads(data)
            ask_target_of(asked["words"])
            if not fork():
                waiting.close()
                listener.close()
                attend(client, asked, streams)
                os._exit(0)
            client.close()
            for stream in streams:
                os.close(stream)
            reap(os.WNOHANG)
    reap(0)


def reap(options: int) -> None:
    """Wait for those that have attended, so that what they cost is counted as ours."""
    with contextlib.suppress(ChildProcessError):
        while waitpid(-1, options)[0]:
            pass


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    main()
