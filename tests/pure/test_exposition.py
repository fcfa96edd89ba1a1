"""Counting, and writing what was counted as Prometheus reads it."""

import math

import pytest
from figures import Figures

from pillars.service.exposition import Family, exposed
from pillars.service.tally import BOUNDS, MOST_NAMES, OTHER, Tally, Times


def figures(*families: Family) -> Figures:
    return Figures(exposed(families).decode())


@pytest.mark.parametrize(
    "value",
    [
        'a"b',
        "a\\b",
        "a\nb",
        "\\n",
        'x"} 1\nevil_total 666\n# ',
        "ключ 🦊",
        "",
        "a\\",
        "{},=",
        "\r\t",
    ],
)
def test_a_hostile_label_is_that_label_and_nothing_else(value: str) -> None:
    read = figures(Family("jobs", "gauge", ("queue", "state"), "help", {(value, "ready"): 3}))
    assert read.samples == {("jobs", frozenset({("queue", value), ("state", "ready")})): 3}


def test_help_is_one_line_whatever_it_says() -> None:
    read = figures(Family("jobs", "gauge", (), "a\nb \\n c", {(): 1}))
    assert [(one.name, one.documentation, one.type) for one in read.families] == [
        ("jobs", "a\nb \\n c", "gauge")
    ]


def test_samples_stand_in_the_order_of_their_labels_and_empty_families_nowhere() -> None:
    text = exposed(
        [
            Family("b", "gauge", ("x",), "B.", {("z",): 1, ("a",): 2}),
            Family("c", "counter", ("x",), "C.", {}),
            Family("a", "gauge", (), "A.", {(): 0.5}),
        ]
    ).decode()
    assert text == (
        '# HELP b B.\n# TYPE b gauge\nb{x="a"} 2\nb{x="z"} 1\n# HELP a A.\n# TYPE a gauge\na 0.5\n'
    )


def test_a_histogram_counts_each_time_in_every_bucket_that_holds_it() -> None:
    times = Times()
    for seconds in (0.005, 0.0051, 2.0, 10_800.0, 1e6):
        times.add(seconds)
    read = figures(Family("run_seconds", "histogram", ("job",), "Help.", {("a",): times}))
    counts = {
        float(bound): read.of("run_seconds_bucket", job="a", le=bound)
        for bound in (one["le"] for one in read.labels("run_seconds_bucket"))
    }
    assert counts[0.005] == 1
    assert counts[0.01] == 2
    assert counts[1.0] == 2
    assert counts[2.5] == 3
    assert counts[10_800.0] == 4
    assert counts[math.inf] == read.of("run_seconds_count", job="a") == 5
    assert list(counts) == [*BOUNDS, math.inf]
    assert read.of("run_seconds_sum", job="a") == pytest.approx(1e6 + 10_802.0101)


@pytest.mark.parametrize("value", [0, 1, 1e17, 1.5, 1e-9, 1764000000.123])
def test_a_number_is_read_as_it_was(value: float) -> None:
    assert figures(Family("a", "gauge", (), "A.", {(): value})).of("a") == value


def test_names_beyond_the_first_200_share_one_series() -> None:
    tally = Tally()
    for number in range(MOST_NAMES + 50):
        tally.ended(f"job.{number}", "completed", 0.1)
        tally.began(f"queue.{number}", 0.1)
    tally.ended("job.0", "completed", 0.1)
    assert len(tally.runs) == len(tally.waits) == MOST_NAMES + 1
    assert tally.runs[OTHER].outcomes["completed"] == 50
    assert sum(tally.waits[OTHER].counts) == 50
    assert tally.runs["job.0"].outcomes["completed"] == 2


def test_a_clock_that_was_set_back_makes_no_negative_wait() -> None:
    tally = Tally()
    tally.began("a", -5.0)
    assert tally.waits["a"].total == 0
