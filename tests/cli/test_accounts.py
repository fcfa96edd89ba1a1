"""`app accounts`: who may log in to the dashboard."""

import os
import pty
import sys

import anyio
import pytest

from cli.said import Run
from pillars.cli import people
from pillars.cli.ending import Misuse
from pillars.errors import DatabaseTrouble
from pillars.service import passwords
from pillars.store import accounts
from pillars.store.database import Database
from process.pillar import ROOT
from support import ask

PASSWORD = "correct horse battery"


async def test_an_account_is_added_listed_given_another_password_and_removed(
    app: Run, db: str, database: Database
) -> None:
    said = await app("accounts", "add", "ada", "--scope", "operate", typed=f"{PASSWORD}\n")
    assert (said.out, said.err) == ("", "ada may log in to the dashboard, scope operate\n")
    before = await accounts.find(database.pool, "ada")
    assert before is not None
    assert passwords.verified(PASSWORD, before.password_hash)
    [listed] = (await app("accounts", "list", "--json")).json["items"]
    assert listed.keys() == {"name", "scope", "created_at", "password_at", "sessions"}
    assert (listed["name"], listed["scope"], listed["sessions"]) == ("ada", "operate", 0)
    shown = await app("accounts", "list")
    assert "ada" in shown.out
    assert "scrypt" not in shown.out
    await app("accounts", "password", "ada", typed="another password")
    after = await accounts.find(database.pool, "ada")
    assert after is not None
    assert passwords.verified("another password", after.password_hash)
    assert not passwords.verified(PASSWORD, after.password_hash)
    await app("accounts", "remove", "ada")
    assert await ask(db, "select count(*) from pillars.accounts") == 0
    assert "no accounts; add one" in (await app("accounts", "list")).err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "on the first line of stdin, got nothing"),
        ("short\n", "expected 12 to 1,000 characters, got 5"),
        ("x" * 1001, "expected 12 to 1,000 characters"),
        ("with\ta tab in it\n", "without control characters"),
    ],
)
async def test_a_password_that_is_none_is_refused_and_not_repeated(
    app: Run, db: str, typed: str, words: str
) -> None:
    said = await app("accounts", "add", "ada", "--scope", "view", typed=typed, code=2)
    assert words in said.err
    assert not typed.strip() or typed.strip() not in said.err
    assert await ask(db, "select count(*) from pillars.accounts") == 0


def test_a_stdin_that_is_closed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Misuse, match="on the first line of stdin, got nothing"):
        people._password()


@pytest.mark.parametrize(
    "name", ["", "Ada", "a b", "-a", "a/b", "loopback", "nobody", "a:b", "ä", "a" * 101]
)
async def test_a_name_that_cannot_be_one_is_refused(app: Run, db: str, name: str) -> None:
    words = ("accounts", "add", "--scope", "view", "--", name)
    said = await app(*words, typed=f"{PASSWORD}\n", code=2)
    assert "the name: expected 1 to 100 of a-z 0-9" in said.err
    assert await ask(db, "select count(*) from pillars.accounts") == 0


async def test_the_table_refuses_the_same_names(database: Database) -> None:
    for name in ("ada", "ada.l+x@example.com", "0", "a" * 100):
        assert accounts.checked_name(name) == name
        await accounts.add(database.pool, name, scope="view", password_hash="x")
    for name in ("Ada", "loopback", "-a", "a" * 101, ""):
        with pytest.raises(DatabaseTrouble) as refused:
            await accounts.add(database.pool, name, scope="view", password_hash="x")
        assert refused.value.constraint == "accounts_name"


async def test_a_second_account_of_a_name_is_refused(app: Run, db: str) -> None:
    await app("accounts", "add", "ada", "--scope", "view", typed=PASSWORD)
    said = await app("accounts", "add", "ada", "--scope", "operate", typed=PASSWORD, code=1)
    assert said.err == (
        'app: there is an account named "ada"; another password: app accounts password ada\n'
    )
    assert await ask(db, "select scope from pillars.accounts") == "view"


@pytest.mark.parametrize("verb", ["password", "remove"])
async def test_an_account_that_is_not_there_is_answered_with_the_nearest(
    app: Run, verb: str
) -> None:
    await app("accounts", "add", "ada", "--scope", "view", typed=PASSWORD)
    said = await app("accounts", verb, "adda", typed=PASSWORD, code=1)
    assert 'no account named "adda"; did you mean "ada"?' in said.err


@pytest.mark.parametrize(("second", "done"), [(PASSWORD, True), ("a different one", False)])
async def test_at_a_terminal_the_password_is_typed_twice_and_not_shown(
    db: str, tmp_path: os.PathLike[str], second: str, *, done: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pillars", "accounts", "add", "ada", "--scope", "view"]
    environ = {
        **os.environ,
        "DATABASE_URL": db,
        "PILLARS_ENV": "prod",
        "PILLARS_SQL": str(ROOT / "sql" / "app"),
        "PYTHONPATH": str(ROOT),
    }
    process = await anyio.open_process(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environ,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = ""
    for asked, typed in (("Password: ", PASSWORD), ("confirm", second)):
        while asked not in seen:
            seen += (await anyio.to_thread.run_sync(os.read, ours, 1000)).decode()
        os.write(ours, f"{typed}\n".encode())
    if done:
        assert await process.wait() == 0
    else:
        while "do not match" not in seen:
            seen += (await anyio.to_thread.run_sync(os.read, ours, 1000)).decode()
        process.kill()
        await process.wait()
    os.close(ours)
    assert PASSWORD not in seen
    assert await ask(db, "select count(*) from pillars.accounts") == int(done)
