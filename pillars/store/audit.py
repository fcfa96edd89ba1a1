"""The audit trail: what people and their programs changed."""

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from pillars.codec import to_json
from pillars.store.rows import AuditRow, Made
from pillars.store.session import Executor
from pillars.store.statements import Nothing, Statement

WRITE = Statement("audit/write", Nothing)
LIST = Statement("audit/list", AuditRow)
PRUNE = Statement("audit/prune", Made)

KEEP = timedelta(days=400)  # a year, and time to look back on it
BATCH = 10_000  # rows that one prune removes at most of each kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Who did what, to what, from where."""

    actor: str
    action: str
    target: str | None = None
    address: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


async def write(executor: Executor, deed: Deed) -> None:
    """Write a deed down."""
    details = to_json(deed.details).decode()
    await executor.rows(WRITE, deed.actor, deed.action, deed.target, deed.address, details)


async def listed(
    executor: Executor, *, limit: int, older_than: int | None = None
) -> list[AuditRow]:
    """What was done, newest first; `older_than` is the id of the last one of the page before."""
    return await executor.rows(LIST, older_than, limit)


def as_json(row: AuditRow) -> dict[str, Any]:
    """A row for a JSON encoder."""
    return {**asdict(row), "details": msgspec.Raw(row.details.encode())}


async def prune(executor: Executor) -> int:
    """Remove old rows, logins that are over and attempts long ago; returns how many went, at most `BATCH` of each kind."""
    [gone] = await executor.rows(PRUNE, KEEP)
    return gone.made
