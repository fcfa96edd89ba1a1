"""`app jobs tail`, `app jobs run` and `app jobs token`: following jobs from a terminal, and letting browsers do so."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import anyio

from pillars.cli import enqueueing, opening, recording, saying, streaming
from pillars.cli.ending import DONE, FAILED, STOPPED, arguments
from pillars.cli.following import Made
from pillars.cli.opening import Opened
from pillars.durations import duration
from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.jobs.following import batches
from pillars.jobs.handle import checked_id
from pillars.jobs.stream_tokens import token_of
from pillars.store import jobs
from pillars.store.streams import Topics, Turned
from pillars.store.streams.items import ENDED

LOOK = 10.0  # seconds at most: a database that answers needs none


def tail(job_id: str, *, follow: bool, as_json: bool) -> int:
    """Print what a job has said and how it stands; with `follow`, what it says until it ends, too."""
    with arguments():
        wanted = checked_id(job_id)
    try:
        return opening.run(partial(_tail, wanted, follow, as_json), command="jobs")
    except KeyboardInterrupt:
        return STOPPED


async def _tail(job_id: UUID, follow: bool, as_json: bool, opened: Opened) -> int:  # noqa: FBT001
    told = streaming.teller(as_json=as_json, words=_on_stdout)
    try:
        if follow:
            async for batch in batches(opened.database, job_id):
                told.tell(batch)
        else:
            async with opened.database.streams.stream(Topics.of(jobs=[job_id])) as stream:
                over = all(one.state in ENDED for one in stream.standings)
                # How it stands comes last; of one that has ended, after a look at how.
                while not stream.ended and (items := await stream.more(LOOK if over else 0)):
                    told.tell(items)
                if not stream.ended:
                    told.tell(map(Turned, stream.standings))
    finally:
        told.close()
    return DONE


def _on_stdout(text: str) -> None:
    saying.lines([saying.harmless(text)])


def token(job_ids: Sequence[str], *, expires_in: str) -> int:
    """Print a token that opens the streams of these jobs."""
    with arguments():
        wanted = [checked_id(one) for one in job_ids]
        lasts = duration(expires_in, what="--expires-in")
    return opening.run(partial(_token, wanted, lasts), command="jobs")


async def _token(job_ids: Sequence[UUID], lasts: Any, opened: Opened) -> int:
    with arguments():
        made, grant = token_of(opened.settings, Topics.of(jobs=job_ids), lasts)
    until = grant.expires_at.isoformat(timespec="seconds")
    for one in job_ids:
        await recording.record_after(
            opened.database.pool, "stream.grant", one, job=[str(one)], expires_at=until
        )
    saying.put(made)
    return DONE


def run(name: str, pairs: Sequence[str], *, payload: str | None, as_json: bool, **said: Any) -> int:
    """Enqueue a job and follow it to its end; Ctrl-C ends it."""
    with arguments():
        asked = enqueueing.asked(name, pairs, payload=payload, **said)
    return opening.run(partial(_run, asked, as_json), command="jobs")


async def _run(asked: enqueueing.Asked, as_json: bool, opened: Opened) -> int:  # noqa: FBT001
    made = await enqueueing.make(asked, opened)
    saying.tell(f"enqueued {made.stored.job_id}" if made.stored.created else _already(made))
    run = _Run(opened, made, streaming.teller(as_json=as_json, words=saying.tell))
    async with anyio.create_task_group() as group:
        group.start_soon(run.heed_interrupts, group.cancel_scope)
        await run.follow()
        group.cancel_scope.cancel()
    return run.code


def _already(made: Made) -> str:
    return f"not enqueued: following {made.stored.job_id}, which holds its unique key"


@dataclass(slots=True)
class _Run:
    """A job that was enqueued here, and how its run comes out."""

    opened: Opened
    made: Made
    told: streaming.Teller | streaming.Recorder
    code: int = FAILED
    interrupted: bool = False

    async def follow(self) -> None:
        state = "unknown"
        try:
            async for batch in batches(self.opened.database, self.made.stored.job_id):
                self.told.tell(batch)
                for one in batch:
                    state = one.standing.state if isinstance(one, Turned) else state
        except UnknownJob:
            saying.tell("it has ended; how is not known, its definition keeps no row")
        finally:
            self.told.close()
        if not self.interrupted:
            self.code = DONE if state == "completed" else FAILED

    async def heed_interrupts(self, following: anyio.CancelScope) -> None:
        """The first Ctrl-C ends the job, where it was made here, and its end is awaited; the second leaves."""
        job_id = self.made.stored.job_id
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                if self.interrupted or not self.made.stored.created:
                    goes_on = "is asked to end" if self.interrupted else "goes on"
                    saying.tell(f"stopped following; {job_id} {goes_on}")
                    self.interrupted, self.code = True, STOPPED
                    following.cancel()
                    return
                self.interrupted, self.code = True, STOPPED
                await self._cancel(job_id)

    async def _cancel(self, job_id: UUID) -> None:
        pool = self.opened.database.pool
        try:
            outcome = await jobs.cancel(pool, job_id, by=recording.actor())
        except DatabaseTrouble as trouble:
            saying.tell(f"could not ask {job_id} to end: {trouble}")
            return
        saying.tell(f"asked {job_id} to end; Ctrl-C again stops waiting for it")
        await recording.record_after(pool, "job.cancel", job_id, outcome=outcome)
