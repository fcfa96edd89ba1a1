"""docs/howto/fastapi.md, django.md and flask.md: the apps that stand there, written into a folder and run as they are."""

import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pillars.testing.databases import Databases
from process.pillar import ROOT, App, app, told
from support import ask, tell, until

HOWTO = ROOT / "docs" / "howto"
FILE = re.compile(r"^```\w+\n(?:#|--) (\S+\.\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY = ("web.ready", "worker.ready", "cron.ready")
SERVED = {"HOST": "127.0.0.1", "PORT": "0", "PILLARS_LOCK": "5s", "PILLARS_SQL": "sql/app"}


# A commit that fails: whoever has been told 201 by then was told wrong.
LATE_REFUSAL = """
create function refuse() returns trigger language plpgsql as $$ begin raise 'refused at the commit'; end $$;
create constraint trigger late after insert on orders deferrable initially deferred for each row execute function refuse();
"""


def written(page: str, folder: Path) -> Path:
    """A project with every file that a page shows."""
    project = folder / page
    for name, text in FILE.findall((HOWTO / f"{page}.md").read_text("utf-8")):
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (project / "jobs" / "__init__.py").touch()  # this repository has a package of that name, too
    return project


def done(project: Path, db: str, *words: str, **more: str) -> str:
    """What a command of the project's prints; it must succeed."""
    environ = {"DATABASE_URL": db, "PATH": str(Path(sys.executable).parent), "PYTHONPATH": f"{project}:{ROOT}", "DJANGO_SETTINGS_MODULE": "shop.settings", **more}  # fmt: skip
    ran = subprocess.run([sys.executable, "-m", *words], cwd=project, env=environ, capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@asynccontextmanager
async def served(
    project: Path, db: str, **environ: str
) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    """`app all` of a project, and a client of it."""
    folder = project.parent
    with app(folder, db, "migrate", project=project, **SERVED) as migrate:
        assert await migrate.ended() == 0, migrate.output
    with app(folder, db, "all", project=project, **{**SERVED, **environ}) as started:
        await until(
            lambda: all(told(started, one) for one in READY) or started.process.poll() is not None
        )
        assert started.process.poll() is None, started.output
        [ready] = told(started, "web.ready")
        async with httpx2.AsyncClient(base_url=str(ready["url"]), timeout=20) as client:
            yield started, client
        started.signal(signal.SIGTERM)
        assert await started.ended() == 0, started.output
        assert not told(started, "ASGI 'lifespan' protocol appears unsupported.")
        assert '"logger":"uvicorn' not in started.output


async def completed(db: str, job_id: str) -> Any:
    """The result of a job, once it has one."""
    query = "select result #>> '{}' from pillars.finished_jobs where job_id = $1::uuid"
    await until(lambda: _is_there(db, query, job_id))
    return await ask(db, query, job_id)


async def _is_there(db: str, query: str, job_id: str) -> bool:
    return await ask(db, query, job_id) is not None


async def unmeasured() -> AsyncIterator[bytes]:
    """A body that is sent without its length."""
    yield b"to=b@example.com"


async def forget_templates(server: str, project: Path) -> None:
    """Take away what the tests of a page's project would begin with the next time."""
    databases = Databases(server, [], project=project)
    await databases.open()
    await databases.forget_templates()
    await databases.close()


async def ours_answer(client: httpx2.AsyncClient) -> None:
    health = await client.get("/api/health")
    assert health.json()["status"] == "ok"
    assert (await client.get("/metrics")).status_code == 200
    assert (await client.get("/api/jobs/stats")).json()["completed"] >= 1


@pytest.mark.slow
async def test_the_app_of_the_fastapi_page(empty_db: str, server: str, tmp_path: Path) -> None:
    db = empty_db
    project = written("fastapi", tmp_path)
    async with served(project, db) as (process, client):
        placed = await client.post("/orders", params={"email": "a@example.com"})
        assert placed.status_code == 201, placed.text
        assert await completed(db, placed.json()["receipt"]) == "receipt 1 to a@example.com"
        again = await client.post("/orders", params={"email": "a@example.com"})
        assert again.status_code == 409
        assert await ask(db, "select count(*) from pillars.all_jobs") == 1
        reminded = await client.post("/orders/1/reminder", params={"to": "b@example.com"})
        state = (await client.get(f"/receipts/{reminded.json()['job_id']}")).json()
        assert (reminded.status_code, state) == (202, {"state": "scheduled"})
        assert (await client.get("/prices")).json() == {"tea": 4}
        await tell(db, LATE_REFUSAL)
        assert (await client.post("/orders", params={"email": "late"})).status_code == 500
        await tell(db, "drop trigger late on orders")
        assert (await client.get("/docs")).status_code == 200
        assert "/orders" in (await client.get("/openapi.json")).json()["paths"]
        await ours_answer(client)
        assert process.process.poll() is None
    done(project, "", "pytest", "-q", "-p", "no:cacheprovider", "tests", TEST_DATABASE_URL=server)
    await forget_templates(server, project)


@pytest.mark.slow
async def test_the_app_of_the_flask_page(empty_db: str, tmp_path: Path) -> None:
    db = empty_db
    project = written("flask", tmp_path)
    async with served(project, db) as (process, client):
        placed = await client.post("/orders", data={"email": "a@example.com"})
        assert placed.status_code == 201, placed.text
        assert await completed(db, placed.json()["receipt"]) == "receipt 1 to a@example.com"
        again = await client.post("/orders", data={"email": "a@example.com"})
        assert again.status_code == 500
        assert process.output.count("UniqueViolation") >= 1
        assert len([line for line in process.output.splitlines() if "UniqueViolation" in line]) == 1
        assert await ask(db, "select count(*) from pillars.all_jobs") == 1
        form = {"content-type": "application/x-www-form-urlencoded"}
        reminded = await client.post("/orders/1/reminder", content=unmeasured(), headers=form)
        assert reminded.status_code == 202, reminded.text
        assert await ask(db, "select count(*) from pillars.jobs") == 1
        await ours_answer(client)
    await tell(db, "delete from orders")
    done(project, db, "pytest", "-q", "-p", "no:cacheprovider", "tests")


@pytest.mark.slow
async def test_the_app_of_the_django_page(empty_db: str, tmp_path: Path) -> None:
    db = empty_db
    project = written("django", tmp_path)
    done(project, db, "django", "makemigrations", "shop")
    done(project, db, "django", "migrate")
    async with served(project, db) as (process, client):
        placed = await client.post("/orders", data={"email": "a@example.com"})
        assert placed.status_code == 201, placed.text
        assert await completed(db, placed.json()["receipt"]) == "receipt 1 to a@example.com"
        state = await client.get(f"/receipts/{placed.json()['receipt']}")
        assert state.json() == {"state": "completed"}
        declined = await client.post("/orders", data={"email": "b@example.com", "card": "declined"})
        assert declined.status_code == 500
        assert len([one for one in process.output.splitlines() if "was declined" in one]) == 1
        assert await ask(db, "select count(*) from pillars.all_jobs") == 1
        assert await ask(db, "select count(*) from shop_order") == 1
        paid = await client.post("/orders/1/pay")
        assert await completed(db, paid.json()["job_id"]) == "paid"
        assert await ask(db, "select paid from shop_order")
        stranger = {"host": "10.0.0.1"}
        assert (await client.post("/orders/1/pay", headers=stranger)).status_code == 400
        assert (await client.get("/api/health", headers=stranger)).status_code == 200
        await ours_answer(client)
    done(project, db, "django", "test", "shop")


@pytest.mark.parametrize("page", ["fastapi", "django", "flask"])
def test_every_block_of_a_page_is_a_file_that_is_run(page: str) -> None:
    text = (HOWTO / f"{page}.md").read_text("utf-8")
    assert len(FILE.findall(text)) == text.count("```") / 2 >= 4
