"""Running checks: each to its end, whatever becomes of the others."""

from collections.abc import AsyncIterator, Iterable

import anyio

from pillars.cli.doctor.finding import Check, Finding, Needs, Status, fail, skip
from pillars.cli.doctor.subject import Subject
from pillars.codec.plain import one_line
from pillars.errors import DatabaseTrouble, PillarsError, Trouble

PATIENCE = 45.0  # seconds for one check; its statements have shorter limits of their own


async def examine(
    checks: Iterable[Check], subject: Subject
) -> AsyncIterator[tuple[Check, Finding]]:
    """What each check finds, in order."""
    for check in checks:
        yield check, await look(check, subject)


async def look(check: Check, subject: Subject) -> Finding:
    """What one check finds; a failure of its own is a finding, too."""
    lacking = _lacking(check, subject)
    if lacking:
        return skip(one_line(lacking))
    try:
        with anyio.fail_after(PATIENCE):
            found = await check.look(subject)
    except DatabaseTrouble as trouble:
        return _troubled(trouble)
    except TimeoutError:
        return fail(f"no answer within {PATIENCE:g} s", fix="see what the database is busy with")
    except Exception as error:  # noqa: BLE001 - a check that breaks stops no other
        said = str(error) if isinstance(error, PillarsError) else type(error).__name__
        return fail(f"the check itself broke: {one_line(said)}", fix="please report this")
    return Finding(found.status, one_line(found.evidence), found.fix and one_line(found.fix))


def _lacking(check: Check, subject: Subject) -> str:
    """Why a check cannot look; empty where it can."""
    match check.needs:
        case Needs.NOTHING:
            return ""
        case Needs.DATABASE:
            return subject.through.trouble and "no database"
        case Needs.DIRECT:
            return (subject.through.trouble or subject.straight.trouble) and "no direct connection"
        case Needs.SCHEMA:
            return subject.no_schema


def _troubled(trouble: DatabaseTrouble) -> Finding:
    if trouble.kind is Trouble.DENIED:
        return skip(f"this role may not look: {one_line(str(trouble))}")
    if trouble.kind is Trouble.BUG:
        return skip(f"the schema is not this code's: {one_line(str(trouble))}")
    return fail(one_line(str(trouble)), fix="see what the database is busy with")


def failed(findings: Iterable[Finding]) -> bool:
    return any(finding.status is Status.FAIL for finding in findings)
