"""A child of ours, from within: `python -m pillars.worker.children.inside` runs Python functions for its worker, one after another.

Each on the main thread, where signals arrive: SIGTERM ends a function by `CancelledError`, wherever it is.
"""

import asyncio
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from contextvars import copy_context
from datetime import datetime
from functools import partial
from types import FrameType
from typing import IO, Any, cast
from uuid import UUID

from msgspec import UNSET, Raw

from pillars import log, registry
from pillars.codec import from_json
from pillars.jobs.connected import provided, using
from pillars.jobs.context import Context
from pillars.jobs.definition import Job
from pillars.jobs.inbox import Message
from pillars.settings import Settings, load, redaction
from pillars.settings.redaction import masked, secrets_in
from pillars.store.database import Database
from pillars.store.row_security import Convention
from pillars.worker.children.inbox import Inbox
from pillars.worker.children.launch import FROM_WORKER, TO_WORKER
from pillars.worker.children.memory import resident
from pillars.worker.children.protocol import Answer, Line, Order, answer_line, read_order
from pillars.worker.children.speaking import Speech
from pillars.worker.completing import Completer
from pillars.worker.judging import Raised, judged

GROWTH = 256_000_000  # bytes that a process may have grown since its first job, until it is not used again
FAREWELL = 1.0  # seconds for what enqueues have to tell yet


class Answers:
    """Lines to the worker, whole ones, whichever thread they come from. Also where the log of this process goes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.RLock()
        self._writes: int | None = None
        """The thread that is within a line."""
        self._end: BaseException | None = None

    def send(self, answer: Answer) -> None:
        self._put(answer_line(answer))

    def write(self, line: str) -> None:
        """A line of the log, as JSON."""
        if line.strip():
            self._put(b'{"log":' + line.strip().encode("utf-8", "backslashreplace") + b"}")

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def _put(self, line: bytes) -> None:
        """Whole, though a signal comes: what that is to raise waits until then."""
        left = memoryview(line + b"\n")
        with self._lock:
            self._writes = threading.get_ident()
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._writes = None
        if self._end is not None and threading.current_thread() is threading.main_thread():
            end, self._end = self._end, None
            raise end

    def put_off(self, end: BaseException) -> bool:
        """Whether the main thread is within a line, and will raise this behind it."""
        if self._writes != threading.main_thread().ident:
            return False
        self._end = end
        return True


class Attempted:
    """The attempt that runs here, as `ctx` and `ctx.complete` know it."""

    def __init__(self, order: Order, job: Job[..., Any], send: Callable[[Answer], None]) -> None:
        left = None if order.metadata is UNSET else order.metadata
        self._send = send
        self.voice = Speech(self._say, left, order.metadata_trouble)
        self.inbox = Inbox(self._say)
        self.log = log.get(order.name).bind(
            job_id=order.job_id, job_name=order.name, attempt=order.attempt
        )
        self.job = job
        self.key = (UUID(order.job_id), order.lock_token or 0)
        self.completed_inside = False
        self.must_end = False

    def _say(self, answer: Answer) -> None:
        self._send(answer)

    def close(self) -> None:
        """It is over: what it has left behind speaks for nobody."""
        self._send = _to_nobody

    @property
    def exchange(self) -> "Attempted":
        return self

    @property
    def exchanged(self) -> "Attempted":
        return self

    async def heard(self) -> None:
        """All that was said so far is written, or will not be."""
        await asyncio.to_thread(self.voice.wait)

    def heard_now(self) -> None:
        self.voice.wait()

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)
        self.checkpoint_now()

    def checkpoint_now(self) -> None:
        if self.must_end:
            raise asyncio.CancelledError("its end was asked for")


class Loop:
    """The loop of another thread, on which a `def` function's enqueues are done. Started when one is run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="pillars-loop", daemon=True)
        opened = threading.Event()
        self._loop.call_soon(database.open)
        self._loop.call_soon(opened.set)
        self._thread.start()
        opened.wait()

    def _run(self) -> None:
        self._loop.run_forever()

    def settle(self) -> None:
        """Have done what is under way."""
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._database.wakeups.close(), self._loop).result(
                FAREWELL
            )


class Inside:
    """The process: its registry, its databases, its loops."""

    def __init__(self, settings: Settings, answers: Answers) -> None:
        self._settings = settings
        self._answers = answers
        web = settings.web.partition(":")[0] if settings.web else None
        self._known = registry.load(
            project=settings.project, jobs=settings.jobs, crons=settings.crons, leave=web
        ).known
        self._runner = asyncio.Runner()
        self._held = AsyncExitStack()
        self._own = self._database()
        self._of_threads = self._database()
        self._beside: Loop | None = None
        self._speaking: Attempted | None = None
        self._context = copy_context()
        """Of no job; each gets a copy, so none sees what another has set."""
        self._left = False
        """Whether a job has left a task behind."""
        self._threads = _own_threads()
        self._size = 0
        """After the first job."""

    def told(self, line: Line) -> None:
        """A word of the worker's to the job that runs; on the thread that reads."""
        if self._speaking is None:
            return
        if line.heard:
            self._speaking.voice.heard()
        if line.nothing:
            self._speaking.inbox.came(None)
        if line.message is not None:
            told = line.message
            sent_at = datetime.fromisoformat(told.sent_at)
            self._speaking.inbox.came(Message(from_json(bytes(told.data)), told.sent_by, sent_at))

    def serve(self, orders: "queue.SimpleQueue[Order | None]") -> None:
        """Run jobs until no more come."""
        while (order := orders.get()) is not None:
            self._answers.send(self._done(order))
        with suppress(Exception):
            self._runner.run(self._held.aclose())

    def _database(self) -> Database:
        settings = self._settings
        return Database(
            settings.database_url or "",
            direct_url=settings.database_direct_url,
            size=settings.pool,
            role="child",
            convention=Convention.of(settings),
        )

    def _done(self, order: Order) -> Answer:
        """Run a job; how it has ended."""
        answer = self._attempted(order)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        return answer

    def _attempted(self, order: Order) -> Answer:
        job = self._known.get(order.name)
        if job is None:
            said = f"its process does not know the job {order.name}: is the same code there?"
            return Answer(over=True, raised=Raised(said))
        attempted = self._speaking = Attempted(order, job, self._answers.send)
        hide = partial(masked, also=secrets_in(bytes(order.arguments).decode()))
        try:
            returned = self._called(job, self._arguments(order, job, attempted), attempted)
            encoded = UNSET if returned is None else Raw(job.result_codec.encode(returned))
        except asyncio.CancelledError as error:
            if not attempted.must_end:
                return self._over(attempted, raised=judged(error, job.function, hide))
            return self._over(attempted, stopped=True)
        except BaseException as error:  # noqa: BLE001 - SystemExit too ends the attempt
            return self._over(
                attempted,
                raised=judged(error, job.function, hide),
                spent=isinstance(error, MemoryError),
            )
        return self._over(attempted, result=encoded)

    def _over(self, attempted: Attempted, *, spent: bool = False, **how: Any) -> Answer:
        with suppress(Exception):  # what it says last ends no job otherwise than it has ended
            attempted.voice.say()
        attempted.close()
        again = not (spent or attempted.must_end or self._left) and self._is_as_it_was()
        inside, unread = attempted.completed_inside, attempted.inbox.unread
        return Answer(over=True, inside=inside, unread=unread, again=again, **how)

    def _arguments(self, order: Order, job: Job[..., Any], attempted: Attempted) -> dict[str, Any]:
        arguments = job.payload_codec.decode(bytes(order.arguments))
        if job.context_parameter is not None:
            arguments[job.context_parameter] = Context(
                job_id=order.job_id,
                name=order.name,
                queue=order.queue,
                attempt=order.attempt,
                max_attempts=order.max_attempts,
                context=order.context,
                tags=tuple(order.tags),
                deadline=None if order.deadline is None else datetime.fromisoformat(order.deadline),
                _complete=Completer(UUID(order.worker_id), attempted),
                _control=attempted,
            )
        return arguments

    def _called(self, job: Job[..., Any], arguments: dict[str, Any], attempted: Attempted) -> Any:
        self._allow_cpu_time(job)
        if job.awaited:
            asked = self._awaited(job.function, arguments, attempted)
            return self._runner.run(asked, context=self._context.copy())
        if self._beside is None:
            self._beside = Loop(self._of_threads)
        with provided(lambda: self._of_threads), _ended_by_term(attempted, self._answers):
            try:
                return self._context.copy().run(partial(job.function, **arguments))
            finally:
                self._beside.settle()

    async def _awaited(
        self,
        function: Callable[..., Awaitable[Any]],
        arguments: dict[str, Any],
        attempted: Attempted,
    ) -> Any:
        if not self._own.is_open:
            await self._held.enter_async_context(using(self._own))
        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())

        def end() -> None:
            attempted.must_end = True
            task.cancel()

        loop.add_signal_handler(signal.SIGTERM, end)
        try:
            return await function(**arguments)
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            left = asyncio.all_tasks() - {task}
            self._left = any(not one.get_name().startswith("pillars") for one in left)
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._own.wakeups.close()

    def _allow_cpu_time(self, job: Job[..., Any]) -> None:
        """Each job has its own share, and the system counts for the process."""
        seconds = job.rules.child.cpu_seconds if job.rules.child else None
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if seconds is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            resource.setrlimit(
                resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, most)
            )

    def _is_as_it_was(self) -> bool:
        """Whether nothing of a job is left that would go on beside the next one, or has grown too large for it."""
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
            return False  # a process, ended or not
        size = resident()
        self._size = self._size or size
        return _own_threads() <= self._threads and size <= self._size + GROWTH


def _own_threads() -> int:
    """How many threads there are that would hold up the end of this process."""
    return sum(not thread.daemon for thread in threading.enumerate())


def _to_nobody(_answer: Answer) -> None:
    """Hears it."""


@contextmanager
def _ended_by_term(attempted: Attempted, answers: Answers) -> Iterator[None]:
    """Let SIGTERM end what runs on this thread by an exception, once: what then cleans up is left in peace."""

    def end(_number: int, _frame: FrameType | None) -> None:
        if not attempted.must_end:
            attempted.must_end = True
            error = asyncio.CancelledError("its end was asked for")
            if not answers.put_off(error):
                raise error

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _orders(descriptor: int, on_told: Callable[[Line], None]) -> "queue.SimpleQueue[Order | None]":
    """Read on a thread of its own: words come while a job runs."""
    orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            with os.fdopen(descriptor, "rb") as lines:
                for line in lines:
                    told = read_order(line)
                    if told.job is not None:
                        orders.put(told.job)
                    else:
                        on_told(told)
        finally:
            orders.put(None)

    threading.Thread(target=read, name="pillars-orders", daemon=True).start()
    return orders


def main() -> int:
    """Serve until the worker closes its side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is not for us
    answers = Answers(TO_WORKER)
    for one in (FROM_WORKER, TO_WORKER):
        os.set_inheritable(one, False)
    settings = load(command="worker")
    redaction.hide(settings)
    log.configure(level=settings.log_level, format="json", stream=cast("IO[str]", answers))
    try:
        inside = Inside(settings, answers)
    except Exception as error:  # noqa: BLE001 - the app's code
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    inside.serve(_orders(FROM_WORKER, inside.told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
