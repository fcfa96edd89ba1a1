"""`app config`: what a process here would be told, and by whom."""

import json
from dataclasses import asdict, dataclass

from pillars.cli import saying
from pillars.errors import ConfigurationError
from pillars.settings import Settings, load
from pillars.settings.specs import ENV, PROJECT, SPECS

TOPICS = {
    "database": ("database_url", "database_direct_url", "pool", "sql", "root", "postgres_bin"),
    "rows": ("rls_user", "rls_user_role", "rls_system_role"),
    "process": (
        "project",
        "env",
        "deployment",
        "git_commit_sha",
        "log_level",
        "log_format",
        "redact",
        "loop",
    ),
    "web": ("web", "host", "port", "prefix", "token", "view_token"),
    "worker": (
        "jobs",
        "queues",
        "processes",
        "concurrency",
        "threads",
        "children",
        "child_memory",
        "max_memory",
        "drain",
        "grace",
        "poll",
        "poll_max",
    ),
    "locks": ("lock", "heartbeat"),
    "cron": ("crons",),
    "history": ("keep_completed", "keep_failed", "keep_events"),
    "health": ("health_host", "health_port", "metrics"),
}
REST = "more"  # a setting that nobody has given a topic


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as it is shown; no secret is in it."""

    topic: str
    name: str
    value: str | int | None
    source: str
    variable: str


def run(*, as_json: bool) -> int:
    """Print every setting with its value and its source; returns the exit code. Asks no database."""
    refused: list[ConfigurationError] = []
    settings = load(command="config", refused=refused)
    if as_json:
        _print_json(settings, refused)
    else:
        _print_text(settings)
        for error in refused:
            saying.put(f"app: {error}", err=True)
        for warning in settings.warnings:
            saying.put(f"warning: {warning}", err=True)
    return 2 if refused else 0


def rows(settings: Settings) -> list[Row]:
    """Every setting, by topic."""
    variables = {spec.name: spec.called for spec in (PROJECT, ENV, *SPECS)}
    shown = {name: (value, source) for name, value, source in settings.described()}
    listed = {name for names in TOPICS.values() for name in names}
    topics = {**TOPICS, REST: tuple(name for name in shown if name not in listed)}
    return [
        Row(topic, name, _value(settings, name, shown[name][0]), shown[name][1], variables[name])
        for topic, names in topics.items()
        for name in names
        if name in shown
    ]


def _value(settings: Settings, name: str, described: str) -> str | int | None:
    value = getattr(settings, name)
    return value if value is None or type(value) is int else described


def _print_json(settings: Settings, refused: list[ConfigurationError]) -> None:
    document = {
        "settings": {row.name: _without_name(row) for row in rows(settings)},
        "errors": [str(error) for error in refused],
        "warnings": list(settings.warnings),
    }
    saying.put(json.dumps(document, indent=2))


def _without_name(row: Row) -> dict[str, object]:
    return {key: value for key, value in asdict(row).items() if key != "name"}


def _print_text(settings: Settings) -> None:
    listed = [(row, "-" if row.value is None else str(row.value)) for row in rows(settings)]
    names = max(len(row.name) for row, _ in listed)
    values = max(len(value) for _, value in listed)
    sources = max(len(row.source) for row, _ in listed)
    topic = ""
    for row, value in listed:
        if row.topic != topic:
            saying.put(f"{'' if not topic else chr(10)}{row.topic}")
            topic = row.topic
        saying.put(
            f"  {row.name:{names}}  {value:{values}}  {row.source:{sources}}  {row.variable}"
        )
