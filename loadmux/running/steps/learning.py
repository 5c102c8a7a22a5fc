"""Replies that are learned: the last right one is the likely one next time.

Where what is right hangs on nothing but the reply's own bytes (a `length`, an `until`, a regex, a
form of http), a reply that was right once is right again, byte for byte. So it is compared as it
comes, as a known one is (`Plan.likely`); whatever differs goes to a new verifier, as ever, and is
learned in its turn. A response with a Date header is thus judged whole once a second.

Never learned is what says more than its bytes do: a reply that the end of the connection ended, or
after which it ends; one beside which other messages came, and all replies of a session, whose
server may have to be answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loadmux.checking.verifying import Verifier
from loadmux.driver.awaiting import Awaited
from loadmux.driver.connection import SMALL, Connection, Plan
from loadmux.driver.stream import Stream
from loadmux.measuring.recorder import Recorder

Kept = tuple[bytes, Mapping[str, bytes]]
"""What a `save` stores of a reply, and what else it gives a name to."""
NOTHING: Kept = (b"", {})
PERIOD = 64
"""Exchanges after which it is seen whether replies are ever the same again."""
GIVEN_UP = 1024
"""For so many exchanges they are not compared, where they were not."""


class Learned(Plan):
    """A plan whose `likely` is the last right reply, empty before the first.

    `sent` is the size (bytes) of the message, 0 where that varies: then whoever sends it counts it.
    `keeps`: the step needs what a reply gives a name to (`kept`). `original` is the one that this
    is a copy of, which records otherwise and learns the same.
    """

    __slots__ = ("_likely_kept", "_misses", "_original", "_sent", "_uses", "_verifiers", "keeps")

    def __init__(
        self,
        likely: bytes,
        judge: Callable[[], Verifier],
        recorder: Recorder,
        sent: int,
        timeout: float,
        context: object,
        keeps: bool,
        bounded: bool = False,
        original: Learned | None = None,
    ) -> None:
        record = recorder.sized(sent, len(likely))
        super().__init__(likely, judge, recorder, record, timeout, context, bounded)
        self._sent = sent
        self.keeps = keeps
        self._original = original
        self._uses = self._misses = 0
        self._verifiers: dict[Stream, Verifier] = {}
        self._likely_kept = NOTHING
        if likely and keeps:
            self._likely_kept = self._judged(likely)

    def recording(self, recorder: Recorder) -> Learned:
        """The same for one exchange that is recorded in another way."""
        first = self._original or self
        words = self.timeout, self.context, self.keeps, self.bounded
        return Learned(first.likely, self.judge, recorder, self._sent, *words, original=first)

    def sent(self, connection: Connection, payload: bytes, count: int) -> None:
        counted = 0 if self._sent else len(payload)
        super().sent(connection, payload, count - counted)

    def worth(self) -> bool:
        """Whether replies come again; to be asked before each exchange, if there is another way."""
        self._uses += 1
        if self._uses > PERIOD:
            self._uses = -GIVEN_UP if 2 * self._misses > PERIOD else 0
            self._misses = 0
        return self._uses >= 0

    def over(self, awaited: Awaited) -> None:
        super().over(awaited)
        (self._original or self)._misses += 1
        self.learn(awaited)
        if self.keeps:
            self._verifiers[awaited.connection] = awaited.verifier

    def learn(self, awaited: Awaited) -> None:
        """A right reply was judged."""
        verifier, connection = awaited.verifier, awaited.connection
        told = not (verifier.closes or verifier.aside or connection.endpoint.greeting)
        learner = self._original or self
        if not (told and connection.connected and 0 < len(verifier.received) < SMALL):
            learner._misses += 1
            return
        learner.likely = bytes(verifier.received)
        learner.size = len(learner.likely) + 1
        learner.record = learner.recorder.sized(self._sent, len(learner.likely))
        if self.keeps:
            learner._likely_kept = verifier.kept(), verifier.captured()

    def kept(self, connection: Connection) -> Kept:
        """Of the right reply that has just come on this connection."""
        verifier = self._verifiers.pop(connection, None)
        if verifier is not None:
            return verifier.kept(), verifier.captured()
        learner = self._original or self
        return (
            learner._likely_kept
            if connection.last == learner.likely
            else self._judged(connection.last)
        )

    def _judged(self, reply: bytes) -> Kept:
        """Of a reply that is right, but not the last one that was learned."""
        verifier = self.verifier()
        verifier.take(reply)
        return verifier.kept(), verifier.captured()
