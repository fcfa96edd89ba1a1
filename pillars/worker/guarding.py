"""Watching this very process: a loop that does not turn, locks no longer trusted, slots that never come free.

A worker that can no longer say what it does must not go on doing it: another one will be given its jobs. So it ends itself, with 75.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import FrameType
from typing import Any

from pillars import log
from pillars.service.process import FENCED, Process
from pillars.service.running import leave
from pillars.worker.attempts import Attempt
from pillars.worker.children.memory import resident
from pillars.worker.holdings import Holdings, JobKey, counted_clock

BLOCKED = 1.0  # seconds without a turn of the loop that are worth a warning
LAST_FRAMES = 12


class Guard:
    """Called from the heartbeat's thread every half second, with a short lock more often."""

    def __init__(
        self,
        process: Process,
        holdings: Holdings,
        attempts: Callable[[], Sequence[Attempt]],
        *,
        slots: int,
        on_distrusted: Callable[[Sequence[int]], None],
        on_full: Callable[[int], None] = lambda _size: None,
        end: Callable[[int], None] = leave,
    ) -> None:
        self._process = process
        self._holdings = holdings
        self._attempts = attempts
        self._slots = slots
        self._on_distrusted = on_distrusted
        self._on_full = on_full
        """Told once, with the bytes that this process has, when it has more than it may."""
        self._full = False
        self._end = end
        self._main = asyncio.get_running_loop()
        self._main_thread = threading.get_ident()
        self._turned_at = time.monotonic()
        self._asked = False
        self._warned = False
        self._stuck = False
        self._told: set[JobKey] = set()

    def worth_a_beat(self) -> bool:
        """Whether this process may go on holding its locks."""
        return not self._stuck

    def watch_once(self) -> None:
        """Look at everything once; may end the process."""
        blocked = self._blocked_for()
        self._warn(blocked)
        self._tell_overdue()
        if self._is_stuck(blocked):
            self.fence("the loop has not turned for too long", blocked_s=round(blocked, 1))
        elif self._all_overdue():
            self.fence("every slot is past its deadline")
        self._check_memory()
        self._check_trust()

    def _blocked_for(self) -> float:
        """Seconds since the loop was asked for a turn that it has not taken yet."""
        if self._asked:
            return time.monotonic() - self._turned_at
        self._asked, self._turned_at = True, time.monotonic()
        self._main.call_soon_threadsafe(self._turned)
        return 0.0

    def _turned(self) -> None:
        if self._warned:
            log.get("pillars.worker").info(
                log.Event.LOOP_TURNED, blocked_ms=round((time.monotonic() - self._turned_at) * 1000)
            )
        self._asked = self._warned = False

    def _warn(self, blocked: float) -> None:
        if blocked <= BLOCKED or self._warned:
            return
        self._warned = True
        self._process.tally.blocked += 1
        frame = self._main_frame()
        attempt = _attempt_on(frame)
        log.get("pillars.worker").warning(
            log.Event.LOOP_BLOCKED,
            blocked_ms=round(blocked * 1000),
            job_name=attempt.claimed.name if attempt else None,
            job_id=str(attempt.claimed.job_id) if attempt else None,
            stack="".join(traceback.format_stack(frame)[-LAST_FRAMES:]) if frame else None,
        )

    def _is_stuck(self, blocked: float) -> bool:
        """Whether the job that holds the loop has held it for far longer than it was given."""
        settings = self._process.settings
        if blocked <= settings.loop_stuck.total_seconds():
            return False
        attempt = _attempt_on(self._main_frame())
        if attempt is None or attempt.deadline_at is None:
            return blocked > settings.loop_stuck_without_deadline.total_seconds()
        overdue = attempt.overdue_by(time.monotonic())
        return overdue is not None and overdue > settings.loop_stuck.total_seconds()

    def _main_frame(self) -> FrameType | None:
        return sys._current_frames().get(self._main_thread)  # noqa: SLF001 - its documented use

    def _running(self) -> list[Attempt]:
        """Those whose code has not ended."""
        return [one for one in self._attempts() if one.outcome is None]

    def _overdue(self, limit: timedelta) -> list[Attempt]:
        """The attempts whose code runs on although their deadline passed longer ago than `limit`."""
        now = time.monotonic()
        seconds = limit.total_seconds()
        return [one for one in self._running() if (one.overdue_by(now) or 0.0) > seconds]

    def _should_have_ended(self) -> list[Attempt]:
        """The attempts whose code runs on although it was stopped, or its deadline has passed, long enough ago to have cleaned up."""
        settings = self._process.settings
        latest = time.monotonic() - settings.grace.total_seconds()
        stopped = [one for one in self._running() if one.stopped_at and one.stopped_at < latest]
        return [*self._overdue(settings.fence_grace), *stopped]

    def _tell_overdue(self) -> None:
        """A line for each attempt that its deadline, or whoever wanted its end, has not ended: a thread, or code that swallows its cancellation."""
        overdue = {one.key: one for one in self._should_have_ended()}
        for key in overdue.keys() - self._told:
            claimed = overdue[key].claimed
            log.get("pillars.worker").warning(
                log.Event.JOB_OVERDUE,
                job_id=str(claimed.job_id),
                job_name=claimed.name,
                queue=claimed.queue,
                attempt=claimed.attempt,
                hint="it keeps its slot and its lock until its code ends",
            )
        self._told = set(overdue)

    def _all_overdue(self) -> bool:
        """Whether every slot is held by code that should have ended long ago."""
        return len(self._overdue(self._process.settings.loop_stuck)) >= self._slots

    def _check_memory(self) -> None:
        most = self._process.settings.max_memory
        if most is None or self._full:
            return
        size = resident()
        if size > most:
            self._full = True
            self._main.call_soon_threadsafe(self._on_full, size)

    def _check_trust(self) -> None:
        now = counted_clock()
        distrusted = self._holdings.distrusted(now)
        if not distrusted:
            return
        self._main.call_soon_threadsafe(self._on_distrusted, distrusted)
        grace = self._process.settings.fence_grace.total_seconds()
        if self._holdings.distrusted(now, grace=grace):
            self.fence("jobs still run although their locks can no longer be trusted")

    def fence(self, why: str, **facts: object) -> None:
        """End the process: others will be given its jobs."""
        self._stuck = True
        log.get("pillars.worker").critical(log.Event.WORKER_FENCED, why=why, **facts)
        self._end(FENCED)


def _attempt_on(frame: FrameType | None) -> Attempt | None:
    """The attempt whose code is on a stack."""
    while frame is not None:
        owner: Any = frame.f_locals.get("self") if frame.f_code is Attempt.run.__code__ else None
        if isinstance(owner, Attempt):
            return owner
        frame = frame.f_back
    return None
