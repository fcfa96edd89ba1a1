"""`app doctor`: connect, look, print."""

import json
import os
import sys
from collections.abc import Iterator, Set as AbstractSet
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import anyio
import click

from pillars import log
from pillars.cli import saying
from pillars.cli.doctor.catalogue import CANARY, CHECKS
from pillars.cli.doctor.examining import examine, failed
from pillars.cli.doctor.finding import Check, Finding, Needs, Status
from pillars.cli.doctor.singing import PATIENCE, sing
from pillars.cli.doctor.subject import Code, Subject, look_at_code, subject
from pillars.cli.postgres import Postgres, postgres
from pillars.durations import duration
from pillars.errors import ConfigurationError, PillarsError, UsageError
from pillars.jobs.options import checked_name
from pillars.settings import Settings, load, redaction

COLOURS = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "red",
    Status.SKIP: "bright_black",
}
MARGIN = "  "
PROBLEMS = frozenset({Status.WARN, Status.FAIL})


def run(*, canary: bool, queue: str, timeout: str | None, problems: bool, as_json: bool) -> int:
    """Look at everything and print what was found, or only its `problems`; returns 0 where nothing failed, else 1."""
    try:
        checked_name(queue, "--queue")
        patience = PATIENCE if timeout is None else duration(timeout, what="--timeout")
    except UsageError as error:
        raise ConfigurationError(str(error)) from None
    settings = load(command="doctor")
    redaction.hide(settings)
    log.configure(level="error", format=settings.log_format)  # what is found is printed, not logged
    checks = _with(_canary(queue, patience)) if canary else list(CHECKS)
    show = partial(_collect if as_json else _print, shown=PROBLEMS if problems else set(Status))
    with _postgres(settings) as (found, trouble):
        code = look_at_code(settings)  # it may ask for DATABASE_URL when it is imported
        findings = anyio.run(show, checks, settings, code, found, trouble)
    return 1 if failed(findings) else 0


@contextmanager
def _postgres(settings: Settings) -> Iterator[tuple[Postgres | None, str]]:
    """The database of these settings, or why there is none."""
    with ExitStack() as held:
        found, trouble = None, ""
        try:
            found = held.enter_context(postgres(settings))
        except PillarsError as error:
            trouble = str(error)
        yield found, trouble


def _canary(queue: str, patience: timedelta) -> Check:
    async def look(subject: Subject) -> Finding:
        return await sing(subject, queue=queue, patience=patience)

    return Check(CANARY, look, Needs.SCHEMA)


def _with(canary: Check) -> list[Check]:
    """All checks, with the canary as the last of its group."""
    after = max(at for at, check in enumerate(CHECKS, 1) if check.group == canary.group)
    return [*CHECKS[:after], canary, *CHECKS[after:]]


async def _collect(
    checks: list[Check], settings: Settings, code: Code, found: Postgres | None, trouble: str,
    *, shown: AbstractSet[Status],
) -> list[Finding]:  # fmt: skip
    """Print all findings as one document."""
    async with subject(settings, code, found, trouble) as patient:
        seen = [(check, finding) async for check, finding in examine(checks, patient)]
    findings = [finding for _, finding in seen]
    document = {
        "ok": not failed(findings),
        "checks": [
            {"id": check.id, "status": one.status, "evidence": one.evidence, "fix": one.fix}
            for check, one in seen
            if one.status in shown
        ],
    }
    saying.put(json.dumps(document, indent=2))
    return findings


async def _print(
    checks: list[Check], settings: Settings, code: Code, found: Postgres | None, trouble: str,
    *, shown: AbstractSet[Status],
) -> list[Finding]:  # fmt: skip
    """Print findings as they come, by group."""
    width = max(len(check.name) for check in checks)
    findings: list[Finding] = []
    group = ""
    async with subject(settings, code, found, trouble) as patient:
        async for check, finding in examine(checks, patient):
            findings.append(finding)
            if finding.status not in shown:
                continue
            if check.group != group:
                _echo(f"{chr(10) if group else ''}{check.group}")
                group = check.group
            _print_one(check, finding, width)
    counts = {status: sum(one.status is status for one in findings) for status in Status}
    _echo(
        f"{chr(10) if group else ''}{counts[Status.OK]} ok, {counts[Status.WARN]} to heed, "
        f"{counts[Status.FAIL]} failed, {counts[Status.SKIP]} skipped"
    )
    return findings


def _print_one(check: Check, finding: Finding, width: int) -> None:
    status = click.style(f"{finding.status:4}", fg=COLOURS[finding.status])
    _echo(f"{MARGIN}{status}{MARGIN}{check.name:{width}}{MARGIN}{finding.evidence}")
    if finding.fix:
        _echo(f"{MARGIN}    {MARGIN}{'':{width}}{MARGIN}-> {finding.fix}")


def _echo(text: str) -> None:
    """With colours on a terminal alone, or where they are asked for."""
    wanted = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    saying.put(text, color=wanted and not os.environ.get("NO_COLOR"))
