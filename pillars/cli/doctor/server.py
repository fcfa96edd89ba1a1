"""Checks of the database server, of the way there, and of what stands between."""

import os
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from pillars.cli.doctor.finding import Finding, fail, in_prod, ok, warn
from pillars.cli.doctor.subject import Subject
from pillars.cli.postgres import is_local
from pillars.durations import words
from pillars.settings import masked_url
from pillars.store import diagnosis, migrate
from pillars.store.pool import RUNTIME_CONNECTIONS

SLOW = timedelta(milliseconds=20)  # a claim and a finish are a few of these
SKEWED = timedelta(seconds=2)  # a machine that keeps its clock is within a tenth of a second
LOST_IN_TIME = timedelta(hours=12)  # half of what results allow an id's maker
FULL = 0.9  # of the connections
XIDS_HIGH, XIDS_DANGEROUS = (
    500_000_000,
    1_500_000_000,
)  # Postgres stops writing at 2.1 thousand million
QUEUE_HIGH, QUEUE_DANGEROUS = 0.1, 0.5  # of the notification queue; full, every NOTIFY fails
# Listener, heartbeat and sweeper; the leader.
OWN_CONNECTIONS = {"web": 0, "worker": 3, "cron": 1}
VERIFIED = {"verify-ca", "verify-full"}


async def reachable(subject: Subject) -> Finding:
    """Postgres answers, and is of a version that will do."""
    if subject.through.session is None:
        return fail(subject.through.trouble, fix="set DATABASE_URL, or start Postgres")
    found = await diagnosis.server(subject.database)
    place = masked_url(subject.url or "")
    if found.version_number < migrate.LEAST_POSTGRES * 10_000:
        return fail(
            f"{place} is Postgres {found.version}",
            fix=f"upgrade it to {migrate.LEAST_POSTGRES} or newer",
        )
    return ok(f"{place}, Postgres {found.version}")


async def writable(subject: Subject) -> Finding:
    """This is a primary that takes writes."""
    found = await diagnosis.server(subject.database)
    if found.in_recovery:
        return fail("the server is a standby", fix="point DATABASE_URL to the primary")
    if found.read_only:
        return fail(
            "transactions are read-only",
            fix="see default_transaction_read_only of the role and the database",
        )
    return ok("a primary that takes writes")


async def latency(subject: Subject) -> Finding:
    """The database is near."""
    taken = await diagnosis.round_trip(subject.database)
    evidence = f"{taken / timedelta(milliseconds=1):.1f} ms a round trip"
    if taken > SLOW:
        return warn(evidence, fix="run the pillars in the database's region")
    return ok(evidence)


async def clock(subject: Subject) -> Finding:
    """This machine and the database agree what time it is."""
    ahead = await diagnosis.clock_ahead(subject.database)
    evidence = f"the database's clock is {words(abs(ahead))} {'ahead' if ahead > timedelta(0) else 'behind'}"
    if abs(ahead) > LOST_IN_TIME:
        return fail(evidence, fix="set this machine's clock: results of its jobs cannot be found")
    if abs(ahead) > SKEWED:
        return warn(evidence, fix="let NTP set both clocks")
    return ok(evidence)


async def tls(subject: Subject) -> Finding:
    """The way to a server elsewhere is encrypted, and it is that server."""
    url = subject.url or ""
    if is_local(url):
        return ok("the database is on this machine")
    query = parse_qs(urlsplit(url).query)
    mode = (query.get("sslmode") or [os.environ.get("PGSSLMODE", "prefer")])[-1]
    encrypted = (await diagnosis.server(subject.database)).encrypted
    evidence = f"sslmode {mode}, {'encrypted' if encrypted else 'not encrypted'}"
    if mode in VERIFIED:
        return ok(evidence)
    return warn(
        f"{evidence}: whoever stands between may read along",
        fix="add sslmode=verify-full (and sslrootcert=...) to DATABASE_URL, unless the network is private",
    )


async def role(subject: Subject) -> Finding:
    """The role may do what pillars do: as the schema's owner, or as a member of pillars_worker."""
    found = await diagnosis.role(subject.database)
    if found.schema_is_there and found.may_work and not found.may_create:
        return ok(f"role {found.name} may work, and not migrate")
    if not found.may_create:
        what = "create in the schema pillars" if found.schema_is_there else "create a schema here"
        return in_prod(
            subject,
            f"role {found.name} may neither work nor {what}",
            fix=f"grant pillars_worker to {found.name} (app migrate --roles makes it), or use the owner of the schema in DATABASE_URL"
            if found.schema_is_there
            else f"grant create on the database to {found.name}",
        )
    if not found.may_work:
        return fail(
            f"role {found.name} neither owns pillars.finished_jobs nor has the rights of pillars_worker",
            fix=f"grant pillars_worker to {found.name} (app migrate --roles makes it), or the owner's role",
        )
    return ok(f"role {found.name} may migrate and work")


async def pooler(subject: Subject) -> Finding:
    """What needs a session has one, also where a pooler stands between."""
    if subject.straight.session is None:
        return fail(subject.straight.trouble, fix="set DATABASE_DIRECT_URL to Postgres itself")
    if subject.direct.pooled:
        name = "DATABASE_DIRECT_URL" if subject.settings.database_direct_url else "DATABASE_URL"
        return warn(
            f"{name} leads through a pooler, which carries neither LISTEN nor the leader's lock",
            fix="set DATABASE_DIRECT_URL to Postgres itself",
        )
    if subject.database.pooled:
        return ok("a pooler, and DATABASE_DIRECT_URL past it")
    return ok("none between")


async def direct(subject: Subject) -> Finding:
    """Both URLs lead to one database."""
    if subject.settings.database_direct_url is None:
        return ok("DATABASE_DIRECT_URL is not set; DATABASE_URL serves for all")
    one = await diagnosis.identity(subject.database)
    other = await diagnosis.identity(subject.direct)
    fix = "correct DATABASE_DIRECT_URL"
    if (one.cluster, one.database) != (other.cluster, other.database):
        return fail(
            f'DATABASE_URL is database "{one.name}" of cluster {one.cluster}, '
            f'DATABASE_DIRECT_URL "{other.name}" of {other.cluster}',
            fix=fix,
        )
    if other.in_recovery:
        return fail("DATABASE_DIRECT_URL leads to a standby of it", fix=fix)
    return ok(f'both are database "{one.name}"')


async def listen(subject: Subject) -> Finding:
    """A notification that is sent by the one is heard on the other."""
    taken = await diagnosis.echo(subject.direct, subject.database)
    if taken is None:
        return warn(
            f"no notification came within {diagnosis.ECHO_PATIENCE:g} s: workers only poll, jobs start late",
            fix="set DATABASE_DIRECT_URL to Postgres itself, past any pooler",
        )
    return ok(f"a notification takes {taken / timedelta(milliseconds=1):.1f} ms")


async def connections(subject: Subject) -> Finding:
    """The server has connections for all processes at once."""
    found = await diagnosis.server(subject.database)
    pools = len({(one.host, one.pid) for one in subject.alive})  # app all: three pillars on one
    needed = pools * (subject.settings.pool + RUNTIME_CONNECTIONS)
    needed += sum(OWN_CONNECTIONS[one.role] for one in subject.alive)
    evidence = (
        f"{pools} processes may open {needed}, {found.connections_open} are open, "
        f"the server allows {found.connections_allowed}"
    )
    fix = "lower PILLARS_POOL, raise max_connections, or put a pooler between"
    if found.connections_open > FULL * found.connections_allowed:
        return fail(evidence, fix=fix)
    if needed > found.connections_allowed and not subject.database.pooled:
        return warn(evidence, fix=fix)
    return ok(evidence)


async def durability(subject: Subject) -> Finding:
    """What was acknowledged outlives a crash of the server."""
    found = await diagnosis.server(subject.database)
    off = [name for name in ("fsync", "full_page_writes") if not getattr(found, name)]
    if found.synchronous_commit == "off":
        off.append("synchronous_commit")
    if not off:
        return ok("fsync, full_page_writes and synchronous_commit are on")
    evidence = f"{', '.join(off)} off: a crash of the server loses jobs that were acknowledged"
    if subject.settings.env == "dev":
        return ok(f"{evidence}; this is dev")
    return fail(evidence, fix=f"set {' and '.join(off)} on")


async def xids(subject: Subject) -> Finding:
    """The server is far from the end of its transaction numbers."""
    return judged_xids((await diagnosis.server(subject.database)).xid_age)


def judged_xids(age: int) -> Finding:
    """What an age of the oldest transaction number means."""
    evidence = f"the oldest transaction number is {age:,} back"
    fix = "find what keeps autovacuum from freezing (schema.snapshots), then: vacuum (freeze)"
    if age > XIDS_DANGEROUS:
        return fail(evidence, fix=fix)
    return warn(evidence, fix=fix) if age > XIDS_HIGH else ok(evidence)


async def notifications(subject: Subject) -> Finding:
    """Nobody keeps notifications from being cleared away."""
    return judged_notifications((await diagnosis.server(subject.database)).notifications_used)


def judged_notifications(used: float) -> Finding:
    """What a share of the notification queue means."""
    evidence = f"{used:.0%} of the notification queue is in use"
    fix = "end the session that listens in an open transaction: pg_stat_activity, oldest xact_start"
    if used > QUEUE_DANGEROUS:
        return fail(evidence, fix=fix)
    return warn(evidence, fix=fix) if used > QUEUE_HIGH else ok(evidence)
