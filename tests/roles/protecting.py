"""A table whose rows are protected, and jobs as code knows them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roles.standing import Standing
from structlog.testing import capture_logs

from pillars import Context, log
from pillars.jobs.connected import using
from pillars.store.database import Database
from pillars.store.row_security import Convention
from support import tell

NOTES = """
create table notes (
    note_id bigint generated always as identity primary key, body text not null,
    user_id text not null default current_setting('pillars.user_id', true)
);
create table plain (note_id bigint);
insert into notes (body, user_id) values ('one', 'ada'), ('two', 'ada'), ('three', 'bob');
alter table notes enable row level security;
create policy own_notes on notes using (user_id = (select current_setting('pillars.user_id', true)));
create policy system_notes on notes using ((select current_setting('pillars.system', true)) <> '');
grant select, insert, update, delete on notes, plain to pillars_worker;
"""
COUNT = "select count(*) from notes"
SAID = """select concat_ws(',', current_setting('pillars.user_id', true), current_setting('pillars.system', true),
    current_setting('pillars.job_id', true), current_setting('pillars.job_name', true), nullif(current_setting('role'), 'none'))"""
NOTHING = ",,,"  # what SAID gives on a connection that has been used; a fresh one gives ""
JOB_ID = "01890000-0000-7000-8000-000000000001"


class Nowhere:
    """What a context wants of its worker, and these tests do not."""

    must_end = False

    @property
    def exchange(self) -> Any:
        raise NotImplementedError

    async def checkpoint(self) -> None: ...

    def checkpoint_now(self) -> None: ...

    async def __call__(self, result: object, connection: Any, /) -> None: ...

    def now(self, result: object, connection: Any, /) -> None: ...


def context(name: str = "export", *, attempt: int = 1) -> Context:
    return Context(
        job_id=JOB_ID,
        name=name,
        queue="default",
        attempt=attempt,
        max_attempts=4,
        context=None,
        tags=(),
        deadline=None,
        _complete=Nowhere(),
        _control=Nowhere(),
    )


async def protect(standing: Standing) -> Standing:
    await tell(standing.admin, NOTES)
    return standing


@asynccontextmanager
async def working(
    standing: Standing, login: str = "app_worker", *, size: int = 1, **convention: Any
) -> AsyncIterator[Database]:
    """The pool of a process that logs in as that role."""
    made = Database(standing.as_(login), size=size, convention=Convention(**convention))
    async with using(made) as database:
        yield database


async def warnings_of(work: Any) -> list[tuple[str, str]]:
    """The jobs and tables that were warned of."""
    with capture_logs() as lines:
        await work()
    return [
        (line["job_name"], line["table"])
        for line in lines
        if line["event"] == log.Event.JOB_UNIDENTIFIED
    ]
