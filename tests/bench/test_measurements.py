"""What a report computes from records: ratios within a round, of the newest run."""

from pathlib import Path

from bench.measurements import Measurements
from bench.records import append, read
from bench.spread import Spread, part
from made_up import rates, record


def test_a_ratio_is_of_the_same_round() -> None:
    seen = Measurements(rates("drain", raw=[100, 10, 1000], pillars=[50, 9, 800]))
    assert seen.ratio("drain", "pillars", "raw", "jobs_per_s") == Spread(0.8, 0.5, 0.9)


def test_a_round_that_only_one_has_measured_makes_no_ratio() -> None:
    late = record("drain", "pillars", {"jobs_per_s": 50}, number=2)
    seen = Measurements([*rates("drain", raw=[10, 100]), late])
    assert seen.ratio("drain", "pillars", "raw", "jobs_per_s") == Spread(0.5, 0.5, 0.5)
    assert seen.ratio("drain", "pillars", "nobody", "jobs_per_s") is None


def test_of_each_workload_the_newest_run_counts_alone() -> None:
    old = [*rates("drain", raw=[1, 1]), *rates("bulk", raw=[1, 1])]
    new = [record("drain", "raw", {"jobs_per_s": 2}, of=2)]
    seen = Measurements([*old, *new])
    assert seen.figure("drain", "raw", "jobs_per_s") == Spread(2, 2, 2)
    assert seen.figure("bulk", "raw", "jobs_per_s") == Spread(1, 1, 1)


def test_records_come_back_from_their_lines_as_they_were(tmp_path: Path) -> None:
    records = [
        record("drain", "raw", {"jobs_per_s": 1.5}),
        record("steady", "pillars", {"behind_jobs": 0.0, "jobs_mb": [1.0, 2.5]}),
    ]
    for one in records:
        append(tmp_path / "new" / "lines", one)
    assert read(tmp_path / "new" / "lines") == records


def test_a_course_over_time_is_no_figure_of_a_table() -> None:
    steady = record("steady", "pillars", {"behind_jobs": 3, "jobs_mb": [1.0, 2.5]})
    assert steady.numbers() == {"behind_jobs": 3}
    assert steady.course("jobs_mb") == [1.0, 2.5]
    assert steady.course("behind_jobs") == steady.course("nothing") == []


def test_99_of_100_values_do_not_exceed_the_99th_percentile() -> None:
    values = list(range(1, 101))
    assert [part(values, share) for share in (0.01, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert part([7], 0.5) == 7
