"""What the page of a job hears: that there is news of it, at which it looks again."""

from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from pillars.jobs.stream_tokens import Grant
from pillars.store.streams import Topics
from pillars.web.api import paths
from pillars.web.gate import GRANT
from pillars.web.streams.endpoints import Wanted

NEWEST = 1  # event of those before the page was asked for, all of which it shows
LASTING = timedelta(minutes=1)
"""Then the browser comes back, and whoever has logged out meanwhile is not let in."""


async def job(request: Request) -> Wanted:
    """The job of a page, for a while."""
    topics = Topics.of(jobs=[paths.job_id(request)])
    request.scope[GRANT] = Grant(topics, datetime.now(UTC) + LASTING)
    return Wanted(topics, topics)
