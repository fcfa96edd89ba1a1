"""Databases of tests: copied from a template, dropped at the end, swept by the next run where a run was killed."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from pillars.errors import DatabaseTrouble
from pillars.store import migrate, statements, testing as store
from pillars.store.migrate import Migration
from pillars.store.pool import Address
from pillars.store.session import Session

GONE = "3D000"  # another run has replaced the template: its migrations are others
# A test may be longer than a server lets sessions sit idle.
STANDING = {"idle_session_timeout": "0"}


class Databases:
    """What one run makes on one server. Its methods run one at a time, on one loop.

    A test's database is named `pillars_test_` and the run's id, which the run's connection bears, too: what no connection bears
    any more was left behind. Where that connection is cut, the next step makes another. The template is named by the project's folder and by what is in it: one a project is kept.
    """

    def __init__(self, url: str, migrations: Sequence[Migration], *, project: Path) -> None:
        self._run = uuid4().hex[:12]
        self._address = Address(url, application_name=f"pillars test {self._run}")
        self._migrations = migrations
        self._mark = f"pillars_template_{_hash(str(project))[:8]}_"
        self._session: Session | None = None
        self._template: str | None = None
        self._made = 0

    async def open(self) -> None:
        """Connect, and sweep."""
        self._session = await self._address.connect(**STANDING)
        for name in await store.left_behind(self._session):
            await store.drop(self._session, name)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def migrated(self) -> str:
        """Make a database with the migrations and the test clock; returns its URL."""
        try:
            return await self._create(await self.template())
        except DatabaseTrouble as trouble:
            if trouble.sqlstate != GONE:
                raise
        self._template = None
        return await self._create(await self.template())

    async def empty(self) -> str:
        """Make a database with nothing in it; returns its URL."""
        return await self._create("template0")

    async def drop(self, url: str) -> None:
        await store.drop(await self._connected(), database_of(url))

    async def template(self) -> str:
        """The name of the template, made if no run has made it yet."""
        if self._template is None:
            self._template = await self._found_or_made(self._mark + self._content())
        return self._template

    async def forget_templates(self) -> None:
        """Take away what the next run of this project would begin with."""
        self._template = None
        session = await self._connected()
        for one in await store.templates(session, self._mark):
            await store.drop_template(session, one)

    async def _create(self, template: str) -> str:
        self._made += 1
        name = f"pillars_test_{self._run}_{self._made}"
        await store.create(await self._connected(), name, template=template)
        return with_database(self._address.url, name)

    async def _found_or_made(self, name: str) -> str:
        session = await self._connected()
        async with migrate.held_turn(session):
            known = await store.templates(session, self._mark)
            if not any(one.sealed and one.name == name for one in known):
                await self.forget_templates()  # older ones too: each takes some megabytes
                await store.create(session, name)
                await self._fill(with_database(self._address.url, name))
                await store.seal(session, name)
        return name

    async def _fill(self, url: str) -> None:
        address = Address(url)
        await migrate.migrate(address, self._migrations)
        session = await address.connect()
        try:
            await store.install_clock(session)
        finally:
            await session.close()

    def _content(self) -> str:
        parts = [store.clock(), statements.text("ledger/prepare")]
        parts += [one.title + one.sql for one in self._migrations]
        parts.append(str(datetime.now(UTC).date()))  # it holds the days of history around it
        return _hash("\0".join(parts))[:16]

    async def _connected(self) -> Session:
        """The run's connection; another of the same name where it was cut, by a restart or by a test that ends sessions."""
        if self._session is None:
            raise AssertionError("the databases were not opened")
        if not await store.answers(self._session):
            self._session = await self._address.connect(**STANDING)
        return self._session


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"  # geturl() would drop the slashes of an empty host


def database_of(url: str) -> str:
    """The name of the database that a URL leads to."""
    return urlsplit(url).path.removeprefix("/")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
