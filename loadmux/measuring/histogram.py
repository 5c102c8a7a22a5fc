"""How latencies are spread: counts in buckets, in memory that does not grow with their number.

The buckets are the upper 16 bits of an IEEE-754 binary32: sign, 8 bits of exponent and 7 of
mantissa, so log-linear and at most 1/128 = 0.8% wide, and the conversion of a whole batch runs in C
(`array` and `memoryview`). Minimum, maximum and sum are kept exactly. Times are in seconds. A
latency of NaN is one that a standstill of the generator has spoilt: it is counted, no more.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

_UPPER_HALF = slice(1, None, 2) if sys.byteorder == "little" else slice(0, None, 2)


def edges(bucket: int) -> tuple[float, float]:
    """The two ends of a bucket, in seconds."""
    low, high = struct.unpack(">ff", struct.pack(">II", bucket << 16, (bucket + 1) << 16))
    return float(low), float(high)


@dataclass(slots=True)
class Histogram:
    """Counts of latencies by bucket; `counts` maps a bucket's number to how many fell into it."""

    counts: Counter[int] = field(default_factory=Counter)
    count: int = 0
    total: float = 0.0
    low: float = float("inf")
    high: float = 0.0

    def add(self, samples: list[float]) -> int:
        """Fold a batch of latencies (seconds, not negative) in; how many were NaN, and left out."""
        total = sum(samples)
        if total != total:
            measured = [sample for sample in samples if sample == sample]
            return len(samples) - len(measured) + self.add(measured)
        if not samples:
            return 0
        singles = memoryview(array("f", samples)).cast("B").cast("H")
        self.counts.update(singles[_UPPER_HALF].tolist())
        self.count += len(samples)
        self.total += total
        self.low = min(self.low, min(samples))
        self.high = max(self.high, max(samples))
        return 0

    def merge(self, other: Histogram) -> None:
        self.counts.update(other.counts)
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    def fastest(self, share: float) -> Histogram:
        """Only that share (0..1) of the samples, the fastest ones; to the width of a bucket."""
        left = round(self.count * min(max(share, 0.0), 1.0))
        if left == self.count:
            return self
        fastest = Histogram(count=left, low=self.low)
        for bucket in sorted(self.counts):
            if not left:
                break
            count = min(left, self.counts[bucket])
            low, high = (min(max(end, self.low), self.high) for end in edges(bucket))
            fastest.counts[bucket] = count
            fastest.total += count * (low + high) / 2
            fastest.high = high
            left -= count
        return fastest

    @property
    def mean(self) -> float:
        """Seconds; 0 over no samples."""
        return self.total / self.count if self.count else 0.0

    def buckets(self) -> Iterator[tuple[float, int]]:
        """A latency (seconds: the middle of a bucket, in the samples' own range) and its count."""
        for bucket in sorted(self.counts):
            low, high = edges(bucket)
            yield min(max((low + high) / 2, self.low), self.high), self.counts[bucket]

    def percentile(self, quantile: float) -> float:
        """The latency (seconds) that `quantile` (0..1) of all samples do not exceed, to 0.8%.

        The nearest-rank definition; the middle of the bucket, never outside the samples' own range.
        Over no samples: 0.
        """
        if not self.count:
            return 0.0
        # 0.07 * 100 is 7.000000000000001 in binary, which is rank 7 and not 8.
        rank = max(1, ceil(quantile * self.count * (1 - 1e-12)))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                if seen == self.count and rank == self.count:
                    return self.high
                low, high = edges(bucket)
                return min(max((low + high) / 2, self.low), self.high)
        return self.high
