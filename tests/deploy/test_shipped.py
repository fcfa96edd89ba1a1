"""What is shipped runs where nothing but Python is: no source, no working directory, a bare environment.

It is one executable file, packed from what is installed here. `make build` runs the same on a folder that deploy/build.sh has
made, as in the image: PILLARS_TEST_PREFIX names it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy import shipping
from deploy.reading import ROOT
from deploy.shipping import Shipped, free_port
from support import ask, tell, until

TOKEN = "a-token-that-is-not-short"
PRUNE = "jobs.upkeep.prune"
DUE = "update pillars.schedules set next_run_at = next_run_at - interval '1 min' where name = 'crons.upkeep.pulse'"
TICKED = "select exists (select from pillars.ticks where schedule = 'crons.upkeep.pulse' and outcome = 'enqueued')"
BEAT = "select exists (select from pulses)"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    made = tmp_path_factory.mktemp("shipped")
    empty = made / "empty"
    empty.mkdir()
    prefix = os.environ.get("PILLARS_TEST_PREFIX")
    yield (
        shipping.of_prefix(Path(prefix), empty)
        if prefix
        else shipping.binary(made / "out" / "app", empty)
    )
    assert not list(empty.iterdir()), "nothing is written where it is started"
    shutil.rmtree(made)


async def test_it_migrates_serves_works_and_ticks_and_all_of_it_drains(
    shipped: Shipped, empty_db: str, tmp_path: Path
) -> None:
    told = {"DATABASE_URL": empty_db, "PILLARS_TOKEN": TOKEN, "PILLARS_LOCK": "5s"}
    assert "the database is up to date" in shipped.run("migrate", DATABASE_URL=empty_db)
    health = str(free_port())
    with (
        shipped.started(tmp_path / "web", "web", HOST="127.0.0.1", PORT="0", **told) as web,
        shipped.started(tmp_path / "worker", "worker", PILLARS_HEALTH_HOST="127.0.0.1",
                        PILLARS_HEALTH_PORT=health, **told) as worker,
        shipped.started(tmp_path / "cron", "cron", **told) as cron,
    ):  # fmt: skip
        for one in (web, worker, cron):
            await one.ready()
        async with httpx2.AsyncClient(
            base_url=shipping.address(web), headers={"authorization": f"Bearer {TOKEN}"}
        ) as client:
            await a_job_runs(client)
            await a_file_is_taken_apart(client)
            assert (await client.get(f"http://127.0.0.1:{health}/api/health/ready")).is_success
        await tell(empty_db, DUE)
        await until(lambda: ask(empty_db, TICKED))
        await until(lambda: ask(empty_db, BEAT))
        listed = json.loads(shipped.run("jobs", "list", "--json", **told))["items"]
        assert {PRUNE, "jobs.uploads.parse"} <= {job["name"] for job in listed}
        assert await shipping.drained(web, worker, cron) == [0, 0, 0]


async def a_job_runs(client: httpx2.AsyncClient) -> None:
    asked = await client.post("/api/jobs", json={"name": PRUNE})
    assert asked.status_code == 201, asked.text
    job = f"/api/jobs/{asked.json()['job_id']}"

    async def completed() -> bool:
        return bool((await client.get(job)).json()["state"] == "completed")

    await until(completed)


async def a_file_is_taken_apart(client: httpx2.AsyncClient) -> None:
    """The starter's page has its templates, its form reader and its tables."""
    assert "<form" in (await client.get("/", headers={"accept": "text/html"})).text
    sent = await client.post("/uploads", files={"file": ("a.csv", b"id,total\n1,2\n")})
    assert sent.status_code == 201, sent.text

    async def done() -> bool:
        return not (await client.get(sent.headers["location"])).json()["waiting"]

    await until(done)


def test_it_finds_its_application_wherever_it_is_called_from(shipped: Shipped) -> None:
    told = json.loads(shipped.run("config", "--json"))
    assert told["errors"] == told["warnings"] == []
    settings = told["settings"]
    assert settings["env"]["value"] == "prod"
    assert Path(settings["project"]["value"]).name == "project"
    assert settings["deployment"]["value"] == "three-pillars"
    report = json.loads(shipped.run("check", "--json"))
    assert PRUNE in {job["name"] for job in report["jobs"]}
    assert (report["web"], report["problems"]) == ("page.app:app", [])


def test_it_takes_no_secret_and_no_test_along(shipped: Shipped) -> None:
    project = Path(json.loads(shipped.run("config", "--json"))["settings"]["project"]["value"])
    assert {path.name for path in project.iterdir()} == {
        "crons", "fly.toml", "jobs", "page", "pyproject.toml", "sql",
    }  # fmt: skip
    assert not list(project.parent.rglob(".env*"))


def test_another_python_is_told_which_one_it_was_made_for(tmp_path: Path) -> None:
    made = tmp_path / "packed"
    made.mkdir()
    shutil.copy(ROOT / "deploy/packed.py", made / "__init__.py")
    (made / "python").write_text("3.0\n")
    program = "import packed; packed.main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("app: made for Python 3.0, this is 3.")
    assert "run it with python3.0" in done.stderr
