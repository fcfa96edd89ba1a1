"""Sizes of memory, as people write them."""

import re
from typing import TypeAlias

from pillars.errors import UsageError

__all__ = ["LEAST_PROCESS", "Size", "shown", "size"]

Size: TypeAlias = int | str
"""Bytes, or words: "512MB" and "1.5GB" of 1000, "512MiB" of 1024."""

LEAST_PROCESS = 16_000_000  # bytes: below it no interpreter starts
MOST = 2**50  # bytes; beyond it is a slip of the unit

_WORDS = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:([kKMGT])(i?))?B?", re.ASCII)
_LETTERS = "kMGT"


def size(value: Size, *, what: str = "size", least: int = 0) -> int:
    """Read a size, in bytes; a text that is only a number is bytes. UsageError names `what`."""
    found = _read(value, what) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int):
        raise UsageError(
            f'{what}: expected bytes or a size such as "512MB", got {type(value).__name__}'
        )
    if not least <= found <= MOST:
        raise UsageError(f"{what}: expected {shown(least)} to {shown(MOST)}, got {found} bytes")
    return found


def _read(text: str, what: str) -> int:
    found = _WORDS.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f'{what}: expected bytes or a size such as "512MB", got "{ascii(text[:60])[1:-1]}"'
        )
    number, letter, binary = found.groups()
    base = 1024 if binary else 1000
    power = _LETTERS.index(letter.replace("K", "k")) + 1 if letter else 0
    return int(float(number) * float(base**power))


def shown(size: int) -> str:
    """For people, of 1000: "512 MB", "1.5 GB"."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{float(f'{size / unit:.3g}'):g} {name}"
    return f"{size} bytes"
