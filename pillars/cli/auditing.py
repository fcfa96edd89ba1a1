"""`app audit`."""

from datetime import datetime
from functools import partial

from pillars.cli import opening, saying
from pillars.cli.ending import DONE
from pillars.cli.opening import Opened
from pillars.cli.tables import Cell, Column
from pillars.moments import age
from pillars.store import audit, schedules
from pillars.store.rows import AuditRow

COLUMNS = (
    Column(title="ID", right=True),
    Column(title="WHEN"),
    Column(title="WHO", least=12),
    Column(title="DID"),
    Column(title="TO WHAT", least=16, keep_end=True),
    Column(title="FROM", optional=True),
    Column(title="DETAILS", least=16, optional=True),
)


def list_audit(*, limit: int, before: int | None, as_json: bool) -> int:
    """Print what was done, newest first."""
    found, now = opening.run(partial(_listed, limit, before), command="audit")
    rows = found[:limit]
    following = rows[-1].audit_id if found[limit:] else None
    if as_json:
        saying.document({"items": [audit.as_json(row) for row in rows], "next": following})
        return DONE
    if rows:
        saying.rows(COLUMNS, [_row(row, now) for row in rows])
    more = f"; more: app audit list --before {following}" if following else ""
    saying.tell(saying.counted(len(rows), "row") + more if rows else "nothing was written down")
    return DONE


async def _listed(
    limit: int, before: int | None, opened: Opened
) -> tuple[list[AuditRow], datetime]:
    pool = opened.database.pool
    found = await audit.listed(pool, limit=limit + 1, older_than=before)
    return found, await schedules.now(pool)


def _row(row: AuditRow, now: datetime) -> list[Cell]:
    failed = row.action == "login.failed"
    return [
        Cell(str(row.audit_id)),
        Cell(age(row.at, now)),
        Cell(row.actor),
        Cell(row.action, "red" if failed else None),
        Cell(row.target or ""),
        Cell(row.address or ""),
        Cell("" if row.details == "{}" else row.details, "dim"),
    ]
