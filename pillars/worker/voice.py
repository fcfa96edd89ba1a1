"""The voice of one attempt: what its code says, held until the worker's next write."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pillars.errors import LockLost, UsageError
from pillars.jobs.saying import Counted
from pillars.store.job_events import Said
from pillars.store.rows import Claimed
from pillars.worker.lines import Hide, how_far, logged, printed, remark, spoken
from pillars.worker.metadata import Metadata

# Between two writes, a tenth of a second apart: what is more is a flood, and nobody reads it.
MOST_BUFFERED = 1_000  # lines
BUFFER = 1_048_576  # bytes
# Of an attempt: a job that says more writes a file, and its partition would be all its own.
MOST_LINES = 10_000
MOST_BYTES = 10_485_760  # of lines, and as much of outputs
MOST_OUTPUTS = 10_000
OFTEN = 600  # progress and metadata are written ten times a second for a minute; then
SELDOM = 1.0  # seconds between two of them: a job of a day writes no million rows
LEFT_OUT, CUT = "left out", "cut"


class Voice:
    """Takes what is said on whichever thread, at once; `take` hands over what has gathered.

    Of progress and metadata only the newest counts. Lines are left out, and counted, where they come too thick; outputs are not.
    """

    __slots__ = (
        "_buffered", "_bytes", "_changed", "_closed", "_counted", "_cut", "_guard", "_hide", "_left_out", "_lines",
        "_metadata", "_on_speech", "_output_bytes", "_outputs", "_queued", "_said", "_said_progress", "_seldom_until",
        "_told", "attempt", "in_flight", "job_id", "lock_token", "name",
    )  # fmt: skip

    def __init__(
        self, claimed: Claimed, on_speech: Callable[["Voice"], None], *, hide: Hide
    ) -> None:
        self.job_id: UUID = claimed.job_id
        self.lock_token = claimed.lock_token
        self.name = claimed.name
        self.attempt = claimed.attempt
        self._on_speech = on_speech
        self._hide = hide
        self._guard = threading.Lock()
        self._closed = False
        self._queued = False
        """Whether the collector knows that there is something to take."""
        self.in_flight = 0
        """Rows that were taken and are not yet written."""
        self._lines: list[tuple[str, bytes]] = []
        """Kinds and bodies, in their order."""
        self._buffered = self._left_out = 0
        self._said = self._bytes = self._outputs = self._output_bytes = 0
        self._cut = False
        self._counted: Counted | None = None
        """What the newest progress is read from, when it is written."""
        self._said_progress: tuple[float, float | None, str | None] | None = None
        self._metadata: Metadata | None = None
        self._changed = False
        self._told = 0
        """How often progress and metadata were written."""
        self._seldom_until = 0.0

    # --- what the job's code says ---

    @property
    def metadata(self) -> Metadata:
        if self._metadata is None:
            with self._guard:
                self._metadata = self._metadata or Metadata(self._metadata_changed)
        return self._metadata

    def watch(self, counted: Counted) -> None:
        """From here on this says how far the job is."""
        self._counted = counted
        if not self._queued:
            self._speak()

    def emit(self, name: str, data: bytes) -> None:
        """Say an output. Raises `UsageError` for one too many, and `LockLost` where nothing of this attempt is written any more."""
        body = spoken(name, data)
        with self._guard:
            if self._closed:
                raise LockLost(
                    f"job {self.job_id} is no longer held by this attempt; nothing was written"
                )
            if self._outputs >= MOST_OUTPUTS or self._output_bytes + len(body) > MOST_BYTES:
                raise UsageError(
                    f"ctx.emit: expected at most {MOST_OUTPUTS:,} outputs and {MOST_BYTES:,} bytes of an attempt, this one is beyond; "
                    "say several things in one, or store them elsewhere"
                )
            self._outputs += 1
            self._output_bytes += len(body)
            self._lines.append(("output", body))
        self._speak()

    def log(self, level: str, event: object, fields: Mapping[str, Any]) -> None:
        """Say a line of `ctx.log`."""
        self._line(lambda: logged(level, event, fields, self._hide))

    def say_line(self, stream: str, line: str) -> None:
        """Say a line that was written to a stream of a child's."""
        self._line(lambda: printed(stream, line, self._hide))

    def say_surely(self, stream: str, remark: str) -> None:
        """Say a line that is not left out, however much was said: a source has one of them."""
        written = printed(stream, remark, self._hide)
        with self._guard:
            if not self._closed:
                self._lines.append(("log", written))
        self._speak()

    def _line(self, body: Callable[[], bytes]) -> None:
        if self._is_full():
            self._leave_out()
            return
        written = body()  # the dear part, before the lock
        with self._guard:
            if self._closed or self._cut:
                return
            if self._buffered + len(written) > BUFFER or len(self._lines) >= MOST_BUFFERED:
                self._left_out += 1
            else:
                self._lines.append(("log", written))
                self._buffered += len(written)
                self._said += 1
                self._bytes += len(written)
        self._speak()

    def _is_full(self) -> bool:
        """Whether the next line is to be left out, as far as that is known without it."""
        if self._said >= MOST_LINES or self._bytes >= MOST_BYTES:
            with self._guard:
                if not self._cut:
                    self._cut = True
                    self._lines.append(("log", remark("warning", CUT, lines=self._said)))
        return self._closed or self._cut or len(self._lines) >= MOST_BUFFERED

    def _leave_out(self) -> None:
        if not (self._closed or self._cut):
            with self._guard:
                self._left_out += 1
        self._speak()

    def _metadata_changed(self) -> None:
        self._changed = True
        self._speak()

    def _speak(self) -> None:
        if not (self._queued or self._closed):
            self._queued = True
            self._on_speech(self)

    # --- what the worker does ---

    @property
    def full(self) -> bool:
        """Whether so much has gathered that a source which can wait had better do so."""
        return not self._cut and len(self._lines) >= MOST_BUFFERED // 2

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unheard(self) -> bool:
        """Whether something that was said is not yet written."""
        return not self._closed and (self.in_flight > 0 or self._has_more())

    def _has_more(self) -> bool:
        news = self._changed or self._progress() is not None
        return bool(self._lines or self._left_out or news)

    def stays(self) -> bool:
        """Whether there is more than was taken: then the collector has it again."""
        self._queued = self._queued or (not self._closed and self._has_more())
        return self._queued

    def close(self) -> int:
        """Let nothing more of it be written; returns how many rows are dropped, progress and metadata among them."""
        with self._guard:
            news = self._changed + (self._progress() is not None)
            dropped = self.in_flight + len(self._lines) + self._left_out + news
            self._closed, self._lines, self._left_out = True, [], 0
        return dropped

    def take(self, rows: int, size: int, *, all_of_it: bool = False) -> list[Said]:
        """What has gathered, in its order, up to so many rows and bytes, and one row at least; with `all_of_it` progress is not held back."""
        self._queued = False  # first: who speaks from here on is heard by the next turn
        with self._guard:
            bodies = self._taken_lines(rows, size)
            if self._left_out and not self._lines:
                left_out, self._left_out = self._left_out, 0
                bodies.append(("log", remark("warning", LEFT_OUT, lines=left_out)))
        if all_of_it or self._told < OFTEN or time.monotonic() >= self._seldom_until:
            bodies += self._taken_news()
        self.in_flight = len(bodies)
        return [
            Said(self.job_id, self.lock_token, self.attempt, kind, body.decode())
            for kind, body in bodies
        ]

    def _taken_lines(self, rows: int, size: int) -> list[tuple[str, bytes]]:
        taken = total = 0
        for _, body in self._lines[:rows]:
            total += len(body)
            if taken and total > size:
                break
            taken += 1
        bodies, self._lines = self._lines[:taken], self._lines[taken:]
        self._buffered = sum(len(body) for kind, body in self._lines if kind == "log")
        return bodies

    def _taken_news(self) -> list[tuple[str, bytes]]:
        bodies: list[tuple[str, bytes]] = []
        if self._changed and self._metadata is not None:
            self._changed = False
            bodies.append(("metadata", self._metadata.body().encode()))
        newest = self._progress()
        if newest is not None:
            self._said_progress = newest
            bodies.append(("progress", how_far(*newest, self._hide)))
        if bodies:
            self._told += 1
            self._seldom_until = time.monotonic() + SELDOM
        return bodies

    def _progress(self) -> tuple[float, float | None, str | None] | None:
        """How far it is, where that is not what was written last."""
        counted = self._counted
        if counted is None:
            return None
        newest = (counted.done, counted.total, counted.message)
        return None if newest == self._said_progress else newest
