"""Where a claim starts: at the front of the lanes, or where the last one ended."""

import time
from datetime import timedelta

from pillars.store.claiming import Places

FRONT_LOOK = 1.0  # seconds; in a streak of full claims the front of the lanes is due this often
FRONT_REST = 20  # a front look that took t is followed by none for 20 t: dead rows in front cost a twentieth at most
LONGEST_REST = 5.0  # seconds
DEAR = 0.2  # seconds of rest, after a look of 10 ms; a cheaper front is simply read again


class Front:
    """What one kind's claims remember of the lanes.

    In a streak of full claims each starts where the last one ended, in the lanes that it knows, so that dead rows in front cost nothing.
    The front of all lanes is read again after a wake-up or a second, but not sooner than 20 times what the last look took. A dear front
    is remembered also when the streak has ended: what lies in it is another kind's, or dead.
    """

    def __init__(self) -> None:
        self.places = Places()
        self._woken = False
        self._due_at = 0.0
        self._rests_until = 0.0

    @property
    def rests_for(self) -> timedelta:
        """How long the front must not be read yet."""
        return timedelta(seconds=max(self._rests_until - time.monotonic(), 0.0))

    def wake(self) -> None:
        """There may be work anywhere."""
        self._woken = True

    def is_due(self) -> bool:
        """Whether the next claim starts at the front."""
        now = time.monotonic()
        return not self.places.after or (
            now >= self._rests_until and (self._woken or now >= self._due_at)
        )

    def looked(self, took: timedelta) -> None:
        """A claim from the front took so long on the server."""
        now = time.monotonic()
        rest = min(FRONT_REST * took.total_seconds(), LONGEST_REST)
        self._woken = False
        self._due_at = now + max(FRONT_LOOK, rest)
        self._rests_until = now + rest

    @property
    def dear(self) -> bool:
        """Whether the last look was so long that the places behind it are worth keeping."""
        return self.rests_for.total_seconds() > DEAR
