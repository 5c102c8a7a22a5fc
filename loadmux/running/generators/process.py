"""A generator process from its first line to its last word, and the nursery that it is a fork of.

A nursery is a fresh interpreter with a socket's descriptor as its argument. Each generator process
takes a `Job` from its channel, builds everything, says `Ready`, waits for `Go`, runs (`Worker`),
and says `Final` or `Failed` at the end. Nothing that draws on a terminal or reads YAML runs here:
the loop has the process for itself. All of them disregard SIGINT and SIGHUP, which a terminal sends
to the whole group, and SIGTERM: the other side says STOP, and that it is gone means the same, so
that no worker outlives its run.
"""

from __future__ import annotations

import gc
import resource
import socket
import sys
from contextlib import suppress

from loadmux.driver.watch import Watch
from loadmux.errors import DriverFault, LoadmuxError, UsageError
from loadmux.plugins.contracts import Plugin, blamed, told
from loadmux.running import breakdown, interrupts
from loadmux.running.generators.channel import Channel
from loadmux.running.generators.forking import forked
from loadmux.running.generators.said import Failed, Go, Job, Ready, Update
from loadmux.running.generators.worker import Worker


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one; the limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def received(channel: Channel) -> Job:
    """The job; what cannot be unpickled is a plugin's value. Raises UsageError, EOFError."""
    try:
        job = channel.next()
    except EOFError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"a plugin's value cannot be read in a generator process: {text}"
        ) from None
    assert isinstance(job, Job)
    return job


def serve(channel: Channel) -> None:
    """Carry out the one job that the channel brings; its last word is heard, or nobody is there."""
    worker: Worker | None = None
    plugins: tuple[Plugin, ...] = ()
    reserve = bytearray(breakdown.RESERVE)
    try:
        job = received(channel)
        plugins = tuple(one for share in job.shares for one in share.scenario.plugins)
        worker = Worker(job, channel)
        rows = tuple(portion.stats.take() for portion in worker.portions)
        channel.put(Ready(worker.loop.poller.name, rows))
        go = channel.next()
        if not isinstance(go, Go):
            return
        # What is built by now lives as long as the run: walking through it at each collection would
        # stand the loop still, the longer the more users there are.
        gc.collect()
        gc.freeze()
        with Watch(worker.loop):
            final = worker.run(go.at)
        worker.loop.close()
        channel.put(final)
    except DriverFault as fault:
        assert worker is not None
        channel.put(Failed(str(fault), worker.update()))
    except LoadmuxError as error:
        channel.put(Failed(str(error), None))
    except EOFError:
        return
    except Exception as error:
        del reserve  # to tell of an error takes memory, which may be what is short
        plugin = blamed(error, plugins)
        if plugin is None:
            broken = breakdown.told(error), breakdown.traced(error)
            error.__traceback__ = None  # it holds the users, and memory may be short
            channel.put(Failed(broken[0], last_words(worker), True, broken[1]))
        else:
            channel.put(Failed(told(plugin, error), last_words(worker)))
    channel.drain()


def last_words(worker: Worker | None) -> Update | None:
    """What was measured until the worker failed, if that can be told."""
    if worker is None:
        return None
    with suppress(Exception):
        worker.loop.close()
    try:
        return worker.update()
    except Exception:
        return None


def main() -> None:
    """The nursery, and in each of its forks a generator process."""
    interrupts.disregard()
    raise_descriptor_limit()
    gc.collect()
    gc.freeze()  # forks share what no collection touches
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        channel = forked(asked)
    if channel is not None:
        with channel:
            serve(channel)
