"""How the jobs stand that somebody follows: asked of the database for all of them at once."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from uuid import UUID

from pillars.store.results import OUTCOMES
from pillars.store.rows import Final, Standing
from pillars.store.session import Executor
from pillars.store.standings import since, standings, unfinished_of
from pillars.store.streams.items import ENDED, UNKNOWN, Turned

MOST_FOUND = 1_000  # jobs of names and tags whose states are asked for
MOST_KNOWN = 20_000  # jobs whose names and tags are remembered: some MB


class Watch:
    """Which jobs are followed, and how each stood when it was last asked.

    Jobs are followed by their ids, as often as there are streams of them; or they were found, since they belong to a name or a tag
    that is followed: the last thousand of those.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._wanted: Counter[UUID] = Counter()
        self._fresh: set[UUID] = set()
        """Those that somebody has begun to follow since the last look, who shall hear how they stand."""
        self._found: dict[UUID, None] = {}
        self._known: dict[UUID, Standing] = {}
        """The standings last told, and the names and tags of jobs that have ended since."""

    def add(self, job_ids: Iterable[UUID]) -> None:
        for job_id in job_ids:
            self._wanted[job_id] += 1
            self._fresh.add(job_id)

    def remove(self, job_ids: Iterable[UUID]) -> None:
        for job_id in job_ids:
            self._wanted[job_id] -= 1
            if self._wanted[job_id] <= 0:
                del self._wanted[job_id]
                self._fresh.discard(job_id)

    def known(self, job_id: UUID) -> Standing | None:
        return self._known.get(job_id)

    def now_found(self) -> list[Standing]:
        """The jobs that were found and have not ended, as they were last seen."""
        return [known for job_id in self._found if (known := self._known.get(job_id)) is not None]

    def forget_found(self) -> None:
        self._found.clear()

    async def get_to_know(
        self, job_ids: Collection[UUID], wanted: Callable[[Standing], bool]
    ) -> None:
        """Read the names and tags of jobs that have said something, and follow those that are wanted."""
        strangers = [job_id for job_id in job_ids if job_id not in self._known]
        for one in await standings(self._executor, strangers):
            if wanted(one):
                self._find(one.job_id)
            # Its name and tags alone: so the next look tells how it stands.
            self._remember(replace(one, state=""))

    async def find(self, names: Collection[str], tags: Collection[str]) -> bool:
        """Follow the newest unfinished jobs of names and tags; returns whether there is a new one."""
        found = await unfinished_of(self._executor, names, tags, limit=MOST_FOUND)
        new = [job_id for job_id in reversed(found) if job_id not in self._found]
        for job_id in new:
            self._find(job_id)
        return bool(new)

    async def look(self) -> list[Turned]:
        """Ask for all of them; returns those that stand otherwise than when they were last told, or that somebody is new to."""
        fresh = set(self._fresh)
        asked = {*fresh, *self._found, *filter(self._goes_on, self._wanted)}
        if not asked:
            return []
        found = {one.job_id: one for one in await standings(self._executor, asked)}
        gone = [self._gone(job_id) for job_id in asked if job_id not in found]
        now = [one for one in (*found.values(), *gone) if self._is_news(one) or one.job_id in fresh]
        finals = await self._finals([one.job_id for one in now if one.state in ENDED])
        return [
            Turned(one, finals.get(one.job_id), news=self._is_news(one))
            for one in now
            # Run again between the two statements: the next look sees it.
            if one.state not in ENDED or one.job_id in finals
        ]

    def told(self, turned: Iterable[Turned]) -> None:
        """Take what was found for known, once it has been told."""
        for one in turned:
            self._remember(one.standing)
            self._fresh.discard(one.standing.job_id)
            if one.standing.state in ENDED:
                self._found.pop(one.standing.job_id, None)

    def _goes_on(self, job_id: UUID) -> bool:
        known = self._known.get(job_id)
        return known is None or known.state not in ENDED

    def _is_news(self, one: Standing) -> bool:
        return self._known.get(one.job_id) != one

    def _gone(self, job_id: UUID) -> Standing:
        known = self._known.get(job_id)
        name, tags = (known.name, known.tags) if known else ("", None)
        return Standing(job_id, name, tags, UNKNOWN, known.attempt if known else 0)

    async def _finals(self, job_ids: Collection[UUID]) -> dict[UUID, Final]:
        if not job_ids:
            return {}
        found = await self._executor.rows(OUTCOMES, list(job_ids), since(job_ids))
        return {one.job_id: one for one in found if one.state != "unfinished"}

    def _find(self, job_id: UUID) -> None:
        self._found[job_id] = None
        if len(self._found) > MOST_FOUND:
            del self._found[next(iter(self._found))]

    def _remember(self, one: Standing) -> None:
        self._known.pop(one.job_id, None)
        self._known[one.job_id] = one
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
