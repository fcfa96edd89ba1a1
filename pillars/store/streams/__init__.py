"""Following what jobs say and how they stand: one reader a process, any number of streams."""

from pillars.store.streams.hub import Streams
from pillars.store.streams.items import Item, Said, Turned
from pillars.store.streams.stream import Stream
from pillars.store.streams.topics import Topics

__all__ = ["Item", "Said", "Stream", "Streams", "Topics", "Turned"]
