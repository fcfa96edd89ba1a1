from dataclasses import replace
from typing import Any

import pytest

from pillars import job
from pillars.errors import UnknownQueue
from pillars.store import queues
from pillars.store.database import Database
from support import ask, asking, running, tell, until, worker_for


@job(name="queues.note", queue="mail")
async def note() -> None: ...


@job(name="queues.aside", queue="other")
async def aside() -> None: ...


async def heard(db: str) -> tuple[Any, list[str]]:
    """A connection that hears wake-ups, and what it heard."""
    said: list[str] = []
    context = asking(db)
    connection = await context.__aenter__()
    await connection.add_listener("pillars", lambda *args: said.append(str(args[-1])))
    return context, said


async def test_a_paused_queue_gives_no_job_until_it_is_resumed(db: str, database: Database) -> None:
    await tell(db, "insert into pillars.queues (name) values ('mail')")
    await queues.pause(database.pool, "mail")
    assert (await queues.find(database.pool, "mail")).paused_at is not None
    async with running(worker_for(database, note, aside, poll="1h")):
        handle = await note.enqueue()
        await (await aside.enqueue()).result(timeout="30s")  # it has looked for work since
        assert await handle.state() == "ready"
        await queues.resume(database.pool, "mail")
        assert (await queues.find(database.pool, "mail")).paused_at is None
        # Its poll is an hour away: only the notification brings it here.
        await handle.result(timeout="30s")


async def test_a_pause_keeps_its_first_time_and_a_resume_of_nothing_wakes_nobody(
    db: str, database: Database
) -> None:
    await tell(db, "insert into pillars.queues (name) values ('mail')")
    context, said = await heard(db)
    try:
        await queues.resume(database.pool, "mail")
        await queues.pause(database.pool, "mail")
        first = await queues.find(database.pool, "mail")
        await queues.pause(database.pool, "mail")
        assert await queues.find(database.pool, "mail") == first
        await queues.resume(database.pool, "mail")
        await until(lambda: said == ["mail"])
    finally:
        await context.__aexit__(None, None, None)


async def test_every_queue_that_anybody_names_is_listed_with_its_jobs(
    db: str, database: Database
) -> None:
    await tell(
        db,
        """
        insert into pillars.definitions values ('a.job', 'async', 'defined', 0, 4, 3, '15 min', 'full', '{}', 'test');
        insert into pillars.queues (name, paused_at) values ('spoken', pillars.now());
        insert into pillars.workers (worker_id, role, host, pid, version, deployment, state, queues, slots)
        values (gen_random_uuid(), 'worker', 'here', 1, '0', 'test', 'running', '{served}', 1);
        insert into pillars.jobs (job_id, name, queue, run_at)
        values (pillars.uuid7(), 'a.job', 'holding', pillars.now() - interval '90 s'), (pillars.uuid7(), 'a.job', 'holding', pillars.now() + interval '1 h');
        insert into pillars.jobs (job_id, name, queue, parked) values (pillars.uuid7(), 'a.job', 'holding', true);
        """,
    )
    listed = {queue.name: queue for queue in await queues.listed(database.pool)}
    assert list(listed) == ["defined", "holding", "served", "spoken"]
    holding = listed["holding"]
    for name, queue in listed.items():
        found = await queues.find(database.pool, name)
        assert replace(found, oldest_ready_seconds=0) == replace(queue, oldest_ready_seconds=0)
    assert (holding.ready, holding.running, holding.scheduled, holding.parked) == (1, 0, 1, 1)
    assert holding.oldest_ready_seconds >= 90
    assert (listed["spoken"].paused_at is None, holding.paused_at) == (False, None)


async def test_a_queue_that_nobody_names_is_refused_with_the_nearest_and_nothing_is_written(
    db: str, database: Database
) -> None:
    await tell(db, "insert into pillars.queues (name) values ('mail')")
    for change in (queues.pause, queues.resume):
        with pytest.raises(UnknownQueue, match=r'no queue named "mial"; did you mean "mail"\?'):
            await change(database.pool, "mial")
    assert await ask(db, "select count(*) from pillars.queues where paused_at is not null") == 0
