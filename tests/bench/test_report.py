"""What is printed, and what is published."""

import re
from pathlib import Path

import pytest

from bench import page
from bench.figures import label, shown
from bench.measurements import Measurements
from bench.plot import bars
from bench.records import Record, read
from bench.report import report, told
from bench.running import Workload
from bench.workloads import WORKLOADS
from made_up import rates, record, run
from pillars.errors import UsageError

DRAINS = rates("drain", raw=[100, 120], pillars=[90, 96])
STEADY = record(
    "steady",
    "pillars",
    {"behind_jobs": 3, "minutes": [0, 15, 30], "jobs_mb": [1, 2, 2], "jobs_indexes_mb": [1, 1, 1]},
)
FAILED = Record(
    run=run(), workload="drain", contender="pillars", round=3, failed="AssertionError: 1 lost"
)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("jobs_per_s", 20123.4, "jobs 20,123/s"),
        ("worker_cpu_us", 35.21, "worker CPU 35.2 µs"),
        ("start_p99_ms", 4.1, "start p99 4.10 ms"),
        ("statements", 0.0212, "statements 0.021"),
        ("jobs_growth", 0, "jobs growth 0.00"),
    ],
)
def test_a_figure_is_told_with_its_unit(name: str, value: float, words: str) -> None:
    assert f"{label(name)} {shown(name, value)}" == words


def test_a_report_has_ratios_first_then_figures_then_what_it_is_held_to() -> None:
    text = "\n".join(report(Measurements(DRAINS)))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Ratios", "## Figures", "## What it is held to"]
    assert "0.85 (0.80 to 0.90)" in text
    assert "93.0 (90.0 to 96.0)" in text


def test_a_measurement_that_failed_is_told_and_makes_no_figure() -> None:
    measurements = Measurements([*DRAINS, FAILED])
    assert "- drain, pillars, round 3: AssertionError: 1 lost" in report(measurements)
    assert measurements.by_round("drain", "pillars", "jobs_per_s") == {1: 90, 2: 96}
    assert "FAILED  AssertionError: 1 lost" in told(FAILED)


def test_a_contender_that_no_workload_names_is_compared_with_the_first() -> None:
    rival = record("drain", "some rival", {"jobs_per_s": 50})
    text = "\n".join(report(Measurements([*DRAINS, rival])))
    assert "| drain    | some rival | raw    | jobs/s |                0.50 |" in text


def test_every_contender_is_compared_with_one_of_its_own_workload() -> None:
    def compared(workload: Workload) -> None:
        for contender in workload.contenders:
            rival = workload.rival(contender)
            assert rival is None or (rival in workload.contenders and rival != contender)

    for workload in WORKLOADS.values():
        compared(workload)


def test_publishing_replaces_what_stands_between_the_marks_and_keeps_the_lines(
    tmp_path: Path,
) -> None:
    file, lines = tmp_path / "page.md", tmp_path / "page.jsonl"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", "utf-8")
    measurements = Measurements([*DRAINS, STEADY])
    for _ in range(2):
        page.publish(measurements, file, lines)
    text = file.read_text("utf-8")
    assert text.startswith(f"before\n{page.BEGIN}\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert text.count("**met**") == 1
    assert "old" not in text
    assert "2 cores of a processor, 8 GB" in text
    assert text.count("```mermaid") == 3, "ratios, drains, sizes"
    assert read(lines) == list(measurements.records)


@pytest.mark.parametrize("value", [0.00001234, 0.83, 20123.456, 12345678.9])
def test_a_chart_holds_no_number_with_an_exponent(value: float) -> None:
    drawn = bars("title", "jobs/s", {"raw": value, "pillars, 2": value * 2}, [value])
    assert drawn[0] == "```mermaid"
    assert not re.search(r"\de[+-]?\d", "\n".join(drawn[2:]))
    assert '    x-axis ["raw", "pillars, 2"]' in drawn


@pytest.mark.parametrize("text", [None, "no marks", f"{page.BEGIN} alone"])
def test_without_a_page_or_its_marks_nothing_is_written(tmp_path: Path, text: str | None) -> None:
    file, lines = tmp_path / "page.md", tmp_path / "page.jsonl"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(UsageError):
        page.publish(Measurements(DRAINS), file, lines)
    assert not lines.exists()


def test_the_page_says_what_the_lines_beside_it_say() -> None:
    _, _, rest = page.PAGE.read_text("utf-8").partition(page.BEGIN)
    written, end, _ = rest.partition(page.END)
    assert end
    if page.LINES.exists():
        assert written.strip() == "\n".join(page.generated(Measurements(read(page.LINES)))).strip()
    else:
        assert "Nothing has been published yet" in written


def test_the_page_tells_of_every_workload() -> None:
    text = page.PAGE.read_text("utf-8")
    assert {name for name in WORKLOADS if f"| `{name}` | " not in text} == set()
