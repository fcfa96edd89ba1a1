"""Text for people: what others wrote, made harmless to a terminal."""

import unicodedata

CUT = "…"
MOST = (
    1000  # characters of a cell: combining marks take no width, and there may be any number of them
)


def visible(text: str) -> str:
    """Text with its control characters escaped: those that move the cursor, ring, hide or turn the reading direction."""
    if text.isprintable():
        return text
    return "".join(one if _is_shown(one) else _escaped(one) for one in text)


def width(text: str) -> int:
    """How many columns a visible text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, room: int, *, keep_end: bool = False) -> str:
    """As much of a visible text as goes into `room` columns, with an ellipsis where that is not all."""
    if len(text) <= MOST and width(text) <= room:
        return text
    kept: list[str] = []
    left = room - 1
    for one in reversed(text[-MOST:]) if keep_end else text[:MOST]:
        left -= _columns(one)
        if left < 0:
            break
        kept.append(one)
    return CUT + "".join(reversed(kept)) if keep_end else "".join(kept) + CUT


def pretty(text: str) -> str:
    """JSON with two spaces a level and its numbers as they are; on one line where it nests too deep to be laid out."""
    import msgspec

    try:
        return msgspec.json.format(text, indent=2)
    except RecursionError:
        return text


def _is_shown(one: str) -> bool:
    return one.isprintable() or unicodedata.category(one) == "Zs"


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode()


def _columns(one: str) -> int:
    if unicodedata.category(one) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1
