"""`app migrate`."""

import anyio

from pillars.cli import saying
from pillars.cli.beginning import settings_of
from pillars.cli.postgres import Postgres, migrations_of, postgres, require_one_database
from pillars.settings import Settings
from pillars.store import migrate
from pillars.store.migrate import Migration


def run(*, plan: bool, check: bool) -> int:
    """Apply, plan or check; returns the exit code."""
    settings = settings_of("migrate")
    with postgres(settings) as found:
        if plan:
            return anyio.run(_plan, settings, found)
        if check:
            return anyio.run(_check, settings, found)
        return anyio.run(_migrate, settings, found)


async def _migrate(settings: Settings, found: Postgres) -> int:
    await require_one_database(found)
    done = await migrate.migrate(found.address, migrations_of(settings))
    for migration in done:
        saying.put(f"applied {migration.title}")
    saying.put(
        "the database is up to date"
        if not done
        else f"{len(done)} applied; the database is up to date"
    )
    return 0


async def _plan(settings: Settings, found: Postgres) -> int:
    missing = await _missing(settings, found)
    for migration in missing:
        saying.put(f"-- {migration.title}\n{migration.sql.rstrip()}\n")
    saying.put(f"{len(missing)} to apply; nothing was run", err=True)
    return 0


async def _check(settings: Settings, found: Postgres) -> int:
    missing = await _missing(settings, found)
    for migration in missing:
        saying.put(f"missing {migration.title}")
    saying.put("run: app migrate" if missing else "the database is up to date", err=bool(missing))
    return 1 if missing else 0


async def _missing(settings: Settings, found: Postgres) -> list[Migration]:
    await require_one_database(found)
    session = await found.address.connect()
    try:
        return await migrate.pending(session, migrations_of(settings))
    finally:
        await session.close()
