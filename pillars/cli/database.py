"""`app db`."""

import os
import subprocess
from collections.abc import Sequence
from shutil import which
from urllib.parse import unquote, urlsplit, urlunsplit

import anyio
import click

from pillars import embedded
from pillars.cli import saying
from pillars.cli.beginning import settings_of
from pillars.cli.postgres import cluster_of, make_ready_in_dev, postgres
from pillars.errors import ConfigurationError
from pillars.settings import Settings


def psql(arguments: Sequence[str]) -> int:
    """Run psql on the database; returns its exit code."""
    settings = settings_of("db")
    with postgres(settings) as found:
        anyio.run(make_ready_in_dev, settings, found)
        program = (
            which("psql")
            if settings.database_url
            else str(embedded.tool(cluster_of(settings), "psql"))
        )
        if program is None:
            raise ConfigurationError("psql: not found on PATH; install the Postgres client")
        url, secret = _apart(found.url)
        environ = os.environ | secret
        return subprocess.run([program, url, *arguments], env=environ, check=False).returncode  # noqa: S603


def url() -> int:
    """Print the URL; the server behind it lives as long as some pillar runs."""
    settings = settings_of("db")
    with postgres(settings) as found:
        anyio.run(make_ready_in_dev, settings, found)
        saying.put(found.url)
    return 0


def _apart(url: str) -> tuple[str, dict[str, str]]:
    """A URL without its password, and the environment that tells it to psql: everybody on the machine sees a process's arguments."""
    parts = urlsplit(url)
    if not parts.password:
        return url, {}
    user_and_password, at, place = parts.netloc.rpartition("@")
    user, _, _ = user_and_password.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}")), {
        "PGPASSWORD": unquote(parts.password)
    }


def stop() -> int:
    """Stop the embedded server."""
    settings = _of_our_own()
    saying.put("stopped" if embedded.stop(cluster_of(settings)) else "it was not running")
    return 0


def reset(*, yes: bool) -> int:
    """Delete the embedded cluster."""
    settings = _of_our_own()
    cluster = cluster_of(settings)
    if not yes:
        click.confirm(f"Delete all data in {cluster.home}?", abort=True)
    embedded.reset(cluster)
    saying.put("deleted; the next app dev begins anew")
    return 0


def _of_our_own() -> Settings:
    settings = settings_of("db")
    if settings.database_url is not None:
        raise ConfigurationError(
            "DATABASE_URL is set: that server is not ours to stop or delete; unset it"
        )
    return settings
