"""`app accounts`."""

import sys
from datetime import datetime
from functools import partial

import click

from pillars.cli import opening, saying
from pillars.cli.ending import DONE, Misuse, arguments
from pillars.cli.opening import Opened
from pillars.cli.recording import record
from pillars.cli.tables import Cell, Column
from pillars.moments import age
from pillars.service import passwords
from pillars.store import accounts, listing, schedules
from pillars.store.rows import AccountRow

COLUMNS = (
    Column(title="ACCOUNT", least=16),
    Column(title="SCOPE"),
    Column(title="LOGINS", right=True),
    Column(title="PASSWORD SET"),
    Column(title="ADDED", optional=True),
)


def list_accounts(*, as_json: bool) -> int:
    """Print every account; never anything of a password."""
    found, now = opening.run(_listed, command="accounts")
    if as_json:
        saying.items(map(listing.plain, found))
        return DONE
    if found:
        saying.rows(COLUMNS, [_row(one, now) for one in found])
    none = "no accounts; add one: app accounts add NAME --scope operate"
    saying.tell(saying.counted(len(found), "account") if found else none)
    return DONE


def add(name: str, *, scope: str) -> int:
    """Add an account with a password that is asked for."""
    with arguments():
        accounts.checked_name(name)
    hashed = passwords.hashed(_password())
    opening.run(partial(_add, name, scope, hashed), command="accounts")
    saying.tell(f"{name} may log in to the dashboard, scope {scope}")
    return DONE


def password(name: str) -> int:
    """Give an account another password that is asked for."""
    opening.run(partial(_require, name), command="accounts")
    hashed = passwords.hashed(_password())
    opening.run(partial(_set_password, name, hashed), command="accounts")
    saying.tell(f"{name} has another password; its logins have ended")
    return DONE


def remove(name: str) -> int:
    """Remove an account."""
    opening.run(partial(_remove, name), command="accounts")
    saying.tell(f"{name} is removed; its logins have ended")
    return DONE


def _password() -> str:
    """The password: typed twice at a terminal, where nobody sees it; else the first line of stdin. Never an argument, which `ps` shows."""
    if sys.stdin is None:
        said = ""
    elif sys.stdin.isatty():
        said = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        said = sys.stdin.readline(passwords.LONGEST + 2).removesuffix("\n").removesuffix("\r")
    if not said:
        raise Misuse("the password: expected it on the first line of stdin, got nothing")
    with arguments():
        return passwords.checked(said)


async def _listed(opened: Opened) -> tuple[list[AccountRow], datetime]:
    pool = opened.database.pool
    return await accounts.listed(pool), await schedules.now(pool)


async def _require(name: str, opened: Opened) -> None:
    await accounts.require(opened.database.pool, name)


async def _add(name: str, scope: str, hashed: str, opened: Opened) -> None:
    async with opened.database.pool.session() as session, session.transaction():
        await accounts.add(session, name, scope=scope, password_hash=hashed)
        await record(session, "account.add", name, scope=scope)


async def _set_password(name: str, hashed: str, opened: Opened) -> None:
    async with opened.database.pool.session() as session, session.transaction():
        await accounts.set_password(session, name, hashed)
        await record(session, "account.password", name)


async def _remove(name: str, opened: Opened) -> None:
    async with opened.database.pool.session() as session, session.transaction():
        await accounts.remove(session, name)
        await record(session, "account.remove", name)


def _row(account: AccountRow, now: datetime) -> list[Cell]:
    return [
        Cell(account.name),
        Cell(account.scope),
        Cell(str(account.sessions), None if account.sessions else "dim"),
        Cell(age(account.password_at, now)),
        Cell(age(account.created_at, now)),
    ]
