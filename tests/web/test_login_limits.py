"""Guessing passwords: so many tries a minute of a name and of an address, and little work for the rest."""

import ast
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial

import anyio
import httpx2
import pytest

from browsing import serving, web_of
from pillars.service import passwords
from pillars.service.process import Process
from pillars.store import accounts
from pillars.store.database import Database
from pillars.web.pillar import Web
from support import ask, move_clock, until

TOKEN = "operate-0123456789"
PASSWORD = "correct horse battery"
Make = Callable[..., Process]
From = Callable[[str | None], httpx2.AsyncClient]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about how often, not about how dear."""
    monkeypatch.setattr(passwords, "COST", 2**4)


@pytest.fixture
async def coming_from(process_with: Make) -> From:
    """Makes a client of one process whose connections come from an address."""
    web = Web(process_with(token=TOKEN, host="0.0.0.0"), None)

    def make(address: str | None) -> httpx2.AsyncClient:
        async def app(scope, receive, send):  # type: ignore[no-untyped-def]
            client = None if address is None else (address, 5000)
            await web.asgi({**scope, "client": client}, receive, send)

        transport = httpx2.ASGITransport(app=app)
        return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    return make


async def tried(client: httpx2.AsyncClient, name: str, password: str = "wrong") -> httpx2.Response:
    form = {"name": name, "password": password}
    return await client.post("/dashboard/login", data=form)


async def test_a_name_is_tried_five_times_a_minute_whoever_tries(
    coming_from: From, database: Database, db: str
) -> None:
    hashed = passwords.hashed(PASSWORD)
    await accounts.add(database.pool, "ada", scope="operate", password_hash=hashed)
    clients = [coming_from(f"10.0.0.{number}") for number in range(1, 9)]
    statuses = [(await tried(client, "Ada ")).status_code for client in clients]
    assert statuses == [401] * 5 + [429] * 3
    refused = await tried(clients[0], "ada", PASSWORD)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f"Wait {refused.headers['retry-after']} seconds" in refused.text
    assert "set-cookie" not in refused.headers
    assert (await tried(clients[0], "bob")).status_code == 401
    await move_clock(db, timedelta(minutes=1))
    assert (await tried(clients[0], "ada", PASSWORD)).status_code == 303


async def test_an_address_tries_twenty_times_a_minute_whatever_the_names(
    coming_from: From, db: str
) -> None:
    one, other = coming_from("10.0.0.1"), coming_from("10.0.0.2")
    statuses = [(await tried(one, f"name{number}")).status_code for number in range(22)]
    assert statuses == [401] * 20 + [429] * 2
    assert (await tried(one, "anybody", TOKEN)).status_code == 429
    assert (await tried(other, "anybody", TOKEN)).status_code == 303
    await move_clock(db, timedelta(minutes=1))
    assert (await tried(one, "anybody", TOKEN)).status_code == 303


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("2001:db8:1:1::1", "2001:db8:1:1:ffff::9", True),
        ("2001:db8:1:1::1", "2001:db8:1:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        (None, None, True),
        ("a socket", None, True),
    ],
)
async def test_a_network_of_one_customer_counts_as_one_address(
    coming_from: From, db: str, first: str | None, second: str | None, *, shared: bool
) -> None:
    for number, address in enumerate((first, second)):
        assert (await tried(coming_from(address), f"name{number}")).status_code == 401
    counted = await ask(
        db, "select count(*) from pillars.login_attempts where subject like 'address %'"
    )
    assert counted == (1 if shared else 2)


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Fly-Client-IP", "CF-Connecting-IP"]
)
async def test_no_header_makes_another_address(coming_from: From, db: str, header: str) -> None:
    client = coming_from("10.0.0.1")
    for number in range(3):
        form = {"name": f"name{number}", "password": "wrong"}
        said = {header: f"for=192.0.2.{number}" if header == "Forwarded" else f"192.0.2.{number}"}
        await client.post("/dashboard/login", data=form, headers=said)
    [address] = ast.literal_eval(
        str(await ask(db, "select array_agg(distinct address) from pillars.audit"))
    )
    assert address == "10.0.0.1"
    tries = "select attempts from pillars.login_attempts where subject = 'address 10.0.0.1'"
    assert await ask(db, tries) == 3


async def test_tries_at_the_same_moment_are_all_counted(database: Database) -> None:
    counted: list[list[int]] = []

    async def attempt(subjects: list[str]) -> None:
        tries = await accounts.count(database.pool, subjects)
        counted.append([tries[one].attempts for one in ("a name", "an address")])

    async with anyio.create_task_group() as group:
        for number in range(8):
            subjects = ["a name", "an address"]
            group.start_soon(attempt, subjects if number % 2 else subjects[::-1])
    assert sorted(counted) == [[number, number] for number in range(1, 9)]


async def test_what_was_typed_as_a_name_is_not_stored(coming_from: From, db: str) -> None:
    await tried(coming_from("10.0.0.1"), "my secret password")
    for table in ("login_attempts", "audit"):
        text = await ask(db, f"select string_agg(row::text, ' ') from pillars.{table} row")
        assert "secret" not in text


async def test_names_that_an_address_makes_up_fill_no_table(coming_from: From, db: str) -> None:
    client = coming_from("10.0.0.1")
    for number in range(30):
        await tried(client, f"name{number}")
    names = "select count(*) from pillars.login_attempts where subject like 'name %'"
    assert await ask(db, names) == 20


async def test_who_logs_in_by_a_token_under_no_name_waits_for_nobody(
    coming_from: From, db: str
) -> None:
    statuses = [
        (await tried(coming_from(f"10.0.0.{number}"), "", "wrong")).status_code
        for number in range(6)
    ]
    assert statuses == [401] * 6
    assert (await tried(coming_from("10.0.0.9"), "", TOKEN)).status_code == 303


async def test_a_form_that_comes_slowly_holds_up_nobody_else(coming_from: From, db: str) -> None:
    over = anyio.Event()
    begun: list[int] = []

    async def slowly() -> AsyncIterator[bytes]:
        begun.append(1)
        yield b"name=a"
        await over.wait()
        yield b"&password=b"

    form = {"content-type": "application/x-www-form-urlencoded"}
    async with anyio.create_task_group() as group:
        for number in range(3):
            client = coming_from(f"10.0.1.{number}")
            group.start_soon(
                partial(client.post, "/dashboard/login", content=slowly(), headers=form)
            )
        await until(lambda: len(begun) == 3)
        assert (await tried(coming_from("10.0.0.1"), "anybody", TOKEN)).status_code == 303
        over.set()


async def test_a_flood_of_guesses_fills_no_table(coming_from: From, db: str) -> None:
    for number in range(8):
        await tried(coming_from(f"10.0.0.{number}"), f"name{number}")
    failed = "select count(*) from pillars.audit where action = 'login.failed'"
    assert await ask(db, failed) == accounts.MOST_STRANGERS
    await move_clock(db, timedelta(minutes=2))
    await tried(coming_from("10.0.0.9"), "somebody")
    assert await ask(db, failed) == accounts.MOST_STRANGERS + 1


@pytest.mark.parametrize(
    ("listed", "address"),
    [
        (None, "192.0.2.7"),
        ("127.0.0.0/8", "192.0.2.7"),
        ("10.9.9.9", "127.0.0.1"),
        ("127.0.0.1,192.0.2.0/24", "198.51.100.1"),
    ],
)
async def test_a_listed_proxy_is_believed_and_nobody_else(
    database: Database,
    db: str,
    monkeypatch: pytest.MonkeyPatch,
    listed: str | None,
    address: str,
) -> None:
    if listed is None:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    else:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", listed)
    said = {"x-forwarded-for": "198.51.100.1, 192.0.2.7"}
    async with (
        serving(web_of(database, token=TOKEN)) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        await client.post("/dashboard/login", data={"password": "wrong"}, headers=said)
    assert await ask(db, "select address from pillars.audit") == address
