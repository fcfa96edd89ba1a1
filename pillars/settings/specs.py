"""Every setting: its name, its reader, its default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pillars import sizes
from pillars.errors import ConfigurationError
from pillars.settings import convert, values
from pillars.settings.convert import NAME, Convert, length, whole
from pillars.settings.redaction import USUAL

__all__ = ["ENV", "PROJECT", "SPECS", "Found", "Spec", "uvloop_is_here"]

_MOMENT = timedelta(milliseconds=10)  # less is a busy loop
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting: how it is called, read and made up."""

    name: str
    read: Convert
    default: Callable[["Found"], Any]
    variable: str = ""
    secret: bool = False
    """Not to be written into a file that is committed."""

    @property
    def called(self) -> str:
        return self.variable or f"PILLARS_{self.name.upper()}"


@dataclass(slots=True)
class Found:
    """What has been decided so far: a default may depend on it."""

    environ: Mapping[str, str]
    document: dict[str, Any]
    project: Path
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def table(self, *path: str) -> dict[str, Any]:
        """A table of pyproject.toml, empty where there is none."""
        table: Any = self.document
        for name in path:
            table = table.get(name, {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"pyproject.toml: [{'.'.join(path)}] is no table")
        return dict(table)


def _constant(value: Any) -> Callable[[Found], Any]:
    return lambda _: value


def _host(found: Found) -> str:
    return values.DEV_HOST if found.values["env"] == "dev" else values.PROD_HOST


def _drain(found: Found) -> timedelta:
    short = found.values["env"] == "dev" or "FLY_APP_NAME" in found.environ
    return values.SHORT_DRAIN if short else values.DRAIN


def _heartbeat(found: Found) -> timedelta:
    lock: timedelta = found.values["lock"]
    return lock * values.HEARTBEAT


def _poll_max(found: Found) -> timedelta:
    poll: timedelta = found.values["poll"]
    return max(values.POLL_MAX, poll)


def _deployment(found: Found) -> str:
    name = str(found.table("project").get("name") or found.project.name)
    kept = "".join(character if NAME.fullmatch(f"a{character}") else "-" for character in name)
    return kept.lstrip("-._:/")[:100] or "app"


def uvloop_is_here() -> bool:
    return find_spec("uvloop") is not None


def _loop(_: Found) -> str:
    return values.LOOP if uvloop_is_here() else "asyncio"


_PACKAGE = convert.matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*", 'a package such as "jobs"')
_APP = convert.matching(r"[^\W\d][\w.]*:[^\W\d][\w.]*", 'an app such as "module:app"')
# `set role none` takes no role but the session's own.
_ROLE = convert.matching(r"(?!(?i:none)$)[^\x00-\x1f\x7f]{1,63}", 'a role such as "app_user"')
_LEVELS = ("debug", "info", "warning", "error", "critical")
_KEEP = length(values.LEAST_KEEP, values.LONGEST_KEEP)
_NONE = _constant(None)

PROJECT = Spec("project", convert.folder, lambda found: found.project)
"""Told by the environment alone, since the files that say the rest are looked for there."""

ENV = Spec("env", convert.choice(("dev", "prod")), _constant("dev"))
"""Decided before all others, since `.env` and defaults depend on it."""

SPECS = (
    Spec("database_url", convert.database_url, _NONE, "DATABASE_URL", secret=True),
    Spec("database_direct_url", convert.database_url, _NONE, "DATABASE_DIRECT_URL", secret=True),
    Spec("host", convert.text, _host, "HOST"),
    Spec("port", whole(0, 65_535), _constant(values.PORT), "PORT"),
    Spec("log_level", convert.choice(_LEVELS), _constant(values.LOG_LEVEL), "LOG_LEVEL"),
    Spec(
        "log_format",
        convert.choice(("auto", "console", "json")),
        _constant(values.LOG_FORMAT),
        "LOG_FORMAT",
    ),
    Spec("redact", convert.names, _constant(USUAL)),
    Spec("git_commit_sha", convert.text, _NONE, "GIT_COMMIT_SHA"),
    Spec("queues", convert.queues, _constant(values.QUEUES)),
    Spec("processes", whole(1, 100), _constant(values.PROCESSES)),
    Spec("concurrency", whole(1, 10_000), _constant(values.CONCURRENCY)),
    Spec("threads", whole(0, 1000), _constant(values.THREADS)),
    Spec("children", whole(0, 1000), _constant(values.CHILDREN)),
    Spec("child_memory", convert.size_from(sizes.LEAST_PROCESS), _NONE),
    Spec("max_memory", convert.size_from(values.LEAST_MEMORY), _NONE),
    Spec("drain", length(timedelta(0), _HOUR), _drain),
    Spec("grace", length(_MOMENT, _HOUR), _constant(values.GRACE)),
    Spec("lock", length(values.LEAST_LOCK, _HOUR), _constant(values.LOCK)),
    Spec("heartbeat", length(_MOMENT, _HOUR), _heartbeat),
    Spec("poll", length(_MOMENT, _HOUR), _constant(values.POLL)),
    Spec("poll_max", length(_MOMENT, _HOUR), _poll_max),
    Spec("keep_completed", _KEEP, _constant(values.KEEP_COMPLETED)),
    Spec("keep_failed", _KEEP, _constant(values.KEEP_FAILED)),
    Spec("keep_events", _KEEP, _constant(values.KEEP_EVENTS)),
    Spec("token", convert.secret, _NONE, secret=True),
    Spec("view_token", convert.secret, _NONE, secret=True),
    Spec("metrics", convert.choice(("token", "open")), _constant(values.METRICS)),
    Spec("prefix", convert.prefix, _constant(values.PREFIX)),
    Spec("health_host", convert.text, _host),
    Spec("health_port", whole(0, 65_535), _NONE),
    Spec("pool", whole(1, 1000), _constant(values.POOL)),
    Spec("rls_user", convert.policy_setting, _constant(values.RLS_USER)),
    Spec("rls_user_role", _ROLE, _NONE),
    Spec("rls_system_role", _ROLE, _NONE),
    Spec("web", _APP, _NONE),
    Spec("jobs", _PACKAGE, _constant(values.JOBS)),
    Spec("crons", _PACKAGE, _constant(values.CRONS)),
    Spec("sql", convert.path, _constant(values.SQL)),
    Spec("deployment", convert.deployment, _deployment),
    Spec("root", convert.path, lambda found: found.project),
    Spec("postgres_bin", convert.path, _NONE),
    Spec("loop", convert.choice(("uvloop", "asyncio")), _loop),
)
