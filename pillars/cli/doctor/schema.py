"""Checks of our schema: its migrations, its days, its dead rows."""

from datetime import timedelta

from pillars.cli.doctor.finding import Finding, Status, fail, in_prod, ok, some, warn
from pillars.cli.doctor.subject import Subject
from pillars.cli.postgres import migrations_of
from pillars.durations import words
from pillars.errors import ConfigurationError, SchemaError
from pillars.store import diagnosis, migrate
from pillars.store.diagnosis import Holder, Table

AHEAD = 1  # days that must be there besides today's; sweeps make three
LATE = timedelta(days=2)  # for whoever removes old days
MANY_DEAD = 10_000  # rows; fewer cost a claim nothing
VACUUMED = timedelta(minutes=10)  # autovacuum looks every minute
LONG, TOO_LONG = timedelta(minutes=5), timedelta(hours=1)  # for a transaction to be open


async def migrations(subject: Subject) -> Finding:
    """The database has exactly the migrations of this code."""
    try:
        known = migrations_of(subject.settings)
        missing = await migrate.pending(subject.database, known)
    except SchemaError as error:
        return fail(str(error), fix="deploy the release that fits this database")
    except ConfigurationError as error:
        return fail(str(error), fix="number the files of sql/app without gaps")
    if missing:
        return fail(
            f"{len(missing)} of {len(known)} are missing: {some([one.title for one in missing])}",
            fix="app migrate",
        )
    return ok(f"all {len(known)} are applied")


async def days(subject: Subject) -> Finding:
    """There is a place for what ends today and tomorrow, and none is kept for ever."""
    found = await diagnosis.days(subject.database)
    short = [f"{one.parent} reaches {_day(one.reaches)}" for one in found if one.reaches < AHEAD]
    if short:
        status = Status.FAIL if any(one.reaches < 0 for one in found) else Status.WARN
        return Finding(status, some(short), "start a worker, or run: app migrate")
    told = subject.settings
    oldest = {
        "finished_completed": told.keep_completed + LATE,
        "finished_ended": told.keep_failed + LATE,
        "attempts": told.keep_failed + LATE,
        "job_events": told.keep_events + LATE,
        "job_messages": told.keep_events + LATE,
    }
    old = [
        f"{one.parent} goes back {one.oldest} days"
        for one in found
        if one.oldest > oldest[one.parent] / timedelta(days=1)
    ]
    if old:
        return warn(
            some(old), fix="start a worker; see what keeps it from detaching: schema.snapshots"
        )
    oldest_of_all = max(one.oldest for one in found)
    since = f"{oldest_of_all} days ago" if oldest_of_all else "today"
    return ok(
        f"every day from {since} to {min(one.reaches for one in found)} days ahead has its partition"
    )


async def vacuum(subject: Subject) -> Finding:
    """Dead rows are removed."""
    found = await diagnosis.tables(subject.database)
    behind = [_dead(one) for one in found if _is_behind(one)]
    if behind:
        return warn(
            some(behind), fix="find who holds it back (schema.snapshots), then: vacuum pillars.jobs"
        )
    if not (await diagnosis.server(subject.database)).autovacuum:
        if subject.settings.env == "dev":
            return ok("autovacuum is off; this is dev")
        return fail("autovacuum or track_counts is off", fix="set both on")
    most = f"; most dead rows: {_dead(found[0])}" if found and found[0].dead else ""
    return ok(f"autovacuum is on{most}")


async def snapshots(subject: Subject) -> Finding:
    """Nobody holds a snapshot so long that dead rows pile up."""
    found = await diagnosis.holders(subject.database)
    long = [one for one in found if one.open_for is not None and one.open_for > LONG]
    idle = [one for one in found if one.kind == "slot" and (one.xids or 0) > MANY_DEAD]
    if not (long or idle):
        return ok("no transaction is open for over 5m")
    fix = "end it: select pg_terminate_backend(pid)" if long else "drop the slot if nobody reads it"
    evidence = some([_held(one) for one in (*long, *idle)])
    if any(one.open_for > TOO_LONG for one in long if one.open_for is not None):
        return in_prod(subject, evidence, fix=fix)
    return warn(evidence, fix=fix)


def _day(number: int) -> str:
    return (
        "not even to today" if number < 0 else "to today" if number == 0 else f"{number} days ahead"
    )


def _is_behind(table: Table) -> bool:
    late = table.vacuumed_ago is None or table.vacuumed_ago > VACUUMED
    return table.dead > max(MANY_DEAD, table.live) and late


def _dead(table: Table) -> str:
    when = "never" if table.vacuumed_ago is None else f"{words(_rounded(table.vacuumed_ago))} ago"
    return f"{table.name} {table.dead:,} dead beside {table.live:,} live in {table.bytes / 1e6:,.0f} MB, vacuumed {when}"


def _held(holder: Holder) -> str:
    since = "" if holder.open_for is None else f" open for {words(_rounded(holder.open_for))}"
    behind = "" if holder.xids is None else f", {holder.xids:,} transactions back"
    return f"{holder.who}{since}{behind}"


def _rounded(length: timedelta) -> timedelta:
    return timedelta(seconds=round(length.total_seconds()))
