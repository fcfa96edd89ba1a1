"""Pauses of running jobs: what their workers are told of them, and what they say."""

from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

import anyio

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.service.process import Process
from pillars.store import jobs
from pillars.store.rows import Held
from pillars.worker.attempts import Attempt
from pillars.worker.crew import Crew


class Pauses:
    """Tells jobs to rest and to go on, by notifications and by the replies to heartbeats, and writes down which of them rest.

    A notification may be lost, and a reply be older than the last word: so a reply says how it stands with all jobs, and counts for those
    that were told nothing since it was asked for.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._resting: dict[Attempt, None] = {}
        """Those whose rest is not yet written down."""
        self._any = anyio.Event()

    def rests(self, attempt: Attempt) -> None:
        """Its code has come to rest."""
        self._resting[attempt] = None
        self._any.set()

    def heard(self, crew: Crew, message: str) -> bool:
        """Whether a notification was about a pause, which is then heeded."""
        verb, _, job_id = message.rpartition(" ")
        match verb:
            case "pause":
                crew.pause(lambda claimed: str(claimed.job_id) == job_id)
            case "resume":
                for attempt in crew.attempts():
                    if str(attempt.claimed.job_id) == job_id:
                        _resume(attempt)
            case _:
                return False
        return True

    def replied(self, crew: Crew, pausing: Collection[UUID], *, asked_at: float) -> None:
        """Heed what a heartbeat's reply says of all jobs."""
        wanted = set(pausing)
        for attempt in crew.attempts():
            if attempt.rest.told_at >= asked_at:
                continue
            if attempt.claimed.job_id not in wanted:
                _resume(attempt)
            elif attempt.rest.begun:
                self.rests(attempt)
            else:
                attempt.pause()

    async def run(self) -> None:
        """Write down what rests until cancelled; after trouble with the database the next heartbeat has it tried again."""
        while True:
            await self._any.wait()
            self._any = anyio.Event()
            with suppress(DatabaseTrouble):
                await self.write_once()

    async def write_once(self) -> None:
        """Say of what rests that it does. Raises `DatabaseTrouble`."""
        resting, self._resting = [one for one in self._resting if one.rest.begun], {}
        if not resting:
            return
        held = [Held(one.claimed.lock_token, one.claimed.job_id) for one in resting]
        written = await jobs.rest(self._process.database.runtime, self._process.worker_id, held)
        told = {one.job_id for one in written}
        for one in resting:
            if one.claimed.job_id in told:
                _tell_paused(one)


def _resume(attempt: Attempt) -> None:
    if attempt.rest.begun:
        _tell_resumed(attempt)
    if attempt.rest.wanted:
        attempt.rest.resume()


def _tell_paused(attempt: Attempt) -> None:
    claimed = attempt.claimed
    log.get("pillars.worker").info(
        log.Event.JOB_PAUSED,
        job_id=str(claimed.job_id),
        job_name=claimed.name,
        queue=claimed.queue,
        attempt=claimed.attempt,
    )


def _tell_resumed(attempt: Attempt) -> None:
    claimed = attempt.claimed
    log.get("pillars.worker").info(
        log.Event.JOB_RESUMED,
        job_id=str(claimed.job_id),
        job_name=claimed.name,
        queue=claimed.queue,
        attempt=claimed.attempt,
    )
