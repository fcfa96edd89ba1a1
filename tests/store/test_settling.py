"""Giving jobs up: done, busy or lost; what is kept; when a claim's lock goes."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from gates import at_gate, gated
from pillars.errors import DatabaseTrouble
from pillars.store import settling, workers
from pillars.store.settling import Ended
from stepping import (
    EXPIRED,
    NOBODY,
    define,
    final,
    hand,
    hands,
    hearing,
    locked_tokens,
    places_of,
    put,
    put_one,
    row,
)
from support import ask, asking, move_clock, tell

SECOND = timedelta(seconds=1)


async def test_a_finish_moves_the_job_and_keeps_what_there_is_to_know(db: str) -> None:
    job_id = await put_one(
        db, payload='{"n": 1}', context="why", unique_key="k", tags=["a"], timeout=5 * SECOND,
        max_attempts=3, priority=2,
    )  # fmt: skip
    async with hand(db) as worker:
        [job] = await worker.take()
        assert await worker.finish(job, result='{"ok": true}') == ["done"]
    assert await places_of(db, job_id) == (0, 1)
    stored = await final(db, job_id)
    assert stored["state"] == "completed"
    assert (stored["payload"], stored["result"]) == ('{"n": 1}', '{"ok": true}')
    assert (stored["context"], stored["unique_key"], stored["tags"]) == ("why", "k", ["a"])
    assert (stored["attempt"], stored["max_attempts"], stored["priority"]) == (1, 3, 2)
    assert stored["timeout"] == 5 * SECOND
    assert stored["lock_token"] == job.lock_token
    assert stored["started_at"] == job.locked_at


async def test_a_clean_first_try_leaves_no_attempts_row_and_a_failure_leaves_one(db: str) -> None:
    await put(db, 2)
    async with hand(db) as worker:
        good, bad = await worker.take()
        await worker.finish(good)
        await worker.finish(bad, state="failed", error="ValueError: no")
        async with asking(db) as connection:
            [noted] = await connection.fetch("select * from pillars.attempts")
    assert (noted["job_id"], noted["outcome"], noted["error"]) == (
        bad.job_id, "failed", "ValueError: no",
    )  # fmt: skip
    assert (noted["attempt"], noted["lock_token"]) == (1, bad.lock_token)
    assert noted["locked_by"] == worker.worker_id
    assert (await final(db, bad.job_id))["last_error"] == "ValueError: no"


async def test_a_late_completion_changes_nothing(db: str) -> None:
    await define(db)
    job_id = await put_one(db)
    async with hands(db) as (dead, heir):
        [old] = await dead.take()
        await move_clock(db, EXPIRED)
        assert (await heir.sweep()).rescued == 1
        assert await dead.finish(old) == ["lost"], "rescued, not yet taken again"
        assert await dead.put_back(old, outcome="retried", error="late") == ["lost"]
        assert await places_of(db, job_id) == (1, 0)
        await move_clock(db, 2 * SECOND)
        [new] = await heir.take()
        assert await dead.finish(old, again=True) == ["lost"]
        assert await dead.cancel(job_id) == "requested"
        assert await dead.put_back(old) == ["lost"], "its end is the new holder's to write"
        assert (await row(db, job_id))["locked_by"] == heir.worker_id
        assert await heir.finish(new) == ["done"]
        assert await dead.finish(old, state="failed", error="late", again=True) == ["lost"]
    assert (await final(db, job_id))["state"] == "completed"
    assert await ask(db, "select count(*) from pillars.attempts where error = 'late'") == 0


async def test_a_worker_that_holds_a_job_anew_cannot_settle_it_by_its_old_claim(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [old] = await worker.take()
        await worker.put_back(old)
        [new] = await worker.take()
        assert await worker.finish(old) == ["lost"]
        assert await worker.put_back(old) == ["lost"]
        assert (await row(db, job_id))["lock_token"] == new.lock_token
        assert await worker.finish(new) == ["done"]
    assert await places_of(db, job_id) == (0, 1)


async def test_the_table_refuses_a_token_without_a_holder(db: str) -> None:
    job_id = await put_one(db)
    for column in ("lock_token = 1", "locked_by = gen_random_uuid()"):
        with pytest.raises(asyncpg.CheckViolationError, match="jobs_held_by_a_token"):
            await tell(db, f"update pillars.jobs set {column} where job_id = $1", job_id)


async def test_two_outcomes_of_one_job_in_one_flush_are_told_apart_by_their_tokens(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [old] = await worker.take()
        await worker.put_back(old)
        [new] = await worker.take()
        both = [
            Ended(job_id, old.lock_token, "failed", "full", error="of the old claim"),
            Ended(job_id, new.lock_token, "completed", "full", result="1"),
        ]
        answers = await settling.finish(worker.session, worker.worker_id, both)
    assert [(one.lock_token, one.answer) for one in answers] == [(old.lock_token, "lost")]
    assert (await final(db, job_id))["state"] == "completed"


async def test_two_give_backs_of_one_job_in_one_flush_are_told_apart_by_their_tokens(
    db: str,
) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [old] = await worker.take()
        await worker.put_back(old)
        [new] = await worker.take()
        for newest_first in (False, True):
            pair = [new, old] if newest_first else [old, new]
            answers = await worker.put_back(*pair, outcome="retried", given_back=False)
            assert answers == ["done" if job is new else "lost" for job in pair]
            [new] = await worker.take()
    assert await ask(db, "select count(*) from pillars.attempts") == 2
    assert (await row(db, job_id))["attempt"] == 3


async def test_a_job_whose_row_another_holds_is_busy_and_is_done_when_asked_again(db: str) -> None:
    await put(db, 2)
    async with hands(db) as (worker, user):
        held, free = await worker.take()
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held.job_id)
            assert await worker.finish(held, free) == ["busy", "done"]
            assert await worker.put_back(held) == ["busy"]
        assert await worker.finish(held) == ["done"]


async def test_a_row_changed_between_snapshot_and_lock_is_busy_then_done(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with gated(worker, "jobs/finish", user) as finish:
            asked = asyncio.create_task(finish(job))
            await at_gate(db)
            await user.cancel(job_id)
        assert await asked == "busy", "what was locked and not deleted is not done"
        assert await places_of(db, job_id) == (1, 0)
        assert await worker.finish(job) == ["done"]


async def test_a_row_changed_between_snapshot_and_lock_is_not_put_back(db: str) -> None:
    job_id = await put_one(db)
    async with hands(db) as (worker, user):
        [job] = await worker.take()
        async with gated(worker, "jobs/put_back", user) as put_back:
            asked = asyncio.create_task(put_back(job))
            await at_gate(db)
            await user.cancel(job_id)
        assert await asked == "busy"
        assert (await row(db, job_id))["locked_by"] == worker.worker_id
        assert await worker.put_back(job) == ["done"]
    assert (await final(db, job_id))["state"] == "cancelled"


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("keep", ["full", "slim", "failed", "none"])
async def test_a_repeat_recognises_itself_whatever_is_kept(db: str, keep: str, state: str) -> None:
    await define(db, keep=keep)
    job_id = await put_one(db, payload='{"n": 1}')
    async with hand(db) as worker:
        [job] = await worker.take()
        assert await worker.finish(job, state=state, keep=keep, result="1") == ["done"]
        assert await worker.finish(job, state=state, keep=keep, result="1", again=True) == ["done"]
    kept = keep in {"full", "slim"} or (keep == "failed" and state != "completed")
    assert await places_of(db, job_id) == (0, int(kept))
    if kept:
        stored = await final(db, job_id)
        slim = keep == "slim" and state == "completed"
        assert stored["payload"] == (None if slim else '{"n": 1}')
        assert stored["result"] == (None if keep == "slim" else "1")


@pytest.mark.parametrize("max_crashes", [1, 3])
async def test_a_repeat_does_not_take_what_a_rescue_wrote_for_its_own(
    db: str, max_crashes: int
) -> None:
    await define(db, max_crashes=max_crashes)
    await put(db)
    async with hands(db) as (cut_off, heir):
        [job] = await cut_off.take()
        await move_clock(db, EXPIRED)
        await heir.sweep()
        assert await cut_off.finish(job, again=True) == ["lost"]
        assert await cut_off.put_back(job, outcome="retried", again=True) == ["lost"]


async def test_a_first_finish_that_finds_nothing_is_lost_also_where_nothing_is_kept(
    db: str,
) -> None:
    await put(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        await worker.put_back(job)
        assert await worker.finish(job, keep="none") == ["lost"]


async def test_the_lock_goes_with_the_last_job_of_the_claim_and_never_earlier(db: str) -> None:
    await put(db, 3)
    async with hand(db) as worker:
        one, two, three = await worker.take()
        token = one.lock_token
        await worker.finish(one, last_of=[token])
        assert await locked_tokens(db) == [token], "two others still bear the token"
        await worker.put_back(two, last_of=[token])
        assert await locked_tokens(db) == [token]
        await worker.finish(three, last_of=[token])
        assert await locked_tokens(db) == []


async def test_a_busy_job_keeps_its_claims_lock(db: str) -> None:
    await put(db, 2)
    async with hands(db) as (worker, user):
        held, free = await worker.take()
        async with user.session.transaction():
            await user.cancel(held.job_id)
            answers = await worker.finish(held, free, last_of=[held.lock_token])
            assert answers == ["busy", "done"]
            assert await locked_tokens(db) == [held.lock_token], "or nobody would ever rescue it"
        assert await worker.finish(held, last_of=[held.lock_token]) == ["done"]
    assert await locked_tokens(db) == []


async def test_two_halves_of_a_claim_finished_at_once_leave_a_lock_that_a_sweep_removes(
    db: str,
) -> None:
    await put(db, 2)
    async with hands(db) as (worker, inside):
        inside.worker_id = worker.worker_id
        one, two = await worker.take()
        async with inside.session.transaction():
            await inside.finish(one)
            assert await worker.finish(two, last_of=[one.lock_token]) == ["done"]
        assert await locked_tokens(db) == [one.lock_token], "too late is harmless"
        await move_clock(db, EXPIRED)
        assert (await worker.sweep()).rescued == 0
    assert await locked_tokens(db) == []


async def test_a_retry_counts_its_attempt_and_says_when_it_runs_again(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        now = await worker.ask("select pillars.now()")
        answers = await worker.put_back(
            job, outcome="retried", wait=60 * SECOND, given_back=False, error="ValueError: no"
        )
        assert answers == ["done"]
        stored = await row(db, job_id)
        assert stored["attempt"] == 1
        assert stored["last_error"] == "ValueError: no"
        assert 60 * SECOND <= stored["run_at"] - now < 65 * SECOND
        assert [stored[one] for one in ("locked_by", "lock_token", "locked_at", "deadline_at")] == [
            None
        ] * 4
        assert (await worker.claim()).jobs == []
    assert await ask(db, "select outcome from pillars.attempts") == "retried"


async def test_a_snooze_and_a_release_give_the_attempt_back(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        await worker.put_back(job, outcome="snoozed", wait=timedelta(0))
        assert (await row(db, job_id))["attempt"] == 0
        assert await ask(db, "select outcome from pillars.attempts") == "snoozed"
        [job] = await worker.take()
        due = (await row(db, job_id))["run_at"]
        await worker.put_back(job, outcome="released")
        stored = await row(db, job_id)
        assert (stored["attempt"], stored["run_at"]) == (0, due)
        assert stored["crashes"] == 0
    assert await ask(db, "select count(*) from pillars.attempts") == 1, "a release is no attempt"


@pytest.mark.parametrize("outcome", ["retried", "snoozed", "released"])
async def test_a_job_whose_end_was_asked_for_ends_instead_of_going_back(
    db: str, outcome: str
) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        assert await worker.cancel(job_id) == "requested"
        answers = await worker.put_back(
            job, outcome=outcome, wait=SECOND, error="no", last_of=[job.lock_token]
        )
        assert answers == ["done"]
        assert await worker.put_back(job, outcome=outcome, again=True) == ["done"], "of a repeat"
    assert await places_of(db, job_id) == (0, 1)
    stored = await final(db, job_id)
    assert (stored["state"], stored["last_error"]) == ("cancelled", "cancelled by a hand")
    assert stored["lock_token"] == job.lock_token
    assert await ask(db, "select outcome from pillars.attempts") == "cancelled"
    assert await locked_tokens(db) == []


async def test_a_repeated_give_back_recognises_itself_by_its_attempts_row(db: str) -> None:
    await put(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        retried = {"outcome": "retried", "wait": timedelta(0), "given_back": False}
        assert await worker.put_back(job, **retried) == ["done"]  # type: ignore[arg-type]
        assert await worker.put_back(job, **retried, again=True) == ["done"]  # type: ignore[arg-type]
        assert await worker.put_back(job, **retried) == ["lost"]  # type: ignore[arg-type]
    assert await ask(db, "select count(*) from pillars.attempts") == 1


@pytest.mark.parametrize(
    ("outcome", "wait", "heard"),
    [
        ("released", None, True),
        ("released", 5 * SECOND, True),
        ("released", 60 * SECOND, False),
        ("retried", SECOND, False),
        ("snoozed", SECOND, False),
    ],
)
async def test_only_what_was_released_and_is_due_soon_wakes_workers(
    db: str, outcome: str, wait: timedelta | None, *, heard: bool
) -> None:
    await put(db, queue="mail")
    async with hands(db) as (worker, listener):
        [job] = await worker.take()
        async with hearing(listener) as woken:
            await worker.put_back(job, outcome=outcome, wait=wait)
            assert await woken() == (["mail"] if heard else [])


async def test_a_claim_and_a_finish_wake_nobody(db: str) -> None:
    await put(db)
    async with hands(db) as (worker, listener), hearing(listener) as woken:
        [job] = await worker.take()
        await worker.finish(job)
        assert await woken() == []


async def test_a_finish_for_a_day_that_has_no_partition_is_refused_whole(db: str) -> None:
    job_id = await put_one(db)
    async with hand(db) as worker:
        [job] = await worker.take()
        await move_clock(db, timedelta(days=9))
        with pytest.raises(DatabaseTrouble) as refused:
            await worker.finish(job)
        assert (refused.value.sqlstate, refused.value.constraint) == ("23514", None)
        assert await places_of(db, job_id) == (1, 0)


async def test_a_worker_cannot_settle_what_the_nil_worker_holds_but_for_its_own_jobs(
    db: str,
) -> None:
    """A lock that a sweep has marked still lets its jobs end: the token is the fence, not the lock."""
    await define(db)
    await put(db, 2)
    async with hands(db) as (worker, user):
        held, given = await worker.take()
        await move_clock(db, EXPIRED)
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held.job_id)
            await worker.sweep()
        assert await ask(db, "select locked_by from pillars.locks") == NOBODY
        answers = await worker.finish(held, given, last_of=[held.lock_token])
        assert answers == ["done", "lost"]
    assert await locked_tokens(db) == []


async def test_a_lock_that_a_heartbeat_held_when_its_last_job_ended_goes_with_its_worker(
    db: str,
) -> None:
    await put(db, 2)
    async with hands(db) as (worker, heart):
        [ended], [kept] = await worker.take(1), await worker.take(1)
        async with heart.session.transaction():
            await heart.ask("update pillars.locks set expires_at = expires_at + interval '1 s'")
            assert await worker.finish(ended, last_of=[ended.lock_token]) == ["done"]
        assert await ask(db, "select count(*) from pillars.locks") == 2
        await workers.leave(worker.session, worker.worker_id)
        left = "select array_agg(lock_token) from pillars.locks"
        assert await ask(db, left) == [kept.lock_token], "its job is rescued by it"
