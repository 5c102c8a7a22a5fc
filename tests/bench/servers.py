"""Servers that the benchmarks set up: bundled targets, and nginx with one small file. Linux only.

Each runs on the first core that this process may use (`peers.pinned`), and is ended by its handle.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from peers import HOST, PeerError, free_port, pinned

TARGETS = Path(__file__).resolve().parents[2] / "targets"
CA = TARGETS / "localhost-testing-ca.pem"
BODY = b"hello, world\n"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s; sendfile off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen {host}:{port} backlog=1024; root {folder}; location / {{ try_files $uri /x; }} }}
}}
"""


@contextmanager
def bundled(kind: str, *options: str) -> Iterator[str]:
    """One of the targets, which replies by the rule `echo`; yields its URL."""
    command = [sys.executable, str(TARGETS / f"{kind}_server.py"), "--reply", "echo", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(0)
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            if len(said) != 2:
                raise PeerError(f"{kind}_server.py did not start")
            yield said[1]
        finally:
            process.kill()


@contextmanager
def nginx() -> Iterator[int]:
    """One process of nginx with the file /x, whose body is BODY, for any path; yields its port."""
    port = free_port()
    with TemporaryDirectory() as folder:
        Path(folder, "x").write_bytes(BODY)
        Path(folder, "nginx.conf").write_text(NGINX.format(folder=folder, host=HOST, port=port))
        command = ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pinned(0)
        ) as process:
            try:
                _await_port(process, port)
                yield port
            finally:
                process.kill()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Until somebody accepts: nginx says nothing, so it is asked."""
    due = monotonic() + 20
    while monotonic() < due and process.poll() is None:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            sleep(0.02)
        else:
            return
    raise PeerError("nginx did not start")
