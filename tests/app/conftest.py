"""What every test of the app may ask for; `jobs` and `app_database` come with the library."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from page.app import app
from pillars.testing import Jobs


@pytest.fixture
async def client(jobs: Jobs) -> AsyncIterator[httpx2.AsyncClient]:
    """A visitor of the page. What it enqueues, `jobs` runs."""
    del jobs
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as made:
        yield made
