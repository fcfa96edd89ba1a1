"""A job from its enqueue to its result, through the public names."""

from dataclasses import dataclass

import pytest

from pillars import Context, Discard, JobFailed, Retry, Snooze, enqueue_many, job
from pillars.store import locks
from pillars.store.database import Database
from support import ask, running, tell, until, worker_for


@dataclass
class Order:
    number: int
    items: list[str]


@job(name="greet")
async def greet(name: str) -> str:
    return f"hello {name}"


@job(name="add")
def add(one: int, two: int = 2) -> int:
    return one + two


@job(name="bill")
async def bill(ctx: Context, order: Order) -> Order:
    return Order(order.number + ctx.attempt, [*order.items, ctx.name])


@job(name="flaky", backoff="10ms")
async def flaky(ctx: Context) -> int:
    if ctx.attempt < 3:
        raise ValueError("not yet")
    return ctx.attempt


@job(name="hopeless", max_attempts=2, backoff="10ms")
async def hopeless() -> None:
    raise RuntimeError("never\0")


@job(name="refused")
async def refused() -> None:
    raise Discard("no use")


@job(name="later")
async def later(ctx: Context) -> int:
    if ctx.attempt == 1 and not await ask_seen():
        raise Snooze("20ms")
    return ctx.attempt


@job(name="again", max_attempts=2)
async def again(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise Retry("soon", after="10ms")
    return ctx.attempt


_seen: list[int] = []


async def ask_seen() -> bool:
    _seen.append(1)
    return len(_seen) > 1


@pytest.mark.smoke
async def test_a_job_runs_and_its_result_comes_back(database: Database) -> None:
    handle = await greet.enqueue("you")
    async with running(worker_for(database, greet)):
        assert await handle.result(timeout="20s") == "hello you"
    assert await handle.state() == "completed"


async def test_a_function_without_async_runs_in_a_thread(database: Database) -> None:
    async with running(worker_for(database, add)):
        assert await (await add.enqueue(1)).result(timeout="20s") == 3


async def test_arguments_and_results_keep_their_types(database: Database) -> None:
    async with running(worker_for(database, bill)):
        handle = await bill.enqueue(Order(7, ["pen"]))
        assert await handle.result(timeout="20s") == Order(8, ["pen", "bill"])


async def test_a_failing_job_is_tried_again_and_each_failure_is_noted(
    db: str, database: Database
) -> None:
    async with running(worker_for(database, flaky)):
        handle = await flaky.enqueue()
        assert await handle.result(timeout="20s") == 3
    assert await ask(db, "select count(*) from pillars.attempts where outcome = 'retried'") == 2


async def test_a_job_that_keeps_failing_fails_with_its_last_error(database: Database) -> None:
    async with running(worker_for(database, hopeless)):
        handle = await hopeless.enqueue()
        with pytest.raises(JobFailed, match="RuntimeError: never\ufffd") as failed:
            await handle.result(timeout="20s")
    assert failed.value.last_error == "RuntimeError: never\ufffd"


async def test_a_discarded_job_fails_at_once(db: str, database: Database) -> None:
    async with running(worker_for(database, refused)):
        with pytest.raises(JobFailed, match="no use"):
            await (await refused.enqueue()).result(timeout="20s")
    assert await ask(db, "select attempt from pillars.finished_jobs") == 1


async def test_a_snooze_is_no_attempt(database: Database) -> None:
    async with running(worker_for(database, later)):
        assert await (await later.enqueue()).result(timeout="20s") == 1


async def test_a_retry_says_when(database: Database) -> None:
    async with running(worker_for(database, again)):
        assert await (await again.enqueue()).result(timeout="20s") == 2


async def test_many_jobs_in_one_statement_come_back_in_order(database: Database) -> None:
    handles = await enqueue_many(add.call(number) for number in range(50))
    async with running(worker_for(database, add)):
        assert [await handle.result(timeout="20s") for handle in handles] == [
            n + 2 for n in range(50)
        ]


async def test_thousands_are_copied_and_each_runs_once(db: str, database: Database) -> None:
    await enqueue_many(greet.call(str(number)) for number in range(3000))
    async with running(worker_for(database, greet)):
        await until(lambda: ask_done(db, 3000))
    assert await ask(db, "select count(distinct job_id) from pillars.finished_jobs") == 3000
    # A claim's row that a heartbeat was just extending is left to the next sweep: nobody waits for it.
    await tell(db, "update pillars.locks set expires_at = pillars.now() - interval '1 minute'")
    assert (await locks.sweep(database.pool)).rescued == 0, "no job bears its token"
    assert await ask(db, "select count(*) from pillars.locks") == 0


async def ask_done(db: str, count: int) -> bool:
    return bool(await ask(db, "select count(*) = $1 from pillars.finished_jobs", count))


@job(name="at_once", max_attempts=3, backoff="0s")
async def at_once(ctx: Context) -> int:
    if ctx.attempt < 3:
        raise ValueError("again, now")
    return ctx.attempt


async def test_a_retry_without_a_wait_is_taken_up_at_once(database: Database) -> None:
    async with running(worker_for(database, at_once)):
        assert await (await at_once.enqueue()).result(timeout="20s") == 3


async def test_a_wait_that_is_over_says_what_was_waited_for(database: Database) -> None:
    handle = await greet.enqueue("you")
    with pytest.raises(
        TimeoutError, match=rf"^greet {handle.job_id} has not ended within 20ms; it goes on"
    ):
        await handle.result(timeout="20ms")
