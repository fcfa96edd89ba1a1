"""What the code says of its jobs, where SQL can read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from pillars.store.rows import Defined
from pillars.store.session import Executor
from pillars.store.statements import Statement

DEFINE = Statement("definitions/define", Defined)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One job name as the code declares it; a timeout of zero means none."""

    name: str
    kind: str
    queue: str
    priority: int
    max_attempts: int
    max_crashes: int
    timeout: timedelta
    keep: str
    tags: Sequence[str]


async def define(
    executor: Executor, definitions: Sequence[Definition], *, deployment: str
) -> Defined:
    """Write the definitions of one deployment; rows that say the same already are not touched."""
    [defined] = await executor.rows(
        DEFINE,
        [one.name for one in definitions],
        [one.kind for one in definitions],
        [one.queue for one in definitions],
        [one.priority for one in definitions],
        [one.max_attempts for one in definitions],
        [one.max_crashes for one in definitions],
        [one.timeout for one in definitions],
        [one.keep for one in definitions],
        [msgspec.json.encode(list(one.tags)).decode() for one in definitions],
        deployment,
    )
    return defined
