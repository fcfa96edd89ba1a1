"""For whom a job's transaction acts: a user, the system, or nobody, which is watched."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.jobs.connected import current, lent
from pillars.store.borrowed import borrow, borrow_now
from pillars.store.row_security import Actor, Own, RowSecurity, done, done_now
from pillars.store.session import Session

HINT = 'use async with ctx.as_user(id) or ctx.system("why")'


@asynccontextmanager
async def acting(actor: Actor, connection: Any | None) -> AsyncIterator[Any]:
    """Act in a transaction of the pool's, which ends with the block, or inside that of `connection`, which goes on after it."""
    database = current()
    convention = database.row_security.convention
    if connection is None:
        async with lent(database) as session:
            await done(actor.begun(convention, unsure=False), Own(session))
            yield session.connection
        return
    borrowed = borrow(connection, otherwise="call ctx.as_user_now or ctx.system_now, without async")
    earlier = await done(actor.begun(convention, unsure=True), borrowed)
    try:
        yield connection
    except BaseException:
        # Where the transaction has failed there is nothing to say: it ends, or goes back to before a savepoint.
        with suppress(Exception):
            await done(actor.ended(convention, earlier), borrowed)
        raise
    await done(actor.ended(convention, earlier), borrowed)


@contextmanager
def acting_now(actor: Actor, connection: Any) -> Iterator[Any]:
    """Act inside the transaction of a connection that blocks, which goes on after the block."""
    convention = current().row_security.convention
    borrowed = borrow_now(connection, otherwise="write async with ctx.as_user or ctx.system")
    earlier = done_now(actor.begun(convention, unsure=True), borrowed)
    try:
        yield connection
    except BaseException:
        with suppress(Exception):
            done_now(actor.ended(convention, earlier), borrowed)
        raise
    done_now(actor.ended(convention, earlier), borrowed)


@asynccontextmanager
async def watched(actor: Actor) -> AsyncIterator[Any]:
    """A transaction of the pool's in which the job acts for nobody; it is told once of each protected table that it touches."""
    database = current()
    security = database.row_security
    async with lent(database, first=security.ask) as session:
        try:
            yield session.connection
        except Exception:
            # That rows were hidden may be why.
            await _look(security, session, actor)
            raise
        await _look(security, session, actor)


async def _look(security: RowSecurity, session: Session, actor: Actor) -> None:
    """In the transaction, while it holds its locks. One that has failed tells nothing."""
    with suppress(DatabaseTrouble):
        for table in await security.touched(session):
            if security.is_news(actor.job_name, table):
                log.get("pillars.jobs").warning(
                    log.Event.JOB_UNIDENTIFIED,
                    job_name=actor.job_name,
                    job_id=actor.job_id,
                    table=table,
                    hint=HINT,
                )
