"""Who may see the dashboard, and that nothing that it shows can harm who looks."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx2
import pytest

from pages import PAGES, end, enqueue
from pillars import every, job
from pillars.cron.syncing import sync
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.store.database import Database
from pillars.web.dashboard import assets
from support import ask, tell

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
Make = Callable[..., Process]
Clients = Callable[..., httpx2.AsyncClient]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "'><b onclick=alert(1)>",
    "</pre></code><script>alert(1)</script>", "</title><script>alert(1)</script>", "javascript:alert(1)", "{{ 7 * 7 }}",
    "{% raw %}", "&lt;script&gt;", "]]><script>alert(1)</script>", "<!--<script>", "` onmouseover=alert(1)", "\u2028alert(1)//",
    "<hx-partial hx-target='body'><b>x</b></hx-partial>", '" hx-get="/evil" hx-trigger="load" x="', "<style>*{display:none}</style>",
    "<a href='javascript:alert(1)'>x</a>", "<base href=//evil>", "<meta http-equiv=refresh content=0;url=//evil>", "<form action=//evil>",
    "<iframe src=//evil>", "\x1b]8;;javascript:alert(1)\x07x", "\u202egnp.exe", "A" * 5000,
]  # fmt: skip


@job(name="fetch")
async def fetch() -> None: ...


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(process_with: Make, client_of: Clients) -> httpx2.AsyncClient:
    return client_of(process_with(token=TOKEN, view_token=VIEW))


class Marks(HTMLParser):
    """What of a page could run, or pull something in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.page_scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "").startswith("/dashboard/assets/"):
            self.wrong.append(f"{tag} {given}")
        if tag in {"style", "iframe", "object", "embed", "base", "hx-partial", "b-x"}:
            self.wrong.append(tag)
        if tag == "form" and not (given.get("action") or "/dashboard").startswith("/dashboard"):
            self.wrong.append(f"{tag} {given}")
        if tag == "meta" and "http-equiv" in given:
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.wrong.append(f"{tag} {name}")
            if name in {"href", "src"} and not (value or "").startswith(("/dashboard", "#")):
                self.wrong.append(f"{tag} {name}={value}")
            if name.startswith("hx-") and name not in {
                "hx-get", "hx-trigger", "hx-target", "hx-select", "hx-swap", "hx-sync", "hx-status:5xx",
            }:  # fmt: skip
                self.wrong.append(f"{tag} {name}")
            if name == "hx-get" and not (value or "").startswith("/dashboard"):
                self.wrong.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_that_is_stored_runs_on_any_page(
    client: httpx2.AsyncClient, db: str, database: Database, process_with: Make, text: str
) -> None:
    stored = text.replace("\0", "")
    made = await enqueue(
        db, payload={stored: stored}, context=stored, tags=[stored], unique_key=stored
    )
    await end(db, made, "failed", last_error=stored, trace=stored)
    await tell(db, "update pillars.finished_jobs set result = to_jsonb($1::text)", stored)
    await tell(
        db,
        """insert into pillars.attempts (job_id, attempt, outcome, error, traceback, ended_at)
           values ($1, 1, 'failed', $2, $2, now())""",
        UUID(made), stored,
    )  # fmt: skip
    odd = await enqueue(db, name=stored[:100], queue=stored[:100], payload={"x": stored})
    await sync(database, [every("1h", fetch.call(), name="hourly")], deployment="shop")
    await tell(
        db, "update pillars.schedules set last_error = $1, timezone = $1, crontab = null", stored
    )
    await appear(Process("worker", process_with().settings, database), state="running", slots=1)
    await tell(
        db,
        "update pillars.workers set host = $1, version = $1, commit_sha = $1, queues = array[$1]",
        stored,
    )
    await tell(
        db,
        "insert into pillars.audit (actor, action, target, address, details) values ($1, $1, $1, $1, jsonb_build_object($1::text, $1))",
        stored,
    )
    for path in (*PAGES, "/dashboard/audit", f"/dashboard/jobs/{made}", f"/dashboard/jobs/{odd}"):
        page = await client.get(path)
        assert page.status_code == 200, path
        assert Marks(page.text).wrong == [], path
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", page.text), path


@pytest.mark.parametrize("text", HOSTILE[:22])
async def test_nothing_that_an_address_holds_runs_on_any_page(
    client: httpx2.AsyncClient, text: str
) -> None:
    for name in ("state", "name", "queue", "tag", "cursor", "limit", "said", "next", "before", "x" + text):  # fmt: skip
        for path in ("/dashboard/jobs", "/dashboard", "/dashboard/login", "/dashboard/audit"):
            page = await client.get(path, params={name: text})
            assert Marks(page.text).wrong == [], (path, name)


async def test_every_answer_carries_the_policy_and_is_not_stored(
    client: httpx2.AsyncClient, guarded: httpx2.AsyncClient, db: str
) -> None:
    job_id = await enqueue(db)
    asked: list[tuple[httpx2.AsyncClient, str, str, int]] = [
        *((client, "GET", path, 200) for path in PAGES),
        (client, "GET", f"/dashboard/jobs/{job_id}", 200),
        (client, "GET", "/dashboard/jobs?state=x", 400),
        (guarded, "GET", "/dashboard", 401),
        (guarded, "GET", "/dashboard/login", 200),
        (guarded, "POST", "/dashboard/login", 415),
        (guarded, "POST", "/dashboard/logout", 303),
        (client, "GET", "/dashboard/jobs/x", 404),
        (client, "GET", "/dashboard/assets/x.js", 404),
        (client, "DELETE", "/dashboard/queues", 405),
        (client, "POST", f"/dashboard/jobs/{job_id}/retry", 303),
        (client, "POST", "/dashboard/jobs", 415),
        (client, "HEAD", "/dashboard", 200),
    ]
    for one, method, path, status in asked:
        answer = await one.request(method, path)
        assert answer.status_code == status, (method, path)
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
    await tell(db, "drop view pillars.all_jobs cascade")
    broken = await client.get("/dashboard/jobs")
    assert (broken.status_code, broken.headers["content-security-policy"]) == (500, POLICY)


async def test_files_are_named_by_their_hash_and_kept_for_ever_by_whoever_asks(
    guarded: httpx2.AsyncClient,
) -> None:
    page = await guarded.get("/dashboard", headers=bearer(VIEW))
    named = set(re.findall(r'"(/dashboard/assets/[^"]+)"', page.text))
    assert len(named) == 4
    for path in named:
        answer = await guarded.get(path)
        digest = hashlib.sha256(answer.content).hexdigest()[:16]
        assert (answer.status_code, digest in path) == (200, True)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("dashboard.css", 404),
        ("vendor.toml", 404),
        ("..%2Fframe.py", 401),
        ("%2e%2e%2fframe.py", 401),
        ("....//frame.py", 401),
        ("..%2F..%2F..%2Fpyproject.toml", 401),
    ],
)
async def test_no_other_file_is_served(guarded: httpx2.AsyncClient, name: str, status: int) -> None:
    path = f"/dashboard/assets/{name}"
    assert (await guarded.get(path)).status_code == status
    bearing = await guarded.get(path, headers=bearer(TOKEN))
    assert (bearing.status_code, "import" in bearing.text) == (404, False)


async def test_a_page_that_there_is_not_is_ours_and_behind_the_gate(
    guarded: httpx2.AsyncClient,
) -> None:
    for path in ("/dashboard/nowhere", "/dashboard/jobs/1/2/3", "/dashboard/assets/a/b"):
        assert (await guarded.get(path)).status_code == 401
        answer = await guarded.get(path, headers=bearer(VIEW))
        assert (answer.status_code, 'id="nav-jobs"' in answer.text) == (404, True)
        assert answer.headers["content-security-policy"] == POLICY
    slash = await guarded.get("/dashboard/", headers=bearer(VIEW))
    assert (slash.status_code, slash.headers["location"]) == (303, "/dashboard")


def test_files_of_others_are_as_their_packages_have_them() -> None:
    said = tomllib.loads((assets.FOLDER / "vendor.toml").read_text())
    ours = {"dashboard.css", "dashboard.js", "icon.svg", "vendor.toml"}
    assert {path.name for path in assets.FOLDER.iterdir()} == ours | said.keys()
    for name, one in said.items():
        assert hashlib.sha512((assets.FOLDER / name).read_bytes()).hexdigest() == one["sha512"]
        assert one.keys() == {"package", "version", "source", "license", "sha512"}


async def test_both_tokens_read_and_only_one_operates(guarded: httpx2.AsyncClient, db: str) -> None:
    job_id = await enqueue(db)
    for path in (*PAGES, f"/dashboard/jobs/{job_id}"):
        viewed = await guarded.get(path, headers=bearer(VIEW))
        operated = await guarded.get(path, headers=bearer(TOKEN))
        assert (viewed.status_code, operated.status_code) == (200, 200)
        assert 'method="post"' not in viewed.text
        assert 'name="job_id"' not in viewed.text
    assert 'method="post"' in operated.text
    for path in (
        f"/dashboard/jobs/{job_id}/cancel",
        "/dashboard/queues/default/pause",
        "/dashboard/jobs",
    ):
        assert (await guarded.post(path, headers=bearer(VIEW))).status_code == 403
    assert await ask(db, "select count(*) from pillars.jobs") == 1
    answer = await guarded.post(f"/dashboard/jobs/{job_id}/cancel", headers=bearer(TOKEN))
    assert answer.status_code == 303
    assert await ask(db, "select count(*) from pillars.jobs") == 0


async def test_with_only_a_view_token_nobody_operates(
    process_with: Make, client_of: Clients, db: str
) -> None:
    client = client_of(process_with(view_token=VIEW))
    job_id = await enqueue(db)
    page = await client.get(f"/dashboard/jobs/{job_id}", headers=bearer(VIEW))
    assert (page.status_code, 'method="post"' in page.text) == (200, False)
    refused = await client.post(f"/dashboard/jobs/{job_id}/cancel", headers=bearer(VIEW))
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ({"host": "evil.example"}, {}),
        ({"x-forwarded-for": "10.0.0.1"}, {}),
        ({}, {"host": "0.0.0.0"}),
    ],
)
async def test_without_tokens_only_this_machine_sees_it_and_others_are_told_what_to_set(
    process_with: Make, client_of: Clients, headers: dict[str, str], settings: dict[str, Any]
) -> None:
    answer = await client_of(process_with(**settings)).get("/dashboard", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "set PILLARS_TOKEN, or make an account" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("tokens", [{}, {"token": TOKEN}])
async def test_no_page_of_another_site_changes_anything_here(
    process_with: Make, client_of: Clients, db: str, headers: dict[str, str], tokens: dict[str, str]
) -> None:
    client = client_of(process_with(**tokens))
    job_id = await enqueue(db)
    said = {**headers, **(bearer(TOKEN) if tokens else {})}
    for path in (
        f"/dashboard/jobs/{job_id}/cancel",
        "/dashboard/jobs",
        "/dashboard/queues/default/pause",
    ):
        form = {"action": "cancel", "job_id": job_id}
        assert (await client.post(path, headers=said, data=form)).status_code == 403
    assert await ask(db, "select count(*) from pillars.jobs") == 1


STATES = ["scheduled", "ready", "running", "waiting", "completed", "failed", "cancelled", "expired"]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_ink_stands_out_on_every_ground(theme: int) -> None:
    css = (assets.FOLDER / "dashboard.css").read_text()
    tokens = {
        name: (light, dark)[theme]
        for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    }
    for ink in ("ink", "quiet", "accent", *STATES):
        for ground in ("ground", "paper", "shade"):
            assert contrast(tokens[ink], tokens[ground]) >= 4.5, (ink, ground)
    assert contrast(tokens["on-accent"], tokens["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_styles_name_no_colour_but_by_its_token_and_pull_nothing_in() -> None:
    css = (assets.FOLDER / "dashboard.css").read_text().partition("}\n")[2]
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?![^{]*\{)", css)
    assert "@import" not in css
    assert "url(" not in css
