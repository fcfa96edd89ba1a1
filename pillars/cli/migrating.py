"""`app migrate`."""

import anyio

from pillars.cli import saying
from pillars.cli.beginning import settings_of
from pillars.cli.postgres import Postgres, migrations_of, postgres, require_one_database
from pillars.settings import Settings
from pillars.store import migrate, roles as rights
from pillars.store.migrate import Migration

NO_SCHEMA_YET = "-- and the rights of the roles, which depend on what the above makes"


def run(*, plan: bool, check: bool, roles: bool) -> int:
    """Apply, plan or check; returns the exit code."""
    settings = settings_of("migrate")
    with postgres(settings) as found:
        if plan:
            return anyio.run(_plan, settings, found, roles)
        if check:
            return anyio.run(_check, settings, found, roles)
        return anyio.run(_migrate, settings, found, roles)


async def _migrate(settings: Settings, found: Postgres, roles: bool) -> int:  # noqa: FBT001 - anyio.run takes no names
    await require_one_database(found)
    done = await migrate.migrate(found.address, migrations_of(settings))
    for migration in done:
        saying.put(f"applied {migration.title}")
    if settled := await _settled(found, roles=roles):
        saying.put(f"ran {len(settled)} statements: the roles have their rights")
    saying.put(
        "the database is up to date"
        if not done
        else f"{len(done)} applied; the database is up to date"
    )
    return 0


async def _plan(settings: Settings, found: Postgres, roles: bool) -> int:  # noqa: FBT001 - see _migrate
    missing, steps = await _missing(settings, found, roles=roles)
    for migration in missing:
        saying.put(f"-- {migration.title}\n{migration.sql.rstrip()}\n")
    for statement in steps:
        saying.put(f"{statement};")
    if missing and steps:
        saying.put(NO_SCHEMA_YET)
    saying.put(f"{len(missing) + len(steps)} to apply; nothing was run", err=True)
    return 0


async def _check(settings: Settings, found: Postgres, roles: bool) -> int:  # noqa: FBT001 - see _migrate
    missing, steps = await _missing(settings, found, roles=roles)
    for migration in missing:
        saying.put(f"missing {migration.title}")
    for statement in steps:
        saying.put(f"missing {statement}")
    command = "app migrate --roles" if roles else "app migrate"
    lacks = bool(missing or steps)
    saying.put(f"run: {command}" if lacks else "the database is up to date", err=lacks)
    return 1 if lacks else 0


async def _missing(
    settings: Settings, found: Postgres, *, roles: bool
) -> tuple[list[Migration], list[str]]:
    """The migrations, and the statements about roles, that the database lacks."""
    await require_one_database(found)
    session = await rights.connect(found.address)
    try:
        missing = await migrate.pending(session, migrations_of(settings))
        wanted = roles or await rights.in_use(session)
        return missing, await rights.missing(session) if wanted else []
    finally:
        await session.close()


async def _settled(found: Postgres, *, roles: bool) -> list[str]:
    """What was run so that the roles have their rights, where there are roles or some were asked for."""
    session = await rights.connect(found.address)
    try:
        if roles or await rights.in_use(session):
            return await rights.settle(session)
        return []
    finally:
        await session.close()
