"""The rest of a sweep: one at a time, the expired, the unknown, the days ahead."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from stepping import define, final, hand, hands, put, put_one, row
from support import ask, move_clock, tell

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def _defined(db: str) -> None:
    await define(db)


async def test_one_sweeps_at_a_time_and_a_second_one_is_told_at_once(db: str) -> None:
    async with hands(db) as (one, two):
        async with one.session.transaction():
            assert (await one.sweep()).swept
            refused = await two.sweep()
            assert (refused.swept, refused.rescued) == (False, None)
        assert (await two.sweep()).swept


async def test_what_was_not_begun_in_time_ends_expired(db: str) -> None:
    soon = datetime.now(UTC) + 10 * SECOND
    waiting, running = await put(db, 2, expires_at=soon)
    async with hands(db) as (worker, other):
        await tell(db, "update pillars.jobs set run_at = $1 where job_id = $2", soon, waiting)
        [begun] = await worker.take()
        assert begun.job_id == running
        await move_clock(db, 11 * SECOND)
        assert (await other.sweep()).expired == 1
        assert await worker.finish(begun) == ["done"], "what runs does not expire"
    assert (await final(db, waiting))["state"] == "expired"
    assert (await final(db, running))["state"] == "completed"


async def test_an_open_transaction_on_one_expired_job_holds_up_no_sweep(db: str) -> None:
    held, free = await put(db, 2, expires_at=datetime.now(UTC) - SECOND)
    async with hands(db) as (user, other):
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held)
            assert (await other.sweep()).expired == 1
        assert (await other.sweep()).expired == 1
    assert (await final(db, free))["state"] == "expired"


async def parked(db: str) -> Sequence[str]:
    return list(
        await ask(db, "select array(select name from pillars.jobs where parked order by name)")
    )


async def test_names_that_nobody_defines_are_parked_and_a_boot_that_brings_one_frees_it(
    db: str,
) -> None:
    await put(db, 2, name="stranger")
    await put(db, 1, name="other")
    await put(db, 1)
    async with hand(db) as worker:
        assert (await worker.sweep()).parked == 3
        assert await parked(db) == ["other", "stranger", "stranger"]
        shown = await ask(db, "select last_error from pillars.all_jobs where name = 'other'")
        assert shown == "no process defines the job other"
        assert await ask(db, "select state from pillars.all_jobs where name = 'other'") == "waiting"
        await define(db, "stranger")
        assert await parked(db) == ["other"]
        assert len((await worker.claim(names=["stranger"])).jobs) == 2


async def test_a_sweep_frees_what_was_parked_while_its_definition_came(db: str) -> None:
    job_id = await put_one(db, queue="mail", parked=True, waiting_for="definition")
    heard: list[str] = []
    async with hands(db) as (worker, listener):
        await listener.session.connection.add_listener(
            "pillars", lambda *told: heard.append(told[-1])
        )
        await worker.sweep()
        assert not (await row(db, job_id))["parked"]
        await listener.ask("select 1")
    assert heard == ["mail"]


async def test_a_parked_job_in_an_open_transaction_holds_up_neither_sweep_nor_boot(
    db: str,
) -> None:
    held, free = await put(db, 2, name="late", parked=True, waiting_for="definition")
    async with hands(db) as (user, worker):
        async with user.session.transaction():
            await user.ask("select 1 from pillars.jobs where job_id = $1 for update", held)
            await define(db, "late")
            assert not (await row(db, free))["parked"]
            assert (await worker.sweep()).swept
            assert (await row(db, held))["parked"]
        await worker.sweep()
        assert not (await row(db, held))["parked"]


async def test_a_sweep_makes_the_days_ahead(db: str) -> None:
    count = "select count(*) from pg_class where relname ~ '_[0-9]{8}$' and relkind = 'r'"
    await tell(db, "select pillars.make_days()")
    before = await ask(db, count)
    await move_clock(db, timedelta(days=2))
    async with hand(db) as worker:
        await worker.sweep()
    assert await ask(db, count) == before + 2 * 5, "two days, in five histories"


async def test_days_are_made_by_many_at_once(db: str) -> None:
    await move_clock(db, timedelta(days=10))
    async with hands(db) as (one, two):
        made = await asyncio.gather(
            *(worker.ask("select pillars.make_days()") for worker in (one, two))
        )
    assert sum(made) == 4 * 5


class TestProcessesThatAreGone:
    PROCESS = """insert into pillars.workers (worker_id, role, host, pid, version, deployment, state, slots, seen_at)
    values ($1, 'worker', 'here', 1, '0', 'tests', 'running', 1, pillars.now() - $2::interval)"""

    async def seen(self, db: str, ago: timedelta) -> UUID:
        worker_id = uuid4()
        await tell(db, self.PROCESS, worker_id, ago)
        return worker_id

    async def known(self, db: str) -> Sequence[UUID]:
        return list(await ask(db, "select array(select worker_id from pillars.workers)"))

    async def test_a_process_that_was_not_seen_for_an_hour_is_forgotten(self, db: str) -> None:
        alive, gone = await self.seen(db, timedelta(minutes=59)), await self.seen(db, HOUR)
        async with hand(db) as other:
            await other.sweep()
            assert gone not in await self.known(db)
            assert await self.known(db) == [alive]

    async def test_one_that_is_seen_again_meanwhile_stays(self, db: str) -> None:
        frozen = await self.seen(db, 2 * HOUR)
        async with hands(db) as (thawed, other):
            thawed.worker_id = frozen
            async with thawed.session.transaction():
                await thawed.beat()
                assert (await other.sweep()).swept, "and it waits for nobody"
            assert await self.known(db) == [frozen]
