"""How many jobs a worker may hold at once: by kind, by queue where it was told so, and a few ahead where they go fast."""

import math
import time
from collections import Counter
from collections.abc import Mapping

AHEAD = 0.05  # seconds: what will have ended by then is worth having here already
MOST_AHEAD = 500  # jobs: what a crash of this process counts against jobs that it had not begun
MEMORY = 0.1  # seconds of the past by which the pace is judged


class Pace:
    """How many jobs end in a second, of late; it falls to nothing by itself while none ends."""

    def __init__(self) -> None:
        self._recent = 0.0
        """Ended within MEMORY, older ones counting for less."""
        self._at = time.monotonic()
        self._since = 0

    def ended(self) -> None:
        self._since += 1

    def per_second(self) -> float:
        now = time.monotonic()
        self._recent = self._recent * math.exp((self._at - now) / MEMORY) + self._since
        self._at, self._since = now, 0
        return self._recent / MEMORY


class Slots:
    """Free places, by kind (async, thread); `queues` also limits some queues and serves no others.

    Where jobs end fast, more are asked for than there are places (`wanted`): as many as will have ended within AHEAD, so that the next
    claim is on its way while they run. Long jobs end seldom, so none of them is kept from another worker for long.
    """

    def __init__(
        self, kinds: Mapping[str, int], queues: Mapping[str, int | None] | None = None
    ) -> None:
        self.kinds = kinds
        self.queues = queues
        self.taken = dict.fromkeys(kinds, 0)
        """By kind."""
        self.waiting = dict.fromkeys(kinds, 0)
        """Claimed ahead, by kind."""
        self._by_queue: Counter[str] = Counter()
        self._paces = {kind: Pace() for kind in kinds}
        limits = list((queues or {}).values())
        self._limited = any(slots is not None for slots in limits)
        self._all_limited = bool(limits) and None not in limits

    def take(self, kind: str, queue: str) -> None:
        self.taken[kind] += 1
        if self.queues is not None:
            self._by_queue[queue] += 1

    def free_up(self, kind: str, queue: str) -> None:
        self.taken[kind] -= 1
        if self.queues is not None:
            self._by_queue[queue] -= 1
        self._paces[kind].ended()

    def free(self, kind: str) -> int:
        """Free places of a kind; none where every served queue is full."""
        free = self.kinds.get(kind, 0) - self.taken[kind]
        if not self._all_limited:
            return free
        return min(free, sum(slots or 0 for slots in (self.free_by_queue() or {}).values()))

    def wanted(self, kind: str) -> int:
        """How many jobs to ask for now; none while those ahead are more than half of what is worth it."""
        free, ahead = self.free(kind), self._ahead(kind)
        wanted = free + ahead - self.waiting[kind]
        return wanted if free > 0 or wanted > ahead // 2 else 0

    def _ahead(self, kind: str) -> int:
        if self._limited:  # one queue's jobs must not wait in another's places
            return 0
        return min(int(self._paces[kind].per_second() * AHEAD), MOST_AHEAD)

    def free_by_queue(self) -> dict[str, int | None] | None:
        """The served queues with a free place, each with how many; None: every queue, without limit."""
        if self.queues is None:
            return None
        left = {
            queue: None if slots is None else slots - self._by_queue[queue]
            for queue, slots in self.queues.items()
        }
        return {queue: slots for queue, slots in left.items() if slots is None or slots > 0}

    @property
    def total(self) -> int:
        return sum(self.kinds.values())
