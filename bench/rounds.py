"""The measurements of a run, in turn."""

from collections.abc import Callable, Iterator, Sequence

from .machine import Run
from .records import Record
from .running import Bench, Measure, Workload

Begin = Callable[[str, str, int], None]
"""Told what is measured next: workload, contender, round."""
Keep = Callable[[Record], None]


async def play(
    bench: Bench,
    run: Run,
    workload: Workload,
    contenders: Sequence[str],
    *,
    rounds: int,
    begin: Begin,
    keep: Keep,
) -> None:
    """Measure the contenders of a workload, in every round each once."""
    for number in range(1, min(rounds, workload.rounds or rounds) + 1):
        for name in _turns(contenders, number):
            begin(workload.name, name, number)
            keep(await _measured(bench, run, workload, name, number))


def _turns(contenders: Sequence[str], number: int) -> Iterator[str]:
    """There and back: what a machine does more and more meets each as often early as late."""
    yield from contenders if number % 2 else reversed(contenders)


async def _measured(bench: Bench, run: Run, workload: Workload, name: str, number: int) -> Record:
    measure: Measure = workload.contenders[name]
    try:
        figures = await measure(bench)
    except Exception as error:  # noqa: BLE001 - one that fails is told of, and takes no other along
        return Record(
            run=run, workload=workload.name, contender=name, round=number,
            failed=f"{type(error).__name__}: {error}",
        )  # fmt: skip
    return Record(
        run=run, workload=workload.name, contender=name, round=number, figures=dict(figures)
    )
