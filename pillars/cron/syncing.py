"""Bringing the database the schedules of the code."""

from collections import Counter
from collections.abc import Sequence

from pillars.errors import DefinitionError
from pillars.schedules import Schedule
from pillars.store import schedules as store
from pillars.store.database import Database


async def sync(database: Database, schedules: Sequence[Schedule], *, deployment: str) -> None:
    """Make the schedules of a deployment those given, in one transaction; see `store.schedules.sync`.

    New rules and changed ones tick from now on. Raises `DefinitionError` and writes nothing where another deployment owns
    a name.
    """
    _check_names(schedules)
    async with database.runtime.session() as session, session.transaction():
        now = await store.now(session)
        rows = [schedule.row(now) for schedule in schedules]
        await store.sync(session, rows, deployment=deployment)


def _check_names(schedules: Sequence[Schedule]) -> None:
    counted = Counter(schedule.name for schedule in schedules)
    if "" in counted:
        raise DefinitionError(
            "a schedule has no name: bind it to a variable in crons/, or give it name="
        )
    for name, count in counted.items():
        if count > 1:
            raise DefinitionError(f'{count} schedules are named "{name}": give each its own name=')
