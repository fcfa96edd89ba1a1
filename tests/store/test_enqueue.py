"""Putting jobs in: once, exactly when the caller commits, and under one key at most one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from gates import at_gate, gated_inserts
from pillars import enqueue_many, job
from pillars.errors import DatabaseTrouble, Trouble, UsageError
from pillars.jobs.connected import connection
from pillars.store import enqueueing, inserting
from pillars.store.database import Database
from pillars.store.rows import Enqueued
from pillars.store.session import Session
from stepping import Hand, hand, hands, heard_by, new_job, places_of, put_one, row
from support import ask, somebody_waits, tell, until

SECOND = timedelta(seconds=1)


@job(name="work")
async def work(n: int = 0) -> int:
    return n


@job(name="keyed", unique_key=lambda n: f"k{n}")
async def keyed(n: int) -> int:
    return n


async def count(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


async def within(worker: Hand, **columns: Any) -> Enqueued:
    [stored] = await worker.session.rows(
        enqueueing.ENQUEUE_WITHIN, *inserting.parameters(new_job(**columns))
    )
    return stored


class TestUniqueKeys:
    async def test_a_second_enqueue_inserts_nothing_and_returns_the_firsts_id(
        self, db: str, database: Database
    ) -> None:
        first = await enqueueing.enqueue(database, new_job(unique_key="k"))
        second = await enqueueing.enqueue(database, new_job(unique_key="k"))
        assert second == Enqueued(first.job_id, created=False)
        assert await count(db) == 1

    async def test_a_key_is_free_again_once_its_job_is_final(self, db: str) -> None:
        async with hand(db) as worker:
            first = await within(worker, unique_key="k")
            [claimed] = await worker.take()
            assert not (await within(worker, unique_key="k")).created, "a running job holds it too"
            await worker.finish(claimed)
            second = await within(worker, unique_key="k")
        assert second.created
        assert second.job_id != first.job_id

    async def test_a_long_key_is_hashed_and_is_still_one_key(self, db: str) -> None:
        async with hand(db) as worker:
            first = await within(worker, unique_key="x" * 9000)
            assert not (await within(worker, unique_key="x" * 9000)).created
            assert (await within(worker, unique_key="x" * 8999)).created
        assert len((await row(db, first.job_id))["unique_key"]) < 100

    async def test_one_who_waits_for_anothers_commit_gets_the_others_id(self, db: str) -> None:
        async with hands(db) as (one, two):
            async with one.session.transaction():
                first = await within(one, unique_key="k")
                asked = asyncio.create_task(within(two, unique_key="k"))
                await until(lambda: two.waits(db))
            assert await asked == Enqueued(first.job_id, created=False)

    async def test_one_who_waits_for_anothers_rollback_inserts(self, db: str) -> None:
        async with hands(db) as (one, two):
            transaction = one.session.connection.transaction()
            await transaction.start()
            await within(one, unique_key="k")
            asked = asyncio.create_task(within(two, unique_key="k"))
            await until(lambda: two.waits(db))
            await transaction.rollback()
            assert (await asked).created
        assert await count(db) == 1

    async def test_one_who_waits_for_the_holders_end_inserts(self, db: str) -> None:
        async with hands(db) as (worker, two):
            await within(worker, unique_key="k")
            [claimed] = await worker.take()
            async with worker.session.transaction():
                await worker.finish(claimed)
                asked = asyncio.create_task(within(two, unique_key="k"))
                await until(lambda: two.waits(db))
            assert (await asked).created

    async def test_one_whose_holder_ends_between_its_two_looks_inserts(self, db: str) -> None:
        held = await put_one(db, unique_key="k")
        async with hands(db) as (one, user):
            async with gated_inserts(db, user):
                asked = asyncio.create_task(within(one, unique_key="k"))
                await at_gate(db)  # its insert met the holder; now it would read who that is
                assert await user.cancel(held) == "cancelled"
            assert (await asked).created

    async def test_a_crowd_makes_one_job_and_all_get_its_id(
        self, db: str, database: Database
    ) -> None:
        del database
        handles = await asyncio.gather(*(keyed.enqueue(7) for _ in range(20)))
        assert len({handle.job_id for handle in handles}) == 1
        assert await count(db) == 1


class TestRepeats:
    """An enqueue whose answer never came is repeated under the same id."""

    async def test_one_that_had_arrived_stays_one(self, db: str, database: Database) -> None:
        lost = new_job()
        await enqueueing.enqueue(database, lost)
        assert await enqueueing._repeat(database, lost) == Enqueued(lost.job_id, created=True)
        assert await count(db) == 1

    async def test_one_that_had_not_arrived_is_inserted(self, db: str, database: Database) -> None:
        lost = new_job(unique_key="k")
        assert await enqueueing._repeat(database, lost) == Enqueued(lost.job_id, created=True)
        assert await count(db) == 1

    async def test_one_that_has_run_to_its_end_is_not_run_again(
        self, db: str, database: Database
    ) -> None:
        lost = new_job()
        async with hand(db) as worker:
            await enqueueing.enqueue(database, lost)
            [claimed] = await worker.take()
            await worker.finish(claimed)
        await enqueueing._repeat(database, lost)
        assert await places_of(db, lost.job_id) == (0, 1)

    async def test_one_that_is_finishing_while_it_is_repeated_ends_in_one_place(
        self, db: str, database: Database
    ) -> None:
        lost = new_job()
        async with hand(db) as worker:
            await enqueueing.enqueue(database, lost)
            [claimed] = await worker.take()
            async with worker.session.transaction():
                await worker.finish(claimed)
                asked = asyncio.create_task(enqueueing._repeat(database, lost))
                await until(lambda: somebody_waits(db))
            assert await asked == Enqueued(lost.job_id, created=True)
        assert await places_of(db, lost.job_id) == (0, 1)

    async def test_one_whose_key_another_holds_returns_the_others_id(
        self, db: str, database: Database
    ) -> None:
        held = await put_one(db, unique_key="k")
        lost = new_job(unique_key="k")
        assert await enqueueing._repeat(database, lost) == Enqueued(held, created=False)

    async def test_one_whose_keys_holder_ends_meanwhile_is_inserted_after_all(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = await put_one(db, unique_key="k")
        rows = Session.rows

        async def ended_first(session: Session, statement: Any, *args: Any, **kwargs: Any) -> Any:
            if statement is enqueueing.FIND_UNIQUE:
                await ask(db, "select pillars.cancel($1)", held)
            return await rows(session, statement, *args, **kwargs)

        monkeypatch.setattr(Session, "rows", ended_first)
        lost = new_job(unique_key="k")
        assert await enqueueing._repeat(database, lost) == Enqueued(lost.job_id, created=True)
        assert await places_of(db, lost.job_id) == (1, 0)

    @pytest.mark.parametrize("key", [None, "k"])
    async def test_an_answer_that_is_lost_is_made_good_and_wakes_a_worker(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch, key: str | None
    ) -> None:
        """The statement has committed; its connection breaks before the answer."""
        rows = Session.rows
        lost = iter([True])

        async def broken(session: Session, statement: Any, *args: Any, **kwargs: Any) -> Any:
            answer = await rows(session, statement, *args, **kwargs)
            first = {inserting.ENQUEUE_TELLING, enqueueing.ENQUEUE_WITHIN}
            if statement in first and next(lost, False):
                raise DatabaseTrouble(Trouble.LOST, "cut")
            return answer

        monkeypatch.setattr(Session, "rows", broken)
        async with hand(db) as listener:
            heard = await heard_by(listener)
            new = new_job(unique_key=key, queue="mail")
            assert await enqueueing.enqueue(database, new) == Enqueued(new.job_id, created=True)
            await until(lambda: heard == ["mail"] * 2)
        assert await count(db) == 1


class TestTransactions:
    async def test_a_rolled_back_transaction_leaves_no_job_and_no_wake_up(
        self, db: str, database: Database
    ) -> None:
        del database
        async with hand(db) as listener:
            heard = await heard_by(listener)

            async def undone() -> None:
                async with connection() as caller:
                    await work.configure(connection=caller).enqueue(1)
                    await enqueue_many([work.call(2)], connection=caller)
                    await caller.fetchval("select pillars.enqueue('work')")
                    raise RuntimeError("undone")

            with pytest.raises(RuntimeError, match="undone"):
                await undone()
            await listener.ask("select pg_notify('pillars', 'last')")
            await until(lambda: "last" in heard)
            assert heard == ["last"]
        assert await count(db) == 0

    async def test_a_committed_one_wakes_once_a_queue(self, db: str, database: Database) -> None:
        del database
        async with hand(db) as listener:
            heard = await heard_by(listener)
            async with connection() as caller:
                for _ in range(3):
                    await work.configure(connection=caller, queue="a").enqueue()
                await work.configure(connection=caller, queue="b").enqueue()
                await work.configure(connection=caller, queue="c", run_in="1h").enqueue()
                assert await count(db) == 0
            await listener.ask("select pg_notify('pillars', 'last')")
            await until(lambda: "last" in heard)
        assert sorted(heard) == ["a", "b", "last"]
        assert await count(db) == 5

    async def test_one_by_plain_sql_wakes_as_it_commits(self, db: str) -> None:
        async with hand(db) as listener, hand(db) as other:
            heard = await heard_by(listener)
            async with other.session.transaction():
                await other.ask("select pillars.enqueue('work', queue => 'a')")
                await listener.ask("select pg_notify('pillars', 'before')")
                await until(lambda: heard == ["before"])
            await until(lambda: heard == ["before", "a"])

    async def test_what_is_no_connection_is_refused(self, database: Database) -> None:
        del database
        with pytest.raises(UsageError, match="asyncpg, psycopg 3, SQLAlchemy or Django, got str"):
            await work.configure(connection="postgres://").enqueue()


class TestMany:
    async def test_handles_come_in_order_and_a_duplicate_gives_the_firsts(
        self, db: str, database: Database
    ) -> None:
        del database
        held = await keyed.enqueue(9)
        handles = await enqueue_many(
            [keyed.call(1), work.call(5), keyed.call(9), keyed.call(1), keyed.call(2)]
        )
        ids = [handle.job_id for handle in handles]
        assert ids[3] == ids[0]
        assert ids[2] == held.job_id
        assert len(set(ids)) == 4
        assert await count(db) == 4
        stored = [(await row(db, UUID(one)))["payload"] for one in ids]
        assert stored == ['{"n": 1}', '{"n": 5}', '{"n": 9}', '{"n": 1}', '{"n": 2}']

    async def test_a_thousand_are_copied_with_all_their_options(
        self, db: str, database: Database
    ) -> None:
        del database
        configured = work.configure(
            run_in="1h", expires_in="2h", queue="bulk", priority=3, tags=["a", "b"],
            context="why", timeout="5m", max_attempts=2,
        )  # fmt: skip
        handles = await enqueue_many(configured.call(n) for n in range(1000))
        stored = await row(db, UUID(handles[999].job_id))
        assert stored["payload"] == '{"n": 999}'
        assert (stored["queue"], stored["priority"], stored["max_attempts"]) == ("bulk", 3, 2)
        assert (stored["tags"], stored["context"]) == (["a", "b"], "why")
        assert stored["timeout"] == timedelta(minutes=5)
        assert abs(stored["run_at"] - stored["created_at"] - timedelta(hours=1)) < SECOND
        assert stored["expires_at"] - stored["run_at"] == timedelta(hours=2)
        assert await count(db) == 1000

    @pytest.mark.parametrize("inside", [False, True])
    async def test_they_wake_each_queue_with_work_that_is_due_soon(
        self, db: str, database: Database, *, inside: bool
    ) -> None:
        calls = [work.configure(queue=queue).call() for queue in ("a", "a", "b")]
        calls.append(work.configure(queue="c", run_in="1h").call())
        async with hand(db) as listener:
            heard = await heard_by(listener)
            if inside:
                async with connection() as caller:
                    await enqueue_many(calls, connection=caller)
            else:
                await enqueue_many(calls)
                await database.wakeups.close()
            await listener.ask("select pg_notify('pillars', 'last')")
            await until(lambda: "last" in heard)
        assert sorted(heard) == ["a", "b", "last"]

    async def test_two_crowds_with_the_same_keys_in_opposite_orders_do_not_deadlock(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del database
        monkeypatch.setattr(
            "pillars.store.trouble.UNDONE", set()
        )  # or a second try would make it good
        there = [keyed.call(n) for n in range(200)]
        handles = await asyncio.gather(*(enqueue_many(there), enqueue_many(reversed(there))) * 4)
        assert await count(db) == 200
        assert len({handle.job_id for some in handles for handle in some}) == 200

    async def test_a_crowd_lets_go_of_its_keys_before_it_takes_one_that_came_free(
        self, db: str
    ) -> None:
        """Or it would wait for another that waits for it."""
        held = await put_one(db, unique_key="a")
        jobs = enqueueing._json([new_job(unique_key="a"), new_job(unique_key="b")])
        async with hands(db) as (crowd, user), hand(db) as other:
            async with other.session.transaction():
                async with gated_inserts(db, user):
                    inserts = crowd.session.rows(enqueueing.INSERT_JOBS.numbered, jobs)
                    asked = asyncio.create_task(inserts)
                    await at_gate(db)  # it has taken "b", and was kept out of "a"
                    assert await user.cancel(held) == "cancelled"
                    first = asyncio.create_task(within(other, unique_key="a"))
                    await until(lambda: other.waits(db))
                taken = [await first, await within(other, unique_key="b")]
            assert all(one.created for one in taken)
            assert [UUID(row.job_id) for row in await asked] == [one.job_id for one in taken]

    async def test_a_crowd_that_a_deadlock_undid_is_enqueued_all_the_same(
        self, db: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del database
        rows, undone = Session.rows, iter([True])

        async def deadlocked(session: Session, statement: Any, *args: Any, **kwargs: Any) -> Any:
            if statement == enqueueing.INSERT_JOBS.numbered and next(undone, False):
                raise DatabaseTrouble(Trouble.CONFLICT, "deadlock detected", sqlstate="40P01")
            return await rows(session, statement, *args, **kwargs)

        monkeypatch.setattr(Session, "rows", deadlocked)
        assert len(await enqueue_many(keyed.call(n) for n in range(3))) == 3
        assert next(undone, None) is None
        assert await count(db) == 3

    async def test_nothing_is_nothing(self, database: Database) -> None:
        del database
        assert await enqueue_many([]) == []


class TestTimes:
    async def test_run_in_and_expires_in_count_by_the_databases_clock(
        self, db: str, database: Database
    ) -> None:
        del database
        await tell(db, "update pillars_test.clock set shift = interval '3 days'")
        handle = await work.configure(run_in="1h", expires_in="10m").enqueue()
        stored = await row(db, UUID(handle.job_id))
        assert stored["run_at"] - stored["created_at"] == timedelta(hours=1)
        assert stored["expires_at"] - stored["run_at"] == timedelta(minutes=10)
        assert await ask(db, "select $1 > now() + interval '2 days'", stored["created_at"])

    async def test_expires_in_counts_from_now_where_run_at_is_past(
        self, db: str, database: Database
    ) -> None:
        del database
        past = datetime(2020, 1, 1, tzinfo=UTC)
        handle = await work.configure(run_at=past, expires_in="10m").enqueue()
        stored = await row(db, UUID(handle.job_id))
        assert stored["run_at"] == past
        assert stored["expires_at"] - stored["created_at"] == timedelta(minutes=10)

    @pytest.mark.parametrize(("run_in", "heard"), [(29, True), (31, False)])
    async def test_what_is_due_within_thirty_seconds_wakes_workers(
        self, db: str, database: Database, run_in: int, *, heard: bool
    ) -> None:
        async with hand(db) as listener:
            told = await heard_by(listener)
            await work.configure(run_in=run_in, queue="ours").enqueue()
            await work.configure(run_in=run_in, queue="within", unique_key="k").enqueue()
            await database.wakeups.close()
            await listener.ask("select pg_notify('pillars', 'last')")
            await until(lambda: "last" in told)
        assert sorted(told) == (["last", "ours", "within"] if heard else ["last"])


async def test_wake_ups_of_a_burst_are_coalesced(db: str, database: Database) -> None:
    async with hand(db) as listener:
        heard = await heard_by(listener)
        for _ in range(500):
            database.wakeups.wake("a")
            database.wakeups.wake("b")
        await database.wakeups.close()
        await until(lambda: sorted(heard) == ["a", "b"])


async def test_a_wake_up_that_was_to_ride_on_an_enqueue_that_failed_goes_out_by_itself(
    db: str, database: Database
) -> None:
    async with hand(db) as listener:
        heard = await heard_by(listener)
        handle = await work.configure(queue="a").enqueue()
        await until(lambda: heard == ["a"])
        database.wakeups.wake("a")  # for a job that was stored just now
        database.wakeups._told_at = 0
        again = replace(work.configure(queue="a").call().new_job(), job_id=UUID(handle.job_id))
        with pytest.raises(DatabaseTrouble):
            await database.enqueues.put(again)
        await database.wakeups.close()
        await until(lambda: heard == ["a", "a"])


async def test_enqueues_one_after_the_other_carry_the_wake_ups_of_those_before(
    db: str, database: Database
) -> None:
    async with hand(db) as listener:
        heard = await heard_by(listener)
        for _ in range(3):
            database.wakeups._told_at = 0  # as after a pause
            database.wakeups.wake("a")
            assert not database.wakeups.may_ride("b"), "it would not tell of the others"
            assert database.wakeups.may_ride("a")
            with database.wakeups.riding():
                assert not database.wakeups.may_ride("a"), "told of just now"
        await database.wakeups.close()
        await listener.ask("select pg_notify('pillars', 'last')")
        await until(lambda: "last" in heard)
    assert heard == ["last"], "the callers said that they would tell"


async def test_what_is_woken_while_the_last_are_sent_is_sent_too(
    db: str, database: Database
) -> None:
    async with hand(db) as listener:
        heard = await heard_by(listener)
        with database.wakeups.riding():
            pass  # so that the next waits for its alarm
        database.wakeups.wake("a")
        closing = asyncio.create_task(database.wakeups.close())
        await asyncio.sleep(0)
        database.wakeups.wake("b")
        await closing
        await listener.ask("select pg_notify('pillars', 'last')")
        await until(lambda: "last" in heard)
    assert sorted(heard[:-1]) == ["a", "b"], "either may be first: each has a connection"


def test_a_wake_up_that_ends_with_its_loop_does_not_silence_the_next(db: str) -> None:
    database = Database(db)

    async def hold(opened: asyncio.Event) -> None:
        async with database.opened():
            opened.set()
            await asyncio.Event().wait()

    async def wake_and_leave() -> None:
        opened = asyncio.Event()
        holder = asyncio.create_task(hold(opened))
        await opened.wait()
        assert not holder.done()
        database.wakeups.wake("a")

    async def wake_again() -> None:
        async with hand(db) as listener, database.opened():
            heard = await heard_by(listener)
            database.wakeups.wake("b")
            await until(lambda: heard == ["b"])

    asyncio.run(wake_and_leave())
    asyncio.run(wake_again())
