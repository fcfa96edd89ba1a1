"""How to enqueue a job like this one: in Python, in a terminal, over HTTP. The payload's digits stay as they are."""

import json
import keyword
import re
import shlex
from itertools import accumulate
from typing import Any, cast

from pillars.store.rows import JobRow

LONGEST = 4000  # characters of a payload: beyond it nobody pastes it into a terminal
DEEPEST = 40  # levels: each indents all within it; parsers that recurse give up at some 1,000, and Postgres stores 6,000
HERE = "$APP_URL"  # only who looks knows by which address; the script of the page fills it in
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def copies(job: JobRow, api: str) -> list[tuple[str, str]]:
    """Each way by its name; none where no payload is kept, or it is too long for a line. `api` is the path of the jobs."""
    if job.payload is None or len(job.payload) > LONGEST:
        return []
    ways = [("Terminal", _in_terminal(job)), ("HTTP", _over_http(job, api))]
    python = _in_python(job.name, job.payload)
    return ways if python is None else [("Python", python), *ways]


def depth(text: str) -> int:
    """How deep a JSON text nests, by its brackets: nothing recurses."""
    steps = (STEPS.get(found[0], 0) for found in STRING_OR_BRACKET.finditer(text))
    return max(accumulate(steps), default=0)


def _in_python(name: str, payload: str) -> str | None:
    """The call of a job that bears its default name, `module.function`; None where it has another, or nests too deep for a line."""
    module, _, function = name.rpartition(".")
    if not module or not all(_is_word(part) for part in name.split(".")):
        return None
    if depth(payload) > DEEPEST:
        return None
    arguments = cast("dict[str, Any]", json.loads(payload, parse_float=_Digits, parse_int=_Digits))
    if all(_is_word(one) for one in arguments):
        said = ", ".join(f"{one}={value!r}" for one, value in arguments.items())
    else:
        said = f"**{arguments!r}"
    return f"from {module} import {function}\n\nawait {function}.enqueue({said})"


def _in_terminal(job: JobRow) -> str:
    return f"app jobs enqueue {shlex.quote(job.name)} --payload {shlex.quote(job.payload or '{}')}"


def _over_http(job: JobRow, api: str) -> str:
    body = f'{{"name": {json.dumps(job.name)}, "payload": {job.payload}}}'
    return "\n".join(
        (
            f'curl "{HERE}"{shlex.quote(api)} \\',
            '  -H "Authorization: Bearer $PILLARS_TOKEN" -H "Content-Type: application/json" \\',
            f"  -d {shlex.quote(body)}",
        )
    )


def _is_word(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


class _Digits(str):
    """A number as it was written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
