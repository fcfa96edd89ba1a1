"""JSON read strictly, so that what is stored is what was meant: no key twice, no number that is none."""

import json
import math
from typing import Any

__all__ = ["strictly"]


def strictly(text: str) -> Any:
    """Read JSON; raises `ValueError` for what Postgres or another parser would read differently, and `RecursionError`."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON; use null or a text")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is out of the range of a double")
    return value
