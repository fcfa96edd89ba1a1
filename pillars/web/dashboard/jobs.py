"""The page of jobs: filtered, in pages, several changed at once."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import UsageError
from pillars.store import jobs, listing, naming, oversight, redriving
from pillars.store.cursors import cursor_after
from pillars.store.listing import STATES, Wanted
from pillars.store.rows import Stats
from pillars.web import queries
from pillars.web.api import paths
from pillars.web.dashboard import forms, notices
from pillars.web.dashboard.frame import Frame
from pillars.web.dashboard.readings import Readings
from pillars.web.trail import note, nothing_done, who

MOST_SELECTED = queries.MOST


class JobsPage:
    """Lists jobs, and retries or cancels those that were ticked."""

    def __init__(self, frame: Frame, readings: Readings) -> None:
        self._frame = frame
        self._readings = readings
        self._pool = readings.pool

    async def show(self, request: Request) -> Response:
        given = _given(request.query_params)
        wanted = queries.wanted(QueryParams(given))
        page = await listing.glances(self._pool, wanted)
        counted = await self._readings.states()
        return self._frame.show(
            request,
            "jobs.html",
            place="jobs",
            title="Jobs" if wanted.state is None else f"{wanted.state.capitalize()} jobs",
            now=await self._readings.now(),
            jobs=page.jobs,
            older=None if page.next is None else self._link(given, cursor=cursor_after(page.next)),
            newest=self._link(given, cursor=None),
            action=self._link(given),
            given={name: given.get(name, "") for name in queries.FILTERS},
            is_narrowed=any((wanted.name, wanted.queue, wanted.tag)),
            tabs=self._tabs(given, wanted, counted.figures),
            counted=counted,
            last_moved=oversight.last_moved,
            hint=None
            if page.jobs or page.next
            else await oversight.mistaken(self._pool, wanted, thorough=False),
            looked_at=listing.LOOKED_AT,
            names=await naming.defined_names(self._pool),
            queues=_queue_names(counted.figures),
        )

    async def change(self, request: Request) -> Response:
        """Retry or cancel what is selected; back to the page with its filters, which says what became of it."""
        given = _given(request.query_params)
        queries.wanted(QueryParams(given))
        form = await forms.read(request)
        action = form.get("action", [])
        job_ids = [paths.read_id(text) for text in dict.fromkeys(form.get("job_id", []))]
        if len(job_ids) > MOST_SELECTED:
            raise UsageError(f"job_id: expected at most {MOST_SELECTED}, got {len(job_ids)}")
        if not job_ids:
            nothing_done(request)
            return self._frame.go(self._link(given, said="none-selected"))
        note(request, job_ids=job_ids)
        match action:
            case ["retry"]:
                note(request, action="job.retry")
                became = await self._retry(job_ids)
            case ["cancel"]:
                note(request, action="job.cancel")
                became = await self._cancel(job_ids, by=who(request))
            case _:
                raise UsageError("action: expected once, retry or cancel")
        note(request, **{name: became.get(name) for name in notices.FIELDS[1:]})
        self._readings.changed()
        return self._frame.go(self._link(given, **became))

    async def _retry(self, job_ids: list[UUID]) -> dict[str, Any]:
        done = await redriving.retry_many(self._pool, job_ids)
        return {"said": "retried", "done": done, "left": len(job_ids) - done}

    async def _cancel(self, job_ids: list[UUID], *, by: str) -> dict[str, Any]:
        answers = await jobs.cancel_many(self._pool, job_ids, by=by)
        done, asked = answers.count("cancelled"), answers.count("requested")
        left = len(job_ids) - done - asked
        return {"said": "cancelled", "done": done, "asked": asked or None, "left": left or None}

    def _tabs(
        self, given: Mapping[str, str], wanted: Wanted, figures: Stats | None
    ) -> list[dict[str, Any]]:
        """A tab a state: its page with the other filters, and how many there are where nothing else narrows them."""
        narrowed = figures is None or wanted.name or wanted.queue or wanted.tag
        tabs = []
        for state in (None, *STATES):
            count = None if narrowed or state is None else getattr(figures, state)
            link = self._link(given, state=state, cursor=None)
            tabs.append(
                {"state": state, "link": link, "count": count, "here": state == wanted.state}
            )
        return tabs

    def _link(self, given: Mapping[str, str], **changed: object) -> str:
        """This page with its filters, some of them changed."""
        return self._frame.link("jobs", **{**given, **changed})


def _given(query: QueryParams) -> dict[str, str]:
    """The filters that were said: an empty field of the form says nothing, a message of ours is none."""
    given = queries.once(query, besides=notices.FIELDS)
    return {name: text for name, text in given.items() if text and name not in notices.FIELDS}


def _queue_names(figures: Stats | None) -> list[str]:
    return [] if figures is None else sorted(msgspec.json.decode(figures.queues))
