"""Which Postgres a command uses: the one it was given, or in dev our own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pillars import log
from pillars.errors import ConfigurationError, DatabaseTrouble, Trouble
from pillars.settings import Settings
from pillars.settings.hosts import named_hosts
from pillars.store import diagnosis, migrate
from pillars.store.diagnosis import Identity
from pillars.store.migrate import Migration
from pillars.store.pool import Address, Revive

if TYPE_CHECKING:
    from pillars.embedded import Cluster

LOCAL = {"localhost", "127.0.0.1", "::1"}
MISSING = (
    "DATABASE_URL is not set, and production has no Postgres of its own; "
    "set DATABASE_URL=postgresql://user:password@host/name, or PILLARS_ENV=dev to use the embedded one"
)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database that is there, and how to bring it back where that is ours to do."""

    url: str
    direct_url: str
    revive: Revive | None = None

    @property
    def address(self) -> Address:
        """For what must not go through a pooler."""
        return Address(self.direct_url, application_name="pillars migrate", revive=self.revive)


@contextmanager
def postgres(settings: Settings) -> Iterator[Postgres]:
    """The database of these settings, held for the block; raises `ConfigurationError` in production without a URL."""
    if settings.database_url is not None:
        yield Postgres(settings.database_url, settings.database_direct_url or settings.database_url)
        return
    if settings.env == "prod":
        raise ConfigurationError(MISSING)
    from pillars import embedded  # only where it is needed: a listing in production starts without

    with embedded.start(cluster_of(settings)) as server:
        os.environ["DATABASE_URL"] = server.url  # for the app's own pools
        os.environ["PILLARS_ENV"] = "dev"
        yield Postgres(server.url, server.url, server.revive)


def cluster_of(settings: Settings) -> "Cluster":
    """The project's embedded cluster, running or not."""
    from pillars import embedded

    return embedded.cluster(settings.root, binaries=settings.postgres_bin)


def migrations_of(settings: Settings) -> list[Migration]:
    """The runtime's migrations, then the app's."""
    return [*migrate.of_runtime(), *migrate.in_folder("app", settings.project / settings.sql)]


async def require_one_database(found: Postgres) -> None:
    """Raise `ConfigurationError` where the direct URL leads elsewhere: a schema must not be made in a stranger's database."""
    if found.direct_url == found.url:
        return
    try:
        one, other = await _identity(found.url), await _identity(found.direct_url)
    except DatabaseTrouble as trouble:
        if trouble.kind is not Trouble.DENIED:
            raise
        return  # some hosts let nobody ask
    if (one.cluster, one.database) != (other.cluster, other.database):
        raise ConfigurationError(
            f'DATABASE_DIRECT_URL: expected another way to the database of DATABASE_URL ("{one.name}"), got "{other.name}"'
            f"{'' if one.cluster == other.cluster else ' of another server'}; set it to the server behind DATABASE_URL"
        )


async def _identity(url: str) -> Identity:
    session = await Address(url).connect()
    try:
        return await diagnosis.identity(session)
    finally:
        await session.close()


async def make_ready(settings: Settings, found: Postgres) -> None:
    """Migrate in dev; in production only check. Raises `SchemaError` with the command that helps."""
    await require_one_database(found)
    if settings.env == "dev":
        await make_ready_in_dev(settings, found)
        return
    session = await found.address.connect()
    try:
        await migrate.require(session, migrations_of(settings))
    finally:
        await session.close()


async def make_ready_in_dev(settings: Settings, found: Postgres) -> None:
    """Migrate where this is development; in production it is for `app migrate` alone."""
    if settings.env == "prod":
        return
    for migration in await migrate.migrate(found.address, migrations_of(settings)):
        log.get("pillars.migrate").info(log.Event.MIGRATION_APPLIED, migration=migration.title)


def is_local(url: str) -> bool:
    """Whether a URL leads nowhere but to this machine."""
    return all(host.startswith("/") or host in LOCAL for host in named_hosts(url))
