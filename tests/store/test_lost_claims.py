"""A standby that was promoted without the last claims of its primary gives their tokens a second time: none passes for another's."""

from collections.abc import Awaitable, Callable

import pytest

from pillars.errors import DatabaseTrouble
from pillars.store import settling
from pillars.store.borrowed import borrow
from pillars.store.claiming import Claim
from pillars.store.rows import Claimed
from pillars.store.settling import Ended
from stepping import Hand, forget_claims, hand, hands, put, put_one, row


async def finish(worker: Hand, claimed: Claimed) -> str:
    [answer] = await worker.finish(claimed, last_of=[claimed.lock_token])
    return answer


async def put_back(worker: Hand, claimed: Claimed) -> str:
    [answer] = await worker.put_back(claimed, last_of=[claimed.lock_token])
    return answer


async def complete(worker: Hand, claimed: Claimed) -> str:
    ended = Ended(claimed.job_id, claimed.lock_token, "completed", "full")
    borrowed = borrow(worker.session.connection, otherwise="")
    return await settling.complete(borrowed, worker.worker_id, ended)


@pytest.mark.parametrize("write", [finish, put_back, complete])
async def test_what_a_lost_claim_says_is_not_taken_for_the_claim_that_got_its_token(
    db: str, write: Callable[[Hand, Claimed], Awaitable[str]]
) -> None:
    job_id = await put_one(db)
    async with hands(db) as (before, after):
        [lost] = await before.take()
        await forget_claims(db, lost.lock_token)
        [claimed] = await after.take()
        assert claimed.lock_token == lost.lock_token
        assert await write(before, lost) == "lost"
        assert (await row(db, job_id))["locked_by"] == after.worker_id
        assert await write(after, claimed) == "done"


async def test_a_gap_that_one_try_cannot_close_is_closed_by_the_next_ones(db: str) -> None:
    """A claim has its limit, and what it has drawn until then stays drawn."""
    await put_one(db)
    async with hand(db) as worker:
        worker.above = 10**10
        await worker.session.connection.execute("set statement_timeout = '200ms'")
        with pytest.raises(DatabaseTrouble):
            await worker.claim()
        assert await worker.ask("select last_value from pillars.locks_lock_token_seq") > 100


@pytest.mark.parametrize("claim", [Hand.claim, Hand.claim_in_lanes])
async def test_no_worker_is_given_a_token_that_it_had_before(
    db: str, claim: Callable[[Hand, int], Awaitable[Claim]]
) -> None:
    await put(db, count=60)
    async with hand(db) as worker:
        tokens = [(await claim(worker, 1)).jobs[0].lock_token for _ in range(50)]
        await forget_claims(db, tokens[0])
        worker.above = tokens[-1]
        [claimed] = (await claim(worker, 1)).jobs
        assert claimed.lock_token > tokens[-1]
        [following] = (await claim(worker, 1)).jobs
        assert following.lock_token == claimed.lock_token + 1, (
            "nothing is skipped where nothing was lost"
        )
