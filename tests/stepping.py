"""Workers moved by hand: each step of a protocol is one call, on a connection of the worker's own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from msgspec.structs import replace

from pillars.store import claiming, definitions, jobs, locks, settling
from pillars.store.claiming import Claim, Demand, Places
from pillars.store.definitions import Definition
from pillars.store.ids import new_id
from pillars.store.locks import Pulse
from pillars.store.pool import Address
from pillars.store.rows import Beat, Claimed, NewJob, Swept
from pillars.store.session import Session
from pillars.store.settling import Ended, Returned
from support import ask, asking, tell, until

LOCK = timedelta(seconds=30)
EXPIRED = timedelta(seconds=31)
NOBODY = UUID(int=0)


class Hand:
    """One worker: an id and a connection. It does nothing by itself."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.worker_id = uuid4()
        self.above = 0
        """The highest token it was given, where a test says so."""

    async def claim(
        self,
        free: int = 10,
        *,
        names: Sequence[str] = ("work",),
        queues: Mapping[str, int | None] | None = None,
        places: Places | None = None,
    ) -> Claim:
        return await claiming.claim(
            self.session, self._demand(free, names, queues), places or Places()
        )

    async def claim_in_lanes(
        self,
        free: int = 10,
        *,
        names: Sequence[str] = ("work",),
        queues: Mapping[str, int | None] | None = None,
        places: Places | None = None,
    ) -> Claim:
        return await claiming.claim_in_lanes(
            self.session, self._demand(free, names, queues), places or Places()
        )

    async def take(self, free: int = 10) -> list[Claimed]:
        return (await self.claim(free)).jobs

    async def finish(
        self,
        *claimed: Claimed,
        state: str = "completed",
        keep: str = "full",
        result: str | None = None,
        error: str | None = None,
        last_of: Sequence[int] = (),
        again: bool = False,
    ) -> list[str]:
        ended = [
            Ended(job.job_id, job.lock_token, state, keep, result=result, error=error)
            for job in claimed
        ]
        answers = await settling.finish(
            self.session, self.worker_id, ended, last_of=last_of, again=again
        )
        return in_order(claimed, answers)

    async def put_back(
        self,
        *claimed: Claimed,
        outcome: str = "released",
        wait: timedelta | None = None,
        given_back: bool = True,
        begun: bool = True,
        error: str | None = None,
        last_of: Sequence[int] = (),
        again: bool = False,
    ) -> list[str]:
        returned = [
            Returned(job.job_id, job.lock_token, outcome, wait, given_back, begun, error=error)
            for job in claimed
        ]
        answers = await settling.put_back(
            self.session, self.worker_id, returned, last_of=last_of, again=again
        )
        return in_order(claimed, answers)

    async def beat(self, *tokens: int) -> Beat:
        pulse = Pulse(
            worker_id=self.worker_id, tokens=tokens, lock=LOCK, running=0, listening=None,
            state="running", proof="proof",
        )  # fmt: skip
        return await locks.beat(self.session, pulse, timeout=timedelta(seconds=5))

    async def sweep(self) -> Swept:
        return await locks.sweep(self.session)

    async def cancel(self, job_id: UUID, *, by: str = "a hand") -> str:
        return await jobs.cancel(self.session, job_id, by=by)

    async def ask(self, sql: str, *args: Any) -> Any:
        return await self.session.connection.fetchval(sql, *args)

    def waits(self, db: str) -> Any:
        """Whether this connection waits for a lock; for `until`."""
        pid = self.session.connection.get_server_pid()
        return ask(db, "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1", pid)

    def _demand(
        self, free: int, names: Sequence[str], queues: Mapping[str, int | None] | None
    ) -> Demand:
        return Demand(
            worker_id=self.worker_id,
            lock=LOCK,
            names=names,
            free=free,
            queues=queues,
            above=self.above,
        )


@asynccontextmanager
async def hand(db: str) -> AsyncIterator[Hand]:
    """One worker."""
    session = await Address(db).connect()
    try:
        yield Hand(session)
    finally:
        await session.close()


@asynccontextmanager
async def hands(db: str) -> AsyncIterator[tuple[Hand, Hand]]:
    """Two workers."""
    async with hand(db) as one, hand(db) as two:
        yield one, two


def in_order(claimed: Sequence[Claimed], answers: Sequence[Any]) -> list[str]:
    """What became of each; a finish says nothing of those that it moved."""
    by_job = {(answer.job_id, answer.lock_token): answer.answer for answer in answers}
    return [by_job.get((job.job_id, job.lock_token), "done") for job in claimed]


def new_job(**columns: Any) -> NewJob:
    """What an enqueue would store."""
    plain = NewJob(
        job_id=new_id(), name="work", queue="default", payload="{}", context=None, priority=0,
        run_at=None, run_in=None, expires_in=None, max_attempts=4, timeout=None, unique_key=None,
        tags=None, trace=None,
    )  # fmt: skip
    return replace(plain, **columns)


async def heard_by(listener: Hand) -> list[str]:
    """The queues that wake-ups name from here on."""
    heard: list[str] = []
    await listener.session.connection.add_listener("pillars", lambda *told: heard.append(told[-1]))
    return heard


async def put(db: str, count: int = 1, **columns: Any) -> list[UUID]:
    """Insert rows of pillars.jobs as they are given; name "work", queue "default"."""
    rows = {"name": "work", "queue": "default", **columns}
    job_ids = [new_id() for _ in range(count)]
    slots = ", ".join(f"${number + 2}" for number in range(len(rows)))
    sql = f"insert into pillars.jobs (job_id, {', '.join(rows)}) select unnest($1::uuid[]), {slots}"
    types = {"run_at": "timestamptz", "expires_at": "timestamptz", "timeout": "interval",
             "priority": "integer", "max_attempts": "integer", "crashes": "integer", "tags": "text[]",
             "parked": "boolean", "payload": "jsonb"}  # fmt: skip
    for number, column in enumerate(rows, start=2):
        sql = sql.replace(f"${number}", f"${number}::{types.get(column, 'text')}", 1)
    await tell(db, sql, job_ids, *rows.values())
    return job_ids


async def put_one(db: str, **columns: Any) -> UUID:
    [job_id] = await put(db, **columns)
    return job_id


async def forget_claims(db: str, token: int) -> None:
    """Take back all claims, as on a standby that is promoted without them: the next is given this token."""
    await tell(
        db,
        f"""update pillars.jobs set locked_by = null, locked_at = null, lock_token = null, deadline_at = null, attempt = 0
            where locked_by is not null;
            delete from pillars.locks;
            select setval('pillars.locks_lock_token_seq', {token}, false)""",
    )


async def define(db: str, name: str = "work", **said: Any) -> None:
    """Write a definition as a process's boot does."""
    rules = {"kind": "async", "queue": "default", "priority": 0, "max_attempts": 4, "max_crashes": 3,
             "timeout": timedelta(minutes=15), "keep": "full", "tags": ()}  # fmt: skip
    async with hand(db) as boot:
        definition = Definition(name=name, **{**rules, **said})
        await definitions.define(boot.session, [definition], deployment="tests")


async def row(db: str, job_id: UUID) -> "asyncpg.Record":
    """The job in pillars.jobs; it must be there."""
    async with asking(db) as connection:
        found = await connection.fetchrow("select * from pillars.jobs where job_id = $1", job_id)
    assert found is not None, "no such row in pillars.jobs"
    return found


async def final(db: str, job_id: UUID) -> "asyncpg.Record":
    """The job in pillars.finished_jobs; it must be there once."""
    async with asking(db) as connection:
        found = await connection.fetch(
            "select * from pillars.finished_jobs where job_id = $1", job_id
        )
    assert len(found) == 1, f"{len(found)} rows in pillars.finished_jobs"
    return found[0]


async def places_of(db: str, job_id: UUID) -> tuple[int, int]:
    """How many rows of a job stand in jobs and in finished_jobs, by one snapshot."""
    async with asking(db) as connection:
        found = await connection.fetchrow(
            "select (select count(*) from pillars.jobs where job_id = $1),"
            " (select count(*) from pillars.finished_jobs where job_id = $1)",
            job_id,
        )
    assert found is not None
    return found[0], found[1]


async def locked_tokens(db: str) -> list[int]:
    return list(await ask(db, "select array(select lock_token from pillars.locks order by 1)"))


class Heard:
    def __init__(self, listener: Hand) -> None:
        self._listener = listener
        self._queues: list[str] = []

    def note(self, *told: object) -> None:
        self._queues.append(str(told[-1]))

    async def __call__(self) -> list[str]:
        await self._listener.ask("select pg_notify('pillars', 'flushed')")
        await until(lambda: "flushed" in self._queues)
        self._queues.remove("flushed")
        return self._queues


@asynccontextmanager
async def hearing(listener: Hand) -> AsyncIterator[Heard]:
    """What is notified to workers during the block; calling the answer flushes and returns it."""
    heard = Heard(listener)
    await listener.session.connection.add_listener("pillars", heard.note)
    yield heard
    await listener.session.connection.remove_listener("pillars", heard.note)


async def rows_read(session: Session) -> int:
    """How many rows and index entries of ours the transaction that is open has read."""
    read = """select sum(pg_stat_get_xact_tuples_returned(oid)) from pg_class
              where relnamespace = 'pillars'::regnamespace and relkind in ('r', 'i')"""
    return int(await session.connection.fetchval(read))
