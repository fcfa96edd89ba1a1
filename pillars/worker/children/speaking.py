"""What a job says in a child, on its way to the worker."""

import threading
from collections.abc import Callable

from msgspec import Raw

from pillars.codec import clean_text
from pillars.errors import DatabaseTrouble, Trouble, UsageError
from pillars.jobs.saying import Counted
from pillars.worker.children.protocol import Answer, Emitted, Progress
from pillars.worker.metadata import Metadata
from pillars.worker.voice import MOST_BYTES, MOST_OUTPUTS

PAUSE = 0.1  # seconds between two reports of progress: as often as the worker writes
PATIENCE = 15.0  # seconds for the worker to write what was said


class Speech:
    """The voice of the attempt that runs here. Progress and metadata go when a moment has passed, the newest of each; outputs at once."""

    def __init__(
        self, send: Callable[[Answer], None], left: Raw | None, trouble: str | None
    ) -> None:
        self._send = send
        self._counted: Counted | None = None
        self._reported: tuple[float, float | None, str | None] | None = None
        self._changed = False
        self._outputs = self._bytes = 0
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None
        self._heard = threading.Event()
        self.metadata = Metadata(self._metadata_changed)
        if trouble is not None:
            self.metadata.is_unread(DatabaseTrouble(Trouble.LOST, trouble))
        elif left is not None:
            self.metadata.begin_with(bytes(left).decode())

    def watch(self, counted: Counted) -> None:
        """From here on this says how far the job is."""
        self._counted = counted
        self._soon()

    def emit(self, name: str, data: bytes) -> None:
        """Say an output. Raises `UsageError` for one too many."""
        self._outputs += 1
        self._bytes += len(data)
        if self._outputs > MOST_OUTPUTS or self._bytes > MOST_BYTES:
            raise UsageError(
                f"ctx.emit: expected at most {MOST_OUTPUTS:,} outputs and {MOST_BYTES:,} bytes of an attempt, this one is beyond; "
                "say several things in one, or store them elsewhere"
            )
        self._send(Answer(output=Emitted(name, Raw(data))))

    def wait(self) -> None:
        """All that was said so far is written, or will not be."""
        self.say()
        self._heard.clear()
        self._send(Answer(waits=True))
        self._heard.wait(PATIENCE)

    def heard(self) -> None:
        """The worker has written it."""
        self._heard.set()

    def say(self) -> None:
        """Say what has changed, now."""
        with self._guard:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._changed:
                self._changed = False
                self._send(Answer(metadata=Raw(self.metadata.body().encode())))
            counted = self._counted
            if counted is not None:
                newest = (counted.done, counted.total, counted.message)
                if newest != self._reported:
                    message = None if counted.message is None else clean_text(counted.message)
                    self._send(Answer(progress=Progress(counted.done, counted.total, message)))
                    self._reported = newest

    def _metadata_changed(self) -> None:
        self._changed = True
        self._soon()

    def _soon(self) -> None:
        if self._timer is None:
            with self._guard:
                if self._timer is None:
                    self._timer = threading.Timer(PAUSE, self.say)
                    self._timer.daemon = True
                    self._timer.start()
