"""An answer that goes on: what a stream tells, as it comes, until the job ends or the reader goes."""

from collections.abc import Callable
from datetime import UTC, datetime

import anyio
from starlette.types import Message, Receive, Scope, Send

from pillars.errors import DatabaseTrouble
from pillars.jobs.stream_tokens import Grant
from pillars.store.streams import Stream
from pillars.store.streams.items import ENDED
from pillars.web.streams import frames

MEDIA = "text/event-stream"
HEADERS = [
    (b"content-type", MEDIA.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold back some KB
    (b"x-content-type-options", b"nosniff"),
]
KEEP_ALIVE = 15.0  # seconds; proxies cut what is silent for 30 to 60
STALLED = 30.0  # seconds in which a reader takes nothing: it has gone without a word
LAST_WORDS = 0.5  # seconds for them once the process stops
SLOW = "read too slowly: what waits is bounded; come back with Last-Event-ID, nothing is lost"
EXPIRED = "the stream token has expired; ask for another, and come back with Last-Event-ID"


class EventStream:
    """Tells an opened stream to one reader. `grant` is the token that lets it in, if one did; `stopping`: the process ends."""

    def __init__(
        self,
        stream: Stream,
        *,
        reset: str | None,
        grant: Grant | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._stream = stream
        self._reset = reset
        self._grant = grant
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_left, receive, group.cancel_scope)
            await self._tell(send)
            group.cancel_scope.cancel()

    async def _until_left(self, receive: Receive, telling: anyio.CancelScope) -> None:
        """At a disconnect the subscription is free at once; at a shutdown the reader hears that there is no more."""
        message: Message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
        if self._stopping():
            self._stream.stop()
            await anyio.sleep(LAST_WORDS)
        telling.cancel()

    async def _tell(self, send: Send) -> None:
        if not await _sent(send, self._opening()):
            return
        within, told = 0.0, True
        while told and not (last := self._last_words()):
            try:
                items = await self._stream.more(within)
            except DatabaseTrouble:  # of its past alone; who comes back finds out how it is
                last = frames.CLOSING
                break
            chunk = b"".join(map(frames.of, items))
            if not items and not (self._stream.behind or self._stream.over):
                # All that there was is told: from here on a reader that comes back has missed nothing before this.
                chunk = self._caught_up() if within == 0.0 else self._kept_alive()
                within = KEEP_ALIVE
            told = not chunk or await _sent(send, chunk)
            within = min(within, self._left())
        if told:
            await _sent(send, last, more=False)

    def _opening(self) -> bytes:
        """Why it does not begin where it was asked to, and how the jobs stand that go on."""
        stream = self._stream
        parts = [frames.RETRY]
        if reason := self._reset or stream.reset:
            parts.append(frames.event("reset", {"reason": reason}))
        parts += map(frames.cut, stream.left_out)
        parts += [frames.state(one) for one in stream.standings if one.state not in ENDED]
        return b"".join(parts)

    def _last_words(self) -> bytes:
        """What ends it; nothing where it goes on."""
        if self._stream.ended:
            return frames.end(self._stream.position or 0)
        if self._stream.behind:
            return frames.event("slow", {"reason": SLOW})
        if self._stream.over:
            return frames.CLOSING
        if self._grant is not None and self._grant.expired:
            return frames.event("expired", {"reason": EXPIRED})
        return b""

    def _caught_up(self) -> bytes:
        return frames.place(self._stream.position or 0)

    def _kept_alive(self) -> bytes:
        return frames.KEEP_ALIVE + self._caught_up()

    def _left(self) -> float:
        """Seconds that the token lasts."""
        if self._grant is None:
            return KEEP_ALIVE
        left = (self._grant.expires_at - datetime.now(UTC)).total_seconds()
        return max(0.01, left)


async def _sent(send: Send, chunk: bytes, *, more: bool = True) -> bool:
    """Whether the reader takes it; the server waits where some 64 KB are on their way."""
    with anyio.move_on_after(STALLED):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})
        return True
    return False
