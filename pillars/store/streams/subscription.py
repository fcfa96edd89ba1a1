"""What waits for the reader of one stream: never more than so much."""

import asyncio

from pillars.store.streams.items import Item
from pillars.store.streams.topics import Topics

MOST_WAITING = 1_000  # items: some seconds of a talkative job
MOST_BYTES = 1 << 20


class Subscription:
    """A reader's place in the hub. Whoever reads too slowly for it is `behind`: nothing more waits, and he begins again where he was."""

    __slots__ = ("_bytes", "_waiting", "_waker", "behind", "over", "topics")

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.behind = False
        self.over = False
        """Whether the hub has nothing more for it."""
        self._waiting: list[Item] = []
        self._bytes = 0
        self._waker: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def put(self, item: Item) -> None:
        """Have it wait. A single one may be of any size."""
        if self.behind:
            return
        self._bytes += item.size
        if self._waiting and (len(self._waiting) >= MOST_WAITING or self._bytes > MOST_BYTES):
            self.behind = True
            self._waiting = []
        else:
            self._waiting.append(item)
        self._wake()

    def end(self) -> None:
        """Say that nothing more comes."""
        self.over = True
        self._wake()

    async def take(self, within: float) -> list[Item]:
        """What waits, or what comes within so many seconds; nothing where nothing comes, or it is `behind` or `over`."""
        if not (self._waiting or self.behind or self.over):
            await self._wait(within)
        taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken

    async def _wait(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        self._waker = loop.create_future()
        alarm = loop.call_later(within, self._wake)
        try:
            await self._waker
        finally:
            alarm.cancel()
            self._waker = None

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)
