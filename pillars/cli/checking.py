"""`app check`: is this code fit to deploy? Asks no database."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pillars import backoff, registry
from pillars.cli import environs, saying
from pillars.cli.beginning import lend_dotenv
from pillars.cli.environs import VariableLine
from pillars.durations import words
from pillars.errors import ConfigurationError, PillarsError
from pillars.jobs.definition import Job
from pillars.registry import Fault, Registry
from pillars.schedules import Schedule
from pillars.schedules.rules import Interval
from pillars.settings import Settings, load, redaction
from pillars.settings.redaction import masked
from pillars.store import migrate

CAUSE = re.compile(r'importing ".*?" failed: ')  # said by every module that imports the broken one
NO_WEB = 'none; name one under [tool.pillars]: web = "module:app"'


@dataclass(frozen=True, slots=True)
class Problem:
    """What must be mended before a deploy, and where it stands, as "file:line"."""

    message: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class JobLine:
    name: str
    queue: str
    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    name: str
    job: str
    rule: str
    next_tick: datetime | None


@dataclass(slots=True)
class Report:
    """What was found, and what is wrong with it."""

    jobs: list[JobLine] = field(default_factory=list)
    schedules: list[ScheduleLine] = field(default_factory=list)
    web: str | None = None
    migrations: int = 0
    variables: list[VariableLine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def run(*, role: str | None = None, as_json: bool) -> int:
    """Check the code of the working directory, for all processes or for one; returns 0 where nothing is wrong with it, else 1."""
    report = _report(role)
    if as_json:
        saying.put(json.dumps(asdict(report), indent=2, default=_plain))
    else:
        _print(report)
    return 1 if report.problems else 0


def _report(role: str | None) -> Report:
    refused: list[ConfigurationError] = []
    try:
        settings = load(command="check", refused=refused)
        redaction.hide(settings)
        report, _ = examine(settings, role=role)
    except ConfigurationError as error:  # of all settings, such as a file that is not TOML
        report = Report()
        refused.append(error)
    report.problems[:0] = [Problem(str(error)) for error in refused]
    return report


def examine(settings: Settings, *, role: str | None = None) -> tuple[Report, Registry]:
    """Everything that can be told of code without a database, and what it defines; of a role, of what its process imports."""
    report = Report(warnings=list(settings.warnings), variables=environs.variables(settings))
    # Before `.env` is lent to the code: there all processes share it.
    missing = [] if role is None else environs.faults(settings, role, report.variables)
    lend_dotenv(settings)
    found = _look_at_code(settings, report, role)
    if role in {None, "web"}:
        _look_at_web(settings, report)
    _look_at_migrations(settings, report)
    report.problems += [Problem(said) for said in missing]
    return report, found


def _look_at_code(settings: Settings, report: Report, role: str | None) -> Registry:
    known: set[tuple[str, str | None]] = set()

    def note(fault: Fault) -> None:
        cause = (CAUSE.sub("", str(fault.error)), fault.place)
        if cause not in known:
            known.add(cause)
            hint = environs.hint(cause[0], role, report.variables) if role else ""
            report.problems.append(Problem(masked(str(fault.error)) + hint, fault.place))

    found = registry.survey(
        project=settings.project, jobs=settings.jobs, crons=settings.crons, on_fault=note,
        leave=_not_imported(settings, role),
    )  # fmt: skip
    _list(found, report)
    for job in found.jobs.values():
        report.problems += [Problem(said, registry.place_of(job)) for said in _faults_of(job)]
    for name, schedule in found.schedules.items():
        report.problems += [Problem(f"schedule {name}: {said}") for said in _unmade(schedule)]
    return found


def _not_imported(settings: Settings, role: str | None) -> str | None:
    """The module of the web app, which worker and cron leave out."""
    if role in {None, "web"} or settings.web is None:
        return None
    return settings.web.partition(":")[0]


def _list(found: Registry, report: Report) -> None:
    now = datetime.now(UTC)
    report.jobs += [
        JobLine(name, job.rules.queue, job.kind, registry.place_of(job))
        for name, job in found.jobs.items()
    ]
    report.schedules += [
        ScheduleLine(name, one.job.name, _rule(one), None if one.paused else one.rule.after(now))
        for name, one in found.schedules.items()
    ]


def _faults_of(job: Job[..., Any]) -> Iterator[str]:
    """What only shows when a job fails: a backoff that cannot be followed."""
    troubles: list[Exception] = []
    for attempt in (1, job.rules.max_attempts):
        backoff.delay(job.rules.backoff, attempt, trouble=troubles.append)
        if troubles:
            yield f"job {job.name}: its backoff fails for attempt {attempt}: {_told(troubles[0])}"
            return


def _unmade(schedule: Schedule) -> Iterator[str]:
    """What only shows when a schedule is synced: a unique_key that fails for its arguments."""
    try:
        schedule.row(datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - a user's function
        yield _told(error)


def _look_at_web(settings: Settings, report: Report) -> None:
    if settings.web is None:
        return
    from pillars.web.pillar import checked_app

    try:
        checked_app(registry.web_app(settings.web, project=settings.project))
    except PillarsError as error:
        report.problems.append(Problem(str(error)))
    else:
        report.web = settings.web


def _look_at_migrations(settings: Settings, report: Report) -> None:
    report.migrations = len(list(settings.sql.glob("*.sql")))
    report.problems += [Problem(fault) for fault in migrate.faults_in(settings.sql)]


def _rule(schedule: Schedule) -> str:
    if isinstance(schedule.rule, Interval):
        return f"every {words(schedule.rule.every)}"
    return f"{schedule.rule.expression} {schedule.rule.timezone}"


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, PillarsError) else f"{type(error).__name__}: {error}"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _print(report: Report) -> None:
    _print_table("jobs", [(one.name, one.queue, one.kind, one.place) for one in report.jobs])
    _print_table(
        "schedules",
        [(one.name, one.rule, one.job, f"next {_time(one.next_tick)}") for one in report.schedules],
    )
    saying.put(f"web         {report.web or NO_WEB}")
    saying.put(f"migrations  {report.migrations} of the app")
    if report.variables:
        _print_table("variables", [_of_variable(one) for one in report.variables])
    for warning in report.warnings:
        saying.put(f"warning: {warning}", err=True)
    for problem in report.problems:
        saying.put(f"{problem.place + ': ' if problem.place else ''}{problem.message}", err=True)
    count = len(report.problems)
    saying.put(
        "fit to deploy" if not count else f"{count} to mend before a deploy", err=bool(count)
    )


def _of_variable(one: VariableLine) -> tuple[str, ...]:
    return one.name, f"of {' and '.join(one.roles)}", "set" if one.is_set else "not set"


def _print_table(title: str, lines: list[tuple[str, ...]]) -> None:
    saying.put(f"{title:10}  {len(lines)}")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        saying.put(f"  {'  '.join(cells)}".rstrip())


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")
