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


class Inbox:
    """Of the attempt that runs here. A message may come when nobody waits any more; it is the next one's then."""

    def __init__(self, send: Callable[[Answer], None]) -> None:
        self._send = send
        self._arrived: deque[Message] = deque()
        self._asked = False
        """Whether the worker is to send another."""
        self._came = threading.Condition()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        message = await self.get()
        if message is None:  # without a time there is none
            raise StopAsyncIteration
        return message

    async def get(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None once `timeout` has passed without one."""
        seconds = None if timeout is None else duration(timeout, what="timeout").total_seconds()
        came = asyncio.Event()
        with self._came:
            self._ask()
            self._waiting = asyncio.get_running_loop(), came
            if self._arrived:
                came.set()
        try:
            async with asyncio.timeout(seconds):
                await came.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting = None
        return self._taken()

    def get_now(self, timeout: Duration | None = None) -> Message | None:
        """As `get`, for a `def` job: it waits, and ends where the job is to end."""
        if running_loop() is not None:
            raise UsageError(
                "ctx.inbox.get_now: expected a thread of its own, got the loop's; write await ctx.inbox.get()"
            )
        seconds = None if timeout is None else duration(timeout, what="timeout").total_seconds()
        latest = None if seconds is None else time.monotonic() + seconds
        with self._came:
            self._ask()
            while not self._arrived:
                left = None if latest is None else latest - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._came.wait(left)
        return self._taken()

    def came(self, message: Message) -> None:
        """The worker has sent it; on the thread that reads."""
        with self._came:
            self._asked = False
            self._arrived.append(message)
            self._came.notify_all()
            if self._waiting is not None:
                loop, came = self._waiting
                loop.call_soon_threadsafe(came.set)

    def _ask(self) -> None:
        if not (self._asked or self._arrived):
            self._asked = True
            self._send(Answer(asks=True))

    def _taken(self) -> Message | None:
        with self._came:
            return self._arrived.popleft() if self._arrived else None
