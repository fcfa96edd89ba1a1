"""Tokens past 31 and 53 bits: every statement, the API and the pages have all of their digits."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from pillars import Context, job
from pillars.service.process import Process
from pillars.settings import load
from pillars.store.database import Database
from pillars.web.pillar import Web
from stepping import EXPIRED, define, final, hand, locked_tokens, put
from support import ask, move_clock, running, tell, until, worker_for

PAST = pytest.mark.parametrize("past", [2**31, 2**53, 2**62], ids=["2^31", "2^53", "2^62"])


@job(name="large.whole", backoff="0s", max_attempts=2)
async def whole(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise ValueError("once more")
    return 2**60 + 1


@job(name="large.inside")
async def inside(ctx: Context) -> None:
    async with ctx.connection() as connection:
        await ctx.complete(None, connection=connection)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    settings = load(flags={"env": "dev"}, environ={}, project=Path(__file__).parent)
    transport = httpx2.ASGITransport(app=Web(Process("web", settings, database), None).asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as one:
        yield one


async def draw_from(db: str, past: int) -> None:
    """Let the next token be one more."""
    await tell(db, "select setval('pillars.locks_lock_token_seq', $1)", past)


@PAST
async def test_every_step_of_a_claim_takes_any_token(db: str, past: int) -> None:
    await define(db)
    await draw_from(db, past)
    await put(db, 4)
    async with hand(db) as worker:
        [taken] = await worker.take(1)
        assert taken.lock_token == past + 1
        assert (await worker.beat(past + 1)).lost == []
        assert await worker.put_back(taken, outcome="retried", given_back=False, error="no") == [
            "done"
        ]
        assert await worker.put_back(taken, outcome="retried", again=True, given_back=False) == [
            "done"
        ]
        assert await ask(db, "select lock_token from pillars.attempts") == past + 1
        claimed = await worker.take()
        assert {job.lock_token for job in claimed} == {past + 2}
        assert await worker.finish(claimed[0], last_of=()) == ["done"]
        assert await worker.finish(claimed[0], again=True) == ["done"]
        assert (await final(db, claimed[0].job_id))["lock_token"] == past + 2
        await move_clock(db, EXPIRED)
        assert (await worker.sweep()).rescued == 3
        assert await locked_tokens(db) == []
        assert await worker.finish(*claimed[1:]) == ["lost"] * 3, (
            "the fence tells tokens apart by 1"
        )


@PAST
async def test_jobs_run_and_are_shown_with_every_digit(
    db: str, database: Database, client: httpx2.AsyncClient, past: int
) -> None:
    await draw_from(db, past)
    async with running(worker_for(database, whole, inside)):
        handle = await whole.enqueue()
        assert await handle.result(timeout="20s") == 2**60 + 1
        other = await inside.enqueue()
        await other.result(timeout="20s")
        await until(lambda: ask(db, "select count(*) = 0 from pillars.locks"))
    for one in (handle, other):
        shown = (await client.get(f"/api/jobs/{one.job_id}")).json()
        token = shown["lock_token"]
        assert token > past
        assert token == await ask(
            db,
            "select lock_token from pillars.finished_jobs where job_id = $1::text::uuid",
            one.job_id,
        )
        assert f'"lock_token":{token},' in (await client.get("/api/jobs")).text
        assert f"<dd>{token}</dd>" in (await client.get(f"/dashboard/jobs/{one.job_id}")).text
    listed = (await client.get("/api/jobs")).text
    assert f'"result":{2**60 + 1}' in listed
