"""The cron process: ready, ticking, through trouble, and gone within a second."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pillars import every, job
from pillars.cron.pillar import Cron
from pillars.errors import DefinitionError
from pillars.service.process import Process
from pillars.store.database import Database
from support import until

Stage = Any


@job
async def ping() -> None: ...


@asynccontextmanager
async def running(process: Process, *schedules: Any) -> AsyncIterator[Cron]:
    cron = Cron(process, schedules)
    async with anyio.create_task_group() as group:
        group.start_soon(cron.run)
        await until(lambda: process.ready)
        yield cron
        process.stopping.set()


async def test_it_syncs_leads_ticks_and_hands_over_within_a_second(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    process = stage.process()
    async with running(process, every("1s", ping, overlap="allow", name="crons.x")):

        async def ticked() -> bool:
            return len(await stage.ticks()) >= 2

        await until(ticked)
        assert process.leads

        async def shown() -> bool:
            return bool(
                await stage.ask(
                    "select leads from pillars.workers where worker_id = $1", process.worker_id
                )
            )

        await until(shown)
        asked_at = time.monotonic()
    assert time.monotonic() - asked_at < 1.5
    assert not process.ready
    assert not process.leads
    assert (
        await stage.ask(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = 1885957228 and database = (select oid from pg_database where datname = current_database())"
        )
        == 0
    )
    assert await stage.ask("select count(*) from pillars.workers") == 0
    assert await stage.ask("select count(*) from pillars.definitions") == 1
    logged = "".join(capsys.readouterr())
    assert logged.count("cron.ready") == 1
    assert logged.count("cron.elected") == 1
    lateness = [late for (late,) in await stage.rows("select created_at - tick from pillars.ticks")]
    assert max(lateness).total_seconds() < 0.5


async def test_a_standby_is_ready_and_follows(stage: Stage) -> None:
    first, second = stage.process(lock="3s"), stage.process(lock="3s")
    async with running(second):
        await until(lambda: second.leads)
        second.stopping.set()
        async with running(first):
            await until(lambda: first.leads)
    async with running(first := stage.process(lock="3s")):
        await until(lambda: first.leads)
        async with running(other := stage.process(lock="3s")):
            assert other.ready
            assert not other.leads
            first.stopping.set()
            await until(lambda: other.leads)


async def test_a_schedule_of_another_deployment_ends_it_with_a_word(stage: Stage) -> None:
    await stage.sync(every("1h", ping, name="crons.x"), deployment="another")
    with pytest.raises(DefinitionError, match=r'"crons\.x" belongs to another deployment'):
        await Cron(stage.process(), [every("1h", ping, name="crons.x")]).run()


async def test_it_survives_the_loss_of_every_connection(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    process = stage.process(lock="3s")
    async with running(process, every("1s", ping, overlap="allow", name="crons.x")):
        await until(lambda: process.leads)
        kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        for _ in range(3):
            await stage.tell(kill)
            count = len(await stage.ticks())

            async def went_on(count: int = count) -> bool:
                return len(await stage.ticks()) > count

            await until(went_on)
    logged = "".join(capsys.readouterr())
    assert logged.count("cron.resigned") >= 1
    assert "database.back" in logged


async def test_it_stops_at_once_while_the_database_is_away(stage: Stage) -> None:
    process = stage.process()
    process.database = Database("postgresql://app@127.0.0.1:1/x")
    async with process.database.opened(), anyio.create_task_group() as group:
        group.start_soon(Cron(process, [every("1h", ping, name="crons.x")]).run)
        await anyio.wait_all_tasks_blocked()
        asked_at = time.monotonic()
        process.stopping.set()
    assert time.monotonic() - asked_at < 1.5
    assert not process.ready


async def test_an_idle_leader_asks_one_thing_in_five_seconds_and_says_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    leader = stage.leader()
    await leader.tick_once()
    asked: list[str] = []
    leader._session.connection.add_query_logger(lambda record: asked.append(record.query))
    capsys.readouterr()
    for turn in range(1, 4):
        await leader.tick_once()
        await anyio.lowlevel.checkpoint()  # asyncpg tells its loggers a turn of the loop later
        assert len(asked) == turn
        assert 4.9 < leader.sleep_for() <= 5
    assert capsys.readouterr() == ("", "")
