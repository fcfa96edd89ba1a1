"""What can be said to `app`. Each command imports what it needs when it runs, so that `--help` is light."""

from collections.abc import Callable
from typing import Any

import click

from pillars.cli.account_commands import accounts
from pillars.cli.audit_commands import audit
from pillars.cli.ending import ending
from pillars.cli.job_commands import jobs
from pillars.cli.operations import names, queues, schedules, workers
from pillars.cli.shared import together
from pillars.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="app")
def main() -> None:
    """The three processes of a web application, on Postgres alone.

    Run them all while you work: app dev. In production run each: app web, app worker, app cron; app migrate before.
    """


def pillar_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that all pillars take."""
    command = click.option("--reload", is_flag=True, hidden=True)(command)
    return click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")(
        command
    )


web_options = together(
    click.option(
        "--host", metavar="HOST", help="Where to listen; 127.0.0.1 in dev, 0.0.0.0 in prod."
    ),
    click.option("--port", metavar="PORT", help="8000 unless PORT says otherwise."),
)
worker_options = together(
    click.option(
        "-q",
        "--queues",
        metavar="NAME[:SLOTS],...",
        help="Serve only these queues; without it every queue.",
    ),
    click.option("-c", "--concurrency", metavar="N", help="How many async jobs at once; 100."),
    click.option("--threads", metavar="N", help="How many thread jobs at once; 8."),
    click.option("--children", metavar="N", help="How many jobs in child processes at once; 2."),
    click.option(
        "--drain", metavar="TIME", help="How long running jobs may finish after a stop; 25s."
    ),
)
health_option = click.option(
    "--health-port", metavar="PORT", help="Serve health and metrics there."
)


@main.command()
@web_options
@pillar_options
@ending
def web(**flags: Any) -> int:
    """Serve your web app, the operations API and health."""
    return _pillar("web", flags)


@main.command()
@click.option("--processes", metavar="N", help="How many processes to run, and keep running; 1.")
@click.option(
    "--max-memory", metavar="SIZE", help="Begin anew, between jobs, with more than this; none."
)
@worker_options
@health_option
@pillar_options
@ending
def worker(**flags: Any) -> int:
    """Run jobs."""
    return _pillar("worker", flags)


@main.command()
@health_option
@pillar_options
@ending
def cron(**flags: Any) -> int:
    """Enqueue what your schedules say; start as many as you like, one leads."""
    return _pillar("cron", flags)


@main.command(name="all")
@web_options
@worker_options
@health_option
@pillar_options
@ending
def all_(**flags: Any) -> int:
    """Run web, worker and cron in one process, for the smallest machines."""
    return _pillar("all", flags)


@main.command()
@click.option("--port", metavar="PORT", help="Of the web pillar; 8000.")
@click.option(
    "--yes", is_flag=True, help="Use a database that is not on this machine without asking."
)
@ending
def dev(*, port: str | None, yes: bool) -> int:
    """Run everything: Postgres, migrations, the three pillars, reloaded when code changes."""
    from pillars.cli.developing import run

    return run(port=port, yes=yes)


@main.command()
@click.option("--plan", is_flag=True, help="Print what would run, and run nothing.")
@click.option(
    "--check", is_flag=True, help="Say whether the database is up to date; exit 1 where it is not."
)
@click.option(
    "--roles", is_flag=True, help="Make the database's roles for pillars, and give each its rights."
)
@ending
def migrate(*, plan: bool, check: bool, roles: bool) -> int:
    """Bring the database's schema up to date: the runtime's, then your app's (sql/app)."""
    from pillars.cli.migrating import run

    return run(plan=plan, check=check, roles=roles)


@main.command()
@click.option(
    "--role",
    type=click.Choice(["web", "worker", "cron"]),
    help="As the process of this role, in its environment: has it what it needs, and nothing that only others need?",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@ending
def check(*, role: str | None, as_json: bool) -> int:
    """Say whether this code is fit to deploy: settings, jobs, schedules, web app, migrations. Needs no database."""
    from pillars.cli.checking import run

    return run(role=role, as_json=as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@ending
def config(*, as_json: bool) -> int:
    """Print every setting with its value and where it comes from; secrets hidden. Needs no database."""
    from pillars.cli.configuring import run

    return run(as_json=as_json)


@main.command()
@click.option("--canary", is_flag=True, help="Send a job through a worker and see it come back.")
@click.option("--queue", default="default", metavar="NAME", help="Where to send it; default.")
@click.option("--timeout", metavar="TIME", help="How long to wait for it; 10s.")
@click.option("--problems", is_flag=True, help="Print only what is not well.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@ending
def doctor(*, canary: bool, queue: str, timeout: str | None, problems: bool, as_json: bool) -> int:
    """Find what is wrong: code, settings, database, processes, waiting work. Exit 1 where something is broken."""
    from pillars.cli.doctor.running import run

    return run(canary=canary, queue=queue, timeout=timeout, problems=problems, as_json=as_json)


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@ending
def bench(words: tuple[str, ...]) -> int:
    """Measure this runtime beside a bare asyncpg program, on a Postgres of its own: app bench -h says how."""
    from pillars.cli.benching import run

    return run(words)


for group in (jobs, names, queues, schedules, workers, accounts, audit):
    main.add_command(group)


@main.group()
def db() -> None:
    """The embedded Postgres that `app dev` runs on."""


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@ending
def psql(arguments: tuple[str, ...]) -> int:
    """Open psql on the database; further arguments are psql's."""
    from pillars.cli import database

    return database.psql(arguments)


@db.command()
@ending
def url() -> int:
    """Print the database's URL, for other programs."""
    from pillars.cli import database

    return database.url()


@db.command()
@ending
def stop() -> int:
    """Stop the embedded Postgres now; its data stays."""
    from pillars.cli import database

    return database.stop()


@db.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@ending
def reset(*, yes: bool) -> int:
    """Delete the embedded Postgres with all its data."""
    from pillars.cli import database

    return database.reset(yes=yes)


def _pillar(command: str, flags: dict[str, Any]) -> int:
    from pillars.cli.serving import run

    reload = bool(flags.pop("reload"))
    return run(
        command, {name: value for name, value in flags.items() if value is not None}, reload=reload
    )
