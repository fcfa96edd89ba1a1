"""People log in to the dashboard: who is let in, what a session is good for, and when it ends."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from typing import Any

import httpx2
import pytest
from starlette.responses import Response

from pages import PAGES, enqueue
from pillars.service import passwords
from pillars.service.process import Process
from pillars.store import accounts
from pillars.store.database import Database
from pillars.web.dashboard import cookie
from support import ask, move_clock, tell

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
PASSWORD = "correct horse battery"
BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate"}
Make = Callable[..., Process]
Clients = Callable[..., httpx2.AsyncClient]
Add = Callable[..., Awaitable[None]]


@cache
def hash_of(password: str) -> str:
    return passwords.hashed(password)


@pytest.fixture
def add(database: Database) -> Add:
    """Adds an account."""

    async def add(name: str = "ada", *, scope: str = "operate", password: str = PASSWORD) -> None:
        await accounts.add(database.pool, name, scope=scope, password_hash=hash_of(password))

    return add


def test_a_password_that_nobody_can_have_is_refused_before_any_work_on_its_letters() -> None:
    """Unicode's forms of a long text take seconds, in which no thread of the process runs."""
    long = "a" * (passwords.LONGEST + 1)
    assert not passwords.verified(long, passwords.hashed(long))


@pytest.fixture
def guarded(process_with: Make, client_of: Clients) -> httpx2.AsyncClient:
    """A server with both tokens, as in production."""
    return client_of(process_with(token=TOKEN, view_token=VIEW))


@pytest.fixture
def public(process_with: Make, client_of: Clients) -> httpx2.AsyncClient:
    """A server without tokens, bound to every address."""
    return client_of(process_with(host="0.0.0.0"))


async def enter(
    client: httpx2.AsyncClient, name: str, password: str, **more: str
) -> httpx2.Response:
    form = {"name": name, "password": password, **more}
    return await client.post("/dashboard/login", data=form)


def kept(answer: httpx2.Response) -> dict[str, str]:
    """The header by which a browser that kept the answer's cookie shows it."""
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def let_in(client: httpx2.AsyncClient, name: str, password: str) -> dict[str, str]:
    answer = await enter(client, name, password)
    assert answer.status_code == 303, answer.text
    return kept(answer)


async def status(client: httpx2.AsyncClient, headers: dict[str, str]) -> int:
    return (await client.get("/dashboard", headers=headers)).status_code


# --- who is let in ------------------------------------------------------------------------------


async def test_who_knows_the_password_is_let_in_and_may_do_what_the_account_may(
    guarded: httpx2.AsyncClient, db: str, add: Add
) -> None:
    await add("ada", scope="operate")
    await add("vic", scope="view")
    job_id = await enqueue(db)
    vic, ada = await let_in(guarded, "vic", PASSWORD), await let_in(guarded, " Ada ", PASSWORD)
    for path in (*PAGES, f"/dashboard/jobs/{job_id}"):
        viewed = await guarded.get(path, headers=vic)
        operated = await guarded.get(path, headers=ada)
        assert (viewed.status_code, operated.status_code) == (200, 200)
        assert re.findall(r'method="post" action="([^"]+)"', viewed.text) == ["/dashboard/logout"]
        assert 'id="who"' in viewed.text
    assert f'action="/dashboard/jobs/{job_id}/cancel"' in operated.text
    cancel = f"/dashboard/jobs/{job_id}/cancel"
    refused = await guarded.post(cancel, headers=vic)
    assert (refused.status_code, "or an account that operates; vic only reads" in refused.text) == (
        403,
        True,
    )
    assert await ask(db, "select count(*) from pillars.jobs") == 1
    assert (await guarded.post(cancel, headers=ada)).status_code == 303
    assert await ask(db, "select count(*) from pillars.jobs") == 0


@pytest.mark.parametrize("name", ["", "ada", "anybody", "a b", "Zoë", "x\0y", "x" * 500])
async def test_a_token_lets_in_under_any_name_with_its_own_scope(
    guarded: httpx2.AsyncClient, db: str, name: str
) -> None:
    operator, viewer = await let_in(guarded, name, TOKEN), await let_in(guarded, name, VIEW)
    pause = "/dashboard/queues/default/pause"
    assert (await guarded.post(pause, headers=viewer)).status_code == 403
    assert (await guarded.post(pause, headers=operator)).status_code != 403
    page = await guarded.get("/dashboard", headers=viewer)
    assert "PILLARS_VIEW_TOKEN</span>" in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", ""), ("ada", PASSWORD + "x"), ("ada", PASSWORD[:-1]), ("ada", PASSWORD.upper()), ("bob", PASSWORD),
        ("", PASSWORD), ("ada", TOKEN[:-1]), ("ada", TOKEN + "x"), (TOKEN, "ada"), (PASSWORD, "ada"), ("ada'--", PASSWORD),
        ("ada\0", PASSWORD), ("ada", f" {PASSWORD}"), ("ada", "scrypt"),
    ],
)  # fmt: skip
async def test_nothing_but_the_exact_password_lets_in(
    guarded: httpx2.AsyncClient, db: str, add: Add, name: str, password: str
) -> None:
    await add()
    answer = await enter(guarded, name, password)
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert 'role="alert"' in answer.text
    assert not password or password not in answer.text.replace(f'value="{name}"', "")
    assert await ask(db, "select count(*) from pillars.sessions") == 0


async def test_the_stored_hash_is_no_password(
    guarded: httpx2.AsyncClient, db: str, add: Add
) -> None:
    await add()
    stored = await ask(db, "select password_hash from pillars.accounts")
    assert (await enter(guarded, "ada", stored)).status_code == 401
    assert PASSWORD not in stored


async def test_an_accounts_password_belongs_to_its_own_name(
    guarded: httpx2.AsyncClient, add: Add
) -> None:
    await add("ada")
    await add("bob", password="another password")
    assert (await enter(guarded, "bob", PASSWORD)).status_code == 401


async def test_a_name_that_nobody_has_costs_as_much_work_and_is_answered_alike(
    guarded: httpx2.AsyncClient, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add("ada")
    work: list[dict[str, Any]] = []

    def scrypt(password: bytes, **how: Any) -> bytes:
        work.append({name: value for name, value in how.items() if name != "salt"})
        return real(password, **how)

    real = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    known, unknown = (
        await enter(guarded, "ada", "a wrong password"),
        await enter(guarded, "eve", "a wrong password"),
    )
    assert work[0] == work[1]
    assert len(work) == 2
    assert known.status_code == unknown.status_code == 401
    assert known.text == unknown.text.replace("eve", "ada")
    assert known.headers == unknown.headers


async def test_with_accounts_alone_people_are_let_in_and_programs_are_not(
    public: httpx2.AsyncClient, add: Add
) -> None:
    await add()
    ada = await let_in(public, "ada", PASSWORD)
    assert await status(public, ada) == 200
    for path in ("/api/jobs", "/metrics", "/api/openapi.json"):
        assert (await public.get(path, headers=ada)).status_code == 401


async def test_without_tokens_and_accounts_there_is_no_way_in(
    public: httpx2.AsyncClient, db: str
) -> None:
    for answer in (
        await public.get("/dashboard", headers=BROWSER),
        await public.get("/dashboard/login", headers=BROWSER),
        await enter(public, "ada", PASSWORD),
    ):
        assert answer.status_code == 401
        assert "set PILLARS_TOKEN, or make an account (app accounts add)" in answer.text
        assert "<form" not in answer.text.partition("<main")[2].partition("</main")[0]
    assert await ask(db, "select count(*) from pillars.login_attempts") == 0


async def test_on_this_machine_without_tokens_nobody_needs_to_log_in_but_may(
    client: httpx2.AsyncClient, process_with: Make, client_of: Clients, add: Add
) -> None:
    page = await client.get("/dashboard", headers=BROWSER)
    assert (page.status_code, 'id="who"' in page.text) == (200, False)
    assert (await client.get("/dashboard/login")).headers["location"] == "/dashboard"
    await add()
    later = client_of(process_with())  # whether there is an account is not asked each time
    ada = await let_in(later, "ada", PASSWORD)
    assert ">ada</span>" in (await later.get("/dashboard", headers=ada)).text


# --- asking for it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [*PAGES, "/dashboard/jobs?state=failed&name=a%20b", "/dashboard/nowhere"]
)
async def test_a_browser_without_a_session_is_sent_to_the_login_and_then_back(
    guarded: httpx2.AsyncClient, path: str
) -> None:
    sent = await guarded.get(path, headers=BROWSER)
    assert sent.status_code == 303
    login = await guarded.get(sent.headers["location"], headers=BROWSER)
    assert login.status_code == 200
    assert "<script" not in login.text
    [place] = re.findall(r'name="next" value="([^"]*)"', login.text)
    place = place.replace("&amp;", "&")
    entered = await enter(guarded, "ada", TOKEN, next=place)
    back = await guarded.get(entered.headers["location"], headers=kept(entered))
    assert back.status_code == 303
    assert httpx2.URL(back.headers["location"]).params == httpx2.URL(path).params
    assert httpx2.URL(back.headers["location"]).path == httpx2.URL(path).path


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", BROWSER),
        ("POST", BROWSER),
        ("GET", {"accept": "text/html", "hx-request": "true"}),
        ("GET", {"accept": "text/html", "sec-fetch-mode": "cors"}),
        ("GET", {"accept": "application/json"}),
        ("GET", {}),
    ],
)
async def test_scripts_programs_and_forms_are_told_instead(
    guarded: httpx2.AsyncClient, method: str, headers: dict[str, str]
) -> None:
    answer = await guarded.request(method, "/dashboard/jobs", headers=headers)
    assert (answer.status_code, "location" in answer.headers) == (401, False)
    if method == "GET":
        assert 'href="/dashboard/login?next=%2Fdashboard%2Fjobs"' in answer.text


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example", "///evil.example", "https://evil.example", "https://evil.example/dashboard", "/\\evil.example",
        "/dashboard/..//evil.example", "/dashboard/../evil", "/dashboard/%2e%2e/evil", "/dashboard/.%2E/evil", "/dashboardx",
        "/", "", "/api/jobs", "javascript:alert(1)", "dashboard", "/dashboard\\..\\evil", "/dashboard\r\nset-cookie: a=b",
        "/dashboard/jobs\t", " /dashboard/jobs", "/dashboard/jobs#x", "/dashboard/login", "/dashboard/logout", "/\t/evil.example",
        "/dashboard/jobs?name=ä", "/dashboard/" + "a" * 2000, "http:/dashboard", "//evil.example/dashboard", "/dashboard/./x",
        "https:///dashboard", "//[/dashboard",
    ],
)  # fmt: skip
async def test_a_login_leads_to_no_page_but_the_dashboards(
    guarded: httpx2.AsyncClient, place: str
) -> None:
    entered = await enter(guarded, "", TOKEN, next=place)
    landed = httpx2.URL(entered.headers["location"])
    assert (landed.path, landed.params["next"]) == ("/dashboard/login", "/dashboard")
    asked = await guarded.get("/dashboard/login", params={"next": place}, headers=kept(entered))
    assert (asked.status_code, asked.headers["location"]) == (303, "/dashboard")
    twice = await guarded.get("/dashboard/login?next=/dashboard/jobs&next=/dashboard/queues", headers=kept(entered))  # fmt: skip
    assert twice.headers["location"] == "/dashboard"


async def test_a_login_keeps_to_the_prefix(process_with: Make, client_of: Clients) -> None:
    client = client_of(process_with(token=TOKEN, prefix="/ops"))
    sent = await client.get("/ops/dashboard/jobs", headers=BROWSER)
    assert sent.headers["location"] == "/ops/dashboard/login?next=%2Fops%2Fdashboard%2Fjobs"
    form = {"name": "", "password": TOKEN, "next": "/dashboard/jobs"}
    entered = await client.post("/ops/dashboard/login", data=form)
    assert httpx2.URL(entered.headers["location"]).params["next"] == "/ops/dashboard"


async def test_who_was_let_in_without_a_cookie_is_told_that_it_takes_https(
    guarded: httpx2.AsyncClient,
) -> None:
    entered = await enter(guarded, "", TOKEN)
    lost = await guarded.get(entered.headers["location"], headers=BROWSER)
    assert (lost.status_code, "only over HTTPS" in lost.text) == (200, True)
    assert 'name="password"' in lost.text


# --- the session --------------------------------------------------------------------------------


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(
    guarded: httpx2.AsyncClient,
) -> None:
    entered = await enter(guarded, "", TOKEN)
    [said] = entered.headers.get_list("set-cookie")
    pair, *attributes = said.split("; ")
    assert re.fullmatch(r"__Host-pillars=[A-Za-z0-9_-]{43}", pair)
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=43200"}


async def test_each_login_has_a_new_id_and_the_browsers_old_one_ends(
    guarded: httpx2.AsyncClient, db: str
) -> None:
    first = await let_in(guarded, "", TOKEN)
    form = {"name": "", "password": TOKEN}
    second = kept(await guarded.post("/dashboard/login", data=form, headers=first))
    assert first != second
    assert [await status(guarded, one) for one in (first, second)] == [401, 200]
    chosen = {"cookie": f"{cookie.NAME}={cookie.new_id()}"}
    third = kept(await guarded.post("/dashboard/login", data=form, headers=chosen))
    assert [await status(guarded, one) for one in (chosen, third)] == [401, 200]
    assert await ask(db, "select count(*) from pillars.sessions") == 2


async def test_nothing_that_is_stored_is_a_cookie(guarded: httpx2.AsyncClient, db: str) -> None:
    said = (await let_in(guarded, "", TOKEN))["cookie"].partition("=")[2]
    stored = await ask(db, "select row_to_json(session)::text from pillars.sessions session")
    assert said not in stored
    assert TOKEN not in stored
    digest = await ask(db, "select encode(digest, 'hex') from pillars.sessions")
    assert digest == hashlib.sha256(said.encode()).hexdigest()
    plain = hashlib.sha256(TOKEN.encode()).hexdigest()
    assert plain not in stored.replace("\\\\x", "")


async def test_a_session_ends_after_twelve_hours_whatever_is_done_in_it(
    guarded: httpx2.AsyncClient, db: str
) -> None:
    session = await let_in(guarded, "", TOKEN)
    await move_clock(db, timedelta(hours=11, minutes=59))
    assert await status(guarded, session) == 200
    await move_clock(db, timedelta(minutes=2))
    assert await status(guarded, session) == 401


async def test_a_logout_ends_the_session_and_has_the_browser_forget_it(
    guarded: httpx2.AsyncClient, db: str, add: Add
) -> None:
    await add("vic", scope="view")
    one, other = await let_in(guarded, "vic", PASSWORD), await let_in(guarded, "vic", PASSWORD)
    left = await guarded.post("/dashboard/logout", headers=one)
    assert (left.status_code, left.headers["location"]) == (303, "/dashboard/login")
    assert left.headers["set-cookie"].startswith("__Host-pillars=; Max-Age=0; Path=/; Secure")
    assert [await status(guarded, session) for session in (one, other)] == [401, 200]
    assert (await guarded.get("/dashboard/logout", headers=other)).status_code == 404
    assert await status(guarded, other) == 200
    assert (await guarded.post("/dashboard/logout")).status_code == 303


async def test_a_session_ends_with_its_account_and_with_its_password(
    guarded: httpx2.AsyncClient, database: Database, db: str, add: Add
) -> None:
    await add("ada")
    await add("bob")
    ada, bob = await let_in(guarded, "ada", PASSWORD), await let_in(guarded, "bob", PASSWORD)
    await accounts.set_password(database.pool, "ada", hash_of("another password"))
    assert [await status(guarded, one) for one in (ada, bob)] == [401, 200]
    await accounts.remove(database.pool, "bob")
    assert await status(guarded, bob) == 401
    assert await ask(db, "select count(*) from pillars.sessions") == 0
    await add("bob")
    assert await status(guarded, bob) == 401


@pytest.mark.parametrize(
    "change",
    [
        "update pillars.accounts set password_hash = password_hash || 'x'",
        "delete from pillars.accounts",
    ],
)
async def test_a_session_that_was_opened_while_its_password_changed_is_none(
    guarded: httpx2.AsyncClient, db: str, add: Add, change: str
) -> None:
    await add()
    session = await let_in(guarded, "ada", PASSWORD)
    await tell(db, change)  # as one who did not yet see the session
    assert await status(guarded, session) == 401


async def test_a_session_by_token_ends_with_the_token(
    process_with: Make, client_of: Clients
) -> None:
    first = client_of(process_with(token=TOKEN, view_token=VIEW))
    operator, viewer = await let_in(first, "", TOKEN), await let_in(first, "", VIEW)
    changed = client_of(process_with(token="another-0123456789", view_token=VIEW))
    assert [await status(changed, one) for one in (operator, viewer)] == [401, 200]
    swapped = client_of(process_with(token=VIEW, view_token=TOKEN))
    assert [await status(swapped, one) for one in (operator, viewer)] == [401, 401]
    without = client_of(process_with(token=TOKEN))
    assert [await status(without, one) for one in (operator, viewer)] == [200, 401]


async def test_another_scope_of_an_account_counts_at_once(
    guarded: httpx2.AsyncClient, db: str, add: Add
) -> None:
    await add(scope="operate")
    session = await let_in(guarded, "ada", PASSWORD)
    await tell(db, "update pillars.accounts set scope = 'view'")
    pause = "/dashboard/queues/default/pause"
    assert (await guarded.post(pause, headers=session)).status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        "{0}={1}x", "{0}={2}", "{0}=", "{0}", "{0}={1}; {0}={1}", "{0}={3}; {0}={1}", "pillars={1}", "__host-pillars={1}",
        '{0}="{1}"', "x{0}={1}", "__Secure-pillars={1}", "{0}={1}\0", "{0}='; drop table pillars.sessions; --",
    ],
)  # fmt: skip
async def test_nothing_but_the_one_cookie_counts(guarded: httpx2.AsyncClient, said: str) -> None:
    session_id = (await let_in(guarded, "", TOKEN))["cookie"].partition("=")[2]
    forged = said.format(cookie.NAME, session_id, session_id[:-1], cookie.new_id())
    raw = [(b"cookie", forged.encode())]
    assert (await guarded.get("/dashboard", headers=raw)).status_code == 401
    among = {"cookie": f"a=b; {cookie.NAME}={session_id}; c=d"}
    assert await status(guarded, among) == 200


async def test_the_api_knows_no_cookie(
    guarded: httpx2.AsyncClient, client: httpx2.AsyncClient, db: str
) -> None:
    session = await let_in(guarded, "", TOKEN)
    job_id = await enqueue(db)
    for method, path in (
        ("GET", "/api/jobs"), ("POST", "/api/jobs"), ("DELETE", f"/api/jobs/{job_id}"), ("POST", f"/api/jobs/{job_id}/cancel"),
        ("GET", "/metrics"), ("GET", "/api/openapi.json"),
    ):  # fmt: skip
        assert (await guarded.request(method, path, headers=session)).status_code == 401
    assert await ask(db, "select count(*) from pillars.jobs") == 1


async def test_their_application_does_not_get_the_cookie(
    process_with: Make, client_of: Clients
) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def theirs(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            found = [value.decode() for key, value in scope["headers"] if key == b"cookie"]
            seen.append((scope["path"], found))
        await Response()(scope, receive, send)

    client = client_of(process_with(token=TOKEN), theirs)
    ours = (await let_in(client, "", TOKEN))["cookie"]
    for said in (
        [ours], [f"a=b; {ours}; c=d"], [f"{ours};a=b"], [ours, "a=b"], ["a=b; c=d"], ["  a = b ;c"], [f"a=x{cookie.NAME}; b=c"], [],
    ):  # fmt: skip
        await client.get("/theirs", headers=[("cookie", one) for one in said])
    assert [found for _, found in seen] == [
        [], ["a=b; c=d"], ["a=b"], ["a=b"], ["a=b; c=d"], ["  a = b ;c"], [f"a=x{cookie.NAME}; b=c"], [],
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/dashboard/login", "/dashboard/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"}, {"origin": "null"},
    ],
)  # fmt: skip
async def test_no_page_of_another_site_logs_anybody_in_or_out(
    guarded: httpx2.AsyncClient, db: str, path: str, headers: dict[str, str]
) -> None:
    session = await let_in(guarded, "", TOKEN)
    form = {"name": "", "password": TOKEN}
    answer = await guarded.post(path, data=form, headers={**session, **headers})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert await status(guarded, session) == 200
    assert await ask(db, "select count(*) from pillars.sessions") == 1


async def test_http_basic_opens_nothing(guarded: httpx2.AsyncClient) -> None:
    for path in ("/dashboard", "/api/jobs"):
        answer = await guarded.get(path, auth=("anybody", TOKEN))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_without_the_database_who_logs_in_is_told_to_try_again(
    guarded: httpx2.AsyncClient, db: str
) -> None:
    session = await let_in(guarded, "", TOKEN)
    await tell(db, "alter table pillars.sessions rename to gone")
    assert await status(guarded, session) == 500
    assert (await enter(guarded, "", TOKEN)).status_code == 500
    assert await status(guarded, {"authorization": f"Bearer {TOKEN}"}) == 200
