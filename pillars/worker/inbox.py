"""The inbox of one attempt: messages that were read for it, given to its code one by one."""

import asyncio
import concurrent.futures
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Protocol

from pillars.codec import from_json
from pillars.durations import Duration, duration
from pillars.errors import LockLost, UsageError
from pillars.jobs.crossing import running_loop
from pillars.jobs.inbox import Message
from pillars.store.rows import Claimed, MessageRow

# Seconds: what was read longer ago is read again before it is said that there is nothing. A notification may be lost.
FRESH = 5.0


class Post(Protocol):
    """Who reads messages, and removes those that code is done with."""

    def looks(self, inbox: "Inbox") -> None: ...


class Holder(Protocol):
    """The attempt whose inbox it is."""

    @property
    def claimed(self) -> Claimed: ...

    @property
    def must_end(self) -> bool: ...

    def overdue_by(self, now: float) -> float | None: ...

    def checkpoint_now(self) -> None: ...


class Inbox:
    """Of one attempt, on its worker's loop; only `get_now` is for another thread."""

    __slots__ = (
        "_arrived", "_closed", "_given", "_holder", "_last", "_looked_at", "_loop", "_more", "_moved", "_post", "_waiting", "done", "job_id",
        "lock_token", "wants",
    )  # fmt: skip

    def __init__(self, holder: Holder, post: Post, loop: asyncio.AbstractEventLoop) -> None:
        self.job_id = holder.claimed.job_id
        self.lock_token = holder.claimed.lock_token
        self._holder = holder
        self._post = post
        self._loop = loop
        self._arrived: deque[MessageRow] = deque()
        """Read, and not yet given."""
        self._given: set[int] = set()
        """Given, and not done with."""
        self.done: set[int] = set()
        """To be removed."""
        self._last: int | None = None
        """What `get` gave last."""
        self.wants = False
        """Whether it is to be read for."""
        self._more = False
        """Whether there is more than was read."""
        self._looked_at = float("-inf")
        self._waiting = 0
        self._moved = asyncio.Event()
        self._closed = False

    # --- what the job's code does ---

    def __aiter__(self) -> AsyncIterator[Message]:
        return _Reading(self)

    async def get(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None once `timeout` has passed without one. With 0 it looks, and does not wait."""
        seconds = None if timeout is None else duration(timeout, what="timeout").total_seconds()
        return await self._get(seconds, heeding=False)

    def get_now(self, timeout: Duration | None = None) -> Message | None:
        """As `get`, for a `def` job."""
        if running_loop() is not None:
            raise UsageError(
                "ctx.inbox.get_now: expected a thread of its own, got the loop's; write await ctx.inbox.get()"
            )
        seconds = None if timeout is None else duration(timeout, what="timeout").total_seconds()
        self._holder.checkpoint_now()
        message = None
        with suppress(concurrent.futures.CancelledError):  # the loop ends
            asked = self._get(seconds, heeding=True)
            message = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        if message is None:
            self._holder.checkpoint_now()
        return message

    async def _get(self, seconds: float | None, *, heeding: bool) -> Message | None:
        last, self._last = self._last, None
        row = await self.next(last, seconds, heeding=heeding)
        if row is None:
            return None
        self._last = row.message_id
        return as_message(row)

    async def next(
        self, last: int | None, seconds: float | None = None, *, heeding: bool = False
    ) -> MessageRow | None:
        """The next message for a reader who is done with the `last`; None once so many seconds have passed, or, `heeding`, the code is to end."""
        if self._closed:
            raise self._lost()
        if last is not None:
            self._given.discard(last)
            self.done.add(last)
            self._post.looks(self)
        latest = None if seconds is None else time.monotonic() + seconds
        self._waiting += 1
        try:
            while not self._arrived:
                if not await self._wait(latest, heeding=heeding):
                    return None
        finally:
            self._waiting -= 1
        row = self._arrived.popleft()
        self._given.add(row.message_id)
        return row

    async def _wait(self, latest: float | None, *, heeding: bool) -> bool:
        """Until something may have come; False where that was waited for long enough."""
        if self._closed:
            raise self._lost()
        if heeding and self._holder.must_end:
            return False
        now = time.monotonic()
        stale_at = self._looked_at + FRESH
        bounds = [stale_at]
        if self._more or now >= stale_at:
            self.wants = True
            self._post.looks(self)
            bounds = []
        elif latest is not None and now >= latest:
            return False
        elif latest is not None:
            bounds.append(latest)
        overdue = self._holder.overdue_by(now) if heeding else None
        if overdue is not None:
            bounds.append(now - overdue)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(bounds) - now if bounds else None):
                await self._moved.wait()
        return True

    def _lost(self) -> LockLost:
        return LockLost(
            f"job {self.job_id} is no longer held by this attempt: it gets no message any more"
        )

    # --- what the worker does ---

    def take_back(self) -> None:
        """What `get` gave last has not reached the code."""
        if self._last is not None:
            self._given.discard(self._last)
            self._last = None

    @property
    def waits(self) -> bool:
        """Whether code waits for a message."""
        return self._waiting > 0

    def known(self) -> list[int]:
        """What is not to be read again."""
        return [*(row.message_id for row in self._arrived), *self._given, *self.done]

    def looked(self, rows: Sequence[MessageRow], *, at: float, more: bool) -> None:
        """It was read for, at that time of the monotonic clock."""
        self._arrived += rows
        self._looked_at, self._more = at, more
        self.move()

    def move(self) -> None:
        """Whoever waits is to look how things stand."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def end(self) -> None:
        """The code has put its job off, and is done with what it was given."""
        self.done |= self._given

    def close(self) -> None:
        self._closed = True
        self.move()


class _Reading(AsyncIterator[Message]):
    """One `async for`."""

    __slots__ = ("_inbox", "_last")

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._last: int | None = None

    async def __anext__(self) -> Message:
        last, self._last = self._last, None
        row = await self._inbox.next(last)
        if row is None:  # without a time there is none
            raise StopAsyncIteration
        self._last = row.message_id
        return as_message(row)


def as_message(row: MessageRow) -> Message:
    return Message(data=from_json(row.body), sent_by=row.sent_by, sent_at=row.sent_at)
