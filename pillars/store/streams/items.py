"""What travels on streams. Plain classes with slots: thousands are made in a second, and each is shared by all its streams."""

from typing import TypeAlias

from pillars.store.rows import Final, JobEvent, Standing
from pillars.store.states import FINAL

OVERHEAD = 200  # bytes of an item beside what the job itself has written

UNKNOWN = "unknown"
"""The state of a job of which no row is left: its definition keeps none."""
ENDED = {*FINAL, UNKNOWN}


class Said:
    """Something that a job said. `frame` is what its first reader has made of it, for all others."""

    __slots__ = ("event", "frame")

    def __init__(self, event: JobEvent) -> None:
        self.event = event
        self.frame: bytes | None = None

    @property
    def size(self) -> int:
        return OVERHEAD + len(self.event.body)


class Turned:
    """How a job stands now; `final` says how it ended, where it has. No `news` where only a reader is new."""

    __slots__ = ("final", "frame", "news", "standing")

    def __init__(
        self, standing: Standing, final: Final | None = None, *, news: bool = True
    ) -> None:
        self.standing = standing
        self.final = final
        self.news = news
        self.frame: bytes | None = None

    @property
    def size(self) -> int:
        texts = (self.final.result, self.final.last_error) if self.final else ()
        return OVERHEAD + sum(len(text) for text in texts if text)


Item: TypeAlias = Said | Turned
