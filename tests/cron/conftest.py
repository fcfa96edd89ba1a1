"""A stage for schedules: a database whose clock the test sets, and leaders to put on it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pillars import settings
from pillars.cron.leader import Leader
from pillars.cron.syncing import sync
from pillars.schedules import Schedule
from pillars.service.process import Process
from pillars.store.database import Database
from support import ask, asking, tell


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Stage:
    def __init__(self, dsn: str, database: Database, folder: Path) -> None:
        self.dsn = dsn
        self.database = database
        self.folder = folder
        self.leaders: list[Leader] = []

    def process(self, **flags: object) -> Process:
        told = settings.load(flags=flags, environ={"DATABASE_URL": self.dsn}, project=self.folder)
        return Process("cron", told, self.database)

    def leader(self, **flags: object) -> Leader:
        leader = Leader(self.process(**flags))
        self.leaders.append(leader)
        return leader

    async def sync(self, *schedules: Schedule, deployment: str = "shop") -> None:
        await sync(self.database, schedules, deployment=deployment)

    async def clock(self, text: str) -> None:
        """Let the database's clock of record say this, and run on from there."""
        await tell(
            self.dsn,
            "update pillars_test.clock set shift = $1::timestamptz - pg_catalog.now()",
            at(text),
        )

    async def tick(self, *, turns: int = 1) -> int:
        """Turns of the one leader of the test; returns the ticks decided."""
        leader = self.leaders[0] if self.leaders else self.leader()
        return sum([await leader.tick_once() for _ in range(turns)])

    async def ticks(self, schedule: str = "crons.x") -> list[tuple[str, str, int]]:
        """Tick, outcome, missed."""
        rows = await self.rows(
            "select tick, outcome, missed from pillars.ticks where schedule = $1 order by tick",
            schedule,
        )
        return [
            (tick.strftime("%Y-%m-%dT%H:%M:%SZ"), outcome, missed) for tick, outcome, missed in rows
        ]

    async def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        async with asking(self.dsn) as connection:
            return [tuple(row.values()) for row in await connection.fetch(sql, *args)]

    async def ask(self, sql: str, *args: Any) -> Any:
        return await ask(self.dsn, sql, *args)

    async def tell(self, sql: str, *args: Any) -> None:
        await tell(self.dsn, sql, *args)

    async def finish(self) -> None:
        """Every job ends, as far as overlap can tell."""
        await self.tell("delete from pillars.jobs")

    async def start(self) -> None:
        """Every job that may is claimed, as far as overlap can tell."""
        await self.tell(
            "update pillars.jobs set locked_by = gen_random_uuid(), lock_token = 1, locked_at = pillars.now() where not parked"
        )


@pytest.fixture
async def stage(db: str, database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    staged = Stage(db, database, tmp_path)
    yield staged
    for leader in staged.leaders:
        await leader.resign()
