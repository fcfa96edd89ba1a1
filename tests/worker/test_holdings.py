"""What a worker holds and how long it may believe so."""

import time
from datetime import timedelta
from uuid import uuid4

from pillars.worker.holdings import _CLOCK, Holdings

TRUST = timedelta(seconds=25)
ONE, TWO, THREE = uuid4(), uuid4(), uuid4()


def holdings(*keys: tuple[object, int], asked_at: float = 100.0) -> Holdings:
    made = Holdings(TRUST)
    made.take(keys, asked_at=asked_at)  # type: ignore[arg-type]
    return made


def test_trust_runs_from_before_the_claim_was_asked_for() -> None:
    held = holdings((ONE, 7))
    assert held.distrusted(125.0) == []
    assert held.distrusted(125.1) == [7]


def test_a_heartbeat_renews_trust_from_before_it_was_sent_and_only_of_what_it_extended() -> None:
    held = holdings((ONE, 7), (TWO, 8))
    held.extend([7], asked_at=110.0)
    assert held.distrusted(125.1) == [8]
    assert held.distrusted(135.1) == [7, 8]


def test_a_grace_is_added_to_trust() -> None:
    held = holdings((ONE, 7))
    assert held.distrusted(129.0, grace=4.0) == []
    assert held.distrusted(129.1, grace=4.0) == [7]


def test_what_no_longer_runs_is_not_distrusted_but_is_still_held() -> None:
    held = holdings((ONE, 7))
    held.ended((ONE, 7))
    assert held.distrusted(1000.0) == []
    assert held.tokens() == [7], "its lock is extended until its outcome is written"
    assert held.holds((ONE, 7))
    assert held.running() == 0


def test_a_claim_goes_when_its_last_job_is_settled() -> None:
    held = holdings((ONE, 7), (TWO, 7))
    held.settle([(ONE, 7)])
    assert held.tokens() == [7]
    assert not held.holds((ONE, 7))
    held.settle([(TWO, 7), (TWO, 7), (THREE, 99)])
    assert held.tokens() == []


def test_the_last_jobs_of_a_claim_are_known_before_they_are_settled() -> None:
    held = holdings((ONE, 7), (TWO, 7), (THREE, 8))
    assert held.last_of([(ONE, 7)]) == []
    assert held.last_of([(ONE, 7), (TWO, 7)]) == [7]
    assert held.last_of([(ONE, 7), (TWO, 7), (THREE, 8)]) == [7, 8]
    held.settle([(ONE, 7)])
    assert held.last_of([(TWO, 7)]) == [7]
    assert held.last_of([(ONE, 55)]) == [55], "the statement checks what we do not know"


def test_a_job_taken_again_is_another_key() -> None:
    held = holdings((ONE, 7))
    held.take([(ONE, 9)], asked_at=200.0)
    held.settle([(ONE, 7)])
    assert held.holds((ONE, 9))
    assert held.tokens() == [9]


def test_trust_is_measured_by_a_clock_that_counts_suspended_time() -> None:
    """No test can suspend the machine; where there is such a clock, it is the one."""
    assert getattr(time, "CLOCK_BOOTTIME", _CLOCK) == _CLOCK
