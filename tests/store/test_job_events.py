"""What jobs say, as rows: fenced, and seen in the order of their ids by whoever reads on."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio

from pillars.store import job_events
from pillars.store.job_events import Said
from pillars.store.rows import Claimed
from stepping import Hand, hand, hands, put_one
from support import ask, until

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
END = 2**63 - 1


def says(claimed: Claimed, *numbers: int, kind: str = "log") -> list[Said]:
    """One thing for each number."""
    return [
        Said(claimed.job_id, claimed.lock_token, claimed.attempt, kind, str(number))
        for number in numbers
    ]


async def write(worker: Hand, said: list[Said]) -> list[UUID]:
    """The jobs that are held yet."""
    held = await job_events.write(worker.session, worker.worker_id, said)
    return [one.job_id for one in held]


async def claimed_by(db: str, worker: Hand) -> Claimed:
    await put_one(db)
    [claimed] = await worker.take()
    return claimed


async def test_it_is_written_in_its_order_and_read_from_any_place(db: str) -> None:
    async with hand(db) as worker:
        one, two = await claimed_by(db, worker), await claimed_by(db, worker)
        assert (await job_events.position(worker.session)).event_id == 0
        held = await write(worker, [*says(one, 3, 1), *says(two, 9), *says(one, 2)])
        assert set(held) == {one.job_id, two.job_id}
        found = await job_events.after(worker.session, 0, LONG_AGO, 100)
        assert [one.body for one in found] == ["3", "1", "9", "2"]
        rest = await job_events.after(worker.session, found[1].event_id, LONG_AGO, 1)
        assert [one.body for one in rest] == ["9"]
        of_one = await job_events.of_jobs(
            worker.session,
            {one.job_id: found[0].event_id},
            up_to=found[3].event_id,
            made_since=LONG_AGO,
            limit=100,
        )
        assert [one.body for one in of_one] == ["1", "2"]
        assert (await job_events.position(worker.session)).event_id == found[3].event_id


async def test_the_newest_of_each_kind_is_found(db: str) -> None:
    async with hand(db) as worker:
        one, two = await claimed_by(db, worker), await claimed_by(db, worker)
        await write(worker, says(one, 1, 2, kind="progress") + says(one, 7, kind="metadata"))
        await write(worker, says(two, 3, kind="progress") + says(one, 8, 9))
        found = await job_events.newest(worker.session, [one.job_id, two.job_id], LONG_AGO)
    assert {(row.job_id, row.kind, row.body) for row in found} == {
        (one.job_id, "progress", "2"),
        (one.job_id, "metadata", "7"),
        (two.job_id, "progress", "3"),
    }


async def test_who_does_not_hold_a_job_says_nothing_of_it(db: str) -> None:
    async with hands(db) as (worker, other):
        mine, theirs = await claimed_by(db, worker), await claimed_by(db, other)
        assert await write(worker, says(mine, 1) + says(theirs, 2)) == [mine.job_id]
        stale = [
            Said(mine.job_id, mine.lock_token - 1, 1, "log", "3"),
            Said(theirs.job_id, theirs.lock_token, 1, "log", "4"),
        ]
        assert await write(worker, stale) == []
        await worker.finish(mine)
        assert await write(worker, says(mine, 5)) == []
    assert await ask(db, "select array_agg(body::text) from pillars.job_events") == ["1"]


async def test_one_writes_after_the_other_so_no_lower_id_comes_later(db: str) -> None:
    """The first has drawn its ids and is not committed: whoever comes now waits, and draws higher ones."""
    async with hands(db) as (first, second):
        one, two = await claimed_by(db, first), await claimed_by(db, second)
        async with anyio.create_task_group() as group, first.session.transaction():
            await write(first, says(one, 1, 2))
            group.start_soon(write, second, says(two, 3))
            await until(lambda: second.waits(db))
            assert await ask(db, "select count(*) from pillars.job_events") == 0
    ids = "select array_agg(body::text order by event_id) from pillars.job_events"
    assert await ask(db, ids) == ["1", "2", "3"]


async def test_who_reads_on_from_the_highest_id_misses_nothing(db: str) -> None:
    """Four writers at once, and a reader that never looks back."""
    writing, heard = 4, list[str]()
    taking = anyio.Lock()

    async def speak(number: int, together: anyio.Event) -> None:
        nonlocal writing
        async with hand(db) as worker:
            async with taking:
                claimed = await claimed_by(db, worker)
            await together.wait()
            for line in range(50):
                await write(worker, says(claimed, 1000 * number + line))
        writing -= 1

    async def read(reader: Hand) -> None:
        place = heard_all = 0
        while writing or not heard_all:
            heard_all = not writing
            found = await job_events.after(reader.session, place, LONG_AGO, 1000)
            heard.extend(one.body for one in found)
            place = found[-1].event_id if found else place
            await asyncio.sleep(0)

    together = anyio.Event()
    async with hand(db) as reader, anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(speak, number, together)
        await until(
            lambda: ask(db, "select count(*) = 4 from pillars.jobs where locked_by is not null")
        )
        group.start_soon(read, reader)
        together.set()
    assert sorted(heard, key=int) == [
        str(1000 * one + line) for one in range(4) for line in range(50)
    ]
