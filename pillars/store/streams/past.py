"""What jobs had said before a stream was opened, read a page at a time, in order."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pillars.store import job_events
from pillars.store.rows import JobEvent, Standing
from pillars.store.session import Executor
from pillars.store.standings import since
from pillars.store.streams.items import Said
from pillars.store.streams.topics import Topics

PAGE = 500  # events: some hundred KB
WIDE_PAGE = 2_000  # events, of which few may be wanted
FARTHEST = 100_000  # events of all jobs that are looked through for those of a name or a tag: a second or two
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Known = Callable[[Iterable[UUID], Topics], Awaitable[list[Standing]]]


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Said]
    last: bool
    """Whether that is all there is yet."""


class PastOfJobs:
    """What jobs have said, each after an event of its own."""

    def __init__(self, executor: Executor, after: dict[UUID, int]) -> None:
        self._executor = executor
        self._after = after
        self._made_since = since(after)

    async def read(self, up_to: int) -> Page:
        found = await job_events.of_jobs(
            self._executor, self._after, up_to=up_to, made_since=self._made_since, limit=PAGE
        )
        if found:
            reached = found[-1].event_id
            self._after = {job_id: max(one, reached) for job_id, one in self._after.items()}
        return Page([Said(one) for one in found], last=len(found) < PAGE)


class PastOfAll:
    """What all jobs have said after an event, without those that do not belong to the topics."""

    def __init__(self, executor: Executor, topics: Topics, known: Known, after: int) -> None:
        self._executor = executor
        self._topics = topics
        self._known = known
        self._after = after

    async def read(self, up_to: int) -> Page:
        found = await job_events.after(self._executor, self._after, LONG_AGO, WIDE_PAGE)
        found = [one for one in found if one.event_id <= up_to]
        if found:
            self._after = found[-1].event_id
        return Page(await self._wanted(found), last=len(found) < WIDE_PAGE)

    async def _wanted(self, found: list[JobEvent]) -> list[Said]:
        known = await self._known({one.job_id for one in found}, self._topics)
        wanted = {one.job_id for one in known if self._topics.have(one)} | self._topics.jobs
        return [Said(one) for one in found if one.job_id in wanted]
