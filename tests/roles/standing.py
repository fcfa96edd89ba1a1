"""A server where roles log in with passwords, and databases of it in which our roles have their rights."""

import secrets
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import asyncpg

from pillars.store import migrate, roles, testing
from pillars.store.pool import Address
from support import ask, asking

GROUPS = ("owner", "enqueue", "worker", "viewer")


@dataclass(frozen=True, slots=True)
class Standing:
    """One database: `admin` is the superuser's URL, and `as_` that of a login role."""

    admin: str
    port: int
    password: str

    @property
    def name(self) -> str:
        return urlsplit(self.admin).path.removeprefix("/")

    def as_(self, login: str) -> str:
        return f"postgresql://{login}:{self.password}@127.0.0.1:{self.port}/{self.name}"


async def login(admin: str, name: str, password: str, *, member_of: str | None = None) -> None:
    """Make a role that logs in, where it is not there yet."""
    async with asking(admin) as connection:
        if not await connection.fetchval("select true from pg_roles where rolname = $1", name):
            await connection.execute(f"create role {name} login password '{password}'")
        if member_of is not None:
            await connection.execute(f"grant {member_of} to {name}")


async def settle(admin: str) -> list[str]:
    """Migrate and give the roles their rights, as `app migrate --roles` does; returns what was run for the roles."""
    await migrate.migrate(Address(admin), migrate.of_runtime())
    session = await roles.connect(Address(admin))
    try:
        return await roles.settle(session)
    finally:
        await session.close()


async def missing(url: str) -> list[str]:
    session = await roles.connect(Address(url))
    try:
        return await roles.missing(session)
    finally:
        await session.close()


async def with_clock(admin: str) -> None:
    """The clock that tests move, which everybody may read."""
    session = await Address(admin).connect()
    try:
        await testing.install_clock(session)
    finally:
        await session.close()
    async with asking(admin) as connection:
        await connection.execute(
            "grant usage on schema pillars_test to public; grant select on pillars_test.clock to public"
        )


async def fresh(beside: Standing) -> Standing:
    """A database with nothing in it, on the same server."""
    name = f"roles_{secrets.token_hex(6)}"
    async with asking(beside.admin) as connection:
        await connection.execute(f"create database {name}")
    parts = urlsplit(beside.admin)
    return replace(beside, admin=f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}")


async def refusal(url: str, statement: str) -> str | None:
    """The SQLSTATE that a statement ends with, rolled back; None where it runs."""
    async with asking(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(statement)
        except asyncpg.PostgresError as error:
            return error.sqlstate
        finally:
            await transaction.rollback()
    return None


async def ready(standing: Standing) -> Standing:
    """Our roles with their rights, a login role in each, and a stranger."""
    await settle(standing.admin)
    for group in GROUPS:
        await login(standing.admin, f"app_{group}", standing.password, member_of=f"pillars_{group}")
    await login(standing.admin, "app_stranger", standing.password)
    await with_clock(standing.admin)
    assert await ask(standing.as_("app_worker"), "select session_user = 'app_worker'")
    return standing
