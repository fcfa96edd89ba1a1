"""What is said to a job in a child, as its code reads it: each message is asked for, and whoever asks is done with the one before."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from pillars.durations import Duration, duration
from pillars.errors import UsageError
from pillars.jobs.crossing import running_loop
from pillars.jobs.inbox import Message
from pillars.worker.children.protocol import Answer

PATIENCE = 1.0  # seconds more than the worker has, for its answer


class Inbox:
    """Of the attempt that runs here. The worker waits, for as long as it was told, and always answers: with a message, or that there is none."""

    def __init__(self, send: Callable[[Answer], None]) -> None:
        self._send = send
        self._answers: deque[Message | None] = deque()
        """What has come, and was not taken: of one who does not wait any more."""
        self._asked = False
        self._came = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        message = await self.get()
        if message is None:  # without a time there is none
            raise StopAsyncIteration
        return message

    @property
    def unread(self) -> bool:
        """Whether a message has come that the code has not seen."""
        with self._came:
            return any(one is not None for one in self._answers)

    async def get(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None once `timeout` has passed without one. With 0 it looks, and does not wait."""
        seconds, came = _seconds(timeout), asyncio.Event()
        waiting = asyncio.get_running_loop(), came
        latest = None if seconds is None else time.monotonic() + seconds + PATIENCE
        with self._came:
            self._waiting.append(waiting)
        try:
            while not (taken := self._next(seconds)):
                left = None if latest is None else latest - time.monotonic()
                async with asyncio.timeout(left):
                    await came.wait()
                came.clear()
        except TimeoutError:
            return None
        finally:
            self._waiting.remove(waiting)
        return taken[0]

    def get_now(self, timeout: Duration | None = None) -> Message | None:
        """As `get`, for a `def` job: it waits, and ends where the job is to end."""
        if running_loop() is not None:
            raise UsageError(
                "ctx.inbox.get_now: expected a thread of its own, got the loop's; write await ctx.inbox.get()"
            )
        seconds = _seconds(timeout)
        latest = None if seconds is None else time.monotonic() + seconds + PATIENCE
        with self._came:
            while not (taken := self._next(seconds)):
                left = None if latest is None else latest - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._came.wait(left)
        return taken[0]

    def came(self, message: Message | None) -> None:
        """The worker's answer; on the thread that reads."""
        with self._came:
            self._asked = False
            self._answers.append(message)
            self._came.notify_all()
            for loop, came in self._waiting:
                loop.call_soon_threadsafe(came.set)

    def _next(self, seconds: float | None) -> list[Message | None]:
        """The answer that has come, if one has; else the worker is asked, who may be at it already."""
        with self._came:
            if self._answers:
                return [self._answers.popleft()]
            if not self._asked:
                self._asked = True
                self._send(Answer(asks=True, within=seconds))
            return []


def _seconds(timeout: Duration | None) -> float | None:
    return None if timeout is None else duration(timeout, what="timeout").total_seconds()
