"""A process's row in `pillars.workers`, and its definitions."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import anyio

from pillars.errors import DatabaseTrouble
from pillars.jobs.definition import Job
from pillars.service.process import Process
from pillars.store import definitions, workers
from pillars.store.definitions import Definition
from pillars.store.workers import Presence
from pillars.version import __version__

SLOW = 2.0  # seconds for a row of a few bytes; one that comes later is not worth a late exit
FAREWELL = 1.0  # seconds to take our row away; a database that is gone holds up no exit


async def define(process: Process, jobs: Iterable[Job[..., Any]]) -> None:
    """Write what the code says of its jobs, where SQL enqueues and sweeps read it."""
    said = [
        Definition(
            name=job.name,
            kind=job.kind,
            queue=job.rules.queue,
            priority=job.rules.priority,
            max_attempts=job.rules.max_attempts,
            max_crashes=job.rules.max_crashes,
            timeout=job.rules.timeout,
            keep=job.rules.keep,
            tags=job.rules.tags,
        )
        for job in jobs
    ]
    await definitions.define(process.database.runtime, said, deployment=process.settings.deployment)


async def appear(
    process: Process, *, state: str, queues: Sequence[str] | None = None, slots: int = 0
) -> None:
    """Write or renew the process's row."""
    presence = Presence(
        worker_id=process.worker_id,
        role=process.role,
        host=process.host,
        pid=process.pid,
        version=__version__,
        commit=process.commit,
        deployment=process.settings.deployment,
        state=state,
        queues=queues,
        slots=slots,
        listening=process.listening,
        leads=process.leads,
    )
    await workers.appear(process.database.runtime, presence)


async def leave(process: Process) -> None:
    """Remove the process's row; a database that is away keeps it, and it ages."""
    with suppress(DatabaseTrouble):
        await workers.leave(process.database.runtime, process.worker_id)


async def stay(process: Process) -> None:
    """Keep the process's row fresh until cancelled, then remove it."""
    pause = process.settings.heartbeat.total_seconds()
    try:
        while True:
            # Not to be broken off by the process's end: what is half sent may be carried out after the row's removal.
            with suppress(DatabaseTrouble), anyio.move_on_after(SLOW, shield=True):
                await appear(process, state="draining" if process.stopping.is_set() else "running")
            await anyio.sleep(pause)
    finally:
        with anyio.move_on_after(FAREWELL, shield=True):
            await leave(process)
