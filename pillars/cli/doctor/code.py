"""Checks of this code, of what it was told, and of the place it runs in."""

import re
import socket
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from pillars.cli.doctor.finding import Finding, fail, in_prod, ok, some, warn
from pillars.cli.doctor.subject import Subject
from pillars.cli.saying import counted
from pillars.durations import duration, words
from pillars.errors import ConfigurationError, UsageError
from pillars.settings.values import LEAST_TOKEN
from pillars.version import __version__

DISTRIBUTION = "three-pillars"
LEAST_PYTHON = (3, 11)
SLOW_IMPORT = timedelta(seconds=10)  # every start and every reload waits for it
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+?)\s*(?:\[[^\]]*\])?\s*([<>=!~][^;]*)?(;.*)?")
BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
EXIT = timedelta(seconds=1)  # what a process needs after its drain
# How long each platform waits between its signal and the kill, unless told otherwise, and where that is told.
KILLS = {
    "FLY_APP_NAME": (timedelta(seconds=5), "kill_timeout in fly.toml"),
    "DYNO": (timedelta(seconds=30), "nothing on Heroku"),
    "KUBERNETES_SERVICE_HOST": (timedelta(seconds=30), "terminationGracePeriodSeconds of the pod"),
}


async def python(_: Subject) -> Finding:
    """Python and the packages are of versions that this release was made for."""
    shown = f"Python {sys.version.partition(' ')[0]}, {DISTRIBUTION} {__version__}"
    if sys.version_info < LEAST_PYTHON:
        return fail(shown, fix="use Python 3.11 or newer")
    wrong = list(_unfit())
    if wrong:
        return fail(some(wrong), fix=f"pip install '{DISTRIBUTION}=={__version__}'")
    return ok(f"{shown}, asyncpg {version('asyncpg')}, uvicorn {version('uvicorn')}")


async def imports(subject: Subject) -> Finding:
    """The app's code imports, is well defined, and takes no age to do so."""
    report = subject.code.report
    took = f"{subject.code.took.total_seconds():.1f} s"
    if report.problems:
        told = [
            f"{one.place}: {one.message}" if one.place else one.message for one in report.problems
        ]
        return fail(some(told, most=2), fix="mend it; app check lists all")
    found = f"{counted(len(report.jobs), 'job')}, {counted(len(report.schedules), 'schedule')}, web {report.web or 'none'}, in {took}"
    if subject.code.took > SLOW_IMPORT:
        return warn(found, fix="import what is heavy where it is used: every start waits for it")
    return ok(found)


async def settings(subject: Subject) -> Finding:
    """No setting is doubtful, and no PILLARS_ name unknown."""
    told = subject.settings
    of_tokens = tuple(f"{told.sources[name]}: " for name in ("token", "view_token"))
    doubts = [one for one in told.warnings if not one.startswith(of_tokens)]  # see web.tokens
    if doubts:
        return warn(some(doubts), fix="app config shows every value and its source")
    said = sum(source != "default" for source in told.sources.values())
    return ok(f"env is {told.env}; {counted(said, 'setting')} set, all others at their defaults")


async def drain(subject: Subject) -> Finding:
    """The platform waits for the drain before it kills."""
    platform = next((name for name in KILLS if subject.environ.get(name)), None)
    drains = subject.settings.drain
    if platform is None:
        return ok(f"drain {words(drains)}; no platform that is known to kill earlier")
    kill, where = KILLS[platform]
    told = _fly_timeout(subject.settings.project) if platform == "FLY_APP_NAME" else None
    kill = told or kill
    evidence = f"drain {words(drains)}, and {platform} is set: the kill comes after {words(kill)}"
    if drains + EXIT <= kill:
        return ok(evidence)
    return warn(
        evidence
        if told or platform != "FLY_APP_NAME"
        else f"{evidence} unless fly.toml says otherwise",
        fix=f"set PILLARS_DRAIN to {words(kill - EXIT)} or less, or raise {where}",
    )


async def port(subject: Subject) -> Finding:
    """The web pillar's port can be had, or our own web pillar has it."""
    from pillars.service.serving import require_port

    told = subject.settings
    try:
        await require_port(told.host, told.port)
    except ConfigurationError as error:
        ours = [one for one in subject.of_role("web") if one.host == socket.gethostname()]
        if ours:
            return ok(f"port {told.port} is in use, and app web runs here (pid {ours[0].pid})")
        return warn(str(error), fix=f"set PORT, or find who has it: lsof -i :{told.port}")
    return ok(f"{told.host}:{told.port} is free")


async def tokens(subject: Subject) -> Finding:
    """The API is neither closed to everybody nor open to a guess."""
    from pillars.service.access import is_loopback

    told = subject.settings
    given = {"PILLARS_TOKEN": told.token, "PILLARS_VIEW_TOKEN": told.view_token}
    there = {name: token for name, token in given.items() if token is not None}
    short = [name for name, token in there.items() if len(token) < LEAST_TOKEN]
    make = "python -c 'import secrets; print(secrets.token_urlsafe())'"
    if short:
        return in_prod(
            subject,
            f"{' and '.join(short)}: shorter than {LEAST_TOKEN} characters, it can be guessed",
            fix=f"make one: {make}",
        )
    if there:
        return ok(f"{' and '.join(there)} set")
    if is_loopback(told.host):
        return ok(f"none; {told.host} answers this machine alone")
    return in_prod(
        subject,
        f"none is set and HOST is {told.host}: all but health is answered with 401",
        fix=f"set PILLARS_TOKEN, made by {make}",
    )


def _unfit() -> Iterator[str]:
    """Packages that are missing, or of versions that this release was not made for."""
    try:
        wanted = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # a checkout that nobody has installed
        return
    for requirement in wanted:
        match = REQUIREMENT.fullmatch(requirement)
        if match is None or match[3]:  # of an extra, or of another system
            continue
        try:
            found = version(match[1])
        except PackageNotFoundError:
            yield f"{match[1]} is missing"
            continue
        for relation, bound in BOUND.findall(match[2] or ""):
            if (_numbers(found) >= _numbers(bound)) != (relation == ">="):
                yield f"{match[1]} is {found}, expected {match[2]}"
                break


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _fly_timeout(project: Path) -> timedelta | None:
    """What fly.toml says of it, where the file is here."""
    try:
        found = tomllib.loads((project / "fly.toml").read_text("utf-8")).get("kill_timeout")
        return None if found is None else duration(found)
    except (OSError, ValueError, UsageError):
        return None
