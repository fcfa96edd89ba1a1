"""Who pauses jobs and names for a moment while all else goes on, and resumes each, whatever happens."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import anyio

from chaos.history import Asked
from pillars.errors import DatabaseTrouble, UnknownJob
from pillars.store import jobs, names
from pillars.store.database import Database
from pillars.store.pool import Pool

RECENT = 40  # jobs
OF_A_NAME = 0.1  # of the pauses, so many are of a name
PAUSES = (0.05, 1.0)  # seconds
BETWEEN = (0.0, 0.2)
AGAIN = 0.2  # seconds until a resume is tried again


class Pausing:
    """One after another, at a few places at once, until `over`."""

    def __init__(self, seed: int, asked: Sequence[Asked], pausable: Sequence[str]) -> None:
        self._asked = asked
        self._names = pausable
        self._seed = seed
        self.figures: Counter[str] = Counter()
        self.over = False

    async def run(self, url: str, *, at_once: int = 3) -> None:
        people = Database(url, size=at_once)
        async with people.opened(), anyio.create_task_group() as group:
            for which in range(at_once):
                chance = random.Random(f"pauses {which} of {self._seed}")
                group.start_soon(self._one_after_another, people.pool, chance)

    async def _one_after_another(self, pool: Pool, chance: random.Random) -> None:
        while not self.over:
            await anyio.sleep(chance.uniform(*BETWEEN))
            moment = chance.uniform(*PAUSES)
            recent = [one.job_id for one in self._asked[-RECENT:] if one.job_id is not None]
            if chance.random() < OF_A_NAME:
                await self._pause_name(pool, chance.choice(self._names), moment)
            elif recent:
                await self._pause(pool, UUID(chance.choice(recent)), moment)

    async def _pause(self, pool: Pool, job_id: UUID, moment: float) -> None:
        try:
            answer = await jobs.pause(pool, job_id, by="chaos")
        except DatabaseTrouble:
            answer = "no answer"  # it may have happened
        self.figures[f"pauses answered {answer}"] += 1
        await anyio.sleep(moment)
        await self._surely(lambda: jobs.resume(pool, job_id))

    async def _pause_name(self, pool: Pool, name: str, moment: float) -> None:
        try:
            await names.pause(pool, name, by="chaos")
        except DatabaseTrouble:
            pass
        except UnknownJob:
            return  # no worker has said yet that there is such a name
        self.figures["pauses of a name"] += 1
        await anyio.sleep(moment)
        await self._surely(lambda: names.resume(pool, name))

    async def _surely(self, resume: Callable[[], Awaitable[object]]) -> None:
        """Whatever befalls the server; else the job would never end, and that would be ours."""
        while True:
            try:
                await resume()
            except DatabaseTrouble:
                await anyio.sleep(AGAIN)
            else:
                return
