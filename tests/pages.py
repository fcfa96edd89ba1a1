"""What tests of the dashboard share: jobs in every state, and a page as a reader sees it."""

import html
import json
import re
from typing import Any
from uuid import UUID

from support import ask, asking, tell

PAGES = (
    "/dashboard",
    "/dashboard/jobs",
    "/dashboard/queues",
    "/dashboard/names",
    "/dashboard/schedules",
    "/dashboard/workers",
)


async def enqueue(
    db: str, *, name: str = "mail.send", payload: Any = None, queue: str = "default", **columns: Any
) -> str:
    """Put a job in as it is, whoever defines its name."""
    job_id = await ask(
        db,
        """insert into pillars.jobs (job_id, name, queue, payload, context, tags, unique_key, run_at)
           values (pillars.uuid7(), $1, $2, $3, $4, $5, $6, coalesce($7, pillars.now())) returning job_id""",
        name,
        queue,
        json.dumps(payload or {}),
        *(columns.get(one) for one in ("context", "tags", "unique_key", "run_at")),
    )
    return str(job_id)


async def run(db: str, job_id: str) -> None:
    """Hold a job as a worker would."""
    await tell(
        db,
        """update pillars.jobs set locked_by = gen_random_uuid(), lock_token = 1, locked_at = pillars.now(), attempt = 1
           where job_id = $1""",
        UUID(job_id),
    )


async def end(db: str, job_id: str, state: str, **columns: Any) -> None:
    """End a job as a worker would; `columns` are written over."""
    async with asking(db) as connection:
        await connection.execute(
            """with gone as (delete from pillars.jobs job where job.job_id = $1 returning job)
               insert into pillars.finished_jobs
               select final.* from gone cross join lateral pillars.ended(gone.job, $2, 'boom') final""",
            UUID(job_id),
            state,
        )
        for name, value in columns.items():
            statement = f"update pillars.finished_jobs set {name} = $2 where job_id = $1"
            await connection.execute(statement, UUID(job_id), value)


def words(page: str) -> str:
    """What a page says, without its marks: one space between any two words."""
    body = page.partition("<main")[2] or page
    said = re.sub(r"<[^>]*>", " ", re.sub(r"<dialog.*</dialog>", "", "<" + body, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(said)).strip()
