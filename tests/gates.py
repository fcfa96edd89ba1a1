"""Statements held between their snapshot and their first row lock, where the subtlest races are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from pillars.store import statements
from pillars.store.rows import Claimed
from stepping import Hand
from support import ask, tell, until

GATE = 42  # an advisory lock that the held statement asks for
WAITING = """select exists (select from pg_locks where locktype = 'advisory' and objid = $1 and not granted and database = (
    select oid from pg_database where datname = current_database()))"""


async def _at_gate(db: str) -> bool:
    return bool(await ask(db, WAITING, GATE))


@asynccontextmanager
async def gated_clock(db: str, keeper: Hand) -> AsyncIterator[None]:
    """Have every statement that asks pillars.now() wait, its snapshot taken, until the block ends; all but the keeper's."""
    await tell(
        db,
        f"create or replace function pillars.now() returns timestamptz language plpgsql volatile as $$ begin"
        f" perform pg_advisory_xact_lock_shared({GATE});"
        f" return pg_catalog.now() + (select shift from pillars_test.clock); end $$",
    )
    await keeper.ask("select pg_advisory_lock($1)", GATE)
    try:
        yield
    finally:
        await keeper.ask("select pg_advisory_unlock($1)", GATE)


@asynccontextmanager
async def gated_inserts(db: str, keeper: Hand) -> AsyncIterator[None]:
    """Have whoever inserts into pillars.jobs wait after its statement, also where that inserted nothing, until the block ends."""
    await tell(
        db,
        f"create function pillars_test.gate() returns trigger language plpgsql as $$ begin"
        f" perform pg_advisory_xact_lock_shared({GATE}); return null; end $$",
    )
    await tell(
        db,
        "create trigger gate after insert on pillars.jobs for each statement"
        " execute function pillars_test.gate()",
    )
    await keeper.ask("select pg_advisory_lock($1)", GATE)
    try:
        yield
    finally:
        await keeper.ask("select pg_advisory_unlock($1)", GATE)


async def at_gate(db: str) -> None:
    """Return once some statement waits at the gate."""
    await until(lambda: _at_gate(db))


class Gated:
    """The real statement, held after its snapshot and before its first row lock."""

    def __init__(self, worker: Hand, name: str) -> None:
        text = statements.text(name)
        assert "from unnest($2" in text.partition("\n), locked as")[0]
        head, _, tail = text.partition("\n), locked as")
        self._text = f"{head} cross join (select pg_advisory_xact_lock_shared({GATE})) gate\n), locked as{tail}"
        self._worker = worker
        self._finishes = name == "jobs/finish"

    async def __call__(self, job: Claimed) -> str:
        ids: list[UUID] = [job.job_id]
        tokens, nones = [job.lock_token], [None]
        if self._finishes:
            rest: list[object] = [["completed"], nones, nones, nones, ["full"], [], False]
        else:
            rest = [nones, [True], [True], ["released"], nones, nones, [], False]
        record = await self._worker.session.connection.fetchrow(
            self._text, self._worker.worker_id, ids, tokens, *rest
        )
        assert record is not None
        return str(record["answer"] or "done")  # a finish says nothing of what it moved


@asynccontextmanager
async def gated(worker: Hand, name: str, keeper: Hand) -> AsyncIterator[Gated]:
    await keeper.ask("select pg_advisory_lock($1)", GATE)
    try:
        yield Gated(worker, name)
    finally:
        await keeper.ask("select pg_advisory_unlock($1)", GATE)
