"""Everybody at once: whatever the order, a job is in one place, held by one claim, and ends once."""

import asyncio
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from pillars.store import redriving
from pillars.store.rows import Claimed
from stepping import Hand, define, hand, locked_tokens, put
from support import ask, move_clock

JOBS = 60
ROUNDS = 40
SECOND = timedelta(seconds=1)


class History:
    """What every claim brought and what every settling was answered."""

    def __init__(self) -> None:
        self.tokens: dict[UUID, list[int]] = defaultdict(list)
        self.done: list[tuple[UUID, int]] = []


async def work(worker: Hand, history: History, chance: random.Random) -> None:
    """Claim and settle; now and then die, or be frozen and come back late."""
    frozen: list[Claimed] = []
    for _ in range(ROUNDS):
        claim = await worker.claim(chance.randint(1, 8))
        if claim.contended:
            claim.jobs.extend((await worker.claim_in_lanes(3)).jobs)
        for job in claim.jobs:
            history.tokens[job.job_id].append(job.lock_token)
        held = list(claim.jobs)
        if chance.random() < 0.15:
            frozen += held
            continue
        if chance.random() < 0.3:
            held, frozen = held + frozen, []
        await settle(worker, held, history, chance)
        if chance.random() < 0.2:
            await worker.beat(*{job.lock_token for job in held})
    await settle(worker, frozen, history, chance)


async def settle(
    worker: Hand, held: list[Claimed], history: History, chance: random.Random
) -> None:
    chance.shuffle(held)
    cut = chance.randint(0, len(held))
    last_of = list({job.lock_token for job in held})
    for part, back in ((held[:cut], True), (held[cut:], False)):
        left, again = part, False
        while left:
            if back:
                outcome = chance.choice(["retried", "snoozed", "released"])
                answers = await worker.put_back(
                    *left, outcome=outcome, wait=timedelta(0), last_of=last_of
                )
            else:
                answers = await worker.finish(*left, last_of=last_of, again=again)
                history.done += [
                    (job.job_id, job.lock_token)
                    for job, said in zip(left, answers, strict=True)
                    if said == "done"
                ]
            left = [job for job, said in zip(left, answers, strict=True) if said == "busy"]
            again = True


async def cancel(user: Hand, job_ids: list[UUID], chance: random.Random) -> None:
    """Cancel in transactions that stay open for a while and often roll back."""
    for _ in range(ROUNDS):
        transaction = user.session.connection.transaction()
        await transaction.start()
        await user.cancel(chance.choice(job_ids))
        for _ in range(chance.randint(0, 3)):
            await user.ask("select 1")
        await (transaction.rollback() if chance.random() < 0.8 else transaction.commit())


async def sweep(db: str, sweeper: Hand, job_ids: list[UUID], chance: random.Random) -> None:
    for _ in range(ROUNDS // 2):
        await move_clock(db, chance.randint(1, 20) * SECOND)
        await sweeper.sweep()
        await redriving.redrive(sweeper.session, chance.choice(job_ids))


async def watch(watcher: Hand, job_ids: list[UUID], over: asyncio.Event) -> int:
    """Ask again and again, by one snapshot, whether every job is in exactly one table; returns the looks."""
    looks = 0
    while not over.is_set():
        misplaced = await watcher.ask(
            "select count(*) from unnest($1::uuid[]) asked (job_id) where 1 <>"
            " (select count(*) from pillars.jobs job where job.job_id = asked.job_id)"
            " + (select count(*) from pillars.finished_jobs ended where ended.job_id = asked.job_id)",
            job_ids,
        )
        assert misplaced == 0
        looks += 1
    return looks


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_job_is_in_one_place_and_ends_once_and_none_is_stranded(
    db: str, seed: int
) -> None:
    chance = random.Random(seed)
    await define(db, max_crashes=1000)
    job_ids = await put(db, JOBS)
    history, over = History(), asyncio.Event()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(hand(db)) for _ in range(3)]
        user, sweeper, watcher = [await stack.enter_async_context(hand(db)) for _ in range(3)]
        watching = asyncio.create_task(watch(watcher, job_ids, over))
        parts: list[Any] = [work(one, history, random.Random(chance.random())) for one in workers]
        parts.append(cancel(user, job_ids, random.Random(chance.random())))
        parts.append(sweep(db, sweeper, job_ids, random.Random(chance.random())))
        await asyncio.gather(*parts)
        over.set()
        assert await watching > 3
        for tokens in history.tokens.values():
            assert len(tokens) == len(set(tokens)), "no token was given twice"
        assert len(history.done) == len(set(history.done)), "no claim ended a job twice"
        for _ in range(4):
            await move_clock(db, 100 * SECOND)
            await sweeper.sweep()
        held = await ask(db, "select count(*) from pillars.jobs where locked_by is not null")
        assert held == 0, "a job is stranded: held, without a lock that a sweep could find"
        assert await locked_tokens(db) == []
        await move_clock(db, 100 * SECOND)
        rest = await workers[0].claim(JOBS)
        await workers[0].finish(*rest.jobs)
    assert await ask(db, "select count(*) from pillars.jobs") == 0
    assert await ask(db, "select count(*) from pillars.finished_jobs") == JOBS
