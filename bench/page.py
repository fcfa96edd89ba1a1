"""The page docs/benchmarks.md: what people wrote about the benchmarks, and between two marks what a run says."""

from collections.abc import Iterable
from pathlib import Path

from pillars.errors import UsageError

from .machine import Run
from .measurements import Measurements
from .plot import charts
from .records import line
from .report import failures, figures, judged, ratios
from .tables import table

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
LINES = DOCS / "benchmarks.jsonl"
BEGIN = "<!-- from here on written by: app bench report --publish -->"
END = "<!-- to here -->"


def publish(measurements: Measurements, page: Path = PAGE, lines: Path = LINES) -> None:
    """Write what was measured into the page, and its JSON lines beside it."""
    if not page.exists():
        raise UsageError(f"there is no {page}: publish from a checkout")
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(
            f"{page} lacks a line {BEGIN!r} or {END!r}; put them where the figures belong"
        )
    text = "\n".join(generated(measurements))
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")
    lines.write_text("".join(f"{line(one)}\n" for one in measurements.records), "utf-8")


def generated(measurements: Measurements) -> list[str]:
    """The part that a run writes, in Markdown."""
    return [
        "## What was measured", "", *machines(measurements), "", *charts(measurements),
        "### What it is held to", "", *held_to(measurements), "",
        "### Ratios", "", *ratios(measurements), "",
        *figures(measurements),
        *failures(measurements),
    ]  # fmt: skip


def machines(measurements: Measurements) -> list[str]:
    """Where and of which code: a line a run."""
    runs: dict[str, tuple[Run, list[str]]] = {}
    for one in measurements.records:
        runs.setdefault(one.run.id, (one.run, []))[1].append(one.workload)
    rows = [_machine(run, dict.fromkeys(workloads)) for run, workloads in runs.values()]
    columns = ["run", "code", "Python", "Postgres", "machine", "load before", "scale", "workloads"]
    return table(columns, rows)


def _machine(run: Run, workloads: Iterable[str]) -> list[str]:
    machine = f"{run.cores} cores of {run.processor}, {run.memory_gb:g} GB, {run.system}"
    return [run.id, f"`{run.sha}`", run.python, run.postgres, machine, f"{run.load:g}", f"{run.scale:g}", ", ".join(workloads)]  # fmt: skip


def held_to(measurements: Measurements) -> list[str]:
    """Every target, how it is computed, and whether it is met."""
    rows = [
        [one.target.says, one.bound, one.measured, f"**{one.verdict}**", one.target.computed.how]
        for one in judged(measurements)
    ]
    return table(["", "demanded", "measured", "", "computed from"], rows)
