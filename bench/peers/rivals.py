"""The peers by name: what each is installed from, and how its own tables or keys tell that nothing is left."""

from dataclasses import dataclass

from .environments import Environment
from .stores import Open, in_postgres, in_redis

ASYNCPG = "asyncpg==0.32.0"
PSYCOPG = "psycopg[binary]==3.3.9"
PSYCOPG_POOL = "psycopg-pool==3.3.3"


@dataclass(frozen=True, slots=True)
class Peer:
    """A runtime for jobs, and its program bench/peers/<name>.py."""

    name: str
    environment: Environment
    store: Open
    jobs: int
    """As many as it drains in five seconds or so; figures are of one job."""


PEERS = (
    Peer(
        "pgqueuer",
        Environment(("pgqueuer==1.6.0", ASYNCPG)),
        in_postgres("select count(*) from pgqueuer"),
        jobs=40_000,
    ),
    Peer(
        "awa",
        Environment(("awa-pg==0.6.9", ASYNCPG)),
        # A completed job stays among the ready ones, which have no state, until its part of the ring is emptied.
        in_postgres(
            "select (select count(*) from awa.ready_entries) + (select count(*) from awa.deferred_jobs)"
            " + (select count(*) from awa.dlq_entries) - (select count(*) from awa.done_entries)"
            " - (select coalesce(sum(completed_count), 0) from awa.receipt_completion_batches)"
        ),
        jobs=20_000,
    ),
    Peer(
        "oban",
        Environment(("oban==0.7.0", PSYCOPG, PSYCOPG_POOL), python=(3, 12)),
        in_postgres(
            "select count(*) from oban_jobs where state in ('available', 'scheduled', 'executing', 'retryable')"
        ),
        jobs=10_000,
    ),
    Peer(
        "chancy",
        Environment(("chancy==0.26.0", PSYCOPG, PSYCOPG_POOL)),
        in_postgres(
            "select count(*) from chancy_jobs where state in ('pending', 'running', 'retrying')"
        ),
        jobs=10_000,
    ),
    Peer(
        "dbos",
        Environment(("dbos==3.4.0", PSYCOPG, "sqlalchemy==2.1.9")),
        in_postgres(
            "select count(*) from dbos.workflow_status where status in ('ENQUEUED', 'DELAYED', 'PENDING')"
        ),
        jobs=4_000,
    ),
    Peer(
        "procrastinate",
        Environment(("procrastinate==3.10.0", PSYCOPG, PSYCOPG_POOL)),
        in_postgres("select count(*) from procrastinate_jobs where status in ('todo', 'doing')"),
        jobs=2_000,
    ),
    Peer(
        "celery",
        Environment(("celery[redis]==5.7.0", "redis==8.1.0", "hiredis==3.5.0", "packaging==26.3")),
        in_redis("llen celery", "hlen unacked"),
        jobs=4_000,
    ),
)
