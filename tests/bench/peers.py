"""Starts, measures and ends the programs that `compare.py` sets beside one another, and loadmux.

The server is always a redis-server of our own: on a free port of 127.0.0.1, without persistence,
on the first core that this process may use. Every client runs on the second, the peers as well as
loadmux with its worker; where there is one core, all share it. A rate is in right exchanges a
second, as the client itself tells it, except `served_rate`, which is redis' own count by redis' own
clock: it measures thousands of users alike once all are connected, and leaves the connecting out.
Beside its rate a `Rate` has the client's CPU time for each exchange, which says more than the clock
where the server is what limits, or others use the cores.

Every process is ended by its own handle. PeerError, with what the program said, is raised when a
measurement could not be made, a wrong reply included. Linux only (/proc, CPU affinity).
"""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import nan
from pathlib import Path
from time import monotonic, sleep
from typing import Self

HERE = Path(__file__).parent
HOST = "127.0.0.1"
REQUEST = "PING\\r\\n"
REPLY = "+PONG\\r\\n"
USERS = 50
MAX_CLIENTS = 20_000
SPARE_DESCRIPTORS = 64
GRACE = 30.0
CONNECT_WITHIN = 20.0
SETTLE = 0.5
LONGEST = 120
PROBE = 5_000


class PeerError(Exception):
    """A measurement could not be made; the message says which program did what."""


class Rate(float):
    """Exchanges a second; `cpu` is what each took of the client's core (us), NaN if not known."""

    cpu: float

    def __new__(cls, rate: float, cpu: float = nan) -> Self:
        made = super().__new__(cls, rate)
        made.cpu = cpu
        return made


# --- processes ------------------------------------------------------------------------------------


def pinned(number: int) -> Callable[[], None]:
    """What a child calls before exec to stay on the `number`-th core, or on the last one."""
    cores = sorted(os.sched_getaffinity(0))
    chosen = cores[min(number, len(cores) - 1)]
    return lambda: os.sched_setaffinity(0, {chosen})


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one, here and in every child; the limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def client(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A client process on its core, its output piped; killed if it still runs after the block."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(1),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output(process: subprocess.Popen[str], seconds: float, codes: Sequence[int] = (0,)) -> str:
    """Standard output of a client that ends within `seconds` and GRACE with one of `codes`."""
    name = Path(str(process.args[0])).name if isinstance(process.args, list) else str(process.args)
    try:
        out, err = process.communicate(timeout=seconds + GRACE)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{name} did not end within {error.timeout:.0f} s") from error
    if process.returncode not in codes:
        told = (err.strip() or out.strip() or "nothing")[-1000:]
        raise PeerError(f"{name} ended with {process.returncode} and said: {told}")
    return out


def run(command: list[str], seconds: float) -> str:
    """Standard output of a client that ends by itself about `seconds` after its start."""
    return timed(command, seconds)[0]


def timed(command: list[str], seconds: float) -> tuple[str, float]:
    """The same, and the CPU time (us) that it took: no other child ends meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with client(command) as process:
        told = output(process, seconds)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return told, used * 1e6


# --- the server -----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server() -> Iterator[int]:
    """A redis-server that accepts connections; yields its port."""
    port = free_port()
    options = {
        "port": port,
        "bind": HOST,
        "save": "",
        "appendonly": "no",
        "maxclients": min(MAX_CLIENTS, raise_descriptor_limit() - SPARE_DESCRIPTORS),
        "tcp-backlog": 16384,
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    with subprocess.Popen(
        ["redis-server", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=pinned(0),
    ) as process:
        try:
            await_ready(process)
            yield port
        finally:
            process.kill()


def await_ready(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    said = []
    for line in server.stdout:
        if "Ready to accept connections" in line:
            return
        said.append(line.strip())
    raise PeerError(f"redis-server did not start: {' / '.join(said[-3:])}")


class Monitor:
    """A connection to redis that asks for its own figures."""

    def __init__(self, port: int) -> None:
        with socket.create_connection((HOST, port), GRACE) as connection:
            self.file = connection.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def info(self) -> dict[str, int]:
        """All integers of `INFO` (https://redis.io/docs/latest/commands/info/)."""
        self.file.write(b"INFO\r\n")
        self.file.flush()
        body = self.file.read(int(self.file.readline()[1:]) + 2).decode()
        pairs = (line.split(":", 1) for line in body.splitlines() if ":" in line)
        return {key: int(value) for key, value in pairs if value.isdecimal()}

    def await_clients(self, count: int, process: subprocess.Popen[str]) -> None:
        """Until redis counts `count` connections of the process, besides this one."""
        due = monotonic() + CONNECT_WITHIN
        while (connected := self.info()["connected_clients"] - 1) != count:
            if process.poll() is not None:
                output(process, 0, ())
            if monotonic() > due:
                raise PeerError(f"{connected} clients are connected to redis instead of {count}")
            sleep(0.02)

    def served_rate(self, seconds: float) -> float:
        """Commands a second that redis carried out in the next `seconds`, by its own clock."""
        before = self.info()
        sleep(seconds)
        after = self.info()
        commands = after["total_commands_processed"] - before["total_commands_processed"]
        return commands * 1e6 / (after["server_time_usec"] - before["server_time_usec"])

    def served_a_cpu_second(self, seconds: float, pid: int) -> float:
        """Commands that redis carried out in the next `seconds`, for each CPU second of a client.

        What can still be compared while others use the cores, too: the rate of a client that has
        its core for itself.
        """
        before, began = self.info()["total_commands_processed"], cpu_seconds(pid)
        sleep(seconds)
        commands = self.info()["total_commands_processed"] - before
        return commands / (cpu_seconds(pid) - began)


# --- the peers ------------------------------------------------------------------------------------


def redis_benchmark(port: int, seconds: int, *, keep_alive: bool) -> Rate:
    """redis-benchmark takes a number of requests, not a time: a short run first tells how many."""
    command = f"redis-benchmark -h {HOST} -p {port} -t ping_inline -P 1 -c {USERS} --csv"
    words = [*command.split(), "-k", str(int(keep_alive)), "-n"]
    probe = csv_rate(run([*words, str(PROBE)], 0))
    count = int(probe * seconds)
    told, cpu = timed([*words, str(count)], seconds)
    return Rate(csv_rate(told), cpu / count)


def csv_rate(table: str) -> float:
    for row in csv.reader(table.splitlines()):
        if row and row[0] == "PING_INLINE":
            return float(row[1])
    raise PeerError(f"redis-benchmark printed no PING_INLINE row: {table!r}")


def compile_c_client(folder: Path) -> Path:
    """The limit, compiled into `folder` unless it is there."""
    program = folder / "epoll_client"
    if not program.exists():
        run(["cc", "-O2", "-o", str(program), str(HERE / "epoll_client.c")], 60)
    return program


def c_client_command(program: Path, port: int, connections: int, seconds: int) -> list[str]:
    return [str(program), HOST, str(port), str(connections), str(seconds), REQUEST, REPLY]


def c_client(program: Path, port: int, seconds: int, *mode: str) -> Rate:
    """`mode` is "churn", or nothing."""
    told, cpu = timed([*c_client_command(program, port, USERS, seconds), *mode], seconds)
    count, rate, _ = told.split()
    return Rate(float(rate), cpu / int(count))


def locust(port: int, seconds: int, user: str) -> float:
    """A headless run of `locust_peer.py`'s class `user`, all users spawned at once."""
    words = f"--headless --only-summary --skip-log --json -u {USERS} -r {USERS} -t {seconds}s"
    where = ["-f", str(HERE / "locust_peer.py"), "--host", f"tcp://{HOST}:{port}"]
    told = run([sys.executable, "-m", "locust", *where, *words.split(), user], seconds)
    (row,) = json.loads(told)
    if row["num_failures"]:
        raise PeerError(f"locust met {row['num_failures']} failures")
    rate: float = row["num_requests"] / (row["last_request_timestamp"] - row["start_time"])
    return rate


# --- loadmux --------------------------------------------------------------------------------------


@contextmanager
def loadmux_report() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "report.json"


def loadmux_command(scenario: str, port: int, users: int, seconds: int, report: Path) -> list[str]:
    words = ["run", str(HERE / scenario), "--target", f"tcp://{HOST}:{port}", "--quiet"]
    words += ["-u", str(users), "-t", f"{seconds}s", "--json-file", str(report)]
    return [sys.executable, "-m", "loadmux", *words]


def loadmux(scenario: str, port: int, seconds: int, users: int = USERS) -> Rate:
    """A run with one worker, whose CPU it is; exit code 0 says that every reply was right."""
    with loadmux_report() as report:
        run(loadmux_command(scenario, port, users, seconds, report), seconds)
        told = json.loads(report.read_text())
    (worker,), exchanges = told["generator"]["workers"], told["exchanges"]
    cpu = worker["cpu"] * told["duration"] / exchanges["count"] * 1e6
    return Rate(exchanges["rate"], cpu)


# --- thousands of users ---------------------------------------------------------------------------


@contextmanager
def crowd(command: list[str], port: int, connections: int) -> Iterator[tuple[int, Monitor]]:
    """All connections of a client open and in use; yields its process id and redis' own figures.

    Ends the client by SIGINT. One that ended before, or in another way, is a PeerError.
    """
    with Monitor(port) as monitor, client(command) as process:
        monitor.await_clients(connections, process)
        sleep(SETTLE)
        yield process.pid, monitor
        process.send_signal(signal.SIGINT)
        output(process, 0, (-signal.SIGINT, 130))


@contextmanager
def loadmux_crowd(port: int, users: int) -> Iterator[tuple[int, Monitor]]:
    """A `crowd` of loadmux; yields the process id of its worker. No fault is allowed."""
    with loadmux_report() as report:
        command = loadmux_command("ping.yaml", port, users, LONGEST, report)
        with crowd(command, port, users) as (pid, monitor):
            worker = generator(pid)
            yield worker, monitor
        exchanges = json.loads(report.read_text())["exchanges"]
        if exchanges["errors"] or not exchanges["count"]:
            raise PeerError(f"loadmux met {exchanges['errors']} faults in {exchanges['count']}")


def crowd_rate_of_c_client(program: Path, port: int, connections: int, seconds: int) -> float:
    command = c_client_command(program, port, connections, LONGEST)
    with crowd(command, port, connections) as (_, monitor):
        return monitor.served_rate(seconds)


def crowd_rate_of_loadmux(port: int, users: int, seconds: int) -> float:
    with loadmux_crowd(port, users) as (_, monitor):
        return monitor.served_rate(seconds)


def cpu_rate_of_loadmux(port: int, users: int, seconds: int) -> float:
    with loadmux_crowd(port, users) as (worker, monitor):
        return monitor.served_a_cpu_second(seconds, worker)


def loadmux_memory(port: int, users: int, seconds: int) -> float:
    """Resident memory (bytes) of the worker, `seconds` after all `users` connected."""
    with loadmux_crowd(port, users) as (worker, _):
        sleep(seconds)
        return resident(worker)


def resident(pid: int) -> float:
    """Resident memory of a process in bytes.

    From /proc/PID/status, proc(5); `ru_maxrss` would not do: a child inherits its parent's peak.
    """
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far: fields 14 and 15 of /proc/PID/stat, proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def generator(pid: int) -> int:
    """The process with the users of a run: a fork of the nursery, which is its only child."""
    (nursery,) = children(pid)
    (found,) = children(nursery)
    return found


def children(pid: int) -> list[int]:
    """Process ids of the direct children: field 4 of /proc/PID/stat, proc(5)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.parent.name))
    return found
