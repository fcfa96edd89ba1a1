"""The guard: when a worker must not go on, and when it must."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import anyio
import pytest
from structlog.testing import capture_logs

from pillars import job
from pillars.service.process import Process
from pillars.store.database import Database
from pillars.store.rows import Claimed
from pillars.worker.attempts import Attempt, Why
from pillars.worker.completing import Completer
from pillars.worker.guarding import Guard
from pillars.worker.holdings import Holdings, counted_clock
from support import settings_for, until

NOW = datetime.now(UTC)


class Desk:
    def __init__(self) -> None:
        url = "postgresql://nowhere/none"
        settings = settings_for(
            url
        )  # a lock of 5 s: stuck after 10 s, without a deadline after 50 s
        self.holdings = Holdings(settings.trust)
        self.attempts: list[Attempt] = []
        self.ended: list[int] = []
        self.distrusted: list[Sequence[int]] = []
        self.guard = Guard(
            Process("worker", settings, Database(url)),
            self.holdings,
            lambda: self.attempts,
            slots=2,
            on_distrusted=self.distrusted.append,
            end=self.ended.append,
        )

    def blocked(self, seconds: float) -> None:
        """As if the loop had not turned for so long."""
        self.guard._asked = True
        self.guard._turned_at = time.monotonic() - seconds


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def attempt(run: Callable[[], Any] | None = None, *, overdue: float | None = None) -> Attempt:
    @job(name=f"guarded.{uuid4()}")
    async def guarded() -> None:
        if run is not None:
            run()

    claimed = Claimed(
        uuid4(), 1, guarded.name, "default", 0, NOW, "{}", None, 1, 4, None, NOW,
        None if overdue is None else NOW - timedelta(seconds=overdue), False,
    )  # fmt: skip

    return Attempt(
        claimed,
        guarded,
        threads=anyio.CapacityLimiter(1),
        complete=partial(Completer, uuid4()),
        grace=10,
    )


def watch_from_a_thread(desk: Desk) -> None:
    """One look, while this thread, with its loop, stands still."""
    thread = threading.Thread(target=desk.guard.watch_once)
    thread.start()
    thread.join(20)


async def test_a_loop_that_turns_is_left_alone(desk: Desk) -> None:
    for _ in range(3):
        desk.guard.watch_once()
        await until(lambda: not desk.guard._asked)
    assert desk.ended == []
    assert desk.guard.worth_a_beat()


async def test_a_loop_that_nobody_known_holds_is_given_ten_locks(desk: Desk) -> None:
    desk.blocked(49)
    desk.guard.watch_once()
    assert desk.ended == []
    desk.blocked(51)
    desk.guard.watch_once()
    assert desk.ended == [75]
    assert not desk.guard.worth_a_beat(), "its locks shall expire"


@pytest.mark.parametrize(("blocked", "overdue", "ended"), [
    (11, 11, [75]), (11, 9, []), (11, -1, []), (9, 100, []), (60, -1, []), (49, None, []), (51, None, [75]),
])  # fmt: skip
async def test_a_job_that_holds_the_loop_is_judged_by_its_deadline(
    desk: Desk, blocked: float, overdue: float | None, ended: list[int]
) -> None:
    holding = attempt(lambda: watch_from_a_thread(desk), overdue=overdue)
    desk.blocked(blocked)
    await holding.run()
    assert desk.ended == ended


async def test_a_blocked_loop_is_told_and_counted_once_with_the_jobs_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    class Log:
        def warning(self, _event: str, **facts: Any) -> None:
            told.append(facts)

    monkeypatch.setattr("pillars.log.get", lambda _name: Log())

    def look_twice() -> None:
        watch_from_a_thread(desk)
        watch_from_a_thread(desk)

    holding = attempt(look_twice)
    desk.blocked(1.5)
    await holding.run()
    [facts] = told
    assert facts["job_name"] == holding.claimed.name
    assert facts["job_id"] == str(holding.claimed.job_id)
    assert facts["blocked_ms"] >= 1500
    assert desk.guard._process.tally.blocked == 1
    assert "watch_from_a_thread" in facts["stack"]


async def test_locks_that_cannot_be_trusted_stop_their_jobs_and_then_the_process(
    desk: Desk,
) -> None:
    trust, grace = 5 * 5 / 6, 5 * 2 / 15
    key = (uuid4(), 7)
    desk.holdings.take([key], asked_at=counted_clock() - trust + 1)
    desk.guard.watch_once()
    await asyncio.sleep(0)
    assert (desk.distrusted, desk.ended) == ([], [])
    desk.holdings.extend([7], asked_at=counted_clock() - trust - 0.1)
    desk.guard.watch_once()
    await until(lambda: desk.distrusted == [[7]])
    assert desk.ended == []
    desk.holdings.extend([7], asked_at=counted_clock() - trust - grace - 0.1)
    desk.guard.watch_once()
    assert desk.ended == [75]


async def test_jobs_that_ended_in_time_save_the_process(desk: Desk) -> None:
    key = (uuid4(), 7)
    desk.holdings.take([key], asked_at=counted_clock() - 100)
    desk.holdings.ended(key)
    desk.guard.watch_once()
    assert desk.ended == []


async def test_an_attempt_that_does_not_heed_its_end_is_told_once(desk: Desk) -> None:
    deaf, heeding, running = attempt(), attempt(), attempt()
    for one, ago in [(deaf, 11), (heeding, 9)]:
        one.stop(Why.CANCEL)
        one.stopped_at = time.monotonic() - ago
    desk.attempts = [deaf, heeding, running]
    with capture_logs() as lines:
        desk.guard.watch_once()
        desk.guard.watch_once()
    told = [line["job_id"] for line in lines if line["event"] == "job.overdue"]
    assert told == [str(deaf.claimed.job_id)]


async def test_a_worker_all_of_whose_slots_are_overdue_ends(desk: Desk) -> None:
    desk.attempts = [attempt(overdue=11)]
    desk.guard.watch_once()
    assert desk.ended == [], "the other slot is free"
    desk.attempts = [attempt(overdue=11), attempt(overdue=0.1)]
    desk.guard.watch_once()
    assert desk.ended == [], "one is only just overdue"
    desk.attempts = [attempt(overdue=11), attempt()]
    desk.guard.watch_once()
    assert desk.ended == [], "one has no deadline"
    desk.attempts = [attempt(overdue=11), attempt(overdue=11)]
    desk.guard.watch_once()
    assert desk.ended == [75]


async def test_an_attempt_past_its_deadline_is_told_once(desk: Desk) -> None:
    desk.attempts = [attempt(overdue=11)]
    with capture_logs() as lines:
        desk.guard.watch_once()
        desk.guard.watch_once()
    assert [line["event"] for line in lines] == ["job.overdue"]
    assert lines[0]["job_id"] == str(desk.attempts[0].claimed.job_id)
