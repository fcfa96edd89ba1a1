"""What crons/ runs: the pulse, the nightly digest, and the removal of what is old."""

import os
import smtplib
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from pillars import Context, job

KEEP_UPLOADS = timedelta(days=7)

# A row that is locked is being worked on: it goes next time. One upload a statement keeps each transaction short.
PRUNE_ONE = """
delete from uploads where upload_id = (
    select upload_id from uploads
    where created_at < pillars.now() - $1::interval
        or (state = 'receiving' and touched_at < pillars.now() - interval '1 hour')
    limit 1
    for update skip locked
)
returning upload_id
"""

PRUNE_PULSES = "delete from pulses where beat_at < pillars.now() - interval '1 day'"

BEAT = "insert into pulses default values on conflict do nothing"

DIGEST = """
insert into digests (uploads, rows, bytes, failures)
select count(*),
    coalesce(sum(row_count), 0),
    coalesce(sum(bytes), 0),
    count(*) filter (where state = 'refused') + (
        select count(*) from pillars.finished_jobs
        where state = 'failed' and finished_at > pillars.now() - interval '1 day')
from uploads
where created_at > pillars.now() - interval '1 day'
returning uploads, rows, bytes, failures
"""


@dataclass(frozen=True, slots=True)
class Digest:
    """A day in numbers."""

    uploads: int
    rows: int
    bytes: int
    failures: int


@job(keep="failed")
async def pulse(ctx: Context) -> None:
    """Show that cron and a worker are alive."""
    async with ctx.connection() as connection:
        await connection.execute(BEAT)


@job
async def prune(ctx: Context) -> int:
    """Delete old uploads with all that belongs to them, and those whose sender went away; returns how many."""
    pruned = 0
    while True:
        async with ctx.connection() as connection:
            if await connection.fetchval(PRUNE_ONE, KEEP_UPLOADS) is None:
                await connection.execute(PRUNE_PULSES)
                return pruned
            pruned += 1


@job
async def digest(ctx: Context) -> Digest:
    """Count the last day and have the numbers sent.

    The row, the mail's job and the end of this job are one transaction: all three happen, once.
    """
    async with ctx.connection() as connection:
        made = Digest(**await connection.fetchrow(DIGEST))
        await send_digest.configure(connection=connection).enqueue(made)
        await ctx.complete(made, connection=connection)
    return made


@job(queue="mail", max_attempts=8, timeout="2m")
def send_digest(ctx: Context, made: Digest) -> str:
    """Mail the digest to `DIGEST_TO` through `SMTP_URL`; without them, write it to the log.

    smtplib blocks, so this job is a plain `def`: it runs in a thread.
    """
    server, to = os.environ.get("SMTP_URL"), os.environ.get("DIGEST_TO")
    if not (server and to):
        ctx.log.info("digest.made", **asdict(made))
        return "logged"
    address = urlsplit(server)
    with smtplib.SMTP(address.hostname or "localhost", address.port or 25, timeout=30) as smtp:
        if address.username:
            smtp.starttls()
            smtp.login(unquote(address.username), unquote(address.password or ""))
        smtp.send_message(_mail(to, made))
    return f"sent to {to}"


def _mail(to: str, made: Digest) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = f"Yesterday: {made.uploads:,} uploads, {made.failures:,} failures"
    mail["From"] = mail["To"] = to
    mail.set_content("".join(f"{name:>10}  {count:,}\n" for name, count in asdict(made).items()))
    return mail
