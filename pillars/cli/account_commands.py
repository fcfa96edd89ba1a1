"""What can be said to `app accounts`. The work is imported when a command runs."""

import click

from pillars.cli.ending import ending
from pillars.cli.shared import JSON

NAME = click.argument("name", metavar="NAME")


@click.group()
def accounts() -> None:
    """People who may log in to the dashboard."""


@accounts.command("list")
@JSON
@ending
def list_accounts(*, as_json: bool) -> int:
    """List every account: what it may do, since when, and its logins that have not ended."""
    from pillars.cli import people

    return people.list_accounts(as_json=as_json)


@accounts.command()
@NAME
@click.option(
    "--scope",
    type=click.Choice(["view", "operate"]),
    required=True,
    metavar="SCOPE",
    help="view only reads; operate also changes things.",
)
@ending
def add(*, name: str, scope: str) -> int:
    """Let somebody log in to the dashboard. Asks for the password; in a pipe, reads one line.

    \b
    Examples:
      app accounts add ada --scope operate
      openssl rand -base64 18 | tee password | app accounts add ci --scope view
    """
    from pillars.cli import people

    return people.add(name, scope=scope)


@accounts.command()
@NAME
@ending
def password(*, name: str) -> int:
    """Give an account another password, and end its logins. Asks for it; in a pipe, reads one line."""
    from pillars.cli import people

    return people.password(name)


@accounts.command()
@NAME
@ending
def remove(*, name: str) -> int:
    """Let somebody in no more, and end their logins."""
    from pillars.cli import people

    return people.remove(name)
