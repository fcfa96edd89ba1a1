"""`app jobs enqueue`: what the command line says becomes a job, checked against the signature where the code is here."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import Raw, json as msgjson

from pillars import log, registry
from pillars.cli import following
from pillars.cli.ending import arguments
from pillars.cli.following import Made
from pillars.cli.opening import Opened
from pillars.cli.recording import record_after
from pillars.codec import MAX_PAYLOAD, checks, to_json
from pillars.codec.strict import strictly
from pillars.durations import duration
from pillars.errors import PayloadError, UnknownJob, UsageError
from pillars.jobs import options as checked
from pillars.jobs.definition import Job
from pillars.jobs.enqueuing import Call
from pillars.jobs.options import Options
from pillars.settings import Settings
from pillars.store import enqueueing, listing, naming
from pillars.store.ids import new_id
from pillars.store.rows import Defaults, NewJob


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of one enqueue; `texts` are the arguments that were written key=value."""

    name: str
    given: Mapping[str, Raw]
    texts: Mapping[str, str]
    options: Options


def enqueue(
    name: str,
    pairs: Sequence[str],
    *,
    payload: str | None,
    wait: str | None,
    as_json: bool,
    **said: Any,
) -> int:
    """Enqueue one job and print its id; with `wait`, its result once it has ended."""
    with arguments():
        patience = following.patience_of(wait)
        wanted = asked(name, pairs, payload=payload, **said)
    return following.follow(partial(make, wanted), patience=patience, as_json=as_json)


def asked(name: str, pairs: Sequence[str], *, payload: str | None, **said: Any) -> Asked:
    """What the command line says, read; raises `UsageError`."""
    found = Asked(
        checked.checked_name(name, "job name"), _payload(payload), _texts(pairs), _options(**said)
    )
    if both := sorted(found.texts.keys() & found.given.keys()):
        raise UsageError(f'argument "{both[0]}" is given twice: by itself and in --payload')
    return found


async def make(asked: Asked, opened: Opened) -> Made:
    """Store the job, and write down that it was."""
    pool = opened.database.pool
    job = await _new_job(asked, opened)
    stored = await enqueueing.enqueue(opened.database, job)
    await record_after(pool, "job.enqueue", stored.job_id, name=job.name, created=stored.created)
    # One that leaves no row may have ended before this look.
    row = await listing.find(pool, stored.job_id) or listing.as_stored(job, stored.job_id)
    return Made(stored, row)


async def _new_job(asked: Asked, opened: Opened) -> NewJob:
    """The row to store. What another deployment defines is taken on trust; what nobody does is `UnknownJob`."""
    jobs = _defined_here(opened.settings)
    if asked.name in jobs:
        with arguments(), redirect_stdout(sys.stderr):
            return _call(jobs[asked.name], asked).new_job()
    known = await naming.defaults(opened.database.pool, asked.name)
    if known is None:
        names = {*jobs, *await naming.defined_names(opened.database.pool)}
        raise UnknownJob.among(asked.name, sorted(names))
    with arguments():
        return _on_trust(asked, known)


def _defined_here(settings: Settings) -> Mapping[str, Job[..., Any]]:
    """The app's own jobs. What its modules print is no part of our answer."""
    import os

    log.configure(level=settings.log_level, format=settings.log_format)
    if settings.env == "dev":
        for name, value in settings.dotenv.items():
            os.environ.setdefault(name, value)
    web = settings.web.partition(":")[0] if settings.web else None
    with redirect_stdout(sys.stderr):
        found = registry.load(
            project=settings.project, jobs=settings.jobs, crons=settings.crons, leave=web
        )
    return found.jobs


def _call(job: Job[..., Any], asked: Asked) -> Call[Any]:
    """The call with typed arguments, as code would make it."""
    hints = get_type_hints(job.function)
    given = dict(asked.given)
    for key, text in asked.texts.items():
        given[key] = _value(text, as_text=hints.get(key) is str)
    return Call(job, (), job.payload_codec.decode(to_json(given)), asked.options)


def _on_trust(asked: Asked, known: Defaults) -> NewJob:
    given = {**asked.given, **{key: _value(text) for key, text in asked.texts.items()}}
    options = asked.options
    return NewJob(
        job_id=new_id(),
        name=asked.name,
        queue=options.queue or known.queue,
        payload=to_json(given).decode(),
        context=options.context,
        priority=known.priority if options.priority is None else options.priority,
        run_at=options.run_at,
        run_in=options.run_in,
        expires_in=None,
        max_attempts=options.max_attempts or known.max_attempts,
        timeout=None,
        unique_key=options.unique_key,
        tags=known.tags or None,
        trace=None,
    )


# --- reading the command line -------------------------------------------------------------------------------


def _options(
    *, queue: str | None, priority: int | None, run_at: str | None, run_in: str | None,
    max_attempts: int | None, unique_key: str | None, context: str | None,
) -> Options:  # fmt: skip
    if run_at is not None and run_in is not None:
        raise UsageError("--run-at and --run-in: expected one of them, got both")
    return Options(
        queue=None if queue is None else checked.checked_name(queue, "--queue"),
        priority=None if priority is None else checked.checked_priority(priority),
        run_at=None if run_at is None else _time(run_at),
        run_in=None if run_in is None else duration(run_in, what="--run-in"),
        max_attempts=None if max_attempts is None else checked.checked_attempts(max_attempts),
        unique_key=None if unique_key is None else checked.checked_text(unique_key, "--unique-key"),
        context=None if context is None else checked.checked_text(context, "--context"),
    )


def _time(text: str) -> datetime:
    example = "2027-01-31T09:00Z or 2027-01-31T09:00+01:00"
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--run-at: expected a time such as {example}, got {text[:60]}") from None
    if time.tzinfo is None:
        raise UsageError(f"--run-at: expected a time with its zone, such as {example}; got {text}")
    return checked.checked_time(time, "--run-at")


def _texts(pairs: Sequence[str]) -> dict[str, str]:
    """Arguments by name, from key=value."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.isidentifier():
            raise UsageError(f"arguments: expected key=value, got {pair[:60]}{_as_wait(pair)}")
        if key in found:
            raise UsageError(f'argument "{key}" is given twice')
        if misfit := checks.text(text):
            raise UsageError(f"argument {key}: {misfit.reason}")
        found[key] = text
    return found


def _as_wait(word: str) -> str:
    """How a time is written that was meant for --wait."""
    try:
        duration(word)
    except UsageError:
        return ""
    return f"; a time to wait is written --wait={word}"


def _value(text: str, *, as_text: bool = False) -> Raw:
    """JSON where it is JSON, digit by digit, else a text; what is declared a text is one though it looks like a number."""
    try:
        value = strictly(text)
    except (ValueError, RecursionError):
        return Raw(to_json(text))
    return Raw(to_json(text)) if as_text and not isinstance(value, str) else Raw(text.encode())


def _payload(said: str | None) -> dict[str, Raw]:
    """The object of --payload: its text, @file, or - for stdin."""
    if said is None:
        return {}
    try:
        text = content(said, what="--payload", most=MAX_PAYLOAD).decode()
        whole = strictly(text)
    except RecursionError:
        raise PayloadError(f"--payload: is nested over {checks.MAX_DEPTH} deep") from None
    except ValueError as error:
        raise PayloadError(f"--payload: expected JSON, in UTF-8: {error}") from None
    if not isinstance(whole, dict):
        raise PayloadError('--payload: expected an object of arguments, such as {"order_id": 42}')
    if misfit := checks.anything(whole, 1):
        raise PayloadError(f"--payload{misfit.path}: {misfit.reason}")
    return msgjson.decode(text, type=dict[str, Raw])


def content(said: str, *, what: str, most: int) -> bytes:
    """What an argument says: itself, @file, or - for stdin."""
    try:
        if said == "-":
            found = sys.stdin.buffer.read(most + 1)
        elif said.startswith("@"):
            found = Path(said[1:]).read_bytes()
        else:
            found = said.encode()
    except OSError as error:
        raise PayloadError(f"{what}: {said[1:]}: {error.strerror}") from None
    if len(found) > most:
        raise PayloadError(f"{what}: expected at most {most:,} bytes, got more")
    return found
