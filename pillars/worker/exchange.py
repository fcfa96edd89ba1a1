"""What one attempt says and what is said to it: made when its code first does either."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pillars import log
from pillars.errors import DatabaseTrouble
from pillars.jobs.crossing import running_loop
from pillars.worker.delivering import Deliveries
from pillars.worker.inbox import Holder, Inbox
from pillars.worker.lines import Hide
from pillars.worker.outcomes import Completed, Outcome, Snoozed
from pillars.worker.saying import Sayings
from pillars.worker.voice import Voice

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MAKING = threading.Lock()  # two threads of a job may begin to speak at once


@dataclass(frozen=True, slots=True)
class Collectors:
    """Who writes what the worker's jobs say, and reads what is said to them."""

    sayings: Sayings
    deliveries: Deliveries


class Exchange:
    """Of one attempt. Without collectors, as in tests of attempts alone, what is said is heard by nobody."""

    __slots__ = ("_collectors", "_holder", "_inbox", "_logger", "_loop", "voice")

    def __init__(
        self,
        holder: Holder,
        collectors: Collectors | None,
        loop: asyncio.AbstractEventLoop,
        *,
        hide: Hide,
    ) -> None:
        self._holder = holder
        self._collectors = collectors
        self._loop = loop
        speaks: Callable[[Voice], None] = (
            _nobody if collectors is None else collectors.sayings.speaks
        )
        self.voice = Voice(holder.claimed, speaks, hide=hide)
        self._inbox: Inbox | None = None
        self._logger: FilteringBoundLogger | None = None

    @property
    def log(self) -> "FilteringBoundLogger":
        """The job's logger, whose lines are said, too."""
        if self._logger is None:
            claimed = self._holder.claimed
            bound = {"job_id": str(claimed.job_id), "job_name": claimed.name, "attempt": claimed.attempt}  # fmt: skip
            self._logger = log.telling(claimed.name, self.voice.log, **bound)
        return self._logger

    @property
    def inbox(self) -> Inbox:
        """What is said to the job."""
        if self._inbox is None:
            with MAKING:
                if self._inbox is None:
                    post = NOBODY if self._collectors is None else self._collectors.deliveries
                    self._inbox = Inbox(self._holder, post, self._loop)
        return self._inbox

    def begin_with(self, left: str | DatabaseTrouble | None) -> None:
        """What an earlier attempt has left as metadata."""
        if isinstance(left, DatabaseTrouble):
            self.voice.metadata.is_unread(left)
        elif left is not None:
            self.voice.metadata.begin_with(left)

    async def heard(self) -> None:
        """All that was said so far is written, or will not be."""
        if self._collectors is not None:
            await self._collectors.sayings.heard(self.voice)

    def heard_now(self) -> None:
        """As `heard`, for the job's own thread. On the loop nobody can wait for that."""
        if running_loop() is not self._loop:
            with suppress(concurrent.futures.CancelledError):  # the loop ends
                asyncio.run_coroutine_threadsafe(self.heard(), self._loop).result()

    async def over(self, outcome: Outcome) -> None:
        """The code has ended so: what it said is written before that is, and what it was done with is gone.

        Of a job that has completed, messages stay: should that not come to be written, the next attempt is to get the last one, too.
        """
        if (
            self._collectors is not None
            and self._inbox is not None
            and not isinstance(outcome, Completed)
        ):
            if isinstance(outcome, Snoozed):
                self._inbox.end()
            await self._collectors.deliveries.settled(self._inbox)
        await self.heard()

    def move(self) -> None:
        """The code is to end: a thread that waits for a message is to look."""
        if self._inbox is not None:
            self._inbox.move()

    def close(self) -> None:
        """Nothing more is said, or heard, by this attempt."""
        self.voice.close()
        if self._inbox is not None:
            if self._collectors is not None:
                self._collectors.deliveries.forget(self._inbox)
            self._inbox.close()


class _Nobody:
    def looks(self, inbox: Inbox) -> None:
        """There is nobody to look."""


NOBODY = _Nobody()


def _nobody(_voice: Voice) -> None:
    """Hears it."""
