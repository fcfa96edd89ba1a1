"""What was measured, to be asked: the figures of a contender by round, and ratios within a round."""

from collections.abc import Iterable, Sequence

from .records import Record, newest
from .spread import Spread


class Measurements:
    """Of each workload those of the newest run that has it."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: Sequence[Record] = newest(records)

    @property
    def workloads(self) -> set[str]:
        return {one.workload for one in self.records}

    @property
    def failures(self) -> list[Record]:
        return [one for one in self.records if one.failed is not None]

    def contenders(self, workload: str) -> list[str]:
        """In the order in which they were first measured."""
        return list(
            dict.fromkeys(one.contender for one in self.records if one.workload == workload)
        )

    def of(self, workload: str, contender: str) -> list[Record]:
        """The measurements of a contender, one a round; those that failed have no figures."""
        return [
            one for one in self.records if (one.workload, one.contender) == (workload, contender)
        ]

    def by_round(self, workload: str, contender: str, figure: str) -> dict[int, float]:
        found = ((one.round, one.numbers().get(figure)) for one in self.of(workload, contender))
        return {number: value for number, value in found if value is not None}

    def figure(self, workload: str, contender: str, figure: str) -> Spread | None:
        return Spread.of(self.by_round(workload, contender, figure).values())

    def ratio(self, workload: str, contender: str, against: str, figure: str) -> Spread | None:
        """Of a figure, each round's by the same round's: what slows a machine down then slows both."""
        ours, theirs = (self.by_round(workload, one, figure) for one in (contender, against))
        return Spread.of(
            value / theirs[number] for number, value in ours.items() if theirs.get(number)
        )

    def figures(self, workload: str) -> list[str]:
        """The names of all figures that a workload's measurements have."""
        listed = (
            name for one in self.records if one.workload == workload for name in one.numbers()
        )
        return list(dict.fromkeys(listed))
