"""How a command ends by an exception: an error of ours is one line, without a traceback."""

import traceback

import click

from pillars.errors import ConfigurationError, PillarsError

FAILED, USAGE = 1, 2


def code_of(raised: BaseException) -> int:
    """Say what was raised, and return the exit code for it."""
    error = _ours(raised)
    if error is None:
        click.echo("".join(traceback.format_exception(raised)), err=True, nl=False)
        return FAILED
    click.echo(f"app: {error}", err=True)
    return USAGE if isinstance(error, ConfigurationError) else FAILED


def _ours(raised: BaseException) -> PillarsError | None:
    """The error of ours that was raised, alone or in a task group."""
    if isinstance(raised, PillarsError):
        return raised
    if isinstance(raised, BaseExceptionGroup):
        return next((found for one in raised.exceptions if (found := _ours(one))), None)
    return None
