"""The listener: believed only while its own proof comes back."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from pillars import job
from pillars.store.database import Database
from pillars.store.listener import PROVE, Listener, own_channel
from pillars.store.pool import Address
from stepping import put_one
from support import ask, running, tell, until, worker_for

KILL = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where query like 'LISTEN%' and datname = current_database()"
)


@job(name="work")
async def work() -> None:
    pass


class Desk:
    def __init__(self, database: Database, trust: float = 10.0) -> None:
        self.worker_id = uuid4()
        self.woken: list[str] = []
        self.told: list[str] = []
        self.changes: list[tuple[bool, str]] = []
        self.listener = Listener(
            database.direct,
            database.runtime,
            self.worker_id,
            trust=timedelta(seconds=trust),
            on_wake=self.woken.append,
            on_told=self.told.append,
            on_change=lambda up, why: self.changes.append((up, why)),
        )


async def test_it_is_proved_by_its_own_round_trip_and_hears_both_channels(
    db: str, database: Database
) -> None:
    desk = Desk(database)
    assert not desk.listener.proved
    task = asyncio.create_task(desk.listener.run())
    await until(lambda: desk.listener.proved)
    await tell(db, "select pg_notify('pillars', 'mail')")
    await tell(db, f"select pg_notify('{own_channel(desk.worker_id)}', 'some job')")
    await until(lambda: (desk.woken, desk.told) == (["mail"], ["some job"]))
    assert desk.changes == [(True, "")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_killed_backend_is_noticed_and_replaced(db: str, database: Database) -> None:
    desk = Desk(database)
    task = asyncio.create_task(desk.listener.run())
    await until(lambda: desk.listener.proved)
    assert await ask(db, KILL) == 1
    await until(lambda: len(desk.changes) == 3)
    assert [up for up, _ in desk.changes] == [True, False, True]
    assert desk.changes[1][1] == "the connection closed"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_channel_that_has_gone_deaf_is_given_up(database: Database) -> None:
    """Nobody sends it proofs: after `trust` it is not believed any more."""
    desk = Desk(database, trust=0.1)
    await asyncio.wait_for(desk.listener.listen_once(), 20)
    assert not desk.listener.proved
    assert desk.changes == [(True, ""), (False, "no proof came back in time")]


async def test_one_that_hears_nothing_from_the_first_says_so_once(
    database: Database, other_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.store.listener.FIRST_PROOF", 0.01)
    database.direct = Address(other_db)
    desk = Desk(database)
    tries = 0
    listen_once = desk.listener.listen_once

    async def counted() -> None:
        nonlocal tries
        tries += 1
        await listen_once()

    monkeypatch.setattr(desk.listener, "listen_once", counted)
    task = asyncio.create_task(desk.listener.run())
    await until(lambda: tries == 3)
    [(up, why)] = desk.changes
    assert not up
    assert "is DATABASE_DIRECT_URL a server of the same database?" in why
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_worker_whose_listener_was_cut_claims_at_once_when_it_hears_again(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = asyncio.Event()
    async with running(
        worker_for(database, work, poll="90s", poll_max="90s", lock="60s")
    ) as worker:
        await until(lambda: worker.listener.proved)
        listen_once = worker.listener.listen_once

        async def listen_later() -> None:
            await stored.wait()
            await listen_once()

        monkeypatch.setattr(worker.listener, "listen_once", listen_later)
        assert await ask(db, KILL) == 1
        await until(lambda: not worker.process.listening)
        job_id = await put_one(db)  # by a hand that notifies nobody
        stored.set()
        await until(lambda: worker.listener.proved)
        await until(lambda: gone(db))
        assert worker.process.listening
    assert await ask(db, "select job_id from pillars.finished_jobs") == job_id


async def gone(db: str) -> bool:
    return bool(await ask(db, "select count(*) = 0 from pillars.jobs"))


def test_the_own_channel_is_named_as_in_sql() -> None:
    assert own_channel(UUID(int=1)) == "pillars_00000000000000000000000000000001"
    assert PROVE.name == "workers/prove"
