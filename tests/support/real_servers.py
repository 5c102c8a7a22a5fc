"""Servers that others wrote, each on a port of its own and ended with its `with` block."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import needs
from commands import program, started

from loadmux.language.meaning.servers import Command
from loadmux.running.servers.commands import CommandProcess

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    error_log stderr crit;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ text/html html; }}
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        {more}
    }}
}}
"""


HAPROXY = """
global
    log stderr len 1024 local0
defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend redis
    bind 127.0.0.1:{port} accept-proxy
    tcp-request session reject unless {{ src 192.0.2.0/24 }}
    log-format "client=%ci:%cp"
    default_backend redis
backend redis
    server one {server}
"""
MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
connection_messages false
persistence false
set_tcp_nodelay true
log_dest stderr
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    port = free_port()
    words = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with started(words, cwd=folder) as server:
        assert server.stdout is not None
        for said in server.stdout:
            if "Ready to accept connections" in said:
                break
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def memcached() -> Iterator[str]:
    """With `-vv` it says when it listens; then it says all that it does, which is thrown away."""
    port = free_port()
    words = [program("memcached"), "-l", "127.0.0.1", "-p", str(port), "-m", "8", "-u", "nobody"]
    script = '"$@" -vv 2>&1 | while read -r line; do case $line in *"server listening"*) echo; cat'
    shell = ["sh", "-c", f"{script} >/dev/null;; esac; done", "sh"]
    with started([*shell, *words]) as server:
        assert server.stdout is not None
        server.stdout.readline()
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def haproxy(folder: Path, server: str) -> Iterator[str]:
    """A proxy before `server` that lets in only whom a PROXY header says to be in 192.0.2.0/24."""
    port = free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(port=port, server=server.removeprefix("tcp://")))
    words = (program("haproxy"), "-f", str(configuration), "-db")
    with CommandProcess(Command(words, port, ready_within=30.0)) as process:
        yield str(process.url)


@contextlib.contextmanager
def beanstalkd() -> Iterator[str]:
    words = (program("beanstalkd"), "-l", "127.0.0.1", "-p", "{port}")
    with CommandProcess(Command(words, free_port(), ready_within=30.0)) as process:
        yield str(process.url)


@contextlib.contextmanager
def nats() -> Iterator[str]:
    words = (program("nats-server"), "-a", "127.0.0.1", "-p", "{port}")
    with CommandProcess(Command(words, free_port(), ready_within=30.0)) as process:
        yield str(process.url)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[str]:
    port = free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(MOSQUITTO.format(port=port))
    with started([program("mosquitto"), "-c", str(configuration)]) as server:
        assert server.stderr is not None
        for said in server.stderr:
            if "running" in said:
                break
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def dnsmasq() -> Iterator[int]:
    """The port where it knows loadmux.test alone, over UDP and TCP."""
    port = free_port()
    words = [program("dnsmasq"), "-k", "-C", "/dev/null", "-R", "-h", "-p", str(port), "-x", ""]
    words += ["--listen-address=127.0.0.1", "--bind-interfaces", "--log-facility=-"]
    user = ["-u", "root"] if os.geteuid() == 0 else []
    script = '"$@" 2>&1 | while read -r line; do case $line in *started*) echo; cat >/dev/null;;'
    shell = ["sh", "-c", f"{script} esac; done", "sh"]
    address = "--address=/loadmux.test/192.0.2.1"
    with started([*shell, *words, *user, address]) as server:
        assert server.stdout is not None
        server.stdout.readline()
        yield port


@contextlib.contextmanager
def postgres(certificate: Path) -> Iterator[str]:
    """Speaks TLS, and trusts whoever does; `certificate` is a file of one and of its key.

    It runs as nobody where we are root, whom it would not serve.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: one.parent.name)
    directory = str(programs[-1]) if programs else ""
    path = os.pathsep.join(filter(None, (directory, os.environ.get("PATH", ""))))
    found = {name: shutil.which(name, path=path) for name in ("initdb", "postgres")}
    if None in found.values():
        needs.missing("PostgreSQL is not installed (apt-get install postgresql)")
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        data, secret = Path(folder) / "data", Path(folder) / "server.pem"
        shutil.copy(certificate, secret)
        secret.chmod(0o600)
        if user is not None:
            for one in (folder, secret):
                shutil.chown(one, user)
        words = [str(found["initdb"]), "-D", str(data), "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run([*words, "-E", "UTF8", "--no-instructions"], user=user, check=True,
            stdout=subprocess.DEVNULL, cwd=folder)  # fmt: skip
        port = free_port()
        options = {
            **{
                "port": port,
                "listen_addresses": "127.0.0.1",
                "unix_socket_directories": "",
            },
            **{"ssl": "on", "ssl_cert_file": secret, "ssl_key_file": secret, "fsync": "off"},
        }
        words = [f"-c{name}={value}" for name, value in options.items()]
        server = subprocess.Popen([str(found["postgres"]), "-D", str(data), *words], user=user,
            stderr=subprocess.PIPE, text=True, cwd=folder)  # fmt: skip
        try:
            assert server.stderr is not None
            for said in server.stderr:
                if "ready to accept connections" in said:
                    break
            threading.Thread(target=server.stderr.read, daemon=True).start()
            yield f"tcp://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()


@contextlib.contextmanager
def nginx(folder: Path, more: str = "") -> Iterator[str]:
    """Serves `folder`/www; `more` stands in its `server` block.

    It names its event method once it listens.
    """
    (folder / "www").mkdir(exist_ok=True)
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port, more=more))
    words = [program("nginx"), "-p", str(folder), "-c", str(configuration)]
    with started(words) as server:
        assert server.stderr is not None
        for said in server.stderr:
            if "event method" in said:
                break
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def websocket_server(*certificate: Path) -> Iterator[str]:
    """`certificate`: the files of one and of its key, for a server that speaks TLS."""
    script = Path(__file__).with_name("websocket_server.py")
    with started([sys.executable, script, *certificate]) as server:
        assert server.stdout is not None
        word, url = server.stdout.readline().split()
        assert word == "listening"
        yield url


@contextlib.contextmanager
def smtp_server(folder: Path) -> Iterator[str]:
    """It offers STARTTLS, with a certificate that nobody knows."""
    needs.package("aiosmtpd")
    certificate = needs.package("trustme").CA().issue_cert("localhost")
    files = folder / "smtp.pem", folder / "smtp.key"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(files[0], append=True)
    certificate.private_key_pem.write_to_path(files[1])
    script = Path(__file__).with_name("smtp_server.py")
    with started([sys.executable, script, *files]) as server:
        assert server.stdout is not None
        word, url = server.stdout.readline().split()
        assert word == "listening"
        yield url
