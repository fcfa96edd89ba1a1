"""docs/reference says what there is, and its examples do what they show."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from uuid import uuid4

import httpx2
import pytest

from pillars import crontab, job
from pillars.cron.syncing import sync
from pillars.service.fleet_health import OF_FLEET
from pillars.service.metrics import OF_DATABASE, OF_PROCESS, UP, Metric, Seen, families
from pillars.service.process import Process
from pillars.store.database import Database
from pillars.store.rows import Listed, Queue, Vitals
from pillars.web import openapi, routes, shapes
from pillars.web.dashboard.entrance import Entrance
from pillars.web.operations import Resource
from pillars.web.queries import FILTERS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SHOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
Make = Callable[..., Process]


def table(text: str, opening: str) -> list[list[str]]:
    """The cells of every table whose first column is so called."""
    tables = re.findall(rf"\| {opening} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    return [
        [cell.strip().strip("`") for cell in row.strip("|").split("|")]
        for one in tables
        for row in one.splitlines()
    ]


def needed(resource: Resource, method: str) -> str:
    if resource.is_open or resource.is_way_in:
        return ""
    return "view" if method == "GET" and not resource.is_for_operators else "operate"


def test_every_route_stands_in_the_reference_as_it_is(process_with: Make) -> None:
    found = [
        [
            f"{method} {resource.template}",
            needed(resource, method),
            ", ".join(map(str, operation.answers)),
            operation.summary,
        ]
        for resource in routes.table(process_with(), entrance=Entrance(process_with()))
        for method, operation in resource.operations.items()
    ]
    text = (REFERENCE / "http.md").read_text()
    assert table(text, "route") == found
    assert table(text, "status") == [[str(one), said] for one, said in openapi.PROBLEMS.items()]
    [filters] = re.findall(r"^Filters: (.*?) \(50; at most 200\), (.*?)\.", text, re.MULTILINE)
    assert re.findall(r"`(\w+)`", ", ".join(filters)) == list(FILTERS)


@pytest.mark.parametrize("page", ["fastapi", "django", "flask"])
def test_a_frameworks_page_says_which_paths_are_ours(process_with: Make, page: str) -> None:
    ours = {
        re.match(r"/api/\w+(\.\w+)?|/\w+", one.path)[0]  # type: ignore[index]
        for one in routes.table(process_with(), entrance=Entrance(process_with()))
    }
    text = (REFERENCE.parent / "howto" / f"{page}.md").read_text()
    [said] = re.findall(r"## Which paths are ours\n\n(.*?), each exactly", text, re.DOTALL)
    told = {one.rstrip("…") for one in re.findall(r"`([^`]+)`", said)}
    assert told - {"/live", "/ready"} == ours


def test_the_fields_of_every_answer_are_those_that_it_has() -> None:
    has: dict[str, Any] = {
        "a job": shapes.Job,
        "a schedule": shapes.Schedule,
        "a queue": shapes.Queue,
        "a name": shapes.Name,
        "a process": shapes.Process,
        "a cancel by name": shapes.Cancelled,
        "the stats": shapes.Stats,
        "the stats of a queue": shapes.QueueCount,
    }
    told = table((REFERENCE / "http.md").read_text(), "of")
    assert {what: re.findall(r"\w+", fields) for what, fields in told} == {
        what: list(shape.__struct_fields__) for what, shape in has.items()
    }


def test_the_checks_of_health_say_no_more_than_the_page() -> None:
    has = {
        name: get_args(get_type_hints(check)["status"])
        for name, check in get_type_hints(shapes.Checks).items()
    }
    told = table((REFERENCE / "http.md").read_text(), "check")
    assert {name: tuple(re.findall(r"\w+", said)) for name, said, _ in told} == has


@job(name="jobs.reports.digest")
async def digest(days: int = 1) -> None: ...


async def test_the_examples_of_the_reference_do_what_they_show(
    process_with: Make, client_of: Callable[..., httpx2.AsyncClient], database: Database
) -> None:
    nightly = crontab("0 3 * * *", digest.call(7), name="crons.reports.nightly")
    await sync(database, [nightly], deployment="shop")
    client = client_of(process_with(), None, digest)
    job_id = ""
    examples = re.findall(r"```http\n(.*?)\n```", (REFERENCE / "http.md").read_text(), re.DOTALL)
    assert len(examples) >= 8
    for example in examples:
        asked, _, answered = example.partition("\n\n")
        line, _, body = asked.partition("\n")
        method, _, path = line.partition(" ")
        status, _, shown = answered.partition("\n")
        content = json.loads(body) if body else None
        response = await client.request(method, path.replace(SHOWN_ID, job_id), json=content)
        assert response.status_code == int(status), (line, response.text)
        job_id = job_id or response.json()["job_id"]
        holds(response.json(), json.loads(shown.replace(SHOWN_ID, job_id)))


def holds(found: Any, shown: Any) -> None:
    """All that is shown is so; there may be more."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            holds(found[name], value)
    elif isinstance(shown, list):
        assert len(found) == len(shown)
        for one, other in zip(found, shown, strict=True):
            holds(one, other)
    else:
        assert found == shown


def test_every_metric_stands_in_the_reference_as_it_is() -> None:
    known: list[Metric[Any]] = [*OF_PROCESS, *OF_FLEET, UP, *OF_DATABASE]
    rows = table((REFERENCE / "metrics.md").read_text(), "metric")
    assert [[name, kind, labels, said] for name, kind, labels, _, said in rows] == [
        [one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels).strip("`"), one.help]
        for one in known
    ]


@pytest.mark.parametrize("role", ["web", "worker", "cron"])
def test_each_role_exposes_the_metrics_that_the_reference_says(
    process_with: Make, role: Literal["web", "worker", "cron"]
) -> None:
    process = Process(role, process_with().settings, process_with().database)
    match role:
        case "worker":
            process.tally.ended("a", "completed", 0.1)
            process.tally.began("a", 0.1)
            process.tally.slots = {"async": 1}
            process.listening = True
        case "web":
            process.tally.requests["200"] += 1
    schedule = Listed(
        name="s", job="j", every=None, crontab=None, timezone="UTC", catchup="latest", overlap="skip", jitter=timedelta(0),
        catchup_window=None, next_run_at=None, paused_at=None, deployment="app", last_error=None, last_tick=datetime.now(UTC),
        last_outcome="enqueued", last_job_id=uuid4(), last_missed=0,
    )  # fmt: skip
    vitals = Vitals(1, polling=False, leader=None, scheduled=True)
    seen = Seen(vitals, [Queue("q", 1, 0, 0, 0, 0.0, None)], [schedule], names={"j": True})
    rows = table((REFERENCE / "metrics.md").read_text(), "metric")
    shown = [family.name for family in families(process, seen) if family.samples]
    assert shown == [name for name, _, _, on, _ in rows if role in on.split(", ")]
