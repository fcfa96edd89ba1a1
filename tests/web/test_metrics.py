"""/metrics on the web pillar and on a health port: who may read it, and what the database adds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from figures import Figures

from pillars.service import scraping
from pillars.service.exposition import CONTENT_TYPE, exposed
from pillars.service.health import health_app
from pillars.service.metrics import OF_DATABASE, OF_PROCESS, UP, Metric, Seen, families
from pillars.service.presence import appear
from pillars.service.process import Process
from pillars.service.scraping import Metrics
from pillars.service.tally import MOST_NAMES, OTHER
from pillars.store.database import Database
from pillars.store.rows import Queue, Vitals
from stepping import define
from support import asking, tell

TOKEN, VIEW = "operate-0123456789", "view-0123456789abc"
Make = Callable[..., Process]
ClientOf = Callable[..., httpx2.AsyncClient]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(params=["web", "health port"])
def either_of(request: pytest.FixtureRequest, client_of: ClientOf) -> ClientOf:
    """A client of the web pillar, and one of a health port."""
    if request.param == "web":
        return client_of

    def make(process: Process) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=health_app(process))
        return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9091")

    return make


def guarded(process_with: Make, **flags: Any) -> Process:
    return process_with(token=TOKEN, view_token=VIEW, **flags)


async def test_either_token_reads_and_nothing_else_does(
    process_with: Make, either_of: ClientOf
) -> None:
    client = either_of(guarded(process_with))
    for headers, status in [
        ({}, 401), (bearer(VIEW), 200), (bearer(TOKEN), 200), (bearer("x"), 401), ({"cookie": f"token={TOKEN}"}, 401),
    ]:  # fmt: skip
        for method in ("GET", "HEAD"):
            response = await client.request(method, "/metrics", headers=headers)
            assert response.status_code == status, (method, headers)
    refused = await client.get("/metrics")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json().keys() == {"type", "title", "status", "detail"}


async def test_metrics_that_are_open_need_no_token_and_open_nothing_else(
    process_with: Make, either_of: ClientOf
) -> None:
    client = either_of(guarded(process_with, metrics="open", host="0.0.0.0", health_host="0.0.0.0"))
    headers = {"host": "app.example", "x-forwarded-for": "192.0.2.1"}
    assert (await client.get("/metrics", headers=headers)).status_code == 200
    assert (await client.post("/metrics", headers=headers)).status_code == 405
    for path in ("/api/jobs", "/api/openapi.json", "/api/workers"):
        assert (await client.get(path, headers=headers)).status_code in {401, 404}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:9091"}, 200),
        ({"host": "app.example"}, 401),
        ({"host": "127.0.0.1.example.com"}, 401),
        ({"x-forwarded-for": "127.0.0.1"}, 401),
        ({"forwarded": "for=127.0.0.1"}, 401),
    ],
)
async def test_without_tokens_only_this_machine_reads(
    process_with: Make, either_of: ClientOf, headers: dict[str, str], status: int
) -> None:
    response = await either_of(process_with()).get("/metrics", headers=headers)
    assert response.status_code == status


async def test_without_tokens_a_server_that_is_bound_beyond_loopback_shows_nothing(
    process_with: Make, either_of: ClientOf
) -> None:
    client = either_of(process_with(host="0.0.0.0", health_host="0.0.0.0"))
    response = await client.get("/metrics")
    assert response.status_code == 401
    assert "PILLARS_TOKEN" in response.json()["detail"]
    assert (await client.get("/api/health/live")).status_code == 200


async def test_a_health_port_is_judged_by_its_own_host(process_with: Make) -> None:
    for hosts, status in [
        ({"host": "0.0.0.0", "health_host": "127.0.0.1"}, 200),
        ({"host": "127.0.0.1", "health_host": "0.0.0.0"}, 401),
    ]:
        transport = httpx2.ASGITransport(app=health_app(process_with(**hosts)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/metrics")).status_code == status


async def scraped(client: httpx2.AsyncClient) -> Figures:
    response = await client.get("/metrics")
    assert (response.status_code, response.headers["content-type"]) == (200, CONTENT_TYPE)
    assert response.headers["cache-control"] == "no-store"
    return Figures(response.text)


async def test_the_database_tells_of_jobs_queues_processes_and_schedules(
    process_with: Make, either_of: ClientOf, db: str
) -> None:
    await tell(db, "select pillars.enqueue('a', queue => 'mail') from generate_series(1, 3)")
    await tell(db, "select pillars.enqueue('a', run_at => now() + interval '1 day')")
    await tell(
        db,
        "update pillars.jobs set run_at = now() - interval '1 minute', parked = job_id = (select max(job_id::text)::uuid from pillars.jobs where queue = 'mail') where queue = 'mail'",
    )
    await tell(db, "insert into pillars.queues values ('mail', now())")
    await tell(
        db,
        "insert into pillars.locks (locked_by, expires_at, job_ids) values (gen_random_uuid(), now() - interval '1 minute', '{}')",
    )
    await tell(
        db,
        """insert into pillars.schedules (name, job, queue, max_attempts, every, deployment, paused_at)
           values ('s', 'j', 'default', 1, '1 minute', 'app', null), ('t', 'j', 'default', 1, '1 minute', 'app', now())""",
    )
    await tell(
        db,
        "insert into pillars.ticks (schedule, tick, outcome, missed) values ('s', '2026-01-01T00:00:00Z', 'enqueued', 0)",
    )
    await appear(
        Process("worker", process_with().settings, process_with().database), state="running"
    )
    for name in ("a.job", "b.job"):
        await define(db, name)
    await tell(db, "select pillars.pause_name('b.job')")
    figures = await scraped(either_of(process_with()))
    assert figures.of("pillars_database_up") == 1
    states = {"ready": 2, "parked": 1, "running": 0, "scheduled": 0}
    for state, count in states.items():
        assert figures.of("pillars_jobs", queue="mail", state=state) == count, state
    assert figures.of("pillars_jobs", queue="default", state="scheduled") == 1
    assert 60 <= (figures.of("pillars_oldest_ready_seconds", queue="mail") or 0) < 90
    assert figures.of("pillars_queue_paused", queue="mail") == 1
    assert figures.of("pillars_queue_paused", queue="default") == 0
    assert figures.of("pillars_name_paused", job="a.job") == 0
    assert figures.of("pillars_name_paused", job="b.job") == 1
    assert figures.of("pillars_workers") == 1
    assert figures.of("pillars_worker_deaf") == 0
    assert figures.of("pillars_leader_present") == 0
    assert 60 <= (figures.of("pillars_oldest_expired_lock_seconds") or 0) < 90
    assert figures.of("pillars_schedules", paused="true") == 1
    assert figures.of("pillars_schedules", paused="false") == 1
    ticked = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert figures.of("pillars_schedule_last_tick_time_seconds", schedule="s") == ticked
    assert figures.of("pillars_schedule_last_tick_time_seconds", schedule="t") is None


async def test_scrapes_within_a_moment_cost_the_database_one_look(
    process_with: Make, db: str
) -> None:
    metrics = Metrics(process_with())
    transport = httpx2.ASGITransport(app=metrics)
    async with httpx2.AsyncClient(transport=transport, base_url="http://any") as client:
        await tell(db, "select pillars.enqueue('a')")
        assert (await scraped(client)).of("pillars_jobs", queue="default", state="ready") == 1
        await tell(db, "select pillars.enqueue('a')")
        assert (await scraped(client)).of("pillars_jobs", queue="default", state="ready") == 1
        metrics._looked_at -= 5
        assert (await scraped(client)).of("pillars_jobs", queue="default", state="ready") == 2


async def test_a_database_that_is_away_leaves_the_process_its_own_figures(
    process_with: Make, either_of: ClientOf
) -> None:
    process = process_with(git_commit_sha="0123456789")
    process.database = Database("postgresql://secret@127.0.0.1:1/nowhere")
    response = await either_of(process).get("/metrics")
    assert "secret" not in response.text
    figures = Figures(response.text)
    assert figures.of("pillars_database_up") == 0
    [build] = figures.labels("pillars_build_info")
    assert (build["role"], build["commit"]) == ("web", "0123456")
    assert figures.of("pillars_process_start_time_seconds") == process.tally.began_at
    assert not {metric.name for metric in OF_DATABASE} & {one.name for one in figures.families}


async def test_a_backlog_too_long_to_count_leaves_the_other_figures_of_the_database(
    process_with: Make, client_of: ClientOf, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "COUNTING", timedelta(milliseconds=50))
    async with asking(db) as other, other.transaction():
        await other.execute("lock pillars.queues")  # as long as counting takes
        figures = await scraped(client_of(process_with()))
    assert figures.of("pillars_database_up") == 1
    assert figures.of("pillars_workers") == 0
    assert not [one for one in figures.families if one.name == "pillars_jobs" and one.samples]


async def test_a_pool_that_jobs_have_emptied_stops_no_scrape(
    process_with: Make, client_of: ClientOf, database: Database
) -> None:
    process = process_with()
    process.database = Database(database.address.url, size=1)
    async with process.database.opened(), process.database.pool.session():
        figures = await scraped(client_of(process))
    assert figures.of("pillars_database_up") == 1


async def test_requests_are_counted_by_status(process_with: Make, client_of: ClientOf) -> None:
    client = client_of(process_with())
    for path in ("/api/workers", "/api/jobs?limit=0", "/nowhere", "/nowhere"):
        await client.get(path)
    figures = await scraped(client)
    counted = {
        status: figures.of("pillars_requests_total", status=status)
        for status in ("200", "400", "404")
    }
    assert counted == {"200": 1, "400": 1, "404": 2}  # fmt: skip


def queue(name: str, ready: int = 1, oldest: float = 0.0) -> Queue:
    return Queue(name, ready, 0, 0, 0, oldest, None)


def test_queues_beyond_the_first_200_are_told_together(process_with: Make) -> None:
    many = [queue(f"tenant.{number:04}", oldest=number) for number in range(MOST_NAMES + 30)]
    seen = Seen(Vitals(0, polling=False, leader=None, scheduled=False), many, [])
    figures = Figures(exposed(families(process_with(), seen)).decode())
    assert len(figures.labels("pillars_oldest_ready_seconds")) == MOST_NAMES + 1
    assert figures.of("pillars_jobs", queue=OTHER, state="ready") == 30
    assert figures.of("pillars_oldest_ready_seconds", queue=OTHER) == MOST_NAMES + 29


async def test_a_queue_whose_name_is_other_never_makes_two_series_of_one(
    process_with: Make,
) -> None:
    many = [
        queue(OTHER, ready=5),
        *(queue(f"tenant.{number:04}") for number in range(MOST_NAMES + 30)),
    ]
    seen = Seen(Vitals(0, polling=False, leader=None, scheduled=False), many, [])
    text = exposed(families(process_with(), seen)).decode()
    lines = [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(lines)) == len(lines)
    assert Figures(text).of("pillars_jobs", queue=OTHER, state="ready") == 5 + 31


def test_names_of_metrics_are_ours_each_once_and_counters_end_in_total() -> None:
    known: list[Metric[Any]] = [*OF_PROCESS, UP, *OF_DATABASE]
    assert len({one.name for one in known}) == len(known)
    for one in known:
        assert one.name.startswith("pillars_")
        assert one.name.endswith("_total") == (one.kind == "counter")
        assert one.help.endswith(".")
