"""What an address finds out about the way to its server, and what it sends through a real PgBouncer."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import anyio
import pytest
from pooling import pooler
from wiretap import Sent, wiretap

from pillars import every, job
from pillars.cron.leader import Leader
from pillars.cron.syncing import sync
from pillars.errors import ConfigurationError, DatabaseTrouble, JobFailed
from pillars.jobs.connected import connection, using
from pillars.jobs.enqueuing import enqueue_many
from pillars.service.process import Process
from pillars.service.pruning import Pruner
from pillars.store.database import Database
from pillars.store.dialling import PROBED_BY_SERVER
from pillars.store.enqueueing import NOW
from pillars.store.listener import Listener, is_deaf
from pillars.store.locks import HELD
from pillars.store.pool import PLANNED_ONCE, Address
from pillars.worker.sweeping import Sweeper
from support import (
    ask,
    asking,
    move_clock,
    running,
    settings_for,
    tell,
    until,
    worker_for,
)

pytestmark = pytest.mark.needs("pgbouncer")


async def test_a_server_is_no_pooler_and_the_connection_that_asked_is_used(db: str) -> None:
    address = Address(db)
    session = await address.connect(**PLANNED_ONCE)
    assert not address.pooled
    assert not await is_deaf(address)
    assert await session.connection.fetchval("show plan_cache_mode") == "force_generic_plan"
    await session.close()


@pytest.mark.parametrize("settings", [{}, PLANNED_ONCE])
@pytest.mark.parametrize("size", [1, 2, 5])
async def test_a_transaction_pooler_is_found_whatever_its_size(
    db: str, size: int, settings: dict[str, str]
) -> None:
    async with pooler(db, default_pool_size=size) as found:
        address = Address(found.url)
        session = await address.connect(**settings)
        assert address.pooled
        assert session.pooled
        await session.close()
        assert await is_deaf(address)


async def test_a_pooler_that_ignores_settings_is_found_all_the_same(db: str) -> None:
    async with pooler(
        db, ignore_startup_parameters=",".join(PLANNED_ONCE | PROBED_BY_SERVER)
    ) as found:
        address = Address(found.url)
        await (await address.connect(**PLANNED_ONCE)).close()
        assert address.pooled


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("server_round_robin", [0, 1])
async def test_however_a_pooler_chooses_among_its_servers_it_is_seen_to_share_them(
    db: str, size: int, server_round_robin: int
) -> None:
    async with pooler(db, default_pool_size=size, server_round_robin=server_round_robin) as found:
        address = Address(found.url)
        busy = await address.connect()
        for asked in range(4):
            address.route.deaf = None
            for _ in range(asked):
                await busy.rows(NOW)
            assert await is_deaf(address)
        await busy.close()


async def test_behind_a_session_pooler_notifications_arrive(db: str) -> None:
    async with pooler(db, pool_mode="session", default_pool_size=3) as found:
        address = Address(found.url)
        assert not await is_deaf(address)
        assert address.pooled, "it refuses the server's settings all the same"


async def test_a_proof_that_a_stall_kept_back_leaves_no_listener_deaf(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.store.listener.FIRST_PROOF", 0.0)
    async with (
        pooler(db, pool_mode="session", default_pool_size=10) as found,
        using(Database(found.url)) as database,
    ):
        listener = Listener(
            database.direct, database.runtime, uuid4(), trust=timedelta(seconds=10),
            on_wake=lambda _queue: None, on_told=lambda _job: None, on_change=lambda _up, _why: None,
        )  # fmt: skip
        monkeypatch.setattr(listener, "_told", lambda *_notification: None)  # it comes too late
        with pytest.raises(DatabaseTrouble, match="did not hear through the pooler"):
            await listener.listen_once()
        assert database.direct.route.deaf is None, "to be found out anew"


async def test_what_was_taken_for_a_transaction_pooler_is_looked_at_again(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pillars.store.listener.LOOK_AGAIN", 0.05)
    async with using(Database(db)) as database, anyio.create_task_group() as group:
        heard: list[bool] = []
        listener = Listener(
            database.direct, database.runtime, uuid4(), trust=timedelta(seconds=10),
            on_wake=lambda _queue: None, on_told=lambda _job: None, on_change=lambda up, _why: heard.append(up),
        )  # fmt: skip
        database.direct.route.deaf = True
        group.start_soon(listener.run)
        await until(lambda: heard == [False, True])
        group.cancel_scope.cancel()


async def test_a_prune_through_a_pooler_holds_no_server_for_a_reader_of_the_history(
    db: str,
) -> None:
    async with pooler(db, default_pool_size=3) as found, using(Database(found.url)) as database:
        await move_clock(db, timedelta(days=8))
        await tell(db, "select pillars.make_days()")
        settings = settings_for(found.url, keep_events="30d")
        pruner = Pruner(Process("worker", settings, database))
        async with asking(db) as reader, reader.transaction():
            await reader.execute("select count(*) from pillars.finished_jobs")
            with anyio.fail_after(20):  # of the minute that a step has otherwise
                assert await pruner.prune_once() == 0
        assert await pruner.prune_once() == 1


async def test_a_session_pooler_without_a_server_to_spare_is_not_listened_through(db: str) -> None:
    async with pooler(db, pool_mode="session", default_pool_size=1) as found:
        assert await is_deaf(Address(found.url))


async def test_a_pooler_in_statement_mode_is_refused_in_one_line(db: str) -> None:
    async with pooler(db, pool_mode="statement") as found:
        with pytest.raises(ConfigurationError, match="set its pool_mode to transaction") as refused:
            await Address(found.url).connect()
        assert "\n" not in str(refused.value)


async def test_a_statement_that_was_parsed_and_not_executed_keeps_no_server(db: str) -> None:
    async with pooler(db, default_pool_size=1) as found:
        address = Address(found.url)
        clumsy, other = await address.connect(), await address.connect()
        with pytest.raises(DatabaseTrouble, match="invalid input"):
            await clumsy.rows(HELD, "nobody")
        assert await other.rows(NOW)
        await clumsy.close()
        await other.close()


async def test_an_argument_that_was_refused_leaves_no_lock_behind(db: str) -> None:
    session = await Address(db).connect()
    with pytest.raises(DatabaseTrouble, match="invalid input"):
        await session.rows(HELD, "nobody")
    pid = session.connection.get_server_pid()
    assert await ask(db, "select count(*) from pg_locks where pid = $1", pid) == 0
    await session.close()


async def test_statements_of_many_clients_never_meet_on_the_servers_they_share(db: str) -> None:
    async with pooler(db, default_pool_size=3) as found:
        address = Address(found.url)

        async def client(number: int) -> None:
            session = await address.connect()
            for turn in range(40):
                text = f"select $1::integer + {number} * 1000, '{number}'::text"
                [row] = await session.connection.fetch(text, turn)
                assert tuple(row) == (number * 1000 + turn, str(number))
            await session.close()

        async with anyio.create_task_group() as clients:
            for number in range(8):
                clients.start_soon(client, number)


@job(name="once")
async def once(number: int) -> int:
    return number


@job(name="moody", backoff="0s")
async def moody() -> None:
    raise ValueError("again")


async def test_all_that_is_sent_through_a_pooler_is_whole_between_two_syncs(db: str) -> None:
    """Parse, Bind and Execute reach one server, whoever else uses it: a pooler may take it away after a Sync, and at no other moment."""
    async with (
        pooler(db) as found,
        wiretap(found.url) as (url, conversations),
        using(Database(url)) as database,
    ):
        await everything(database)
    sent = [message for conversation in conversations for message in conversation]
    assert len([message for message in sent if message.kind == "B"]) > 20
    for conversation in conversations:
        assert list(loose(conversation)) == []
    assert {message.words[0] for message in sent if message.kind == "P"} == {""}, "no name"
    outside = [sql for conversation in conversations for sql in outside_transactions(conversation)]
    assert outside
    lasting = re.compile(r"set_config\((?![^()]*, true\))")  # true: until the transaction ends
    assert [sql for sql in outside if lasting.search(sql)] == [], "it would stay on a server"


def outside_transactions(conversation: list[Sent]) -> Iterator[str]:
    """The SQL of the statements that are transactions by themselves."""
    inside = False
    for message in conversation:
        sql = message.words[-1] if message.kind in {"P", "Q"} else ""
        inside = sql.startswith("BEGIN") or (inside and not sql.startswith(("COMMIT", "ROLLBACK")))
        if sql and not inside:
            yield sql


def loose(conversation: list[Sent]) -> list[tuple[str, str]]:
    """What executes something that the message before it did not parse."""
    return [
        (before.kind, message.kind)
        for before, message in pairwise(conversation)
        if message.kind == "B" and before.kind != "P"
    ]


async def everything(database: Database) -> None:
    """What a worker, a cron process and a client of theirs do."""
    settings = settings_for(database.address.url)
    await sync(database, [every("1h", once.call(1), name="crons.x")], deployment="shop")
    leader = Leader(Process("cron", settings, database))
    await leader.tick_once()
    worker = worker_for(database, once, moody)
    async with running(worker):
        first = await once.configure(unique_key="one").enqueue(1)
        assert (await once.configure(unique_key="one").enqueue(2)).job_id == first.job_id
        many = await enqueue_many(once.call(number) for number in range(1200))
        few = await enqueue_many(once.call(number) for number in range(5))
        async with connection() as mine:
            inside = await once.configure(connection=mine).enqueue(7)
        failed = await moody.enqueue()
        assert await many[-1].result(timeout="20s") == 1199
        assert await few[-1].result(timeout="20s") == 4
        assert await inside.result(timeout="20s") == 7
        with pytest.raises(JobFailed):
            await failed.result(timeout="20s")
    sweeper = Sweeper(worker.process)
    assert await sweeper.sweep_once() is None
    sweeper._connected_at -= settings.sweep_standing.total_seconds()
    assert await sweeper.sweep_once()
    await sweeper._forget_session()
    await leader.resign()
