"""A small shop with tests of its own, run by a pytest of its own."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

PYPROJECT = """
[project]
name = "shop"
version = "1"

[tool.pytest.ini_options]
pythonpath = ["."]
filterwarnings = ["error"]
addopts = "-ra"
asyncio_default_fixture_loop_scope = "function"
"""

JOBS = """
from pillars import Context, job


@job(queue="mail", backoff="10m")
async def send_receipt(ctx: Context, order_id: int, to: str) -> str:
    if "@" not in to:
        raise ValueError(f"no address: {to}")
    async with ctx.connection() as connection:
        await connection.execute("insert into sent (order_id, address) values ($1, $2)", order_id, to)
    return f"receipt {order_id} to {to}"


@job
async def count_receipts(ctx: Context) -> int:
    async with ctx.connection() as connection:
        return await connection.fetchval("select count(*) from sent where sent_at > pillars.now() - interval '1 day'")
"""

CRONS = """
from jobs.mail import count_receipts
from pillars import crontab

nightly = crontab("0 3 * * *", count_receipts, tz="Europe/Berlin")
"""

TABLES = """
create table orders (order_id integer primary key generated always as identity, email text not null);
create table sent (order_id integer not null, address text not null, sent_at timestamptz not null default pillars.now());
"""

WEB = """
import pillars
from jobs.mail import send_receipt
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def post_order(request):
    email = (await request.json())["email"]
    async with pillars.connection() as connection:
        order_id = await connection.fetchval("insert into orders (email) values ($1) returning order_id", email)
        await send_receipt.configure(connection=connection).enqueue(order_id, to=email)
    return JSONResponse({"order_id": order_id}, 201)


def post_reminder(request):
    handle = send_receipt.configure(run_in="1d").enqueue_now(7, to="sync@example.com")
    return JSONResponse({"job_id": handle.job_id}, 201)


app = Starlette(routes=[
    Route("/orders", post_order, methods=["POST"]),
    Route("/reminders", post_reminder, methods=["POST"]),
])
"""


@dataclass
class Shop:
    """A project in a folder of its own. `run` runs its tests in a process of their own."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def lay_out(self) -> None:
        """Write the shop itself."""
        (self.path / "pyproject.toml").write_text(PYPROJECT)
        (self.path / "sql" / "app").mkdir(parents=True)
        (self.path / "sql" / "app" / "0001_orders.sql").write_text(TABLES)
        self.write(jobs__mail=JOBS, crons__reports=CRONS, web=WEB)
        for package in ("jobs", "crons"):
            (self.path / package / "__init__.py").touch()

    def write(self, **files: str) -> None:
        """Write files by their paths, with "__" for a slash, without their ".py"."""
        for name, text in files.items():
            path = self.path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(textwrap.dedent(text))

    def run(self, *words: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "-p", "no:schemathesis", *words
        )

    def passes(self, *words: str, passed: int) -> pytest.RunResult:
        """Run the tests: all pass, so many, and nothing is warned of."""
        result = self.run(*words)
        result.assert_outcomes(passed=passed)
        assert result.ret == 0
        return result
