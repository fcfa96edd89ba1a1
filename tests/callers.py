"""People with connections of their own, of every kind that `connection=` takes, told alike."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import django
import psycopg
import sqlalchemy
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.utils import ConnectionHandler
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from pillars import Handle
from pillars.jobs.definition import Job

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # a test may block its own loop for a moment
settings.configure(USE_TZ=True, LOGGING_CONFIG=None)
django.setup()


class Caller:
    """A connection of somebody's, in a transaction that ends as the test says."""

    def __init__(self, connection: Any, *, now: bool = False) -> None:
        self.connection = connection
        self.now = now

    async def enqueue(self, job: Job[..., Any], *args: Any, **options: Any) -> Handle[Any]:
        configured = job.configure(connection=self.connection, **options)
        return configured.enqueue_now(*args) if self.now else await configured.enqueue(*args)

    async def tell(self, sql: str) -> None:
        """Run a statement of the caller's own."""
        told = self.connection.execute(
            sqlalchemy.text(sql) if "sqlalchemy" in type(self.connection).__module__ else sql
        )
        if not self.now:
            await told


class DjangoCaller(Caller):
    """In a block of Django's own."""

    async def tell(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)


Opened = AbstractAsyncContextManager[Caller]
Kind = Callable[[str], Opened]


def sqlalchemy_url(db: str, driver: str) -> str:
    return db.replace("postgresql://", f"postgresql+{driver}://", 1)


@asynccontextmanager
async def _asyncpg(db: str) -> AsyncIterator[Caller]:
    connection = await asyncpg.connect(db)
    try:
        async with connection.transaction():
            yield Caller(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def _asyncpg_of_a_pool(db: str) -> AsyncIterator[Caller]:
    async with (
        asyncpg.create_pool(db, min_size=0, max_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        yield Caller(connection)


@asynccontextmanager
async def _psycopg(db: str) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(db) as connection:
        yield Caller(connection)


@asynccontextmanager
async def _psycopg_now(db: str) -> AsyncIterator[Caller]:
    with psycopg.connect(db) as connection:
        yield Caller(connection, now=True)


def _django(*, proxy: bool) -> Kind:
    @asynccontextmanager
    async def opened(db: str) -> AsyncIterator[Caller]:
        options = conninfo_to_dict(db)
        engine = "django.db.backends.postgresql"
        databases = {
            "default": {"ENGINE": engine, "NAME": options.pop("dbname"), "OPTIONS": options}
        }
        connections["default"] = ConnectionHandler(databases).create_connection("default")
        try:
            with transaction.atomic():
                yield DjangoCaller(connection if proxy else connections["default"], now=True)
        finally:
            connections["default"].close()

    return opened


def _session(driver: str, *, scoped: bool = False) -> Kind:
    @asynccontextmanager
    async def opened(db: str) -> AsyncIterator[Caller]:
        engine = create_async_engine(sqlalchemy_url(db, driver))
        maker = async_sessionmaker(engine)
        session: Any = async_scoped_session(maker, lambda: None) if scoped else maker()
        try:
            yield Caller(session)
            await session.commit()
        finally:
            await session.close()
            await engine.dispose()

    return opened


def _session_now(*, scoped: bool = False) -> Kind:
    @asynccontextmanager
    async def opened(db: str) -> AsyncIterator[Caller]:
        engine = sqlalchemy.create_engine(sqlalchemy_url(db, "psycopg"))
        maker = sessionmaker(engine)
        session: Any = scoped_session(maker) if scoped else maker()
        try:
            yield Caller(session, now=True)
            session.commit()
        finally:
            session.close()
            engine.dispose()

    return opened


@asynccontextmanager
async def _engine_connection(db: str) -> AsyncIterator[Caller]:
    engine = create_async_engine(sqlalchemy_url(db, "asyncpg"))
    try:
        async with engine.begin() as connection:
            yield Caller(connection)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _engine_connection_now(db: str) -> AsyncIterator[Caller]:
    engine = sqlalchemy.create_engine(sqlalchemy_url(db, "psycopg"))
    try:
        with engine.begin() as connection:
            yield Caller(connection, now=True)
    finally:
        engine.dispose()


KINDS: dict[str, Kind] = {
    "asyncpg": _asyncpg,
    "asyncpg of a pool": _asyncpg_of_a_pool,
    "psycopg": _psycopg,
    "psycopg, blocking": _psycopg_now,
    "session on asyncpg": _session("asyncpg"),
    "session on psycopg": _session("psycopg"),
    "scoped session on asyncpg": _session("asyncpg", scoped=True),
    "engine's connection on asyncpg": _engine_connection,
    "session on psycopg, blocking": _session_now(),
    "scoped session on psycopg, blocking": _session_now(scoped=True),
    "engine's connection on psycopg, blocking": _engine_connection_now,
    "Django's, blocking": _django(proxy=True),
    "Django's by its alias, blocking": _django(proxy=False),
}
AWAITED = {name: kind for name, kind in KINDS.items() if "blocking" not in name}
