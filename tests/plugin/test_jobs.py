"""The fixture `jobs`: what it runs, what it tells, what it refuses."""

import asyncio
import os
import threading
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from jobs.upkeep import digest, send_digest
from pillars import (
    Context,
    Discard,
    JobCancelled,
    JobFailed,
    Retry,
    Snooze,
    UsageError,
    connection,
    job,
)
from pillars.testing import Jobs, Ran, SyncJobs
from support import tell, until

WHO: ContextVar[str] = ContextVar("who", default="nobody")
done: list[Any] = []


@job(backoff="10m", max_attempts=3)
async def note(text: str) -> str:
    done.append(text)
    if text.startswith("bad"):
        raise ValueError(text)
    return text.upper()


@job
def blocking(text: str) -> str:
    done.append((text, threading.current_thread() is threading.main_thread(), WHO.get()))
    return text


@job
async def chain(left: int) -> int:
    done.append(left)
    if left:
        await chain.enqueue(left - 1)
    return left


@job(max_attempts=3)
async def asks(ctx: Context, how: str) -> str:
    match how:
        case "again":
            if ctx.attempt < 3:
                raise Retry("not yet", after=0)
        case "always":
            raise Retry(after=0)
        case "later":
            raise Snooze("5m", "too early")
        case "never":
            raise Discard("no such order")
        case "cancelled":
            raise asyncio.CancelledError
    return f"attempt {ctx.attempt}"


@job(timeout="50ms", max_attempts=2)
async def hangs() -> None:
    await asyncio.Event().wait()


@job
async def parent(text: str) -> str:
    handle = await note.enqueue(text)
    return "child said " + await handle.result(timeout="20s")


@job
async def expects() -> str:
    handle = await asks.enqueue("never")
    try:
        return await handle.result(timeout="20s")
    except JobFailed:
        return "as expected"


@job
async def ends_inside(ctx: Context, *, commit: bool) -> str:
    async with ctx.connection() as held:
        await held.execute("create table if not exists effects (id integer)")
        await ctx.complete("inside", connection=held)
        if not commit:
            raise ValueError("rolled back")
    raise ValueError("after its end")


@job
async def waits_for_other(name: str) -> str:
    done.append(name)
    await until(lambda: len(done) == 2)
    return name


@pytest.fixture(autouse=True)
def _empty() -> None:
    done.clear()


def outcomes(ran: list[Ran]) -> list[tuple[str, str]]:
    return [(one.name.rpartition(".")[2], one.outcome) for one in ran]


class TestDrain:
    async def test_runs_what_is_due_in_the_order_of_claims_and_returns_each_attempt(
        self, jobs: Jobs
    ) -> None:
        await note.enqueue("second")
        await note.configure(run_in="1h").enqueue("later")
        handle = await note.configure(priority=5).enqueue("first")
        first, second = await jobs.drain()
        assert done == ["first", "second"]
        assert (first.job, first.job_id, first.result) == (note, handle.job_id, "FIRST")
        assert (second.outcome, second.attempt, second.error) == ("completed", 1, None)
        assert await handle.result() == "FIRST"
        assert await jobs.drain() == []

    async def test_runs_what_the_jobs_enqueue(self, jobs: Jobs) -> None:
        await chain.enqueue(3)
        assert [ran.result for ran in await jobs.drain()] == [3, 2, 1, 0]

    async def test_runs_a_retry_that_is_due_in_the_same_drain(self, jobs: Jobs) -> None:
        await asks.enqueue("again")
        ran = await jobs.drain()
        assert outcomes(ran) == [("asks", "retried"), ("asks", "retried"), ("asks", "completed")]
        assert ran[-1].result == "attempt 3"

    async def test_runs_a_retry_that_is_due_later_once_time_has_moved_there(
        self, jobs: Jobs
    ) -> None:
        await note.enqueue("bad")
        [ran] = await jobs.drain(with_failures=True)
        assert (ran.outcome, ran.wait) == ("retried", timedelta(minutes=10))
        assert await jobs.drain(with_failures=True) == []
        jobs.move_time("10m")
        [again] = await jobs.drain(with_failures=True)
        assert again.attempt == 2

    async def test_raises_the_first_error_once_it_is_written_and_leaves_the_rest(
        self, jobs: Jobs
    ) -> None:
        handle = await note.enqueue("bad luck")
        await note.enqueue("good")
        with pytest.raises(ValueError, match="bad luck") as caught:
            await jobs.drain()
        [said] = caught.value.__notes__
        assert said == f"raised by job {note.name} {handle.job_id}, attempt 1: retried"
        assert str(caught.traceback[-1].path) == __file__
        assert not any("attempts.py" in str(entry.path) for entry in caught.traceback)
        assert await handle.state() == "scheduled"
        assert done == ["bad luck"]
        await jobs.drain()
        assert done == ["bad luck", "good"]

    async def test_with_failures_goes_on_and_has_the_errors_in_its_list(self, jobs: Jobs) -> None:
        for text in ("bad", "good"):
            await note.enqueue(text)
        bad, good = await jobs.drain(with_failures=True)
        assert isinstance(bad.error, ValueError)
        assert str(bad) == f"{note.name} retried: ValueError('bad')"
        assert good.result == "GOOD"

    async def test_takes_a_snooze_and_a_retry_for_no_errors_and_a_last_try_for_one(
        self, jobs: Jobs
    ) -> None:
        await asks.enqueue("later")
        [ran] = await jobs.drain()
        assert (ran.outcome, ran.wait) == ("snoozed", timedelta(minutes=5))
        await asks.enqueue("always")
        with pytest.raises(Retry):
            await jobs.drain()
        await asks.enqueue("never")
        with pytest.raises(Discard, match="no such order"):
            await jobs.drain()

    async def test_raises_a_timeout_that_the_worker_made(self, jobs: Jobs) -> None:
        await hangs.enqueue()
        with pytest.raises(TimeoutError, match="not done within 50ms"):
            await jobs.drain()

    async def test_does_not_take_a_jobs_own_cancelled_error_for_the_tests(self, jobs: Jobs) -> None:
        await asks.enqueue("cancelled")
        with pytest.raises(JobFailed, match="CancelledError"):
            await jobs.drain()

    async def test_tells_of_a_cancelled_job_nothing_since_it_never_ran(self, jobs: Jobs) -> None:
        handle = await note.enqueue("never")
        await handle.cancel()
        assert await jobs.drain() == []
        with pytest.raises(JobCancelled):
            await handle.result()

    async def test_ends_what_has_expired(self, jobs: Jobs) -> None:
        handle = await note.configure(expires_in="1h").enqueue("too late")
        jobs.move_time("2h")
        assert await jobs.drain() == []
        assert await handle.state() == "expired"

    async def test_fails_for_a_due_job_that_nobody_defines(
        self, jobs: Jobs, app_database: str
    ) -> None:
        await tell(app_database, "select pillars.enqueue('jobs.mail.misspelled')")
        with pytest.raises(AssertionError, match=r"nobody defines jobs\.mail\.misspelled"):
            await jobs.drain()
        with pytest.raises(AssertionError, match="nobody defines"):
            await jobs.run_one()

    async def test_leaves_a_paused_queue_alone(self, jobs: Jobs, app_database: str) -> None:
        await tell(app_database, "insert into pillars.queues values ('default', pillars.now())")
        await note.enqueue("paused")
        assert await jobs.drain() == []

    async def test_says_where_it_would_not_end(self, jobs: Jobs) -> None:
        await chain.enqueue(1_000_000)
        with pytest.raises(AssertionError, match=rf"within 5 attempts.*{chain.name}.*pass most="):
            await jobs.drain(most=5)

    async def test_may_take_as_many_attempts_as_it_says(self, jobs: Jobs) -> None:
        await chain.enqueue(4)
        assert len(await jobs.drain(most=5)) == 5

    async def test_knows_what_sql_enqueues_and_gives_it_the_options_of_its_definition(
        self, jobs: Jobs, app_database: str
    ) -> None:
        await tell(
            app_database,
            """select pillars.enqueue('jobs.upkeep.send_digest', '{"made": {"uploads": 1, "rows": 2, "bytes": 3, "failures": 0}}')""",
        )
        [enqueued] = jobs.enqueued()
        assert (enqueued.queue, enqueued.max_attempts) == ("mail", 8)
        [ran] = await jobs.drain()
        assert (ran.job, ran.result) == (send_digest, "logged")

    async def test_days_later_finds_the_day_of_history_made(self, jobs: Jobs) -> None:
        await note.enqueue("bad")
        handle = await note.enqueue("good")
        await ends_inside.enqueue(commit=True)
        jobs.move_time("400d")
        ran = await jobs.drain(with_failures=True)
        assert [one.outcome for one in ran] == ["retried", "completed", "completed"]
        assert await handle.result() == "GOOD"


class TestWhereJobsRun:
    async def test_in_the_tests_own_loop_with_its_patches_and_its_context(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[object] = []

        @job(name="seen")
        async def look() -> None:
            seen.extend((asyncio.get_running_loop(), WHO.get(), os.environ["PATCHED"]))

        WHO.set("me")
        monkeypatch.setenv("PATCHED", "yes")
        await jobs.run(look.call())
        assert seen == [asyncio.get_running_loop(), "me", "yes"]

    async def test_a_def_job_in_a_thread_with_the_tests_context(self, jobs: Jobs) -> None:
        WHO.set("me")
        await blocking.enqueue("x")
        await jobs.drain()
        assert done == [("x", False, "me")]

    async def test_two_at_once_where_the_test_asks_for_two_at_once(self, jobs: Jobs) -> None:
        for name in ("one", "two"):
            await waits_for_other.enqueue(name)
        ran = await asyncio.gather(jobs.run_one(), jobs.run_one())
        assert {one.result for one in ran if one} == {"one", "two"}

    async def test_a_job_that_completes_itself_is_told_as_its_transaction_ended(
        self, jobs: Jobs
    ) -> None:
        await ends_inside.enqueue(commit=True)
        await ends_inside.enqueue(commit=False)
        inside, rolled_back = await jobs.drain(with_failures=True)
        assert (inside.outcome, inside.result) == ("completed", "inside")
        assert (rolled_back.outcome, str(rolled_back.error)) == ("retried", "rolled back")

    async def test_enqueue_now_of_a_thread_finds_the_test(self, jobs: Jobs) -> None:
        await asyncio.to_thread(note.enqueue_now, "from a thread")
        jobs.assert_enqueued(note, text="from a thread")

    @pytest.mark.usefixtures("jobs")
    async def test_connection_is_the_tests_database(self, app_database: str) -> None:
        async with connection() as held:
            name = await held.fetchval("select current_database()")
        assert app_database.endswith(f"/{name}") or f"/{name}?" in app_database
        assert os.environ["DATABASE_URL"] == app_database

    async def test_another_tests_database_is_another(self, jobs: Jobs) -> None:
        assert jobs.enqueued() == []


class TestRunOne:
    async def test_runs_the_next_job_and_leaves_what_follows(self, jobs: Jobs) -> None:
        await note.enqueue("low")
        await blocking.configure(priority=9).enqueue("high")
        ran = await jobs.run_one()
        assert ran is not None
        assert ran.result == "high"
        jobs.assert_enqueued(note)

    async def test_is_none_where_nothing_is_due(self, jobs: Jobs) -> None:
        await note.configure(run_in="1h").enqueue("later")
        assert await jobs.run_one() is None


class TestRun:
    async def test_returns_what_the_job_returned_and_runs_no_other(self, jobs: Jobs) -> None:
        await note.enqueue("earlier")
        await note.configure(priority=9).enqueue("more urgent")
        said = await jobs.run(note.configure(run_in="1d", queue="slow").call("this"))
        assert said.lower() == "this"
        assert done == ["this"]
        jobs.assert_enqueued(note, times=2)

    @pytest.mark.parametrize(
        ("how", "error"), [("later", Snooze), ("always", Retry), ("never", Discard)]
    )
    async def test_raises_whatever_the_job_raised(
        self, jobs: Jobs, how: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            await jobs.run(asks.call(how))

    async def test_runs_what_the_job_awaits(self, jobs: Jobs) -> None:
        assert await jobs.run(parent.call("hello")) == "child said HELLO"

    async def test_hears_of_the_error_in_what_the_job_awaits(self, jobs: Jobs) -> None:
        with pytest.raises(ValueError, match="bad child"):
            await jobs.run(parent.call("bad child"))
        jobs.assert_enqueued(parent)  # given back, since it did nothing wrong
        with pytest.raises(ValueError, match="bad child"):
            await jobs.drain()

    async def test_lets_a_job_meet_the_failure_it_awaits_where_failures_are_expected(
        self, jobs: Jobs
    ) -> None:
        await expects.enqueue()
        ran = await jobs.drain(with_failures=True)
        assert outcomes(ran) == [("asks", "failed"), ("expects", "completed")]

    async def test_says_why_a_job_cannot_run(self, jobs: Jobs, app_database: str) -> None:
        await tell(app_database, "insert into pillars.queues values ('default', pillars.now())")
        with pytest.raises(AssertionError, match="is its queue paused"):
            await jobs.run(note.call("x"))
        async with connection() as held:
            with pytest.raises(UsageError, match="without connection="):
                await jobs.run(note.configure(connection=held).call("x"))


class TestWithoutALoop:
    def test_drains_runs_and_asserts(self, sync_jobs: SyncJobs) -> None:
        WHO.set("me")
        blocking.enqueue_now("x")
        sync_jobs.assert_enqueued(blocking, text="x")
        [ran] = sync_jobs.drain()
        assert ran.result == "x"
        assert done == [("x", False, "me")]
        assert sync_jobs.run(note.call("y")) == "Y"
        assert sync_jobs.run_one() is None

    def test_raises_the_jobs_own_error(self, sync_jobs: SyncJobs) -> None:
        note.enqueue_now("bad")
        with pytest.raises(ValueError, match="bad") as caught:
            sync_jobs.drain()
        assert caught.value.__notes__

    def test_serves_loops_that_come_and_go(self, sync_jobs: SyncJobs) -> None:
        for number in range(3):
            asyncio.run(note.enqueue(str(number)))
        assert len(sync_jobs.drain()) == 3

    def test_moves_time_and_ticks(self, sync_jobs: SyncJobs) -> None:
        sync_jobs.move_time("1d")
        assert digest.name in {one.name for one in sync_jobs.tick()}

    def test_what_nobody_could_await_is_refused(self, jobs: Jobs) -> None:
        for method in (jobs.drain, jobs.run_one):
            with pytest.raises(UsageError, match="take the fixture sync_jobs"):
                method()

    async def test_is_not_for_a_coroutine(self, sync_jobs: SyncJobs) -> None:
        with pytest.raises(UsageError, match="take the fixture jobs"):
            sync_jobs.drain()


@job
async def speaks(ctx: Context, number: int) -> None:
    ctx.metadata["number"] = number
    for item in ctx.track(range(number)):
        ctx.emit("item", item)
        ctx.log.info("item.done", item=item)


async def test_a_test_is_told_what_an_attempt_said(jobs: Jobs) -> None:
    await speaks.enqueue(2)
    ran = await jobs.run_one()
    assert ran is not None
    assert ran.outputs == [("item", 0), ("item", 1)]
    assert [one.body["event"] for one in ran.said if one.kind == "log"] == ["item.done"] * 2
    assert [one.body for one in ran.said if one.kind == "metadata"][-1] == {"number": 2}
    assert [one.body for one in ran.said if one.kind == "progress"][-1]["done"] == 2


async def test_of_a_job_that_says_nothing_nothing_is_told(jobs: Jobs) -> None:
    await note.enqueue("quiet")
    ran = await jobs.run_one()
    assert ran is not None
    assert ran.said == ()
