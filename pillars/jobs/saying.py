"""What a running job says: its progress, its output, what stands beside it."""

import math
import operator
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, MutableMapping, Sized
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar, cast

from pillars.codec import ValueCodec
from pillars.errors import DefinitionError, PayloadError, UsageError

T = TypeVar("T")

MOST_OUTPUT = 65_536  # bytes of JSON: what is shown while a job runs; a result may have 5 MB
HIGHEST = 2**63 - 1  # what every reader of JSON takes
_PLAIN = (dict, list, str, int, float, bool, type(None))
_TYPED = re.compile(r": annotate it as .*", re.DOTALL)
UNTYPED = ": write it as text or a number, or pass a dataclass that declares it"


class Counted(Protocol):
    """Something that knows by itself how far it is."""

    done: int | float
    total: int | float | None
    message: str | None


class Voice(Protocol):
    """What says it for one attempt."""

    @property
    def metadata(self) -> MutableMapping[str, Any]: ...

    def watch(self, counted: Counted) -> None: ...

    def emit(self, name: str, data: bytes) -> None: ...


class Progress:
    """How far a job is, as it was said: checked, and read when it is written."""

    __slots__ = ("done", "message", "total")

    def __init__(self, done: float, total: float | None, message: str | None) -> None:
        self.done = done if type(done) is int and 0 <= done <= HIGHEST else _number(done, "done")
        self.total = None if total is None else _number(total, "total")
        if message is not None and not isinstance(message, str):
            raise UsageError(
                f"ctx.progress: expected a text as message, got {type(message).__name__}"
            )
        self.message = message


def _number(value: object, what: str) -> int | float:
    """A finite number, not below 0; whole ones of other libraries are made Python's."""
    found: object = value
    if not isinstance(value, bool | int | float) and hasattr(value, "__index__"):
        found = operator.index(cast("Any", value))
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UsageError(f"ctx.progress: expected a number as {what}, got {type(value).__name__}")
    if not (math.isfinite(found) if isinstance(found, float) else found <= HIGHEST) or found < 0:
        raise UsageError(f"ctx.progress: expected {what} from 0 up and finite, got {found!r:.30}")
    return float(found) if isinstance(found, float) else int(found)


class Tracked(Generic[T]):
    """The items of an iterable, in a `for` or an `async for`; how many of them are done is the job's progress."""

    __slots__ = ("_every", "_items", "_voice", "done", "message", "total")

    def __init__(
        self,
        items: Iterable[T] | AsyncIterable[T],
        voice: Voice,
        *,
        total: float | None,
        message: str | None,
        every: float,
    ) -> None:
        if total is None and isinstance(items, Sized):
            total = len(items)
        checked = Progress(0, total, message)
        self.done: int | float = 0
        self.total = checked.total
        self.message = message
        self._items = items
        self._voice = voice
        self._every = every

    def __iter__(self) -> Iterator[T]:
        if not isinstance(self._items, Iterable):
            raise UsageError(
                f"ctx.track: expected an iterable in a `for`, got {type(self._items).__name__}; write async for"
            )
        watch, every, clock = self._voice.watch, self._every, time.monotonic
        self.done = 0
        watch(self)
        due = clock() + every
        for item in self._items:
            yield item
            self.done += 1
            if (now := clock()) >= due:
                watch(self)
                due = now + every
        watch(self)

    def __aiter__(self) -> AsyncIterator[T]:
        if not isinstance(self._items, AsyncIterable):
            raise UsageError(
                f"ctx.track: expected an asynchronous iterable in an `async for`, got {type(self._items).__name__}; write for"
            )
        return _Tracking(self, aiter(self._items), self._voice, self._every)


class _Tracking(AsyncIterator[T]):
    """One walk of an `async for`. No generator: one that is left early would be closed by nobody knows whom."""

    __slots__ = ("_due", "_every", "_items", "_of", "_voice", "_within")

    def __init__(self, of: Tracked[T], items: AsyncIterator[T], voice: Voice, every: float) -> None:
        self._of = of
        self._items = items
        self._voice = voice
        self._every = every
        self._due = 0.0
        self._within = False
        of.done = 0

    async def __anext__(self) -> T:
        if self._within:
            self._of.done += 1
        if (now := time.monotonic()) >= self._due:
            self._voice.watch(self._of)
            self._due = now + self._every
        self._within = False
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            self._voice.watch(self._of)
            raise
        self._within = True
        return item


def encoded(value: object, *, what: str, most: int) -> bytes:
    """JSON of a value by its own type; `PayloadError` where it does not fit, or is too large."""
    kind: Any = type(value)
    try:
        written = _codec(Any if kind in _PLAIN else kind, what).encode(value)
    except DefinitionError as error:
        raise PayloadError(f"{what}: {error}") from None
    except PayloadError as error:
        raise PayloadError(_TYPED.sub(UNTYPED, str(error))) from None
    if len(written) > most:
        raise PayloadError(
            f"{what}: {len(written):,} bytes of JSON, at most {most:,}: store it elsewhere and say where"
        )
    return written


@lru_cache(maxsize=1_000)
def _codec(kind: Any, what: str) -> ValueCodec:
    return ValueCodec(kind, what=what)
