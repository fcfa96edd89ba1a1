"""What can be said to `app audit`. The work is imported when a command runs."""

import click

from pillars.cli.ending import ending
from pillars.cli.shared import JSON


@click.group()
def audit() -> None:
    """Look at what people and their programs changed."""


@audit.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
@click.option(
    "--before",
    type=click.IntRange(1, 2**63 - 1),
    metavar="ID",
    help="Only what is older than this row.",
)
@JSON
@ending
def list_audit(*, limit: int, before: int | None, as_json: bool) -> int:
    """List logins, and what was changed over HTTP and by commands, newest first.

    \b
    Examples:
      app audit list --limit 10
      app audit list --json | jq '.items[] | select(.actor == "ada")'
    """
    from pillars.cli import auditing

    return auditing.list_audit(limit=limit, before=before, as_json=as_json)
