"""The settings of a process, their defaults, and what follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from pillars.durations import words
from pillars.settings.convert import masked_url

__all__ = ["QueueSlots", "Settings"]

QueueSlots: TypeAlias = tuple[tuple[str, int | None], ...]
"""Queues to serve, each with its slots or None for no limit of its own; empty: every queue."""

# The defaults.
PORT = 8000  # what uvicorn and Django's runserver take; 5000 is AirPlay on macOS
DEV_HOST = "127.0.0.1"  # nobody else on the network reaches an unfinished app
PROD_HOST = "0.0.0.0"  # in a container, the platform's proxy comes from outside
LOG_LEVEL = "info"  # one line an attempt
LOG_FORMAT = "auto"  # console on a terminal, JSON otherwise
QUEUES: QueueSlots = ()  # every queue: a job in a new queue runs without a change of deployment
CONCURRENCY = 100  # async jobs mostly wait; more than this many on one loop is late for each other
THREADS = 8  # sync jobs share one interpreter lock
PROCESSES = 1  # of `app worker`
CHILDREN = 2  # each is an interpreter with the app in it, in memory
DRAIN = timedelta(seconds=25)  # Heroku and Kubernetes kill after 30 s
GRACE = timedelta(seconds=10)  # closing connections and files takes seconds at most; a slot is dear
SHORT_DRAIN = timedelta(seconds=4)  # honcho (`app dev`) and fly.io kill after 5 s
LOCK = timedelta(
    seconds=30
)  # a crash costs this long; a stalled loop or a failover must fit within
POLL = timedelta(seconds=1)  # the longest that a job waits where no notification comes
POLL_MAX = timedelta(seconds=30)  # an idle worker with a proven listener looks this seldom
KEEP_COMPLETED = timedelta(
    days=7
)  # a weekend and its Monday; completed jobs are most of the history's bytes
KEEP_FAILED = timedelta(days=30)  # a monthly job's failure is there when somebody asks
KEEP_EVENTS = timedelta(days=7)  # as long as the completed jobs that said them
METRICS = "token"  # "open" lets everybody read /metrics, for scrapers that send no token (fly.io)
PREFIX = ""  # our routes stand at the root
POOL = 10  # connections for jobs and web; Postgres's own limit is 100 for all processes
RLS_USER = "pillars.user_id"  # beside pillars.system, pillars.job_id and pillars.job_name
JOBS = "jobs"  # the packages and the folder that the starter comes with
CRONS = "crons"
SQL = Path("sql/app")
LOOP: Literal["uvloop", "asyncio"] = (
    "uvloop"  # about 1.7 times the queries a second; asyncio where missing
)

# The bounds.
LEAST_LOCK = timedelta(seconds=2)  # below it a garbage collection looks like a crash
SAFE_LOCK = timedelta(seconds=15)  # below it a database failover loses every lock
LEAST_KEEP = timedelta(days=1)  # a transaction that began on a day may still write to it
LONGEST_KEEP = timedelta(days=3650)  # a partition a day: each more makes every plan dearer
LEAST_MEMORY = 64_000_000  # bytes: an idle worker with an app in it has about as much
LEAST_TOKEN = 16  # characters: shorter ones can be guessed

# Fractions of the lock's length: only the length is free, so their order always holds.
HEARTBEAT = 1 / 3  # two beats may fail before a lock is in doubt
TRUST = 5 / 6  # after the last proof, jobs go on this long: they stop before another may start
FENCE_GRACE = 2 / 15  # then they have this long to end, before the process does; 5/6 + 2/15 < 1
WATCH = (
    1 / 60
)  # the fence is seen to this often, so that a worker's end comes before its lock's: 5/6 + 2/15 + 1/60 < 1
LONGEST_WATCH = timedelta(seconds=0.5)  # a blocked loop is told within a second or two
SWEEP = 1 / 6  # a dead worker's jobs wait at most this much longer than its lock
SWEEP_STANDING = (
    1 / 2
)  # a sweeper's connection stood this long: after an outage, the living beat first
LEADER_READ = 1 / 6  # the leader's sign of life
LEADER_IDLE = 1 / 2  # three reads missed: the server cuts a frozen leader off
LOOP_STUCK = 2  # a loop that holds a job this long past its deadline will not come back
LOOP_STUCK_WITHOUT_DEADLINE = 10  # without a deadline, more doubt is due


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Made by `load`; `repr` and `described` hide the secrets."""

    env: Literal["dev", "prod"]
    database_url: str | None
    database_direct_url: str | None
    host: str
    port: int
    log_level: Literal["debug", "info", "warning", "error", "critical"]
    log_format: Literal["auto", "console", "json"]
    redact: tuple[str, ...]
    """Values under these names are not shown: arguments, results, fields of the log."""
    git_commit_sha: str | None
    queues: QueueSlots
    processes: int
    concurrency: int
    threads: int
    children: int
    child_memory: int | None
    """Bytes that each process of a job may allocate where its `Child` says nothing."""
    max_memory: int | None
    """Bytes that a worker may have before it begins anew, between jobs."""
    drain: timedelta
    grace: timedelta
    """How long a job's code may take to clean up once it was stopped, before what it awaits is cancelled too."""
    lock: timedelta
    heartbeat: timedelta
    poll: timedelta
    poll_max: timedelta
    keep_completed: timedelta
    """How long completed jobs stay in the history, in whole UTC days."""
    keep_failed: timedelta
    """How long failed, cancelled and expired jobs stay, and what is told of attempts."""
    keep_events: timedelta
    """How long it can be read what jobs have said."""
    token: str | None
    view_token: str | None
    metrics: Literal["token", "open"]
    prefix: str
    health_host: str
    health_port: int | None
    pool: int
    rls_user: str
    """The setting by which the policies of the app's tables know the user."""
    rls_user_role: str | None
    rls_system_role: str | None
    web: str | None
    jobs: str
    crons: str
    sql: Path
    deployment: str
    root: Path
    postgres_bin: Path | None
    loop: Literal["uvloop", "asyncio"]
    project: Path
    """The folder that holds pyproject.toml, jobs and crons; `sql` and `root` are absolute, below it unless told otherwise."""
    sources: Mapping[str, str]
    """Where each setting came from: "flag --lock", "PILLARS_LOCK", ".env PILLARS_LOCK", "default"."""
    belonging: Mapping[str, tuple[str, ...]]
    """By role: the variables of the app's own that its process needs."""
    dotenv: Mapping[str, str]
    """All of `.env` and `.env.local`, for the app's own code; empty in prod."""
    warnings: tuple[str, ...]

    @property
    def trust(self) -> timedelta:
        """How long after the start of a heartbeat that was answered its locks are trusted."""
        return self.lock * TRUST

    @property
    def fence_grace(self) -> timedelta:
        """How long jobs have to end once trust is lost."""
        return self.lock * FENCE_GRACE

    @property
    def watch(self) -> timedelta:
        """How often a worker looks whether its locks can still be trusted."""
        return min(self.lock * WATCH, LONGEST_WATCH)

    @property
    def sweep(self) -> timedelta:
        return self.lock * SWEEP

    @property
    def sweep_standing(self) -> timedelta:
        return self.lock * SWEEP_STANDING

    @property
    def leader_read(self) -> timedelta:
        return self.lock * LEADER_READ

    @property
    def leader_idle(self) -> timedelta:
        return self.lock * LEADER_IDLE

    @property
    def loop_stuck(self) -> timedelta:
        return self.lock * LOOP_STUCK

    @property
    def loop_stuck_without_deadline(self) -> timedelta:
        return self.lock * LOOP_STUCK_WITHOUT_DEADLINE

    def described(self) -> list[tuple[str, str, str]]:
        """Each setting's name, value as text with secrets masked, and source."""
        return [
            (name, _described(name, getattr(self, name)), self.sources[name])
            for name in self.sources
        ]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value}' for name, value, _ in self.described())})"


def _described(name: str, value: object) -> str:
    match value:
        case None:
            return "-"
        case timedelta():
            return words(value)
        case tuple() if name == "redact":
            return ",".join(value) or "none"
        case tuple():
            return ",".join(_lane(name, slots) for name, slots in value) or "all"
        case str() if name in {"token", "view_token"}:
            return "***"
        case str() if name in {"database_url", "database_direct_url"}:
            return masked_url(value)
        case _:
            return str(value)


def _lane(name: str, slots: int | None) -> str:
    """As `queues` reads it."""
    if slots is not None:
        return f"{name}:{slots}"
    return f"{name}:" if ":" in name else name
