"""One job in a child: what the child is given, what it says, how that ends."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import anyio
from msgspec import UNSET, DecodeError, Raw, ValidationError

from pillars import log, sizes
from pillars.codec import to_json
from pillars.errors import LockLost
from pillars.jobs.children import Child
from pillars.settings.redaction import masked, secrets_in
from pillars.worker.attempts import Attempt
from pillars.worker.children import memory
from pillars.worker.children.lines import shown
from pillars.worker.children.process import ChildProcess
from pillars.worker.children.protocol import Answer, Line, Told, order_line, read_answer
from pillars.worker.children.telling import LAST_LINES, told_of_end
from pillars.worker.judging import Raised
from pillars.worker.outcomes import Completed
from pillars.worker.voice import MOST_BYTES, MOST_LINES

ALIKE = 0.5  # seconds between the same signal's coming to two processes
ROUNDING = 0.05  # seconds; a timer may ring early
MOST_OF_A_RESULT = 5_000_000  # bytes, as of any result
REST_LEFT_OUT = f"… it has printed more than {MOST_LINES:,} lines or {MOST_BYTES // 1_000_000} MB: the rest is left out"


class Ear(Protocol):
    """Who hears what a job in a child says."""

    @property
    def full(self) -> bool: ...
    def printed(self, stream: str, line: str) -> None: ...
    def printed_too_much(self, stream: str, remark: str) -> None: ...
    def said(self, answer: Answer) -> None: ...


class Performance:
    """An attempt while a child runs it. What the attempt's task is cancelled for is passed on: first as SIGTERM, then as SIGKILL."""

    def __init__(
        self,
        attempt: Attempt,
        process: ChildProcess,
        ear: Ear,
        *,
        setup: Child,
        stopping: anyio.Event,
    ) -> None:
        self._attempt = attempt
        self._process = process
        self._ear = ear
        self._child = setup
        self._command = attempt.job.command
        self._over: asyncio.Future[Answer | int] = asyncio.get_running_loop().create_future()
        """How the job ended, as its process told; or the exit code of one that did not."""
        self._result: Raw | None = None
        self._stderr: deque[str] = deque(maxlen=LAST_LINES)
        self._killed_before = memory.kills()
        self._stopping = stopping
        self._told_at: float | None = None
        """When it was first told to end."""
        self._misheard = False
        self._answers: set[asyncio.Task[None]] = set()
        """To what the child waits for."""
        self._hushed = False
        """Whether it has printed more than anybody reads."""
        self._printed = 0
        self._printed_bytes = 0

    @property
    def may_serve_again(self) -> bool:
        """Whether its process waits for another job."""
        if not self._over.done() or self._told_at or self._process.gone.is_set():
            return False
        end = self._over.result()
        return isinstance(end, Answer) and end.again

    async def run(self, order: bytes) -> Completed | Raised:
        """Have the job run to its end. Raises `CancelledError` where it was told to end, and has."""
        process = self._process
        process.listening = self
        process.jobs += 1
        process.order(order)
        self._attempt.rest.hold(self)
        try:
            cancelled = await self._until_over()
            if cancelled is None and self._was_terminated() and await self._all_are_to_end():
                return Raised("", wish="release")
        finally:
            self._attempt.rest.let_go()
            for task in list(self._answers):
                task.cancel()
            process.unhush()
            process.end_lines()
            process.listening = None
            process.unhush()  # those lines may have been too many again
        return self._verdict(cancelled)

    async def _until_over(self) -> asyncio.CancelledError | None:
        cancelled: asyncio.CancelledError | None = None
        while not self._over.done():
            try:
                await asyncio.wait([self._over])
            except asyncio.CancelledError as error:
                cancelled = error
                self._tell_to_end()
        return cancelled

    def _tell_to_end(self) -> None:
        """By SIGTERM, and by SIGKILL once it has had its time; another reason meanwhile gives it neither less nor more."""
        now = time.monotonic()
        if self._told_at is None:
            self._told_at = now
            self._process.signal(signal.SIGTERM)
            self._process.signal(signal.SIGCONT)  # one that is held heeds nothing else
        elif now - self._told_at >= self._attempt.patience() - ROUNDING:
            self._process.signal(signal.SIGKILL)

    def _was_terminated(self) -> bool:
        """Whether it has ended by SIGTERM."""
        end = self._over.result()
        return end.stopped if isinstance(end, Answer) else end == -signal.SIGTERM

    async def _all_are_to_end(self) -> bool:
        """Whether the worker was told to end as well: platforms signal every process of a machine, and ours may have heard it first."""
        with anyio.move_on_after(ALIKE):
            await self._stopping.wait()
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let it rest: all of its group, at once."""
        self._process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.signal(signal.SIGKILL)

    def answered(self, line: bytes) -> None:
        try:
            answer = read_answer(line)
        except (DecodeError, ValidationError, RecursionError) as error:
            self._mishear(str(error))
            return
        if answer.result is not UNSET:
            self._result = answer.result
        if answer.unread:
            self._attempt.exchange.inbox.take_back()
        if answer.over:
            self._process.drain()  # what it printed before
            self._end(answer)
        elif answer.waits:
            self._answering(self._say_when_heard())
        elif answer.asks:
            self._answering(self._deliver(answer.within))
        else:
            self._hear(answer)

    def _hear(self, answer: Answer) -> None:
        try:
            self._ear.said(answer)
        except Exception as error:  # noqa: BLE001 - what a program says ends nothing of ours
            self._mishear(f"{type(error).__name__}: {error}")

    def _answering(self, answer: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _deliver(self, within: float | None) -> None:
        """Give it the next message, or say that there is none."""
        with suppress(LockLost):  # its process is being ended
            found = await self._attempt.exchange.inbox.get(within)
            if found is None:
                self._process.order(order_line(Line(nothing=True)))
                return
            data = Raw(to_json(found.data))
            told = Told(data, found.sent_at.isoformat(), found.sent_by)
            self._process.order(order_line(Line(message=told)))

    async def _say_when_heard(self) -> None:
        await self._attempt.exchange.heard()
        self._process.order(order_line(Line(heard=True)))

    @property
    def full(self) -> bool:
        return self._ear.full

    def printed(self, stream: str, line: bytes, left_out: int) -> None:
        text = shown(line, left_out, ansi=self._child.ansi == "keep")
        if stream == "stderr":
            self._stderr.append(text)
        self._printed += 1
        self._printed_bytes += len(line)
        if self._printed > MOST_LINES or self._printed_bytes > MOST_BYTES:
            self._process.hush()
            if not self._hushed:
                self._hushed = True
                self._ear.printed_too_much(stream, REST_LEFT_OUT)
        else:
            self._ear.printed(stream, text)

    def ended(self, code: int) -> None:
        self._end(code)

    def _end(self, how: Answer | int) -> None:
        if not self._over.done():
            self._over.set_result(how)

    def _mishear(self, error: str) -> None:
        if not self._misheard:
            self._misheard = True
            claimed = self._attempt.claimed
            log.get("pillars.worker").warning(
                log.Event.CHILD_UNREADABLE,
                job_id=str(claimed.job_id), job_name=claimed.name, attempt=claimed.attempt, error=error,
            )  # fmt: skip

    def _verdict(self, cancelled: asyncio.CancelledError | None) -> Completed | Raised:
        end = self._over.result()
        if isinstance(end, Answer):
            return self._as_told(end, cancelled)
        # A program that was told to end, and does so in peace, has not done its work; unless it says so.
        ended_well = end == 0 and self._command is not None
        if ended_well and (cancelled is None or self._result is not None):
            return self._completed(self._result)
        if cancelled is not None:
            raise cancelled
        return told_of_end(
            end, list(self._stderr), child=self._child, command=self._command,
            killed_for_memory=memory.kills() > self._killed_before, hide=self._hide(),
        )  # fmt: skip

    def _as_told(
        self, last: Answer, cancelled: asyncio.CancelledError | None
    ) -> Completed | Raised:
        if last.inside:
            self._attempt.completed_inside = True
        if last.raised is not None:
            return self._named(last.raised)
        if not last.stopped:
            return self._completed(self._result)
        if cancelled is not None:
            raise cancelled
        return Raised("its process was told to end by somebody else than its worker")

    def _completed(self, result: Raw | None) -> Completed | Raised:
        text = None if result is None else bytes(result)
        if text is None or text == b"null":
            return Completed(None)
        if len(text) > MOST_OF_A_RESULT:
            return Raised(
                f"result: expected at most {MOST_OF_A_RESULT:,} bytes, got {len(text):,}; store the bulk elsewhere and return a reference"
            )
        return Completed(text.decode())

    def _named(self, raised: Raised) -> Raised:
        """Where memory has run out, by how much it may have."""
        if self._child.bytes and raised.error.startswith("MemoryError"):
            return Raised(
                f"{raised.error}: out of memory, of which it may have {sizes.shown(self._child.bytes)}",
                raised.traceback, raised.wish, raised.wait,
            )  # fmt: skip
        return raised

    def _hide(self) -> Callable[[str], str]:
        return partial(masked, also=secrets_in(self._attempt.claimed.payload))


def arguments_of(attempt: Attempt) -> dict[str, Any]:
    """Of a program, as its words take them; raises as any attempt whose payload does not fit."""
    return attempt.job.payload_codec.decode(attempt.claimed.payload)
