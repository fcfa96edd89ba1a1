"""Following one job from code: what it says and how it stands, through whatever happens meanwhile."""

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from pillars.errors import DatabaseTrouble, NotConnected
from pillars.store.database import Database
from pillars.store.rows import Standing
from pillars.store.streams import Item, Said as SaidItem, Topics, Turned
from pillars.store.streams.items import ENDED

WAIT = 60.0  # seconds; nothing happens then
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a job said: `kind` is `progress`, `log`, `output` or `metadata`, `body` what it said, as JSON reads.

    `event_id` grows from one to the next; `handle.stream(after=event_id)` goes on after it.
    """

    event_id: int
    kind: str
    attempt: int
    body: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class StateChanged:
    """How a job stands: first as it is found, then at each change. `last_error` is told of one that has ended without a result."""

    state: str
    attempt: int
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Events after the one that was asked for are not kept any more: what follows begins with what is."""

    reason: str


Told: TypeAlias = Said | StateChanged | Missed


async def told(database: Database, job_id: UUID, after: int) -> AsyncGenerator[Told, None]:
    """All of it, typed, up to the job's end."""
    before: StateChanged | None = None
    async for batch in batches(database, job_id, after):
        for one in batch:
            now = _typed(one)
            if isinstance(now, StateChanged):
                if now == before:
                    continue
                before = now
            yield now


async def batches(
    database: Database, job_id: UUID, after: int = 0
) -> AsyncGenerator[list[Item | Missed], None]:
    """What a stream of one job has, as it comes, up to its end. Trouble with the database is waited out once it has begun.

    Whoever reads slowly holds up nobody, and no memory: the stream is opened again after what was read.
    """
    backoff, begun = FIRST_BACKOFF, False
    while True:
        try:
            async with database.streams.stream(
                Topics.of(jobs=[job_id]), after=after or None
            ) as stream:
                begun, backoff = True, FIRST_BACKOFF
                if opening := _opening(stream.reset, stream.standings):
                    yield opening
                while not (stream.ended or stream.behind or stream.over):
                    if items := await stream.more(WAIT):
                        yield [*items]
                    after = stream.position or after
                if stream.ended:
                    return
        except DatabaseTrouble:
            if not begun:
                raise
            await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311
            backoff = min(backoff * 2, LONGEST_BACKOFF)
        if not database.is_open:
            raise NotConnected


def _opening(reset: str | None, standings: list[Standing]) -> list[Item | Missed]:
    missed = [] if reset is None else [Missed(reset)]
    return [*missed, *(Turned(one) for one in standings if one.state not in ENDED)]


def _typed(one: Item | Missed) -> Told:
    match one:
        case SaidItem(event=event):
            body = msgspec.json.decode(event.body)
            return Said(event.event_id, event.kind, event.attempt, body, event.created_at)
        case Turned(standing=standing, final=final):
            error = final.last_error if final and final.state != "completed" else None
            return StateChanged(standing.state, standing.attempt, error)
    return one
