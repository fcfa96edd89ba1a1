"""What a running job says: written in batches, fenced, in its order, before its outcome."""

import asyncio
import threading
import time
from typing import Any
from uuid import UUID

import anyio
import pytest
from speaking import Gate, closed, ran, said, tells, tells_in_a_thread, written
from structlog.testing import capture_logs

from pillars import Context, LockLost, Retry, Snooze, connection, job
from pillars.errors import DatabaseTrouble, Trouble
from pillars.jobs.definition import Job
from pillars.store import job_events
from pillars.store.database import Database
from pillars.worker import saying
from support import ask, running, tell, until, worker_for


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("telling", [tells, tells_in_a_thread])
async def test_all_that_a_job_says_is_kept_in_its_order(
    db: str, database: Database, telling: Job[..., Any]
) -> None:
    handle = await ran(database, telling)
    assert await handle.state() == "completed"
    spoken = [
        one for one in await said(db, handle.job_id) if "done" not in one and "url" not in one
    ]
    assert spoken == [
        {"name": "begun", "data": None},
        {"level": "info", "event": "step.taken", "fields": {"number": 1}, "stream": "log"},
        {"level": "warning", "event": "step.missed", "fields": {"number": 2}, "stream": "log"},
        {"name": "page", "data": {"number": 2}},
    ]
    assert (await said(db, handle.job_id, "progress"))[-1] == {
        "done": 1,
        "total": 3,
        "message": "reading",
    }
    assert (await said(db, handle.job_id, "metadata"))[-1] == {"url": "https://example.com/1"}


async def test_who_reads_that_a_job_has_ended_finds_all_that_it_said(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words would come a minute after its outcome."""
    monkeypatch.setattr(saying, "INTERVAL", 60.0)

    @job(name="talks")
    async def talks(ctx: Context, number: int) -> None:
        ctx.emit("first")
        await anyio.sleep(0.01)  # that is written by now, and the next turn is far
        for _ in range(number):
            ctx.emit("more")
        ctx.progress(number, number)

    async with running(worker_for(database, talks)):
        handles = [await talks.enqueue(number) for number in range(20)]
        for number, handle in enumerate(handles):
            await handle.result(timeout="20s")
            assert len(await said(db, handle.job_id, "output")) == number + 1
            assert (await said(db, handle.job_id, "progress"))[-1]["done"] == number


async def test_a_loop_that_reports_a_hundred_thousand_times_writes_a_few_rows(
    db: str, database: Database
) -> None:
    @job(name="counts")
    def counts(ctx: Context) -> float:
        began = time.monotonic()
        for number in range(100_001):
            ctx.progress(number, 100_000)
        return time.monotonic() - began

    handle = await ran(database, counts)
    took = await handle.result()
    rows = await said(db, handle.job_id)
    assert rows[-1] == {"done": 100_000, "total": 100_000, "message": None}
    assert len(rows) <= took / saying.INTERVAL + 3


async def test_of_metadata_the_newest_is_written_and_a_retry_begins_with_it(
    db: str, database: Database
) -> None:
    seen: list[dict[str, Any]] = []

    @job(name="remembers", backoff="10ms")
    async def remembers(ctx: Context) -> None:
        seen.append(dict(ctx.metadata))
        match len(seen):
            case 1:
                for page in range(1000):
                    ctx.metadata["page"] = page
                ctx.metadata["gone"] = [1, {"a": None}]
                raise Snooze("10ms")  # the attempt is given back
            case 2:
                del ctx.metadata["gone"]
                raise Retry(after="10ms")
            case 3:
                ctx.metadata["last"] = True

    handle = await ran(database, remembers)
    assert await handle.state() == "completed"
    assert seen == [{}, {"page": 999, "gone": [1, {"a": None}]}, {"page": 999}]
    written = await said(db, handle.job_id, "metadata")
    assert written[-1] == {"page": 999, "last": True}
    assert len(written) <= 6


async def test_metadata_that_cannot_be_read_is_not_written_over(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry whose read has failed fails by it, and the next one goes on."""
    read, failures = saying.Sayings.left, [True]

    async def reading(self: saying.Sayings, claimed: Any) -> str | DatabaseTrouble | None:
        if failures and claimed.attempt == 2:
            failures.clear()
            return DatabaseTrouble(Trouble.LOST, "gone")
        return await read(self, claimed)

    monkeypatch.setattr(saying.Sayings, "left", reading)

    @job(name="careful", backoff="10ms")
    async def careful(ctx: Context) -> int:
        ctx.metadata["tries"] = ctx.metadata.get("tries", 0) + 1
        if ctx.attempt == 1:
            raise Retry
        return int(ctx.metadata["tries"])

    handle = await ran(database, careful)
    assert await handle.result() == 2
    assert await ask(db, "select count(*) from pillars.attempts where error like 'gone%'") == 1


# --- the fence ---


async def test_what_is_said_after_the_lock_was_lost_changes_nothing(
    db: str, database: Database, gate: Gate
) -> None:
    async with gate.inside(database) as (_, ctx, job_id):
        ctx.emit("mine")
        await until(lambda: written(db, job_id, 1))
        await tell(
            db, "update pillars.jobs set lock_token = lock_token + 1000 where job_id = $1", job_id
        )
        ctx.emit("late")
        ctx.progress(1, 2)
        await until(lambda: closed(ctx))
        with pytest.raises(LockLost, match="no longer held"):
            ctx.emit("later")
        ctx.log.info("ignored")
        ctx.progress(2, 2)
        assert await said(db, job_id) == [{"name": "mine", "data": None}]


async def test_one_lost_claim_silences_no_other(db: str, database: Database) -> None:
    contexts: list[Context] = []
    let = asyncio.Event()

    @job(name="several")
    async def several(ctx: Context) -> None:
        contexts.append(ctx)
        await let.wait()

    async with running(worker_for(database, several)):
        for _ in range(3):
            await several.enqueue()
        await until(lambda: len(contexts) == 3)
        lost = contexts[1]
        await tell(
            db,
            "update pillars.jobs set lock_token = lock_token + 1000 where job_id = $1",
            UUID(lost.job_id),
        )
        for ctx in contexts:
            ctx.emit("mine")
        await until(lambda: closed(lost))
        let.set()
    assert [len(await said(db, ctx.job_id)) for ctx in contexts] == [1, 0, 1]


async def test_what_is_said_before_a_job_completes_itself_is_kept(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "INTERVAL", 60.0)

    @job(name="inside")
    async def inside(ctx: Context) -> None:
        ctx.emit("first")
        await anyio.sleep(0.01)
        ctx.emit("before")
        async with connection() as mine:
            await ctx.complete(connection=mine)
        ctx.emit("after")

    handle = await ran(database, inside)
    assert await handle.state() == "completed"
    assert [one["name"] for one in await said(db, handle.job_id)] == ["first", "before"]


# --- trouble ---


async def test_in_trouble_it_is_tried_again_and_no_job_waits(
    db: str, database: Database, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, troubles = job_events.write, iter(range(3))

    async def failing(*args: Any) -> Any:
        if next(troubles, None) is not None:
            raise DatabaseTrouble(Trouble.BUSY, "later")
        return await written(*args)

    monkeypatch.setattr(job_events, "write", failing)
    async with gate.inside(database) as (_, ctx, job_id):
        for number in range(5):
            ctx.emit("number", number)
        ctx.progress(5)
    assert [one["data"] for one in await said(db, job_id, "output")] == [0, 1, 2, 3, 4]


async def test_an_outcome_waits_only_so_long_and_what_is_lost_is_told(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "PATIENCE", 0.3)

    async def failing(*_args: Any) -> Any:
        raise DatabaseTrouble(Trouble.BUSY, "later")

    monkeypatch.setattr(job_events, "write", failing)
    with capture_logs() as lines:
        handle = await ran(database, tells)
    assert await handle.state() == "completed"
    assert await said(db, handle.job_id) == []
    [told] = [one for one in lines if one["event"] == "job.unheard"]
    assert (told["job_id"], told["error"]) == (
        handle.job_id,
        "the database was in trouble for too long",
    )
    assert told["rows"] >= 4


async def test_what_postgres_refuses_costs_no_other_job_its_words(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts: list[Context] = []
    let = asyncio.Event()

    @job(name="pair")
    async def pair(ctx: Context) -> None:
        contexts.append(ctx)
        await let.wait()

    async with running(worker_for(database, pair)) as worker:
        for _ in range(2):
            await pair.enqueue()
        await until(lambda: len(contexts) == 2)
        good, bad = contexts
        bad._control.exchange.voice._lines.append(("output", b'{"a": "\\u0000"}'))  # type: ignore[attr-defined]
        bad.emit("mine")
        good.emit("mine")
        await until(lambda: not worker.sayings._waiting)
        let.set()
    assert await said(db, good.job_id) == [{"name": "mine", "data": None}]
    assert await said(db, bad.job_id) == []


async def test_a_batch_that_was_written_in_part_is_gone_on_with_and_silences_nobody(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts: list[Context] = []
    let = asyncio.Event()

    @job(name="pair")
    async def pair(ctx: Context) -> None:
        contexts.append(ctx)
        await let.wait()

    written = job_events.write
    answers = iter([Trouble.REFUSED, None, Trouble.LOST])

    async def failing(*args: Any) -> Any:
        if (kind := next(answers, None)) is not None:
            raise DatabaseTrouble(kind, "in the middle")
        return await written(*args)

    async with running(worker_for(database, pair)) as worker:
        for _ in range(2):
            await pair.enqueue()
        await until(lambda: len(contexts) == 2)
        monkeypatch.setattr(job_events, "write", failing)
        for one in contexts:
            one.emit("first")
        await until(lambda: not (worker.sayings._waiting or worker.sayings._batch))
        for one in contexts:
            one.emit("second")
        let.set()
    for one in contexts:
        assert [each["name"] for each in await said(db, one.job_id)] == ["first", "second"]


async def test_a_day_that_is_missing_is_made(db: str, database: Database) -> None:
    async with running(worker_for(database, tells)):
        await tell(
            db,
            """do $$ declare day text; begin
                 for day in select relname from pg_class where relname ~ '^job_events_[0-9]{8}$' and relkind = 'r' loop
                   execute 'drop table pillars.' || day;
                 end loop; end $$""",
        )
        handle = await tells.enqueue()
        await handle.result(timeout="20s")
    assert len(await said(db, handle.job_id, "output")) == 2


async def test_what_threads_say_at_once_is_all_kept_each_in_its_order(
    db: str, database: Database
) -> None:
    @job(name="choir")
    def choir(ctx: Context) -> None:
        def sing(voice: int) -> None:
            for number in range(100):
                ctx.emit(f"voice{voice}", number)
                ctx.metadata[f"voice{voice}"] = number
                ctx.progress(number)

        threads = [threading.Thread(target=sing, args=(number,)) for number in range(5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    handle = await ran(database, choir)
    outputs = await said(db, handle.job_id, "output")
    for number in range(5):
        assert [one["data"] for one in outputs if one["name"] == f"voice{number}"] == list(
            range(100)
        )
    assert (await said(db, handle.job_id, "metadata"))[-1] == {
        f"voice{number}": 99 for number in range(5)
    }
