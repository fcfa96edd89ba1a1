"""The dashboard over a database that has something of everything, for the tests of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from browsing import Visit, serving, visiting, web_of
from pillars.store.database import Database
from support import asking

STOCK = Path(__file__).with_name("stock.sql").read_text("utf-8")
PLAIN = "reports.weekly"
STATES = (
    "scheduled", "ready", "running", "waiting", "paused", "completed", "failed", "cancelled", "expired",
)  # fmt: skip


async def stock(db: str, said: str = PLAIN) -> dict[str, str]:
    """Fill a database; `said` is in every text that somebody may choose. A job's id by its state."""
    async with asking(db) as connection:
        await connection.execute("select set_config('test.said', $1, false)", said)
        await connection.execute(STOCK)
        rows = await connection.fetch("select state, job_id from pillars.all_jobs")
    return {row["state"]: str(row["job_id"]) for row in rows}


@asynccontextmanager
async def dashboard(browser: Browser, database: Database, **options: Any) -> AsyncIterator[Visit]:
    """A visit to the dashboard, which is not yet shown."""
    async with (
        serving(web_of(database)) as url,
        visiting(browser, url, **options) as visit,
    ):
        yield visit
