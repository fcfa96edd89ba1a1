"""One attempt: whatever a job's code does becomes an outcome."""

import asyncio
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import anyio
import pytest
from structlog.testing import capture_logs

from pillars import Context, Discard, Retry, Snooze, job
from pillars.jobs.definition import Job
from pillars.store.rows import Claimed
from pillars.worker.attempts import AFTER_DRAIN, Attempt, Why
from pillars.worker.completing import Completer
from pillars.worker.judging import UNTELLABLE
from pillars.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Released,
    Retried,
    Snoozed,
)
from support import until

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)
LOOKS = 1000  # that a thread takes, 10 ms apart, before it gives up


class HostileError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class UnmanneredError(BaseException):
    pass


class EndlessError(Exception):
    def __str__(self) -> str:
        return str(self)


class HostileText(str):
    __slots__ = ()

    def __format__(self, _spec: str) -> str:
        raise SystemExit(4)

    rstrip = __getitem__ = replace = __len__ = __format__  # type: ignore[assignment]


class HostileTextError(Exception):
    def __str__(self) -> str:
        return HostileText("well" * 1000)


class HostileNotesError(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise SystemExit(5)


class FacelessError(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise SystemExit(6)


class NamelessType(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit(7)


class NamelessError(Exception, metaclass=NamelessType):
    def __str__(self) -> str:
        raise KeyboardInterrupt


def in_a_circle() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    two.__context__ = two
    return one


def in_a_row(count: int) -> BaseException:
    error: BaseException = ValueError("first")
    for number in range(count):
        after = ValueError(str(number))
        after.__cause__ = error
        error = after
    return error


def within_each_other(count: int) -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(count):
        error = ExceptionGroup("around", [error])
    return error


RAISES: dict[str, BaseException] = {
    "system exit": SystemExit(1),
    "interrupt": KeyboardInterrupt(),
    "hostile": HostileError(),
    "cancelled": asyncio.CancelledError(),
    "unmannered": UnmanneredError("no"),
    "group": BaseExceptionGroup("several", [SystemExit(1)]),
    "a thousand": ExceptionGroup(
        "many", [ValueError(f"{number}" * 1000) for number in range(1000)]
    ),
    "hostile within": ExceptionGroup("many", [HostileError(), EndlessError(), HostileTextError()]),
    "groups in groups": within_each_other(3000),
    "a circle": in_a_circle(),
    "a row": in_a_row(3000),
    "endless": EndlessError(),
    "hostile text": HostileTextError(),
    "hostile notes": HostileNotesError(),
    "faceless": FacelessError(),
    "nameless": NamelessError(),
    "long": ValueError("x" * 10_000_000),
    "bytes": UnicodeDecodeError("utf-8", b"\xff" * 100_000, 0, 1, "bad"),
    "nul": ValueError("a\0b"),
    "surrogate": ValueError("\ud800"),
}


@job(name="raising")
async def raising(what: str) -> None:
    raise RAISES[what]


@job(name="raising.sync")
def raising_sync(what: str) -> None:
    raise RAISES[what]


@job(name="forever")
async def forever() -> None:
    await anyio.sleep_forever()


@job(name="deaf")
async def deaf() -> str:
    with suppress(asyncio.CancelledError):
        await anyio.sleep_forever()
    return "done all the same"


@job(name="cleaning")
async def cleaning() -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise RuntimeError("while cleaning up")


def attempt_of(
    job: Job[..., Any],
    payload: str = "{}",
    *,
    timeout: timedelta | None = None,
    grace: float = 10,
    **claimed: Any,
) -> Attempt:
    fields: dict[str, Any] = {
        "job_id": uuid4(), "lock_token": 1, "name": job.name, "queue": "default", "priority": 0,
        "run_at": NOW, "payload": payload, "context": None, "attempt": 1, "max_attempts": 4,
        "tags": None, "locked_at": NOW, "deadline_at": None if timeout is None else NOW + timeout,
        "again": False,
    }  # fmt: skip
    return Attempt(
        Claimed(**{**fields, **claimed}), job, threads=anyio.CapacityLimiter(1),
        complete=partial(Completer, uuid4()), grace=grace,
    )  # fmt: skip


async def outcome_of(job: Job[..., Any], payload: str = "{}", **claimed: Any) -> Outcome:
    attempt = attempt_of(job, payload, **claimed)
    running = asyncio.create_task(attempt.run())
    attempt.heed_deadline()
    return await running


async def stopped_while_raising(error: BaseException) -> Outcome:
    @job(name="broken.cleanup")
    async def broken_cleanup() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise error

    attempt = attempt_of(broken_cleanup)
    running = asyncio.create_task(attempt.run())
    await asyncio.sleep(0)
    attempt.stop(Why.CANCEL)
    return await running


@pytest.mark.parametrize("which", [raising, raising_sync])
@pytest.mark.parametrize("what", RAISES)
async def test_whatever_is_raised_ends_the_attempt_and_not_the_worker(
    which: Job[..., Any], what: str
) -> None:
    outcome = await outcome_of(which, f'{{"what": "{what}"}}')
    assert isinstance(outcome, Retried)
    assert len(outcome.error) <= 2_001
    assert "\0" not in outcome.error
    assert outcome.error.encode()
    assert type(outcome.error) is str
    if what in {"faceless", "nameless"}:
        assert outcome == Retried(outcome.wait, UNTELLABLE)
        return
    assert outcome.traceback is not None
    assert outcome.traceback.encode()
    assert len(outcome.traceback) <= 64_000


async def test_the_last_attempt_fails_the_job() -> None:
    outcome = await outcome_of(raising, '{"what": "nul"}', attempt=4)
    assert isinstance(outcome, Failed)
    assert outcome.error == "ValueError: a\ufffdb"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("{", "truncated"),
        ("[]", "object"),
        ("null", "object"),
        ("{}", "what"),
        ('{"what": 1}', "args.what"),
        ('{"what": "nul", "more": 1}', "raising takes no argument more; it takes what"),
    ],
)
async def test_a_payload_that_does_not_fit_fails_the_attempt_and_says_why(
    payload: str, why: str
) -> None:
    outcome = await outcome_of(raising, payload)
    assert isinstance(outcome, Retried)
    assert why in outcome.error


async def test_a_result_that_is_no_json_fails_the_attempt() -> None:
    @job(name="odd")
    async def odd() -> object:
        return object()

    outcome = await outcome_of(odd)
    assert isinstance(outcome, Retried)
    assert "object" in outcome.error


@pytest.mark.parametrize(
    "after", ["nonsense", -5, float("nan"), 10**30, object(), timedelta.max, True]
)
async def test_a_wait_that_is_nonsense_is_as_none_said(after: Any) -> None:
    @job(name="asking", backoff="7s")
    async def asking(snooze: bool) -> None:  # noqa: FBT001 - a payload has names
        raise Snooze(after) if snooze else Retry("again", after=after)

    retried = await outcome_of(asking, '{"snooze": false}')
    snoozed = await outcome_of(asking, '{"snooze": true}')
    for outcome in (retried, snoozed):
        assert isinstance(outcome, Retried)
        assert outcome.wait == 7 * SECOND


async def test_an_exception_that_cannot_be_looked_at_fails_its_attempt_all_the_same() -> None:
    class TouchyError(Exception):
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise LookupError("do not touch")

    @job(name="touchy")
    async def touchy() -> None:
        raise TouchyError

    outcome: Outcome | None = None
    with suppress(LookupError):  # which pytest, too, would look at
        outcome = await outcome_of(touchy)
    assert isinstance(outcome, Retried)
    assert (outcome.error, outcome.traceback) == (UNTELLABLE, None)


SECRETS = '{"password": "swordfish", "dsn": "postgres://u:hunter2@h/db"}'


@pytest.mark.parametrize("raises", [ValueError, Retry, Discard])
async def test_an_error_is_told_without_secrets_and_without_those_of_its_arguments(
    raises: type[Exception],
) -> None:
    seen: list[str] = []

    @job(name="leaking", backoff="0s")
    async def leaking(password: str, dsn: str) -> None:
        seen.append(password + dsn)
        raise raises(f"{password} at {dsn}, token='hunter2'")

    outcome = await outcome_of(leaking, SECRETS)
    assert isinstance(outcome, (Retried, Failed))
    assert (
        outcome.error.removeprefix("ValueError: ")
        == "*** at postgres://u:***@h/db, token=[redacted]"
    )
    assert "swordfish" not in f"{outcome.traceback}"
    assert "hunter2@h" not in f"{outcome.traceback}"
    assert seen == ["swordfishpostgres://u:hunter2@h/db"], "the job itself gets all of it"


async def test_a_cut_leaves_no_half_of_a_secret() -> None:
    @job(name="wordy", max_attempts=1)
    async def wordy(before: int) -> None:
        raise Discard("x" * before + f" postgres://u:{'hunter2' * 20}@h/db")

    for before in range(1700, 2001, 7):
        outcome = await outcome_of(wordy, f'{{"before": {before}}}')
        assert isinstance(outcome, Failed)
        assert "hunt" not in outcome.error


async def test_a_secret_argument_that_does_not_fit_is_not_quoted() -> None:
    @job(name="picky", max_attempts=1)
    async def picky(secret: Literal["a"], plain: Literal["a"] = "a") -> None: ...

    for payload, said in {
        '{"secret": "hunter2"}': "args.secret: does not fit, and is not shown",
        '{"secret": 5}': "args.secret: ",
        '{"secret": "a", "plain": "b"}': "args.plain: invalid enum value 'b'",
    }.items():
        outcome = await outcome_of(picky, payload)
        assert isinstance(outcome, Retried)
        assert outcome.error.startswith(said)
        assert "hunter2" not in outcome.error


async def test_outcomes_are_said_by_raising() -> None:
    @job(name="saying")
    async def saying(what: str) -> None:
        raise {"retry": Retry("r", after="3s"), "snooze": Snooze("1m", "s"), "no": Discard("d")}[
            what
        ]

    assert await outcome_of(saying, '{"what": "retry"}') == Retried(3 * SECOND, "r")
    assert await outcome_of(saying, '{"what": "snooze"}', attempt=4) == Snoozed(60 * SECOND, "s")
    assert await outcome_of(saying, '{"what": "no"}') == Failed("d")
    assert await outcome_of(saying, '{"what": "retry"}', attempt=4) == Failed("r")


async def test_a_traceback_begins_with_the_jobs_own_code() -> None:
    @job(name="broken", max_attempts=1)
    async def failing() -> None:
        raise ValueError

    outcome = await outcome_of(failing)
    assert isinstance(outcome, Retried)
    assert outcome.traceback is not None
    assert outcome.traceback.splitlines()[1].endswith(", in failing")


async def test_a_broken_backoff_is_told_and_does_not_keep_a_job_from_failing() -> None:
    def broken(_attempt: int) -> str:
        raise SystemError

    @job(name="broken", backoff=broken)
    async def failing() -> None:
        raise ValueError

    with capture_logs() as logged:
        outcome = await outcome_of(failing)
    assert isinstance(outcome, Retried)
    assert SECOND <= outcome.wait <= 2 * SECOND
    [told] = [line for line in logged if line["event"] == "backoff.failed"]
    assert (told["job_name"], told["error"]) == ("broken", "SystemError")


class TestDeadline:
    async def test_it_cancels_async_code_and_counts_as_a_failed_attempt(self) -> None:
        outcome = await outcome_of(forever, timeout=timedelta(milliseconds=20))
        assert isinstance(outcome, Retried)
        assert outcome.error == "TimeoutError: not done within 20ms"

    async def test_it_leaves_a_thread_alone_which_completes(self) -> None:
        release, began = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        @job(name="slow")
        def slow() -> str:
            loop.call_soon_threadsafe(began.set)
            release.wait(20)
            return "late"

        attempt = attempt_of(slow, timeout=timedelta(milliseconds=1))
        running = asyncio.create_task(attempt.run())
        await began.wait()
        await until(lambda: (attempt.overdue_by(time.monotonic()) or 0) > 0)
        assert not running.done(), "no other attempt may overlap it"
        release.set()
        assert await running == Completed('"late"')

    async def test_code_that_swallows_its_cancellation_completes(self) -> None:
        outcome = await outcome_of(deaf, timeout=timedelta(milliseconds=20))
        assert outcome == Completed('"done all the same"')


class TestStopping:
    @pytest.mark.parametrize(
        ("why", "outcome"),
        [(Why.CANCEL, Cancelled()), (Why.DRAIN, Released(AFTER_DRAIN)), (Why.LOST, Released())],
    )
    @pytest.mark.parametrize("job", [forever, cleaning])
    async def test_async_code_is_cancelled_and_the_reason_decides(
        self, why: Why, outcome: Outcome, job: Job[..., Any]
    ) -> None:
        attempt = attempt_of(job)
        running = asyncio.create_task(attempt.run())
        await asyncio.sleep(0)
        attempt.stop(why)
        ended = await running
        assert (Cancelled() if isinstance(ended, Cancelled) else ended) == outcome

    async def test_the_first_reason_counts(self) -> None:
        attempt = attempt_of(forever)
        running = asyncio.create_task(attempt.run())
        await asyncio.sleep(0)
        attempt.stop(Why.LOST)
        attempt.stop(Why.CANCEL)
        assert await running == Released()

    async def test_an_attempt_that_is_stopped_before_it_began_does_not_run(self) -> None:
        ran: list[int] = []

        @job(name="late")
        async def late() -> None:
            await anyio.lowlevel.checkpoint()
            ran.append(1)

        attempt = attempt_of(late)
        attempt.stop(Why.CANCEL)
        assert await attempt.run() == Cancelled()
        assert ran == []

    async def test_a_thread_is_left_to_itself_only_at_a_drain(self) -> None:
        release, began = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        @job(name="stuck")
        def stuck() -> None:
            loop.call_soon_threadsafe(began.set)
            release.wait(20)

        attempt = attempt_of(stuck)
        running = asyncio.create_task(attempt.run())
        await began.wait()
        attempt.stop(Why.CANCEL)
        await asyncio.sleep(0)
        assert not running.done()
        attempt.why = None
        attempt.stop(Why.DRAIN)
        assert await running == Released(AFTER_DRAIN)
        release.set()

    async def test_what_cleans_up_for_too_long_is_cancelled_too(self) -> None:
        steps: list[str] = []

        @job(name="slow.to.leave")
        async def slow_to_leave() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                steps.append("cleans up")
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                steps.append("cleans up for longer")
                await asyncio.Event().wait()

        attempt = attempt_of(slow_to_leave, grace=0.01)
        running = asyncio.create_task(attempt.run())
        await asyncio.sleep(0)
        attempt.stop(Why.CANCEL)
        assert await running == Cancelled()
        assert steps == ["cleans up", "cleans up for longer"]
        assert running.cancelling() == 0

    @pytest.mark.parametrize("what", RAISES)
    async def test_whatever_is_raised_on_the_way_out_the_end_is_what_was_asked_for(
        self, what: str
    ) -> None:
        outcome = await stopped_while_raising(RAISES[what])
        assert isinstance(outcome, Cancelled)

    async def test_what_is_raised_on_the_way_out_is_told_beside_the_end(self) -> None:
        outcome = await stopped_while_raising(ValueError("the file is gone"))
        assert isinstance(outcome, Cancelled)
        assert "ValueError: the file is gone" in (outcome.traceback or "")

    async def test_a_thread_that_looks_ends_where_its_end_was_asked_for(self) -> None:
        began, seen = asyncio.Event(), list[bool]()
        loop = asyncio.get_running_loop()

        @job(name="looks")
        def looks(ctx: Context) -> None:
            seen.append(ctx.cancelled)
            ctx.checkpoint_now()
            loop.call_soon_threadsafe(began.set)
            for _ in range(LOOKS):
                if ctx.cancelled:
                    break
                time.sleep(0.01)
            seen.append(ctx.cancelled)
            ctx.checkpoint_now()
            seen.append(False)

        attempt = attempt_of(looks)
        running = asyncio.create_task(attempt.run())
        await began.wait()
        attempt.stop(Why.CANCEL)
        assert await running == Cancelled()
        assert seen == [False, True]

    async def test_a_thread_that_looks_ends_at_its_deadline_and_is_tried_again(self) -> None:
        @job(name="looks.late")
        def looks_late(ctx: Context) -> None:
            for _ in range(LOOKS):
                ctx.checkpoint_now()
                time.sleep(0.01)

        outcome = await outcome_of(looks_late, timeout=timedelta(milliseconds=20))
        assert isinstance(outcome, Retried)
        assert outcome.error == "TimeoutError: not done within 20ms"

    async def test_code_that_swallowed_its_end_ends_at_its_next_checkpoint(self) -> None:
        began = asyncio.Event()

        @job(name="swallows")
        async def swallows(ctx: Context) -> str:
            await ctx.checkpoint()
            began.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await ctx.checkpoint()
            return "went on"

        attempt = attempt_of(swallows)
        running = asyncio.create_task(attempt.run())
        await began.wait()
        attempt.stop(Why.CANCEL)
        assert await running == Cancelled()

    async def test_each_kind_of_job_has_its_own_checkpoint(self) -> None:
        @job(name="wrong.on.the.loop")
        async def on_the_loop(ctx: Context) -> None:
            ctx.checkpoint_now()

        @job(name="wrong.in.a.thread")
        def in_a_thread(ctx: Context) -> None:
            ctx.checkpoint()  # type: ignore[unused-coroutine]

        for wrong, instead in [
            (on_the_loop, "write await ctx.checkpoint()"),
            (in_a_thread, "call ctx.checkpoint_now()"),
        ]:
            outcome = await outcome_of(wrong)
            assert isinstance(outcome, Retried)
            assert instead in outcome.error

    async def test_the_workers_own_cancellation_travels(self) -> None:
        running = asyncio.create_task(attempt_of(forever).run())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_the_context_says_what_the_claim_says() -> None:
    seen: list[Context] = []

    @job(name="looking")
    async def looking(ctx: Context) -> None:
        seen.append(ctx)

    attempt = attempt_of(looking, timeout=60 * SECOND, attempt=2, tags=["a"], context="why")
    assert await attempt.run() == Completed(None)
    [ctx] = seen
    assert (ctx.attempt, ctx.max_attempts, ctx.tags, ctx.context) == (2, 4, ("a",), "why")
    assert ctx.job_id == str(attempt.claimed.job_id)
    assert ctx.deadline == NOW + 60 * SECOND
