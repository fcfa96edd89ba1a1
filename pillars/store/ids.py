"""Ids of jobs, made by whoever enqueues."""

import os
import threading
import time
from uuid import UUID

# asyncpg's own subclass of the standard library's: made and sent in a third of the time.
from asyncpg.pgproto import pgproto

_COUNTER = 12  # bits that count up within a millisecond
_RANDOM = 8  # bytes
_VERSION, _VARIANT = 7 << 76, 0b10 << 62

_clock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 12 bits that count up within one, then 62 random bits.

    Ids of one process ascend in the order in which they were made.
    """
    return new_ids(1)[0]


def new_ids(count: int) -> list[UUID]:
    """Ascending ids; more than a millisecond has room for borrow from those that follow."""
    global _last  # noqa: PLW0603
    with _clock:
        first = max(_last + 1, (time.time_ns() // 1_000_000) << _COUNTER)
        _last = first + count - 1
    random = os.urandom(count * _RANDOM)
    return [_id(first + i, random[i * _RANDOM : (i + 1) * _RANDOM]) for i in range(count)]


def _id(moment: int, random: bytes) -> UUID:
    milliseconds, counted = moment >> _COUNTER, moment & ((1 << _COUNTER) - 1)
    tail = _VARIANT | int.from_bytes(random) & ((1 << 62) - 1)
    return pgproto.UUID((milliseconds << 80 | _VERSION | counted << 64 | tail).to_bytes(16))
