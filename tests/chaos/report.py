"""What a scenario saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """Figures to print, and whatever must never have happened, a line or a history each."""

    figures: Mapping[str, int]
    broken: Sequence[str]
