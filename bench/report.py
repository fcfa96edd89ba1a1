"""What a run says: ratios first, then the figures, then what this runtime is held to."""

from collections.abc import Iterator

from .figures import label, shown, unit
from .measurements import Measurements
from .records import Record
from .running import Workload
from .tables import table
from .targets import TARGETS, Judged, spread
from .workloads import WORKLOADS

MANY_FIGURES = 8  # beyond, a line a figure is easier to read than a column


def report(measurements: Measurements) -> list[str]:
    """The lines for a terminal."""
    return [
        "## Ratios", "", *ratios(measurements), "",
        "## Figures", "", *figures(measurements),
        "## What it is held to", "", *held_to(measurements),
        *failures(measurements),
    ]  # fmt: skip


def head(workload: str, contender: str, number: int) -> str:
    """What is being measured: the beginning of its line."""
    return f"{workload:<13} {contender:<32} round {number}  "


def told(record: Record) -> str:
    """What was measured: the rest of the line."""
    if record.failed is not None:
        return f"FAILED  {record.failed}"
    return ", ".join(
        f"{label(name)} {shown(name, value)}" for name, value in record.numbers().items()
    )


def ratios(measurements: Measurements) -> list[str]:
    """Each contender beside its rival, round by round; the median and the range of that."""
    rows = [
        [workload, contender, rival, label(compares) + unit(compares), spread(found)]
        for workload, contender, rival, compares in _pairs(measurements)
        if (found := measurements.ratio(workload, contender, rival, compares)) is not None
    ]
    return table(["workload", "contender", "beside", "of", "ratio"], rows, numbers=1)


def _pairs(measurements: Measurements) -> Iterator[tuple[str, str, str, str]]:
    for workload in _known(measurements):
        for contender in measurements.contenders(workload.name):
            rival = workload.rival(contender)
            if rival is not None:
                yield workload.name, contender, rival, workload.compares


def _known(measurements: Measurements) -> list[Workload]:
    """Those that were measured, in the order of a run."""
    return [one for name, one in WORKLOADS.items() if name in measurements.workloads]


def figures(measurements: Measurements) -> list[str]:
    """A table a workload: the median over the rounds, and the range."""
    lines = list[str]()
    for workload in _known(measurements):
        lines += [f"### {workload.name}", "", f"{workload.does[0].upper()}{workload.does[1:]}.", ""]
        lines += [*_figures(measurements, workload.name), ""]
    return lines


def _figures(measurements: Measurements, workload: str) -> list[str]:
    names, contenders = measurements.figures(workload), measurements.contenders(workload)
    cells = [[_cell(measurements, workload, one, name) for name in names] for one in contenders]
    if len(names) > MANY_FIGURES:
        rows = [[_titled(name), *column] for name, column in zip(names, zip(*cells), strict=True)]  # noqa: B905 - rows are alike
        return table(["", *contenders], rows, numbers=len(contenders))
    rows = [[one, *row] for one, row in zip(contenders, cells, strict=True)]
    return table(["", *map(_titled, names)], rows, numbers=len(names))


def _titled(name: str) -> str:
    said = unit(name)
    return label(name) + said if said.startswith("/") else f"{label(name)},{said}".rstrip(",")


def _cell(measurements: Measurements, workload: str, contender: str, name: str) -> str:
    found = measurements.figure(workload, contender, name)
    return "" if found is None else spread(found)


def held_to(measurements: Measurements) -> list[str]:
    """Every target with its verdict."""
    rows = [[one.verdict, one.measured, one.bound, one.target.says] for one in judged(measurements)]
    return table(["", "measured", "demanded", "what"], rows)


def judged(measurements: Measurements) -> list[Judged]:
    return [target.judged(measurements) for target in TARGETS]


def failures(measurements: Measurements) -> list[str]:
    """What went wrong; nothing where nothing did."""
    lines = [
        f"- {one.workload}, {one.contender}, round {one.round}: {one.failed}"
        for one in measurements.failures
    ]
    return ["", "## Failed", "", *lines] if lines else []
