"""What the master tells its workers of a test: scenarios, and where their targets are.

The job rides on `parsed_options`, which Locust copies into every `spawn` message, so that it is
there before a worker's `test_start` and also for a worker that joins later. It holds plain values
that msgpack can carry. Scenarios travel whole, with the contents of all the files that they name:
a worker needs neither the scenario file nor what belongs to it, and of its code see `carrying`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadmux import __version__
from loadmux.errors import UsageError
from loadmux.language.meaning.scenario import Scenario
from loadmux.language.meaning.servers import Url
from loadmux.language.meaning.urls import parse_url
from loadmux.locust import wire
from loadmux.locust.carrying import Code, relocated

JOB = "loadmux_job"
"""The option on which the job rides."""
LATE_SLOT = 1_000_000


@dataclass(frozen=True, slots=True)
class Share:
    """One class of users: `packed` is its Scenario, `listening` where its targets are, by name;
    `code` the author's modules that it calls, by folder.
    """

    packed: bytes
    listening: Mapping[str, str]
    seed: int
    code: Code = field(default_factory=dict)

    def scenario(self, moved: Mapping[str, str] | None = None) -> Scenario:
        """With its functions in the folders `moved` to. Raises Unreadable for what is none."""
        found = wire.unpack(self.packed, Scenario)
        return relocated(found, moved) if moved else found

    def urls(self) -> dict[str, Url]:
        return {name: parse_url(url) for name, url in self.listening.items()}


@dataclass(frozen=True, slots=True)
class Job:
    """`slots` gives each worker (by Locust's client id) its place among `stride` of them; `run` is
    unlike that of any other test.
    """

    shares: Mapping[str, Share]
    poller: str | None
    slots: Mapping[str, int]
    stride: int
    run: str = ""

    def slot(self, client: str, index: int) -> int:
        """A worker's place, for its connections' numbers; far from all others if it is late."""
        found = self.slots.get(client)
        return LATE_SLOT * (index + 1) if found is None else found

    def message(self) -> dict[str, Any]:
        """As values that msgpack carries."""
        return {
            "version": __version__,
            "poller": self.poller,
            "slots": dict(self.slots),
            "stride": self.stride,
            "run": self.run,
            "shares": {
                name: [share.packed, dict(share.listening), share.seed, share.code]
                for name, share in self.shares.items()
            },
        }


def job_from(message: Mapping[str, Any]) -> Job:
    """The job in a message. Raises UsageError where the other side is of another version."""
    if message["version"] != __version__:
        raise UsageError(
            f"this worker has loadmux {__version__}, the master {message['version']}: install the"
            " same version on both"
        )
    shares = {name: Share(*values) for name, values in message["shares"].items()}
    return Job(shares, message["poller"], message["slots"], message["stride"], message["run"])
