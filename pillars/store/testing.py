"""What tests need of a server: databases that are copies of a template, and a clock that they move."""

from datetime import datetime, timedelta

from pillars.errors import DatabaseTrouble
from pillars.store import statements
from pillars.store.rows import Command, JobRow, Leftover, Now, Template
from pillars.store.session import STATEMENT_TIMEOUT, Executor, Session
from pillars.store.statements import Statement

CREATE = Statement("testing/create", Command)
DROP = Statement("testing/drop", Command)
SEAL = Statement("testing/seal", Command)
UNSEAL = Statement("testing/unseal", Command)
TEMPLATES = Statement("testing/templates", Template)
LEFT_BEHIND = Statement("testing/left_behind", Leftover)
MOVE_CLOCK = Statement("testing/move_clock", Now)
SET_CLOCK = Statement("testing/set_clock", Now)
UNFINISHED = Statement("testing/unfinished", JobRow)

PATIENCE = timedelta(minutes=1)  # a copy waits for the server's checkpoint


async def answers(session: Session) -> bool:
    """Whether the server is still at the other end."""
    try:
        await session.script("select", timeout=STATEMENT_TIMEOUT)
    except DatabaseTrouble:
        return False
    return True


async def create(session: Session, name: str, *, template: str = "template0") -> None:
    """Make a database as a copy of a template."""
    await _run(session, CREATE, name, template)


async def drop(session: Session, name: str) -> None:
    """End a database, whoever is connected to it; one that is gone already is none to complain of."""
    await _run(session, DROP, name)


async def seal(session: Session, name: str) -> None:
    """Make a database a template."""
    await _run(session, SEAL, name)


async def drop_template(session: Session, template: Template) -> None:
    if template.sealed:
        await _run(session, UNSEAL, template.name)
    await drop(session, template.name)


async def templates(session: Session, prefix: str) -> list[Template]:
    """The templates whose names begin so."""
    return await session.rows(TEMPLATES, prefix)


async def left_behind(session: Session) -> list[str]:
    """Databases of runs that are gone."""
    return [row.name for row in await session.rows(LEFT_BEHIND)]


async def install_clock(session: Session) -> None:
    """Give the database of this session the clock that tests move."""
    await session.script(clock(), timeout=PATIENCE)


def clock() -> str:
    """The SQL of the clock, by which a template is known, too."""
    return statements.text("testing/clock")


async def move_clock(executor: Executor, by: timedelta) -> datetime:
    """Let the time of record run ahead by so much more; returns it."""
    [moved] = await executor.rows(MOVE_CLOCK, by)
    return moved.now


async def set_clock(executor: Executor, to: datetime) -> datetime | None:
    """Let the time of record be this from now on; None, and nothing changed, where that would turn it back."""
    moved = await executor.rows(SET_CLOCK, to)
    return moved[0].now if moved else None


async def unfinished(executor: Executor) -> list[JobRow]:
    """Every unfinished job, in the order in which they were enqueued."""
    return await executor.rows(UNFINISHED)


async def _run(session: Session, statement: Statement[Command], *args: str) -> None:
    [command] = await session.rows(statement, *args)
    await session.script(command.statement, timeout=PATIENCE)
