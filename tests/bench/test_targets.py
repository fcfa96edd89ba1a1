"""What this runtime is held to, computed from records."""

import pytest

from bench.measurements import Measurements
from bench.records import Record
from bench.targets import TARGETS, Judged
from bench.workloads import WORKLOADS
from made_up import Figures, rates, record


def judged(name: str, *records: Record) -> Judged:
    [target] = [one for one in TARGETS if one.name == name]
    return target.judged(Measurements(records))


def drained(rate: float, beside: float) -> list[Record]:
    return rates("drain", pillars=[rate], raw=[beside])


def idle(web: float, worker: float, cron: float) -> list[Record]:
    told = {"web": web, "worker": worker, "cron": cron}
    return [record("idle", role, {"statements_per_s": value}) for role, value in told.items()]


@pytest.mark.parametrize(
    ("name", "records", "measured", "verdict"),
    [
        ("drain", drained(80, 100), "0.80", "met"),
        ("drain", drained(79, 100), "0.79", "not met"),
        ("two processes", rates("drain", **{"pillars": [5], "pillars, 2 processes": [5]}), "1.00", "not met"),
        ("two processes", rates("drain", **{"pillars": [5], "pillars, 2 processes": [6]}), "1.20", "met"),
        ("idle statements", idle(0.1, 0.49, 0.2), "0.49/s", "met"),
        ("idle statements", idle(0.1, 0.2, 0.5), "0.50/s", "not met"),
        ("16 clients, NOTIFY on",
         rates("enqueue", **{"pillars, 16 clients": [90], "pillars, 16 clients, NOTIFY off": [100]}), "0.90", "met"),
    ],
)  # fmt: skip
def test_the_median_decides_by_the_bound(
    name: str, records: list[Record], measured: str, verdict: str
) -> None:
    found = judged(name, *records)
    assert (found.measured, found.verdict) == (measured, verdict)


def test_wal_is_of_the_enqueue_and_of_the_rest_of_a_jobs_life() -> None:
    enqueued = record("bulk", "pillars", {"wal_bytes": 300})
    drained = record("drain", "pillars", {"wal_bytes": 600})
    assert judged("WAL", enqueued, drained).measured == "900 B"
    assert judged("WAL", enqueued, drained).met
    assert judged("WAL", enqueued).verdict == "not measured", "half of it is not known"


def test_latency_is_compared_where_less_is_better() -> None:
    def latency(contender: str, milliseconds: float) -> Record:
        figures: Figures = {"start_p50_ms": milliseconds, "start_p99_ms": milliseconds * 3}
        return record("latency", contender, figures)

    assert judged("latency", latency("raw", 3), latency("pillars", 3.9)).met
    assert judged("latency", latency("raw", 3), latency("pillars", 4)).met is False
    assert judged("latency p99", latency("pillars", 5)).met is False


def test_the_greatest_of_several_is_not_known_without_each_of_them() -> None:
    assert judged("idle statements", *idle(0.1, 0.2, 0.3)[:2]).verdict == "not measured"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    for target in TARGETS:
        found = target.judged(Measurements([]))
        assert (found.met, found.measured, found.verdict) == (None, "", "not measured")


def test_every_target_is_computed_from_what_workloads_measure() -> None:
    for target in TARGETS:
        for told in target.computed.how.split(" + "):
            workload, _, contenders = told.partition(": ")
            workload = workload.strip("`")
            assert workload in WORKLOADS, target.name
            named = [one for one in WORKLOADS[workload].contenders if one in contenders]
            assert named, target.name
