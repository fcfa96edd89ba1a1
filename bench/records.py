"""What a run leaves behind: one JSON line a measurement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .machine import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One measurement: of which run, what, and what was seen."""

    run: Run
    workload: str
    contender: str
    round: int
    """From 1."""
    figures: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    failed: str | None = None
    """Why there are no figures."""

    def numbers(self) -> dict[str, float]:
        """The figures without those that are a course over time."""
        return {
            name: value for name, value in self.figures.items() if isinstance(value, int | float)
        }

    def course(self, name: str) -> list[float]:
        """A figure over time; empty where there is none."""
        found = self.figures.get(name, ())
        return [] if isinstance(found, int | float) else list(found)


def line(record: Record) -> str:
    return msgspec.json.encode(record).decode()


def append(path: Path, record: Record) -> None:
    """Add one line, so that what was measured is kept however a run ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line(record) + "\n")


def read(path: Path) -> list[Record]:
    """All records of a file, oldest first."""
    lines = path.read_text("utf-8").splitlines()
    return [msgspec.json.decode(text, type=Record) for text in lines if text.strip()]


def newest(records: Iterable[Record]) -> list[Record]:
    """Of each workload those of the last run that measured it: ratios are made within a run."""
    listed = list(records)
    last = {one.workload: one.run.id for one in listed}
    return [one for one in listed if one.run.id == last[one.workload]]
