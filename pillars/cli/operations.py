"""What can be said to `app names`, `app queues`, `app schedules` and `app workers`. The work is imported when a command runs."""

import click

from pillars.cli.ending import ending
from pillars.cli.shared import JSON, WAIT, AsWritten

NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@click.group()
def names() -> None:
    """Look at the names of jobs, pause and resume them."""


@names.command("list")
@JSON
@ending
def list_names(*, as_json: bool) -> int:
    """List every name that code defines with its unfinished jobs, and who paused it."""
    from pillars.cli import naming

    return naming.list_names(as_json=as_json)


@names.command("pause")
@NAMES
@JSON
@ending
def pause_names(*, names: tuple[str, ...], as_json: bool) -> int:
    """Let no worker claim jobs of these names, in any queue; what runs goes on."""
    from pillars.cli import naming

    return naming.pause_names(names, as_json=as_json)


@names.command("resume")
@NAMES
@JSON
@ending
def resume_names(*, names: tuple[str, ...], as_json: bool) -> int:
    """Let workers claim jobs of these names again."""
    from pillars.cli import naming

    return naming.resume_names(names, as_json=as_json)


@click.group()
def queues() -> None:
    """Look at queues, pause and resume them."""


@queues.command("list")
@JSON
@ending
def list_queues(*, as_json: bool) -> int:
    """List every queue with its unfinished jobs, the age of its oldest ready one, and the workers that serve it."""
    from pillars.cli import overseeing

    return overseeing.list_queues(as_json=as_json)


@queues.command("pause")
@NAMES
@JSON
@ending
def pause_queues(*, names: tuple[str, ...], as_json: bool) -> int:
    """Let no worker claim from these queues; what runs goes on."""
    from pillars.cli import overseeing

    return overseeing.pause_queues(names, as_json=as_json)


@queues.command("resume")
@NAMES
@JSON
@ending
def resume_queues(*, names: tuple[str, ...], as_json: bool) -> int:
    """Let workers claim from these queues again."""
    from pillars.cli import overseeing

    return overseeing.resume_queues(names, as_json=as_json)


@click.group()
def schedules() -> None:
    """Look at schedules, run, pause and resume them."""


@schedules.command("list")
@JSON
@ending
def list_schedules(*, as_json: bool) -> int:
    """List every schedule with its rule, its next tick and what became of the last."""
    from pillars.cli import overseeing

    return overseeing.list_schedules(as_json=as_json)


@schedules.command("run", cls=AsWritten)
@click.argument("name", metavar="NAME")
@WAIT
@JSON
@ending
def run_schedule(*, name: str, wait: str | None, as_json: bool) -> int:
    """Enqueue a schedule's job now and print its id; its ticks stay as they are, and a paused one runs, too.

    \b
    Examples:
      app schedules run crons.reports.nightly
      app schedules run crons.reports.nightly --wait=5m
    """
    from pillars.cli import overseeing

    return overseeing.run_schedule(name, wait=wait, as_json=as_json)


@schedules.command("pause")
@NAMES
@JSON
@ending
def pause_schedules(*, names: tuple[str, ...], as_json: bool) -> int:
    """Stop the ticks of these schedules, over restarts and deploys too."""
    from pillars.cli import overseeing

    return overseeing.pause_schedules(names, as_json=as_json)


@schedules.command("resume")
@NAMES
@JSON
@ending
def resume_schedules(*, names: tuple[str, ...], as_json: bool) -> int:
    """Let these schedules tick again, from their next tick on."""
    from pillars.cli import overseeing

    return overseeing.resume_schedules(names, as_json=as_json)


@click.group()
def workers() -> None:
    """Look at the processes that run."""


@workers.command("list")
@JSON
@ending
def list_workers(*, as_json: bool) -> int:
    """List every web, worker and cron process: where it runs, what it serves, how busy it is, when it was last seen."""
    from pillars.cli import overseeing

    return overseeing.list_workers(as_json=as_json)
