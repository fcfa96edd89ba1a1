"""How many jobs a worker may run at once: by kind, and by queue where it was told so."""

from collections import Counter
from collections.abc import Mapping


class Slots:
    """Free places, by kind (async, thread); `queues` also limits some queues and serves no others."""

    def __init__(
        self, kinds: Mapping[str, int], queues: Mapping[str, int | None] | None = None
    ) -> None:
        self.kinds = kinds
        self.queues = queues
        self.taken: Counter[str] = Counter()
        """By kind."""
        self._by_queue: Counter[str] = Counter()

    def take(self, kind: str, queue: str) -> None:
        self.taken[kind] += 1
        self._by_queue[queue] += 1

    def free_up(self, kind: str, queue: str) -> None:
        self.taken[kind] -= 1
        self._by_queue[queue] -= 1

    def free(self, kind: str) -> int:
        """Free places of a kind; none where every served queue is full."""
        free = self.kinds.get(kind, 0) - self.taken[kind]
        served = self.free_by_queue()
        if served is None or None in served.values():
            return free
        return min(free, sum(slots or 0 for slots in served.values()))

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
