"""Records that nobody measured."""

from collections.abc import Sequence

from bench.machine import Run
from bench.records import Record

Figures = dict[str, float | Sequence[float]]


def run(number: int = 1) -> Run:
    return Run(
        id=f"run-{number}", sha="0123456789ab", python="3.13.1", postgres="18.6", system="Linux 6",
        processor="a processor", cores=2, memory_gb=8, load=0.1, scale=1,
    )  # fmt: skip


def record(
    workload: str, contender: str, figures: Figures, *, number: int = 1, of: int = 1
) -> Record:
    return Record(
        run=run(of), workload=workload, contender=contender, round=number, figures=figures
    )


def rates(workload: str, **of: Sequence[float]) -> list[Record]:
    """A record a round for each contender; `_` in its name stands for what a name may not hold."""
    return [
        record(workload, contender, {"jobs_per_s": rate}, number=number)
        for contender, listed in of.items()
        for number, rate in enumerate(listed, 1)
    ]
