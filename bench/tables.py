"""Tables in Markdown, aligned so that a terminal shows them well too."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> list[str]:
    """The lines of a table; the last `numbers` columns stand to the right."""
    listed = [list(columns), *map(list, rows)]
    widths = [max(len(row[at]) for row in listed) for at in range(len(columns))]
    right = [at >= len(columns) - numbers for at in range(len(columns))]
    rule = [
        "-" * max(width - 1, 2) + ":" if to_right else "-" * max(width, 3)
        for width, to_right in zip(widths, right, strict=True)
    ]
    head, *body = (_line(row, widths, right) for row in listed)
    return [head, _line(rule, widths, right), *body]


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"
