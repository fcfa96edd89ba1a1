"""What asyncpg raises, told as `DatabaseTrouble`: by what a caller can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import asyncpg

from pillars.errors import DatabaseTrouble, Trouble

# SQLSTATEs (Postgres manual, appendix A), first by the whole code, then by its class.
KINDS = {
    "0A000": Trouble.CONFLICT,  # "cached plan must not change result type": planned anew next time
    "25006": Trouble.READ_ONLY,
    "25P02": Trouble.REFUSED,  # of a transaction in which a statement has failed
    "25P03": Trouble.LOST,  # idle in transaction for too long: the server has hung up
    "40001": Trouble.CONFLICT,
    "40P01": Trouble.CONFLICT,
    "42501": Trouble.DENIED,
    "55P03": Trouble.CONFLICT,
    "57014": Trouble.CONFLICT,  # cancelled by the server's own timeout: rolled back
    "57P01": Trouble.LOST,
    "57P02": Trouble.LOST,
    "57P03": Trouble.BUSY,
    "57P05": Trouble.LOST,
}
CLASSES = {
    "08": Trouble.LOST,
    "22": Trouble.REFUSED,  # also what asyncpg says of an argument that it cannot encode
    "23": Trouble.REFUSED,
    "28": Trouble.DENIED,
    "3D": Trouble.DENIED,
    "40": Trouble.CONFLICT,
    "53": Trouble.BUSY,
    "54": Trouble.REFUSED,  # a value too large for jsonb, or for an index
    "57": Trouble.LOST,
    "58": Trouble.BUSY,
    "P0": Trouble.REFUSED,  # raised by our own functions
    "XX": Trouble.BUSY,
}

UNDONE = {"40001", "40P01"}
FULL = "54000"
"""Also of what is too large: this one is where the server's queue of notifications is full, no fault of the statement's."""
NOTIFYING = "async.c"
"""The source of the server that says so."""


class Told:
    """Around a running statement. A class, since it is around each, and a generator would take several times as long."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, _type: object, error: BaseException | None, _traceback: object, /
    ) -> Literal[False]:
        if error is not None:
            _tell(error)
        return False


_TOLD = Told()


def told() -> Told:
    """Raise `DatabaseTrouble` for whatever a running statement raises."""
    return _TOLD


def _tell(error: BaseException) -> None:
    if isinstance(error, asyncpg.PostgresError):
        raise _of_server(error) from error
    if isinstance(
        error, (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
    ):
        said = f"the connection to Postgres was lost: {_line(error)}"
        raise DatabaseTrouble(Trouble.LOST, said) from error


@contextmanager
def told_of_connecting() -> Iterator[None]:
    """Raise `DatabaseTrouble` for whatever the making of a connection raises: nothing was sent."""
    try:
        with told():
            yield
    except DatabaseTrouble as trouble:
        if trouble.kind is Trouble.LOST:
            why = trouble.__cause__ or trouble
            raise DatabaseTrouble(Trouble.UNREACHABLE, _line(why)) from trouble
        raise


def never_sent(trouble: DatabaseTrouble) -> bool:
    """Whether it is asyncpg's own word on an argument: the statement was parsed, and nothing followed."""
    cause = trouble.__cause__
    return isinstance(cause, asyncpg.DataError) and getattr(cause, "severity", None) is None


def is_of_a_standby(error: BaseException) -> bool:
    """Whether somebody tried to write where one can only read; the second is of a statement of the caller's own."""
    if isinstance(error, DatabaseTrouble):
        return error.kind is Trouble.READ_ONLY
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)


def was_undone(trouble: DatabaseTrouble) -> bool:
    """Whether the server chose this transaction to make way for another (a serialization failure, a deadlock): nothing was written."""
    return trouble.sqlstate in UNDONE


def _of_server(error: asyncpg.PostgresError) -> DatabaseTrouble:
    sqlstate = error.sqlstate or ""
    kind = KINDS.get(sqlstate) or CLASSES.get(sqlstate[:2], Trouble.BUG)
    if sqlstate == FULL and getattr(error, "server_source_filename", None) == NOTIFYING:
        kind = Trouble.BUSY
    constraint = getattr(error, "constraint_name", None)
    return DatabaseTrouble(kind, _line(error), sqlstate=sqlstate, constraint=constraint)


def _line(error: BaseException) -> str:
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, TimeoutError):
        return first or "no answer in time"
    return first or type(error).__name__
