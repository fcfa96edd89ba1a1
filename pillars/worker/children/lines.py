"""What a process prints, as lines that can be kept: none is endless, none steers a terminal, all are text."""

import re
from collections.abc import Iterator

LONGEST_LINE = 8_192  # bytes; what is longer is hardly meant to be read
# Control sequences (ECMA-48, 5.4), operating system commands and the like up to their end, and two-character escapes.
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?"
)


class Lines:
    """Splits a stream of bytes into lines, and keeps no more of one than `longest` bytes."""

    __slots__ = ("_kept", "_left_out", "_longest")

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._kept = bytearray()
        self._left_out = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """The lines that end in `data`, each with the number of bytes that are left out of it."""
        *ended, begun = data.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._taken()
        self._add(begun)

    def rest(self) -> Iterator[tuple[bytes, int]]:
        """The last line, where the stream did not end it."""
        if self._kept or self._left_out:
            yield self._taken()

    def _add(self, part: bytes) -> None:
        room = self._longest - len(self._kept)
        self._kept += part[:room]
        self._left_out += max(len(part) - room, 0)

    def _taken(self) -> tuple[bytes, int]:
        taken = bytes(self._kept), self._left_out
        self._kept.clear()
        self._left_out = 0
        return taken


def shown(line: bytes, left_out: int, *, ansi: bool) -> str:
    """A line as text: what is no UTF-8 is escaped, and of what was written over by carriage returns the last remains."""
    last = line.rstrip(b"\r").rpartition(b"\r")[2]
    kept = last if ansi else _ESCAPES.sub(b"", last)
    text = kept.replace(b"\0", b"\\x00").decode("utf-8", "backslashreplace")
    return f"{text}… ({left_out:,} more bytes)" if left_out else text
