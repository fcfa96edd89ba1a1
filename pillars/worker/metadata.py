"""`ctx.metadata`: a few facts that stand beside a running job, as JSON."""

import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from pillars.codec import from_json, to_json
from pillars.errors import DatabaseTrouble, PayloadError
from pillars.jobs.saying import encoded

LARGEST = (
    16_384  # bytes of JSON in all: it is written whole at each change, and shown beside the job
)
WHAT = "ctx.metadata"


class Metadata(MutableMapping[str, Any]):
    """The whole mapping; each value is kept as its JSON, and given back as a copy: what is changed in it is set again to be said."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._values: dict[str, bytes] = {}
        self._size = 2
        self._guard = threading.Lock()
        self._trouble: DatabaseTrouble | None = None

    def begin_with(self, body: str) -> None:
        """What the last attempt has left."""
        for name, value in from_json(body).items():
            self._values[name] = to_json(value)
        self._size = len(self.body())

    def is_unread(self, trouble: DatabaseTrouble) -> None:
        """What the last attempt has left could not be read: to go on would write over it."""
        self._trouble = trouble

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Why what the last attempt has left is not known."""
        return self._trouble

    def body(self) -> str:
        with self._guard:
            pairs = [to_json(name) + b":" + value for name, value in self._values.items()]
        return (b"{" + b",".join(pairs) + b"}").decode()

    def __getitem__(self, name: str) -> Any:
        return from_json(self._known()[name])

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise PayloadError(f"{WHAT}: the keys of JSON are text, got {type(name).__name__}")
        values = self._known()
        key = len(encoded(name, what=f"{WHAT}: its key", most=LARGEST)) + 2  # its colon and comma
        written = encoded(value, what=f"{WHAT}[{name[:60]!r}]", most=LARGEST)
        with self._guard:
            before = values.get(name)
            size = self._size + len(written) - (-key if before is None else len(before))
            if size > LARGEST:
                raise PayloadError(
                    f"{WHAT}: {size:,} bytes of JSON in all, at most {LARGEST:,}: store it elsewhere and say where"
                )
            values[name], self._size = written, size
        if before != written:
            self._on_change()

    def __delitem__(self, name: str) -> None:
        values = self._known()
        with self._guard:
            value = values.pop(name)
            self._size -= len(value) + len(to_json(name)) + 2
        self._on_change()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._known()))

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        return f"<Metadata {self.body() if self._trouble is None else 'unread'}>"

    def _known(self) -> dict[str, bytes]:
        if self._trouble is not None:
            raise self._trouble
        return self._values
