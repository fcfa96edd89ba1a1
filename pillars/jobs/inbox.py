"""What is said to a running job, as its code reads it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pillars.durations import Duration


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said to a job by `handle.send`, `app jobs send`, the API or `pillars.send`."""

    data: Any
    """Plain JSON."""
    sent_by: str | None
    """Who sent it, for people."""
    sent_at: datetime


class Inbox(Protocol):
    """`ctx.inbox`: the messages to a running job, each given once to an attempt, in the order in which they were sent.

    `async for message in ctx.inbox:` waits for the next one, for as long as the job may run. A message is done with, and gone, once the
    code asks for another, or snoozes: an attempt that fails, or whose worker dies, leaves the one that it was at to the next.
    """

    def __aiter__(self) -> AsyncIterator[Message]: ...

    async def get(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None once `timeout` has passed without one. With 0 it looks, and does not wait."""

    def get_now(self, timeout: Duration | None = None) -> Message | None:
        """As `get`, for a `def` job: its thread waits, and ends by `asyncio.CancelledError` as at `checkpoint_now`.

        Raises `UsageError` on the loop's own thread, where `await ctx.inbox.get()` is the way.
        """
