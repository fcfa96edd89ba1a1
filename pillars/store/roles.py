"""Roles of the database: who may do what in our schema, given and taken until it stands as roles/steps.sql has it."""

from datetime import timedelta

from pillars.durations import words
from pillars.errors import DatabaseTrouble, Trouble
from pillars.store.migrate import BE_BRIEF, LOCK_WAIT, LONGEST
from pillars.store.pool import Address
from pillars.store.rows import Command, Yes
from pillars.store.session import Session
from pillars.store.statements import Statement

IN_USE = Statement("roles/in_use", Yes)
STEPS = Statement("roles/steps", Command)

TRIES = 5
PATIENCE = timedelta(minutes=1)  # a pooler takes no settings, so there it may be compiled
# Another process took the same step, in this database or, as roles are the cluster's, in another one.
TAKEN_BY_ANOTHER = {"42710", "23505", "XX000"}


async def connect(address: Address) -> Session:
    """Open a connection for these: to compile the question for what is missing takes 500 times as long as to answer it."""
    return await address.connect(jit="off")


async def in_use(session: Session) -> bool:
    """Whether this database has roles: then every migration ends with their rights."""
    [found] = await session.rows(IN_USE)
    return found.yes


async def missing(session: Session) -> list[str]:
    """The statements that are missing, in the order in which they are to run."""
    return [step.statement for step in await session.rows(STEPS, timeout=PATIENCE)]


async def settle(session: Session) -> list[str]:
    """Run what is missing; returns what this process ran.

    Each step is a transaction of its own, short and safe to repeat: pillars may be running, and a run that was cut short is gone on
    with by the next. Raises `DatabaseTrouble` with the statement, and what the role lacks for it.
    """
    done: list[str] = []
    for left in reversed(range(TRIES)):
        steps = await missing(session)
        for step in steps:
            if not await _taken(session, step, patiently=left > 0):
                break
            done.append(step)
        else:
            return done
    return done


async def _taken(session: Session, step: str, *, patiently: bool) -> bool:
    """Run a step; False where somebody was in the way and what is missing is to be looked up again."""
    try:
        async with session.transaction():
            await session.rows(BE_BRIEF, words(LOCK_WAIT["pillars"]))
            await session.script(step, timeout=LONGEST)
    except DatabaseTrouble as trouble:
        if patiently and (trouble.kind is Trouble.CONFLICT or trouble.sqlstate in TAKEN_BY_ANOTHER):
            return False
        raise DatabaseTrouble(
            trouble.kind, f"{step} failed: {trouble}{_advice(trouble)}", sqlstate=trouble.sqlstate
        ) from trouble
    return True


def _advice(trouble: DatabaseTrouble) -> str:
    if trouble.kind is not Trouble.DENIED:
        return ""
    return (
        "; the first run of app migrate --roles is for a superuser, or for a role that owns the schema and may create roles; "
        "the others for a member of pillars_owner"
    )
