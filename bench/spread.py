"""A few numbers in place of many."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a figure, or of a ratio, over the rounds of a run."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """None where there are no values."""
        listed = list(values)
        return cls(statistics.median(listed), min(listed), max(listed)) if listed else None


def part(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed: 0.99 for the 99th percentile."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
