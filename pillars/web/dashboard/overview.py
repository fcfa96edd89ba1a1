"""The first page: how the application is."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from pillars.store import listing, oversight, schedules
from pillars.store.listing import Page, Wanted
from pillars.store.rows import Glimpse, Listed, Queue
from pillars.store.session import Executor
from pillars.web.dashboard import cautions
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings

NEXT_TICKS = 6
NEWEST_FAILED = 8
MORE_LOOKS = 5  # at 20,000 jobs each, for failed ones among many cancelled
FULLEST = 12  # queues; the page of queues has all


class Overview:
    """Shows the figures that people open a dashboard for."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings

    async def show(self, request: Request) -> Response:
        pool = self._readings.pool
        states, queues = await self._readings.states(), await self._readings.queues()
        processes = await self._readings.processes()
        ticking = await schedules.listed(pool)
        failed = await _newest_failed(pool)
        return self._frame.show(
            request,
            "overview.html",
            place="overview",
            title="Overview",
            now=await self._readings.now(),
            states=states,
            queues=_fullest(queues.figures or ()),
            counted=queues,
            oldest=_oldest(queues.figures or ()),
            slots=sum(one.slots for one in processes if one.alive and one.role == "worker"),
            processes=processes,
            schedules=_next(ticking),
            failed=failed.jobs,
            last_moved=oversight.last_moved,
            cautions=cautions.found(queues.figures or (), processes, ticking),
            is_new=not (states.figures is None or any(_counts(states.figures)) or ticking),
        )


async def _newest_failed(pool: Executor) -> Page[Glimpse]:
    """The newest jobs that failed, found behind however many that were cancelled or have expired."""
    wanted = Wanted(state="failed", limit=NEWEST_FAILED)
    page = await listing.glances(pool, wanted)
    for _ in range(MORE_LOOKS):
        if page.jobs or page.next is None:
            break
        page = await listing.glances(pool, replace(wanted, older_than=page.next))
    return page


def _counts(figures: object) -> list[int]:
    return [getattr(figures, state) for state in listing.STATES]


def _oldest(queues: Sequence[Queue]) -> Queue | None:
    """The queue whose first job waits longest."""
    waiting = [one for one in queues if one.ready]
    return max(waiting, key=lambda one: one.oldest_ready_seconds, default=None)


def _fullest(queues: Sequence[Queue]) -> list[Queue]:
    """Those with most to do, by name."""
    by_load = sorted(queues, key=lambda one: (-one.ready - one.running, -one.scheduled, one.name))
    return sorted(by_load[:FULLEST], key=lambda one: one.name)


def _next(ticking: Sequence[Listed]) -> list[Listed]:
    due = [(one.next_run_at, one) for one in ticking if one.next_run_at is not None]
    return [one for _, one in sorted(due, key=lambda pair: (pair[0], pair[1].name))[:NEXT_TICKS]]
